/* What an event fulfils: what is not known is asked of Python, and remembered. */
#ifndef MAXSPAN_ASKING_H
#define MAXSPAN_ASKING_H

#include "scanner.h"

static PyObject *new_row(Scanner *self, const Scan *scan, Place line, Place end, const Token *tokens)
{
    Place text = (Place)PyBytes_AsString(scan->data);
    Row *row = PyObject_NewVar(Row, self->row_type, tokens ? (Py_ssize_t)self->field_count : 0);
    if (!row)
        return NULL;
    row->data = Py_NewRef(scan->data);
    row->mask = Py_NewRef(Py_None);
    row->decode = Py_NewRef(self->decode);
    row->number = scan->number;
    row->before = scan->clean;
    row->narrowed = 0;
    row->begin = line - text;
    row->end = end - text;
    if (tokens)
        memcpy(row->tokens, tokens, self->field_count * sizeof *tokens);
    return (PyObject *)row;
}

static int mask_from(Scanner *self, PyObject *bytes, uint64_t *mask)
{
    char *text;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(bytes, &text, &length))
        return -1;
    if ((size_t)length != self->words * 8) {
        PyErr_SetString(PyExc_ValueError, "a mask of another length");
        return -1;
    }
    memcpy(mask, text, (size_t)length);
    return 0;
}

static void column_clear(Column *column)
{
    memo_clear(&column->values);
    masks_clear(&column->masks);
    column->absent = NONE;
    if (column->matcher)
        matcher_forget(column->matcher);
}

/* Asks Python about a column; the mask that it gives is in `answer`, and its number is given. NONE for an error. */
static uint32_t asked(Scanner *self, uint32_t number, PyObject *question, const void *bytes, size_t length)
{
    Column *column = self->columns + number;
    PyObject *place = PyLong_FromUnsignedLong(number);
    PyObject *text = bytes ? PyBytes_FromStringAndSize(bytes, (Py_ssize_t)length) : Py_NewRef(Py_None);
    PyObject *answer = place && text ? PyObject_CallFunctionObjArgs(question, place, text, NULL) : NULL;
    Py_XDECREF(place);
    Py_XDECREF(text);
    if (!answer)
        return NONE;
    int bad = mask_from(self, answer, self->answer);
    Py_DECREF(answer);
    if (bad)
        return NONE;
    if (column->masks.count >= MOST_CLASSES)
        column_clear(column);
    uint32_t known = masks_number(&column->masks, self->answer, self->words);
    if (known == NONE)
        PyErr_NoMemory();
    return known;
}

/* Gives the number of the answer for the atoms that the matcher holds; NONE for an error. */
static uint32_t answer_for_atoms(Scanner *self, uint32_t number)
{
    Column *column = self->columns + number;
    Matcher *matcher = column->matcher;
    uint32_t kind = masks_find(&matcher->kinds, matcher->atoms, matcher->atom_words);
    if (kind != NONE)
        return matcher->answers[kind];
    if (matcher->kinds.count >= MOST_CLASSES)
        column_clear(column);
    uint32_t known = asked(self, number, self->held, matcher->atoms, matcher->atom_words * 8);
    if (known == NONE)
        return NONE;
    if (matcher->kinds.count >= matcher->answer_room) {
        uint32_t room = matcher->answer_room * 2 + 64;
        uint32_t *more = realloc(matcher->answers, room * sizeof *more);
        if (!more)
            goto without_memory;
        matcher->answers = more;
        matcher->answer_room = room;
    }
    kind = masks_number(&matcher->kinds, matcher->atoms, matcher->atom_words);
    if (kind == NONE)
        goto without_memory;
    matcher->answers[kind] = known;
    return known;
without_memory:
    PyErr_NoMemory();
    return NONE;
}

/* Gives what a value as JSON writes it leaves possible, which is not known yet; NULL for an error. `length` 0: none. */
static const uint64_t *left_by_new(Scanner *self, uint32_t number, Place value, size_t length, uint64_t hash)
{
    Column *column = self->columns + number;
    if (column->values.count >= MOST_VALUES || column->values.used > MOST_BYTES)
        column_clear(column);
    int found = column->matcher && length ? matcher_value(column->matcher, value, length) : 0;
    if (found < 0) {
        PyErr_NoMemory();
        return NULL;
    }
    uint32_t known = found ? answer_for_atoms(self, number)
                           : asked(self, number, self->value, length ? value : NULL, length);
    if (known == NONE)
        return NULL;
    if (!length)
        column->absent = known;
    else if (length <= LONGEST_VALUE && memo_add(&column->values, hash, value, length, known)) {
        PyErr_NoMemory();
        return NULL;
    }
    return column->masks.words + known * self->words;
}

