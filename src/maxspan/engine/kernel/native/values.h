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

/* A column of a file that a table is asked about, and what is known of its values in one call. */
typedef struct {
    Scanner *scanner;
    uint32_t number;
    Texts texts;
    Py_buffer codes, starts, ends; /* lists have their codes from `starts` to `ends` */
    Answers answers;
    uint32_t *known; /* by code; the last is for none */
    Memo known_lists; /* by codes, without nulls */
    int32_t *list;
    size_t list_room;
} Question;

static void question_clear(Question *self)
{
    answers_clear(&self->answers);
    free(self->known);
    memo_clear(&self->known_lists);
    free(self->list);
    PyBuffer_Release(&self->texts.offsets);
    PyBuffer_Release(&self->texts.data);
    PyBuffer_Release(&self->codes);
    if (self->starts.obj)
        PyBuffer_Release(&self->starts);
    if (self->ends.obj)
        PyBuffer_Release(&self->ends);
}

/* Whether the parts fit together; an error if not. */
static int question_fits(Question *self)
{
    size_t width = self->texts.wide ? 8 : 4;
    self->texts.count = self->texts.offsets.len ? (size_t)self->texts.offsets.len / width - 1 : 0;
    if (self->number >= self->scanner->column_count || (size_t)self->texts.offsets.len % width ||
        self->codes.len % 4 || self->starts.len % 8 || self->starts.len != self->ends.len ||
        self->texts.count >= INT32_MAX || !self->starts.obj != !self->ends.obj) {
        PyErr_SetString(PyExc_ValueError, "no such column, or values of another form");
        return 0;
    }
    if (self->starts.obj)
        return 1;
    self->known = malloc((self->texts.count + 1) * sizeof *self->known);
    if (!self->known) {
        PyErr_NoMemory();
        return 0;
    }
    memset(self->known, 0xff, (self->texts.count + 1) * sizeof *self->known);
    return 1;
}

/* Writes the list that is looked at as JSON does. */
static int write_list(Question *self, size_t count)
{
    Answers *answers = &self->answers;
    answers->used = 0;
    if (answers_room(answers, 2))
        return -1;
    answers->text[answers->used++] = '[';
    for (size_t n = 0; n < count; n++) {
        Place text;
        size_t length;
        if (text_at(&self->texts, self->list[n], &text, &length) || write_text(answers, text, length) ||
            answers_room(answers, 2))
            return -1;
        answers->text[answers->used++] = ',';
    }
    answers->used -= count ? 1 : 0;
    answers->text[answers->used++] = ']';
    return 0;
}

static uint32_t answer_for_list(Question *self, size_t place)
{
    int64_t from = wide_at(&self->starts, place), to = wide_at(&self->ends, place);
    if (from < 0 || to < from || (uint64_t)to > (size_t)self->codes.len / 4) {
        PyErr_SetString(PyExc_ValueError, "a list that is not there");
        return NONE;
    }
    if ((size_t)(to - from) > self->list_room || !self->list) {
        size_t room = (size_t)(to - from) * 2 + 16;
        int32_t *more = realloc(self->list, room * sizeof *more);
        if (!more) {
            PyErr_NoMemory();
            return NONE;
        }
        self->list = more;
        self->list_room = room;
    }
    size_t count = 0;
    for (int64_t n = from; n < to; n++) {
        int32_t code = code_at(&self->codes, (size_t)n);
        if (code < 0 || (size_t)code != self->texts.count)
            self->list[count++] = code;
    }
    size_t length = count * sizeof *self->list;
    uint64_t hash = hash_of((Place)self->list, length);
    uint32_t known = memo_find(&self->known_lists, hash, (Place)self->list, length);
    if (known != NONE)
        return known;
    known = write_list(self, count) ? NONE : answer_of(self->scanner, self->number, &self->answers);
    if (known != NONE && length <= LONGEST_VALUE &&
        memo_add(&self->known_lists, hash, (Place)self->list, length, known)) {
        PyErr_NoMemory();
        return NONE;
    }
    return known;
}

/* Gives the number of what the value at a place leaves possible; NONE for an error. */
static uint32_t answer_at(Question *self, size_t place)
{
    if (place >= (size_t)(self->starts.obj ? self->starts.len / 8 : self->codes.len / 4)) {
        PyErr_SetString(PyExc_ValueError, "a row that is not there");
        return NONE;
    }
    if (self->starts.obj)
        return answer_for_list(self, place);
    int32_t code = code_at(&self->codes, place);
    if (code < 0 || (size_t)code > self->texts.count) {
        PyErr_SetString(PyExc_ValueError, "a code that is not there");
        return NONE;
    }
    if (self->known[code] != NONE)
        return self->known[code];
    Place text;
    size_t length;
    self->answers.used = 0;
    if ((size_t)code < self->texts.count &&
        (text_at(&self->texts, code, &text, &length) || write_text(&self->answers, text, length)))
        return NONE;
    return self->known[code] = answer_of(self->scanner, self->number, &self->answers);
}

#endif
