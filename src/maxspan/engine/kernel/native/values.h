/* What many values at once leave possible: texts and lists of texts as Arrow has them, in columns of a file.
 *
 * A value is asked for as JSON would write it, so that what is remembered is the same for lines and for columns.
 */
#ifndef MAXSPAN_VALUES_H
#define MAXSPAN_VALUES_H

#include "asking.h"

/* Texts one after another: text n is from offset n to offset n + 1 of `data`. */
typedef struct {
    Py_buffer offsets, data;
    int wide; /* offsets of 64 bits, else of 32 */
    size_t count;
} Texts;

/* What a call has found: the masks that differ, and room for a value that is written as JSON. */
typedef struct {
    Masks masks;
    uint8_t *text;
    size_t used, room;
} Answers;

static void answers_clear(Answers *self)
{
    masks_clear(&self->masks);
    free(self->text);
}

/* Finds a text; -1 where there is none, or where it is not within `data`. */
static int text_at(const Texts *self, int64_t number, Place *begin, size_t *length)
{
    int64_t from = -1, to = -1;
    if (number >= 0 && (uint64_t)number < self->count) {
        if (self->wide) {
            memcpy(&from, (Place)self->offsets.buf + (size_t)number * 8, 8);
            memcpy(&to, (Place)self->offsets.buf + (size_t)number * 8 + 8, 8);
        } else {
            int32_t pair[2];
            memcpy(pair, (Place)self->offsets.buf + (size_t)number * 4, 8);
            from = pair[0];
            to = pair[1];
        }
    }
    if (from < 0 || to < from || to > self->data.len) {
        PyErr_SetString(PyExc_ValueError, "a text that is not there");
        return -1;
    }
    *begin = (Place)self->data.buf + from;
    *length = (size_t)(to - from);
    return 0;
}

static int answers_room(Answers *self, size_t more)
{
    if (self->room - self->used >= more)
        return 0;
    size_t room = (self->used + more) * 2;
    uint8_t *text = realloc(self->text, room);
    if (!text) {
        PyErr_NoMemory();
        return -1;
    }
    self->text = text;
    self->room = room;
    return 0;
}

/* Writes a text as JSON does, letter by letter as msgspec. */
static int write_text(Answers *self, Place text, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    if (length > PY_SSIZE_T_MAX / 16) {
        PyErr_NoMemory();
        return -1;
    }
    if (answers_room(self, length * 6 + 3))
        return -1;
    uint8_t *out = self->text + self->used;
    *out++ = '"';
    for (size_t n = 0; n < length; n++) {
        uint8_t c = text[n];
        if (c >= ' ' && c != '"' && c != '\\') {
            *out++ = c;
            continue;
        }
        *out++ = '\\';
        switch (c) {
        case '\b': *out++ = 'b'; break;
        case '\f': *out++ = 'f'; break;
        case '\n': *out++ = 'n'; break;
        case '\r': *out++ = 'r'; break;
        case '\t': *out++ = 't'; break;
        case '"': case '\\': *out++ = c; break;
        default:
            memcpy(out, "u00", 3);
            out[3] = (uint8_t)digits[c >> 4];
            out[4] = (uint8_t)digits[c & 15];
            out += 5;
        }
    }
    *out++ = '"';
    self->used = (size_t)(out - self->text);
    return 0;
}

/* Gives the number of what the value in `text` leaves possible, among the masks of this call; NONE for an error. */
static uint32_t answer_of(Scanner *self, uint32_t number, Answers *answers)
{
    Column *column = self->columns + number;
    Place value = answers->text;
    size_t length = answers->used;
    uint64_t hash = 0;
    uint32_t known = column->absent;
    if (length) {
        hash = hash_of(value, length);
        known = memo_find(&column->values, hash, value, length);
    }
    const uint64_t *left = known == NONE ? left_by_new(self, number, value, length, hash)
                                         : column->masks.words + known * self->words;
    uint32_t out = left ? masks_number(&answers->masks, left, self->words) : NONE;
    if (left && out == NONE)
        PyErr_NoMemory();
    return out;
}

static uint32_t answer_for_text(Scanner *self, uint32_t number, const Texts *texts, int64_t code, Answers *answers)
{
    Place text;
    size_t length;
    answers->used = 0;
    if (text_at(texts, code, &text, &length) || write_text(answers, text, length))
        return NONE;
    return answer_of(self, number, answers);
}

static int32_t code_at(const Py_buffer *codes, size_t place)
{
    int32_t code;
    memcpy(&code, (Place)codes->buf + place * 4, 4);
    return code;
}

static int64_t wide_at(const Py_buffer *numbers, size_t place)
{
    int64_t out;
    memcpy(&out, (Place)numbers->buf + place * 8, 8);
    return out;
}

/* Finds the place of a row, below `end`; -1 for an error. */
static int place_of(const Py_buffer *places, size_t row, size_t end, size_t *place)
{
    int64_t found = wide_at(places, row);
    if (found < 0 || (uint64_t)found >= end) {
        PyErr_SetString(PyExc_ValueError, "a row that is not there");
        return -1;
    }
    *place = (size_t)found;
    return 0;
}

/* Answers for one text a row; code `texts->count` is for none. -1 for an error. */
static int texts_answers(Scanner *self, uint32_t number, const Texts *texts, const Py_buffer *places,
                         const Py_buffer *codes, uint32_t *out, Answers *answers)
{
    size_t rows = (size_t)places->len / 8, place;
    uint32_t *known = malloc((texts->count + 1) * sizeof *known);
    if (!known) {
        PyErr_NoMemory();
        return -1;
    }
    memset(known, 0xff, (texts->count + 1) * sizeof *known);
    for (size_t row = 0; row < rows; row++) {
        if (place_of(places, row, (size_t)codes->len / 4, &place))
            goto failed;
        int32_t code = code_at(codes, place);
        if (code < 0 || (size_t)code > texts->count) {
            PyErr_SetString(PyExc_ValueError, "a code that is not there");
            goto failed;
        }
        if (known[code] == NONE) {
            answers->used = 0;
            known[code] = (size_t)code == texts->count ? answer_of(self, number, answers)
                                                       : answer_for_text(self, number, texts, code, answers);
            if (known[code] == NONE)
                goto failed;
        }
        out[row] = known[code];
    }
    free(known);
    return 0;
failed:
    free(known);
    return -1;
}

