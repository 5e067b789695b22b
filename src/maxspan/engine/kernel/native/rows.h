/* Rows of columns, told by their places, and what a table leaves of their masks. */
#ifndef MAXSPAN_ROWS_H
#define MAXSPAN_ROWS_H

#include "values.h"

/* What masks and answers come to together, by their numbers. */
typedef struct {
    uint64_t *pairs;
    uint32_t *numbers;
    size_t room, count;
} Pairs;

#define NO_PAIR UINT64_MAX
/* the number of a mask in which nothing is left */
#define NOTHING (NONE - 1)

static size_t pair_place(const Pairs *self, uint64_t pair)
{
    size_t place = (size_t)folded(pair ^ secret[0], secret[1]) & (self->room - 1);
    while (self->pairs[place] != NO_PAIR && self->pairs[place] != pair)
        place = (place + 1) & (self->room - 1);
    return place;
}

static int pairs_grow(Pairs *self)
{
    Pairs more = {NULL, NULL, self->room ? self->room * 4 : 256, self->count};
    more.pairs = malloc(more.room * sizeof *more.pairs);
    more.numbers = malloc(more.room * sizeof *more.numbers);
    if (!more.pairs || !more.numbers) {
        free(more.pairs);
        free(more.numbers);
        PyErr_NoMemory();
        return -1;
    }
    memset(more.pairs, 0xff, more.room * sizeof *more.pairs);
    for (size_t n = 0; n < self->room; n++)
        if (self->pairs[n] != NO_PAIR) {
            size_t place = pair_place(&more, self->pairs[n]);
            more.pairs[place] = self->pairs[n];
            more.numbers[place] = self->numbers[n];
        }
    free(self->pairs);
    free(self->numbers);
    *self = more;
    return 0;
}

/* Rows with the numbers of their masks, before and after a table was asked. */
typedef struct {
    Py_buffer rows, numbers, masks;
    size_t count, mask_count;
    uint8_t *touched; /* by mask: whether the table may rule out some of it */
    uint32_t *same;   /* by mask: its number afterwards, as it is */
    Pairs pairs;
    Masks made;
    int64_t *out_rows, *out_numbers;
    size_t out;
} Narrowing;

static void narrowing_clear(Narrowing *self)
{
    PyBuffer_Release(&self->rows);
    PyBuffer_Release(&self->numbers);
    PyBuffer_Release(&self->masks);
    free(self->touched);
    free(self->same);
    free(self->pairs.pairs);
    free(self->pairs.numbers);
    masks_clear(&self->made);
    free(self->out_rows);
    free(self->out_numbers);
}

/* Notes which masks are touched: 1 if some are, 0 if none is, -1 for an error. */
static int narrowing_touched(Narrowing *self, size_t words, const uint64_t *constrained)
{
    self->count = (size_t)self->rows.len / 8;
    self->mask_count = (size_t)self->masks.len / (words * 8);
    if (self->numbers.len != self->rows.len || (size_t)self->masks.len % (words * 8)) {
        PyErr_SetString(PyExc_ValueError, "as many numbers of masks as rows, and whole masks, are needed");
        return -1;
    }
    self->touched = calloc(self->mask_count + 1, 1);
    self->same = malloc((self->mask_count + 1) * sizeof *self->same);
    self->out_rows = malloc((self->count + 1) * sizeof *self->out_rows);
    self->out_numbers = malloc((self->count + 1) * sizeof *self->out_numbers);
    if (!self->touched || !self->same || !self->out_rows || !self->out_numbers) {
        PyErr_NoMemory();
        return -1;
    }
    memset(self->same, 0xff, (self->mask_count + 1) * sizeof *self->same);
    int any = 0;
    for (size_t n = 0; n < self->mask_count; n++)
        for (size_t w = 0; w < words; w++)
            if ((uint64_t)wide_at(&self->masks, n * words + w) & constrained[w])
                any = self->touched[n] = 1;
    return any;
}

