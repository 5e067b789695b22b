/* The join keys that a later stage waits for, each until some time. Keys are told apart by their hash: two that share
 * one are both waited for, which costs time and changes nothing. */
#ifndef MAXSPAN_KEYS_H
#define MAXSPAN_KEYS_H

#include <Python.h>
#include <stddef.h>
#include <structmember.h>

#include "memo.h"

#define NEVER INT64_MIN

typedef struct {
    uint64_t hash; /* 0: nothing is here */
    int64_t until_ns;
} Waited;

typedef struct {
    PyObject_HEAD
    Waited *slots;
    size_t room, used, purge_at, least, most;
    long long any_ns, latest_ns, forgotten_ns;
} Keys;

/* The hash of a key so far with one more text, whose own hash is that of how JSON writes it. */
static inline uint64_t with_text(uint64_t so_far, uint64_t hash)
{
    uint64_t out = folded(so_far ^ hash, secret[2] | 1);
    return out ? out : 1;
}

/* The hash of a tuple of texts; -1 for an error. */
static int hash_of_texts(PyObject *texts, uint64_t *out)
{
    if (!PyTuple_Check(texts)) {
        PyErr_SetString(PyExc_TypeError, "a key is a tuple of texts");
        return -1;
    }
    uint64_t hash = 1;
    for (Py_ssize_t n = 0; n < PyTuple_Size(texts); n++) {
        PyObject *bytes = PyUnicode_AsEncodedString(PyTuple_GetItem(texts, n), "utf-8", "surrogatepass");
        char *text;
        Py_ssize_t length;
        if (!bytes || PyBytes_AsStringAndSize(bytes, &text, &length)) {
            Py_XDECREF(bytes);
            return -1;
        }
        uint8_t *quoted = malloc((size_t)length + 2);
        if (!quoted) {
            Py_DECREF(bytes);
            PyErr_NoMemory();
            return -1;
        }
        quoted[0] = quoted[length + 1] = '"';
        memcpy(quoted + 1, text, (size_t)length);
        hash = with_text(hash, hash_of(quoted, (size_t)length + 2));
        free(quoted);
        Py_DECREF(bytes);
    }
    *out = hash;
    return 0;
}

static Waited *waited_at(const Waited *slots, size_t room, uint64_t hash)
{
    size_t place = hash & (room - 1);
    while (slots[place].hash && slots[place].hash != hash)
        place = (place + 1) & (room - 1);
    return (Waited *)slots + place;
}

/* Puts what is open at a time or later into a table for twice as many. */
static int keys_rebuild(Keys *self, int64_t now_ns)
{
    size_t left = 0, room = 16;
    for (size_t n = 0; n < self->room; n++)
        left += self->slots[n].hash && self->slots[n].until_ns >= now_ns;
    while (room < left * 4)
        room *= 2;
    Waited *slots = calloc(room, sizeof *slots);
    if (!slots)
        return -1;
    for (size_t n = 0; n < self->room; n++)
        if (self->slots[n].hash && self->slots[n].until_ns >= now_ns)
            *waited_at(slots, room, self->slots[n].hash) = self->slots[n];
    if (left < self->used && now_ns > self->forgotten_ns)
        self->forgotten_ns = now_ns;
    free(self->slots);
    self->slots = slots;
    self->room = room;
    self->used = left;
    return 0;
}

static int keys_purge(Keys *self, int64_t now_ns)
{
    if (keys_rebuild(self, now_ns))
        return -1;
    if (self->used > self->most) {
        for (size_t n = 0; n < self->room; n++)
            if (self->slots[n].hash && self->slots[n].until_ns > self->any_ns)
                self->any_ns = self->slots[n].until_ns;
        free(self->slots);
        self->slots = NULL;
        self->room = self->used = 0;
    }
    self->purge_at = 2 * self->used > self->least ? 2 * self->used : self->least;
    return 0;
}