/* Writes a list as JSON does, without its nulls. */
static int write_list(Answers *answers, const Texts *texts, const int32_t *codes, size_t count)
{
    answers->used = 0;
    if (answers_room(answers, 2))
        return -1;
    answers->text[answers->used++] = '[';
    for (size_t n = 0; n < count; n++) {
        Place text;
        size_t length;
        if (text_at(texts, codes[n], &text, &length) || write_text(answers, text, length) || answers_room(answers, 2))
            return -1;
        answers->text[answers->used++] = ',';
    }
    answers->used -= count ? 1 : 0;
    answers->text[answers->used++] = ']';
    return 0;
}

/* Answers for one list a row, whose codes are from `starts` to `ends`. -1 for an error. */
static int lists_answers(Scanner *self, uint32_t number, const Texts *texts, const Py_buffer *places,
                         const Py_buffer *codes, const Py_buffer *starts, const Py_buffer *ends, uint32_t *out,
                         Answers *answers)
{
    size_t rows = (size_t)places->len / 8, all = (size_t)codes->len / 4, room = 0, place;
    int32_t *own = NULL;
    Memo known = {0};
    int failed = -1;
    for (size_t row = 0; row < rows; row++) {
        if (place_of(places, row, (size_t)starts->len / 8, &place))
            goto done;
        int64_t from = wide_at(starts, place), to = wide_at(ends, place);
        if (from < 0 || to < from || (uint64_t)to > all) {
            PyErr_SetString(PyExc_ValueError, "a list that is not there");
            goto done;
        }
        size_t count = 0;
        if ((size_t)(to - from) > room || !own) {
            room = (size_t)(to - from) * 2 + 16;
            int32_t *more = realloc(own, room * sizeof *own);
            if (!more) {
                PyErr_NoMemory();
                goto done;
            }
            own = more;
        }
        for (int64_t n = from; n < to; n++) {
            int32_t code = code_at(codes, (size_t)n);
            if (code < 0 || (size_t)code != texts->count)
                own[count++] = code;
        }
        size_t length = count * sizeof *own;
        uint64_t hash = hash_of((Place)own, length);
        out[row] = memo_find(&known, hash, (Place)own, length);
        if (out[row] != NONE)
            continue;
        if (write_list(answers, texts, own, count))
            goto done;
        out[row] = answer_of(self, number, answers);
        if (out[row] == NONE)
            goto done;
        if (length <= LONGEST_VALUE && memo_add(&known, hash, (Place)own, length, out[row])) {
            PyErr_NoMemory();
            goto done;
        }
    }
    failed = 0;
done:
    free(own);
    memo_clear(&known);
    return failed;
}

/* Gives for each row the number of what its value leaves possible (32 bits each), and these masks. */
static PyObject *scanner_values(Scanner *self, PyObject *arguments)
{
    unsigned number;
    Texts texts;
    Py_buffer places, codes, starts = {0}, ends = {0};
    PyObject *out = NULL, *masks = NULL, *given = NULL;
    Answers answers = {{0}, NULL, 0, 0};
    if (!PyArg_ParseTuple(arguments, "Iy*py*y*y*|y*y*", &number, &places, &texts.wide, &texts.offsets, &texts.data,
                          &codes, &starts, &ends))
        return NULL;
    size_t width = texts.wide ? 8 : 4, rows = (size_t)places.len / 8;
    texts.count = texts.offsets.len ? (size_t)texts.offsets.len / width - 1 : 0;
    if (number >= self->column_count || (size_t)texts.offsets.len % width || codes.len % 4 || starts.len % 8 ||
        starts.len != ends.len || texts.count >= INT32_MAX || (starts.obj && !ends.obj)) {
        PyErr_SetString(PyExc_ValueError, "no such column, or values of another form");
        goto done;
    }
    if (self->busy) {
        PyErr_SetString(PyExc_RuntimeError, "the scanner is at work already");
        goto done;
    }
    out = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(rows * 4));
    uint32_t *numbers = malloc(rows * 4 + 4);
    if (!out || !numbers) {
        PyErr_NoMemory();
        free(numbers);
        goto done;
    }
    self->busy = 1;
    int failed = starts.obj ? lists_answers(self, number, &texts, &places, &codes, &starts, &ends, numbers, &answers)
                            : texts_answers(self, number, &texts, &places, &codes, numbers, &answers);
    self->busy = 0;
    if (!failed)
        memcpy(PyBytes_AsString(out), numbers, rows * 4);
    free(numbers);
    if (!failed)
        masks = PyBytes_FromStringAndSize((const char *)answers.masks.words,
                                          (Py_ssize_t)(answers.masks.count * self->words * 8));
    if (masks)
        given = PyTuple_Pack(2, out, masks);
done:
    answers_clear(&answers);
    Py_XDECREF(out);
    Py_XDECREF(masks);
    PyBuffer_Release(&places);
    PyBuffer_Release(&texts.offsets);
    PyBuffer_Release(&texts.data);
    PyBuffer_Release(&codes);
    if (starts.obj)
        PyBuffer_Release(&starts);
    if (ends.obj)
        PyBuffer_Release(&ends);
    return given;
}

#endif
