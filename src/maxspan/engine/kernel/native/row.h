/* One line that was read: where the values of the fields are in it. */
#ifndef MAXSPAN_ROW_H
#define MAXSPAN_ROW_H

#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <structmember.h>

#include "times.h"

/* Where a value stands in its line; a length of 0: it is not there. */
typedef struct {
    uint32_t begin, length;
} Token;

typedef struct {
    PyObject_VAR_HEAD
    PyObject *data;   /* the bytes that hold the line */
    PyObject *mask;   /* what the event fulfils; None for a line that was not read */
    PyObject *decode; /* takes the bytes of a value that is no plain text */
    Py_ssize_t number, before, begin, end;
    char narrowed;
    Token tokens[1];
} Row;

static void row_dealloc(Row *row)
{
    PyTypeObject *type = Py_TYPE((PyObject *)row);
    Py_XDECREF(row->data);
    Py_XDECREF(row->mask);
    Py_XDECREF(row->decode);
    PyObject_Free(row);
    Py_DECREF(type);
}

static const char *row_text(const Row *row)
{
    return PyBytes_AsString(row->data) + row->begin;
}

static PyObject *row_item(Row *row, PyObject *index)
{
    Py_ssize_t number = PyNumber_AsSsize_t(index, PyExc_IndexError);
    if (number == -1 && PyErr_Occurred())
        return NULL;
    if (number < 0 || number >= Py_SIZE((PyObject *)row)) {
        PyErr_SetString(PyExc_IndexError, "no such field");
        return NULL;
    }
    Token token = row->tokens[number];
    if (!token.length)
        Py_RETURN_NONE;
    const char *text = row_text(row) + token.begin;
    if (*text == '"' && !memchr(text, '\\', token.length))
        return PyUnicode_DecodeUTF8(text + 1, (Py_ssize_t)token.length - 2, NULL);
    PyObject *bytes = PyBytes_FromStringAndSize(text, token.length);
    if (!bytes)
        return NULL;
    PyObject *value = PyObject_CallFunctionObjArgs(row->decode, bytes, NULL);
    Py_DECREF(bytes);
    return value;
}

/* Gives the line, which the row holds from then on in place of all that it stood in. */
static PyObject *row_line(Row *row, PyObject *Py_UNUSED(nothing))
{
    if (row->begin || row->end != PyBytes_Size(row->data)) {
        PyObject *line = PyBytes_FromStringAndSize(row_text(row), row->end - row->begin);
        if (!line)
            return NULL;
        Py_DECREF(row->data);
        row->data = line;
        row->end -= row->begin;
        row->begin = 0;
    }
    return Py_NewRef(row->data);
}

/* Gives a field as a time, None where it is none of the usual form. */
static PyObject *row_time(Row *row, PyObject *index)
{
    Py_ssize_t number = PyNumber_AsSsize_t(index, PyExc_IndexError);
    if (number == -1 && PyErr_Occurred())
        return NULL;
    int64_t found;
    if (number < 0 || number >= Py_SIZE((PyObject *)row) || !row->tokens[number].length ||
        !time_from((const uint8_t *)row_text(row) + row->tokens[number].begin, row->tokens[number].length, &found))
        Py_RETURN_NONE;
    return PyLong_FromLongLong(found);
}

static PyMethodDef row_methods[] = {
    {"time", (PyCFunction)row_time, METH_O, "Give a field as nanoseconds since 1970; None if it is not so simple."},
    {"line", (PyCFunction)row_line, METH_NOARGS, "Give the line; the row keeps nothing but it from then on."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef row_members[] = {
    {"mask", T_OBJECT, offsetof(Row, mask), READONLY, "the pieces that the event fulfils; None: it was not read"},
    {"number", T_PYSSIZET, offsetof(Row, number), READONLY, "the number of the line in its chunk, from 0"},
    {"narrowed", T_BOOL, offsetof(Row, narrowed), READONLY, "whether what continues nothing is out of the mask"},
    {"before", T_PYSSIZET, offsetof(Row, before), READONLY, "how many lines before it in the chunk were read"},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot row_slots[] = {
    {Py_tp_doc, "A line of a chunk; `row[n]` is its n-th field: a scalar, a tuple of scalars, or None."},
    {Py_tp_dealloc, row_dealloc},
    {Py_tp_methods, row_methods},
    {Py_tp_members, row_members},
    {Py_mp_subscript, row_item},
    {0, NULL},
};

static PyType_Spec row_spec = {
    .name = "maxspan.engine.kernel.native._scan.Row",
    .basicsize = offsetof(Row, tokens),
    .itemsize = sizeof(Token),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = row_slots,
};

#endif