/* Opens the stage; for every key where `hash` is 0. -1 without memory. */
static int keys_open(Keys *self, uint64_t hash, int64_t until_ns, int64_t now_ns)
{
    if (until_ns > self->latest_ns)
        self->latest_ns = until_ns;
    if (!hash) {
        if (until_ns > self->any_ns)
            self->any_ns = until_ns;
        return 0;
    }
    if (self->used * 2 >= self->room && keys_rebuild(self, NEVER))
        return -1;
    Waited *one = waited_at(self->slots, self->room, hash);
    if (one->hash) {
        if (until_ns > one->until_ns)
            one->until_ns = until_ns;
        return 0;
    }
    *one = (Waited){hash, until_ns};
    return ++self->used > self->purge_at ? keys_purge(self, now_ns) : 0;
}

/* Gives until when an event at a time may continue something: with this key, or any that is not told apart (0). */
static int64_t keys_until(const Keys *self, uint64_t hash, int64_t now_ns)
{
    if (now_ns > self->latest_ns)
        return NEVER;
    if (now_ns <= self->forgotten_ns)
        return INT64_MAX;
    int64_t until_ns = self->any_ns;
    if (hash && self->room) {
        const Waited *one = waited_at(self->slots, self->room, hash);
        if (one->hash && one->until_ns > until_ns)
            until_ns = one->until_ns;
    }
    return until_ns;
}

static PyObject *keys_new(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(named))
{
    Py_ssize_t least, most;
    if (!PyArg_ParseTuple(arguments, "nn", &least, &most))
        return NULL;
    if (least < 0 || most < 0) {
        PyErr_SetString(PyExc_ValueError, "numbers of keys are needed");
        return NULL;
    }
    Keys *self = (Keys *)((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
    if (!self)
        return NULL;
    self->least = self->purge_at = (size_t)least;
    self->most = (size_t)most;
    self->any_ns = self->latest_ns = self->forgotten_ns = NEVER;
    return (PyObject *)self;
}

static void keys_dealloc(Keys *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    free(self->slots);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyObject *keys_open_texts(Keys *self, PyObject *arguments)
{
    PyObject *texts;
    long long until_ns, now_ns;
    uint64_t hash = 0;
    if (!PyArg_ParseTuple(arguments, "OLL", &texts, &until_ns, &now_ns))
        return NULL;
    if (texts != Py_None && hash_of_texts(texts, &hash))
        return NULL;
    if (keys_open(self, hash, until_ns, now_ns))
        return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyObject *keys_until_texts(Keys *self, PyObject *arguments)
{
    PyObject *texts;
    long long now_ns;
    uint64_t hash = 0;
    if (!PyArg_ParseTuple(arguments, "OL", &texts, &now_ns) || (texts != Py_None && hash_of_texts(texts, &hash)))
        return NULL;
    return PyLong_FromLongLong(keys_until(self, hash, now_ns));
}

static PyMethodDef keys_methods[] = {
    {"open", (PyCFunction)keys_open_texts, METH_VARARGS, "Open the stage for a key of texts, or None, until a time."},
    {"until", (PyCFunction)keys_until_texts, METH_VARARGS, "Give until when an event at a time may continue something."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef keys_members[] = {
    {"latest_ns", T_LONGLONG, offsetof(Keys, latest_ns), READONLY, "until when the stage is, or was, open for some key"},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot keys_slots[] = {
    {Py_tp_doc, "The keys that a stage waits for: `Keys(least, most)`, see open_keys.py."},
    {Py_tp_new, keys_new},
    {Py_tp_dealloc, keys_dealloc},
    {Py_tp_methods, keys_methods},
    {Py_tp_members, keys_members},
    {0, NULL},
};

static PyType_Spec keys_spec = {
    .name = "maxspan.engine.kernel.native._scan.Keys",
    .basicsize = sizeof(Keys),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = keys_slots,
};

#endif
