/* The stages of sequences and samples: their pieces, their join keys, what they open, what of them waits. */
#ifndef MAXSPAN_STAGES_H
#define MAXSPAN_STAGES_H

#include <Python.h>
#include <stddef.h>
#include <stdint.h>

#include "lane.h"

/* The join keys of a stage: its fields, and which of them must be there. */
typedef struct {
    uint32_t *fields, count;
    uint8_t *required;
} By;

/* A later stage: its pieces, and the keys that it waits for; not `told`: any key may be one. */
typedef struct {
    uint64_t *own;
    Keys *keys;
    By by;
    int across, told;
} Stage;

/* What begins a sequence: the stages that it opens, and for how long. */
typedef struct {
    uint64_t *own;
    By by;
    uint32_t *stages, count;
    int64_t maxspan_ns;
    int across;
} Opener;

/* A rule on samples: its pieces, the events of it that wait for the end, and which of its roles any of them had. */
typedef struct {
    uint64_t *own, seen;
    Parked *first, *last;
} Sample;

/* What something from before a run may wait for up to so long after the beginning. */
typedef struct {
    int64_t maxspan_ns;
    uint64_t *own;
} Head;

static void by_free(By *by)
{
    free(by->fields);
    free(by->required);
}

static void stage_free(Stage *stage)
{
    free(stage->own);
    by_free(&stage->by);
    Py_XDECREF((PyObject *)stage->keys);
}

static void opener_free(Opener *opener)
{
    free(opener->own);
    by_free(&opener->by);
    free(opener->stages);
}

static void sample_forget(Sample *sample)
{
    while (sample->first) {
        Parked *next = sample->first->next;
        parked_free(sample->first);
        sample->first = next;
    }
    sample->last = NULL;
}

/* Reads a tuple of numbers below a bound; NULL for an error. */
static uint32_t *numbers_from(PyObject *tuple, uint32_t bound, uint32_t *count)
{
    if (!PyTuple_Check(tuple)) {
        PyErr_SetString(PyExc_TypeError, "a tuple of numbers is needed");
        return NULL;
    }
    *count = (uint32_t)PyTuple_Size(tuple);
    uint32_t *out = calloc(*count + 1, sizeof *out);
    if (!out) {
        PyErr_NoMemory();
        return NULL;
    }
    for (uint32_t n = 0; n < *count; n++) {
        unsigned long number = PyLong_AsUnsignedLong(PyTuple_GetItem(tuple, n));
        if (!PyErr_Occurred() && number >= bound)
            PyErr_SetString(PyExc_ValueError, "no such number");
        if (PyErr_Occurred()) {
            free(out);
            return NULL;
        }
        out[n] = (uint32_t)number;
    }
    return out;
}

/* Reads join keys: their numbers among all fields, and flags; -1 for an error. */
static int by_from(uint32_t all, PyObject *fields, PyObject *required, By *by)
{
    uint32_t count;
    by->fields = numbers_from(fields, all, &by->count);
    if (!by->fields)
        return -1;
    uint32_t *flags = numbers_from(required, 2, &count);
    if (!flags)
        return -1;
    by->required = calloc((size_t)count + 1, 1);
    if (count < by->count)
        PyErr_SetString(PyExc_ValueError, "as many flags as fields are needed");
    else if (!by->required)
        PyErr_NoMemory();
    else
        for (uint32_t n = 0; n < count; n++)
            by->required[n] = (uint8_t)flags[n];
    free(flags);
    return PyErr_Occurred() ? -1 : 0;
}

static void heads_free(Head *heads, uint32_t count)
{
    for (uint32_t n = 0; n < count; n++)
        free(heads[n].own);
    free(heads);
}

/* Reads masks by maxspan; NULL for an error. */
static Head *heads_from(size_t words, PyObject *tuple, uint32_t *count)
{
    Py_ssize_t most = PyTuple_Size(tuple);
    if (most > 1 << 20) {
        PyErr_SetString(PyExc_ValueError, "no more than a million masks");
        return NULL;
    }
    Head *heads = calloc((size_t)most + 1, sizeof *heads);
    if (!heads)
        PyErr_NoMemory();
    for (*count = 0; heads && *count < most; ++*count) {
        PyObject *item = PyTuple_GetItem(tuple, *count);
        const char *mask;
        Py_ssize_t size;
        long long maxspan_ns = 0;
        uint64_t *own = NULL;
        if (!PyTuple_Check(item))
            PyErr_SetString(PyExc_TypeError, "tuples of a maxspan and a mask are needed");
        else if (PyArg_ParseTuple(item, "Ly#", &maxspan_ns, &mask, &size) && maxspan_ns < 0)
            PyErr_SetString(PyExc_ValueError, "a maxspan is not negative");
        else if (!PyErr_Occurred())
            own = own_from(words, mask, size);
        heads[*count] = (Head){maxspan_ns, own};
        if (!own) {
            heads_free(heads, *count);
            return NULL;
        }
    }
    return heads;
}

#endif