/* Gives what the value of a column's field leaves possible; NULL for an error. */
static const uint64_t *left_by(Scanner *self, uint32_t number, Place line)
{
    Column *column = self->columns + number;
    Token token = self->tokens[column->field];
    uint64_t hash = 0;
    uint32_t known = column->absent;
    if (token.length) {
        if (self->hashed[column->field] != self->stamp) {
            self->hashed[column->field] = self->stamp;
            self->hashes[column->field] = hash_of(line + token.begin, token.length);
        }
        hash = self->hashes[column->field];
        known = memo_find(&column->values, hash, line + token.begin, token.length);
    }
    if (known != NONE)
        return column->masks.words + known * self->words;
    return left_by_new(self, number, line + token.begin, token.length, hash);
}

/* Gives the number of the plan for the line, -1 where there is none yet, -2 for an error. */
static long plan_of(Scanner *self, const Scan *scan, Place line, Place end)
{
    size_t length = 0;
    for (uint32_t n = 0; n < self->gate_count && length <= LONGEST_KEY; n++) {
        Token token = self->tokens[self->gates[n]];
        if (length + token.length <= LONGEST_KEY)
            memcpy(self->key + length, line + token.begin, token.length);
        length += token.length;
        if (length <= LONGEST_KEY)
            self->key[length++] = 0;
    }
    uint64_t hash = 0;
    if (length <= LONGEST_KEY) {
        hash = hash_of(self->key, length);
        uint32_t known = memo_find(&self->roots, hash, self->key, length);
        if (known != NONE)
            return (long)known;
    }
    PyObject *row = new_row(self, scan, line, end, self->tokens);
    PyObject *answer = row ? PyObject_CallFunctionObjArgs(self->root, row, NULL) : NULL;
    Py_XDECREF(row);
    if (!answer)
        return -2;
    long plan = PyLong_AsLong(answer);
    Py_DECREF(answer);
    if (plan == -1 && PyErr_Occurred())
        return -2;
    if (plan < -1 || plan >= (long)self->plan_count) {
        PyErr_SetString(PyExc_ValueError, "no such plan");
        return -2;
    }
    if (plan >= 0 && length <= LONGEST_KEY) {
        if (self->roots.count >= MOST_ROOTS)
            memo_clear(&self->roots);
        if (memo_add(&self->roots, hash, self->key, length, (uint32_t)plan)) {
            PyErr_NoMemory();
            return -2;
        }
    }
    return plan;
}

static void given_forget(Scanner *self)
{
    for (uint32_t n = 0; n < self->given.count; n++) {
        Py_DECREF(self->given_objects[n]);
        free(self->programs[n]);
    }
    masks_clear(&self->given);
}

/* Gives the number of `mask` among those that Python knows; NONE for an error. */
static uint32_t given_number(Scanner *self)
{
    uint32_t known = masks_find(&self->given, self->mask, self->words);
    if (known != NONE)
        return known;
    PyObject *bytes = PyBytes_FromStringAndSize((const char *)self->mask, (Py_ssize_t)self->words * 8);
    PyObject *object = bytes ? PyObject_CallFunctionObjArgs(self->number, bytes, NULL) : NULL;
    Py_XDECREF(bytes);
    if (!object)
        return NONE;
    if (self->given.count >= MOST_GIVEN) {
        given_forget(self);
    }
    if (self->given.count >= self->given_room) {
        uint32_t room = self->given_room * 2 + 64;
        PyObject **objects = realloc(self->given_objects, room * sizeof *objects);
        self->given_objects = objects ? objects : self->given_objects;
        Program **programs = realloc(self->programs, room * sizeof *programs);
        self->programs = programs ? programs : self->programs;
        if (!objects || !programs)
            goto without_memory;
        self->given_room = room;
    }
    known = masks_number(&self->given, self->mask, self->words);
    if (known == NONE)
        goto without_memory;
    self->given_objects[known] = object;
    self->programs[known] = NULL;
    return known;
without_memory:
    Py_DECREF(object);
    PyErr_NoMemory();
    return NONE;
}

/* Asks the columns of a plan: 1 if something is left in `mask`, 0 if nothing is, -1 for an error. */
static int fulfils(Scanner *self, uint32_t number, Place line)
{
    size_t words = self->words;
    uint64_t *mask = self->mask, any = 0;
    memcpy(mask, self->plans[number].mask, words * 8);
    for (size_t n = 0; n < words; n++)
        any |= mask[n];
    if (!any)
        return 0;
    for (uint32_t n = 0; number < self->plan_count && n < self->plans[number].count; n++) {
        uint32_t place = self->plans[number].columns[n];
        const uint64_t *constrained = self->columns[place].constrained;
        uint64_t asked = 0;
        for (size_t w = 0; w < words; w++)
            asked |= mask[w] & constrained[w];
        if (!asked)
            continue;
        const uint64_t *left = left_by(self, place, line);
        if (!left)
            return -1;
        any = 0;
        for (size_t w = 0; w < words; w++)
            any |= mask[w] &= left[w];
        if (!any)
            return 0;
    }
    return 1;
}

#endif