/* Gives the number that a mask has after an answer (NONE: as it is), NOTHING, or NONE for an error. */
static uint32_t narrowed(Narrowing *self, Question *question, size_t mask, uint32_t answer)
{
    size_t words = question->scanner->words;
    uint64_t *left = question->scanner->mask, any = 0;
    memcpy(left, (Place)self->masks.buf + mask * words * 8, words * 8);
    for (size_t w = 0; w < words; w++)
        any |= left[w] &= answer == NONE ? UINT64_MAX : question->answers.masks.words[answer * words + w];
    uint32_t number = any ? masks_number(&self->made, left, words) : NOTHING;
    if (number == NONE)
        PyErr_NoMemory();
    return number;
}

static int narrow_rows(Narrowing *self, Question *question)
{
    for (size_t row = 0; row < self->count; row++) {
        int64_t mask = wide_at(&self->numbers, row), place = wide_at(&self->rows, row);
        if (mask < 0 || (uint64_t)mask >= self->mask_count || place < 0) {
            PyErr_SetString(PyExc_ValueError, "a row or a mask that is not there");
            return -1;
        }
        uint32_t number;
        if (!self->touched[mask]) {
            if (self->same[mask] == NONE)
                self->same[mask] = narrowed(self, question, (size_t)mask, NONE);
            number = self->same[mask];
        } else {
            uint32_t answer = answer_at(question, (size_t)place);
            if (answer == NONE || (self->pairs.count * 2 >= self->pairs.room && pairs_grow(&self->pairs)))
                return -1;
            uint64_t pair = (uint64_t)mask << 32 | answer;
            size_t at = pair_place(&self->pairs, pair);
            if (self->pairs.pairs[at] == NO_PAIR) {
                number = narrowed(self, question, (size_t)mask, answer);
                if (number == NONE)
                    return -1;
                self->pairs.pairs[at] = pair;
                self->pairs.numbers[at] = number;
                self->pairs.count++;
            }
            number = self->pairs.numbers[at];
        }
        if (number == NONE)
            return -1;
        if (number == NOTHING)
            continue;
        self->out_rows[self->out] = place;
        self->out_numbers[self->out++] = number;
    }
    return 0;
}

static PyObject *narrowing_given(const Narrowing *self, size_t words)
{
    PyObject *rows = PyBytes_FromStringAndSize((const char *)self->out_rows, (Py_ssize_t)self->out * 8);
    PyObject *numbers = PyBytes_FromStringAndSize((const char *)self->out_numbers, (Py_ssize_t)self->out * 8);
    PyObject *masks =
        PyBytes_FromStringAndSize((const char *)self->made.words, (Py_ssize_t)(self->made.count * words * 8));
    PyObject *out = rows && numbers && masks ? PyTuple_Pack(3, rows, numbers, masks) : NULL;
    Py_XDECREF(rows);
    Py_XDECREF(numbers);
    Py_XDECREF(masks);
    return out;
}

/* Gives the rows that a table leaves something possible of, with their masks; None where it rules out nothing. */
static PyObject *scanner_narrow_rows(Scanner *self, PyObject *arguments)
{
    Question question;
    Narrowing narrowing;
    memset(&question, 0, sizeof question);
    memset(&narrowing, 0, sizeof narrowing);
    question.scanner = self;
    if (!PyArg_ParseTuple(arguments, "Iy*y*y*py*y*y*|y*y*", &question.number, &narrowing.rows, &narrowing.numbers,
                          &narrowing.masks, &question.texts.wide, &question.texts.offsets, &question.texts.data,
                          &question.codes, &question.starts, &question.ends))
        return NULL;
    PyObject *out = NULL;
    int any = -1;
    if (self->busy)
        PyErr_SetString(PyExc_RuntimeError, "the scanner is at work already");
    else if (question_fits(&question))
        any = narrowing_touched(&narrowing, self->words, self->columns[question.number].constrained);
    if (!any)
        out = Py_NewRef(Py_None);
    else if (any > 0) {
        self->busy = 1;
        int failed = narrow_rows(&narrowing, &question);
        self->busy = 0;
        out = failed ? NULL : narrowing_given(&narrowing, self->words);
    }
    narrowing_clear(&narrowing);
    question_clear(&question);
    return out;
}

#endif
