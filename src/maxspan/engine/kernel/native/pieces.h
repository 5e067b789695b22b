/* Texts and times as pieces of lines: as JSON writes them, each with a line feed after it. */
#ifndef MAXSPAN_PIECES_H
#define MAXSPAN_PIECES_H

#include "values.h"

/* Gives pieces as their bytes, and where each begins (64 bits, one more for the end). Takes `pieces` apart. */
static PyObject *pieces_given(Answers *pieces, int64_t *starts, size_t count)
{
    PyObject *bytes = PyBytes_FromStringAndSize((const char *)pieces->text, (Py_ssize_t)pieces->used);
    PyObject *places = PyBytes_FromStringAndSize((const char *)starts, (Py_ssize_t)(count + 1) * 8);
    PyObject *out = bytes && places ? PyTuple_Pack(2, bytes, places) : NULL;
    Py_XDECREF(bytes);
    Py_XDECREF(places);
    return out;
}

static PyObject *text_pieces(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    Texts texts;
    Answers pieces = {{0}, NULL, 0, 0};
    int64_t *starts = NULL;
    PyObject *out = NULL;
    if (!PyArg_ParseTuple(arguments, "py*y*", &texts.wide, &texts.offsets, &texts.data))
        return NULL;
    size_t width = texts.wide ? 8 : 4;
    texts.count = texts.offsets.len ? (size_t)texts.offsets.len / width - 1 : 0;
    starts = malloc((texts.count + 1) * sizeof *starts);
    if (!starts) {
        PyErr_NoMemory();
        goto done;
    }
    if (answers_room(&pieces, (size_t)texts.data.len + texts.count * 4 + 16))
        goto done;
    for (size_t n = 0; n < texts.count; n++) {
        Place text;
        size_t length;
        starts[n] = (int64_t)pieces.used;
        if (text_at(&texts, (int64_t)n, &text, &length) || write_text(&pieces, text, length) ||
            answers_room(&pieces, 1))
            goto done;
        pieces.text[pieces.used++] = '\n';
    }
    starts[texts.count] = (int64_t)pieces.used;
    out = pieces_given(&pieces, starts, texts.count);
done:
    free(starts);
    answers_clear(&pieces);
    PyBuffer_Release(&texts.offsets);
    PyBuffer_Release(&texts.data);
    return out;
}

static uint8_t *write_number(uint8_t *out, int64_t number, int digits)
{
    for (int n = digits - 1; n >= 0; n--) {
        out[n] = (uint8_t)('0' + number % 10);
        number /= 10;
    }
    return out + digits;
}

/* Writes microseconds since 1970 as `"2026-11-24T03:06:23.843389"`, without a fraction that is 0. */
static uint8_t *write_time(uint8_t *out, int64_t us)
{
    const int64_t day_us = 86400000000;
    int64_t days = us / day_us, rest = us % day_us;
    if (rest < 0) {
        rest += day_us;
        days--;
    }
    /* years begin in March, so that the odd day is the last one; eras of 400 years, from the year 0 */
    days += 719468;
    int64_t era = days / 146097, day = days % 146097;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= 365 * year + year / 4 - year / 100;
    int64_t month = (5 * day + 2) / 153;
    day -= (153 * month + 2) / 5;
    month += month < 10 ? 3 : -9;
    year += era * 400 + (month <= 2);
    *out++ = '"';
    out = write_number(out, year, 4);
    *out++ = '-';
    out = write_number(out, month, 2);
    *out++ = '-';
    out = write_number(out, day + 1, 2);
    *out++ = 'T';
    out = write_number(out, rest / 3600000000, 2);
    *out++ = ':';
    out = write_number(out, rest / 60000000 % 60, 2);
    *out++ = ':';
    out = write_number(out, rest / 1000000 % 60, 2);
    if (rest % 1000000) {
        *out++ = '.';
        out = write_number(out, rest % 1000000, 6);
    }
    *out++ = '"';
    return out;
}

#define LONGEST_TIME 28
/* of the years 1 to 9999, as microseconds */
#define FIRST_US (-62135596800000000)
#define LAST_US 253402300799999999

static PyObject *time_pieces(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    Py_buffer times;
    PyObject *out = NULL;
    if (!PyArg_ParseTuple(arguments, "y*", &times))
        return NULL;
    size_t count = (size_t)times.len / 8;
    Answers pieces = {{0}, NULL, 0, 0};
    int64_t *starts = malloc((count + 1) * sizeof *starts);
    if (!starts)
        PyErr_NoMemory();
    if (!starts || answers_room(&pieces, count * (LONGEST_TIME + 1) + 1))
        goto done;
    uint8_t *at = pieces.text;
    for (size_t n = 0; n < count; n++) {
        int64_t us;
        memcpy(&us, (Place)times.buf + n * 8, 8);
        if (us < FIRST_US || us > LAST_US) {
            PyErr_SetString(PyExc_ValueError, "a time beyond the calendar");
            goto done;
        }
        starts[n] = at - pieces.text;
        at = write_time(at, us);
        *at++ = '\n';
    }
    pieces.used = (size_t)(at - pieces.text);
    starts[count] = (int64_t)pieces.used;
    out = pieces_given(&pieces, starts, count);
done:
    free(starts);
    answers_clear(&pieces);
    PyBuffer_Release(&times);
    return out;
}

#endif
