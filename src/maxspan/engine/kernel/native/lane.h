/* What is passed over: events that only continue sequences, where nothing waits for them at their host. */
#ifndef MAXSPAN_LANE_H
#define MAXSPAN_LANE_H

#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <structmember.h>

#include "memo.h"

/* At one host: the pieces that may not be passed over, from when on that is known, and what was passed over last. */
typedef struct {
    PyObject_HEAD
    long long from_ns, passed_ns;
    size_t words;
    uint64_t *open, *passed;
} Lane;

/* The types of the module. */
typedef struct {
    PyObject *row, *lane, *skip, *scan, *scanner, *lines;
} Types;

/* All hosts, by how JSON writes their names. */
typedef struct {
    PyObject_HEAD
    PyObject *lane_of, *later;
    Lane *every;      /* of sequences that join across hosts */
    uint64_t *across; /* the pieces of these */
    uint32_t time, host;
    Memo hosts;
    PyObject **lanes;
    uint32_t count, room;
} Skip;

/* hosts are asked for anew after so many of them, or so many bytes of their names */
#define MOST_HOSTS 100000
#define MOST_HOST_BYTES (16 << 20)

static PyObject *lane_new(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(named))
{
    Py_ssize_t words;
    if (!PyArg_ParseTuple(arguments, "n", &words))
        return NULL;
    if (words < 1 || words > 1 << 20) {
        PyErr_SetString(PyExc_ValueError, "masks of one word or more, not of a million");
        return NULL;
    }
    Lane *self = (Lane *)((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
    if (!self)
        return NULL;
    self->words = (size_t)words;
    self->from_ns = self->passed_ns = INT64_MIN;
    self->open = calloc((size_t)words, 8);
    self->passed = calloc((size_t)words, 8);
    if (!self->open || !self->passed) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void lane_dealloc(Lane *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    free(self->open);
    free(self->passed);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyObject *lane_mask(Lane *self, void *which)
{
    const uint64_t *mask = which ? self->passed : self->open;
    return PyBytes_FromStringAndSize((const char *)mask, (Py_ssize_t)self->words * 8);
}

static int lane_set_mask(Lane *self, PyObject *bytes, void *which)
{
    char *text;
    Py_ssize_t length;
    if (!bytes || PyBytes_AsStringAndSize(bytes, &text, &length)) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "a mask cannot be deleted");
        return -1;
    }
    if ((size_t)length != self->words * 8) {
        PyErr_SetString(PyExc_ValueError, "a mask of another length");
        return -1;
    }
    memcpy(which ? self->passed : self->open, text, (size_t)length);
    return 0;
}

static PyMemberDef lane_members[] = {
    {"from_ns", T_LONGLONG, offsetof(Lane, from_ns), 0, "events before this time are not passed over here"},
    {"passed_ns", T_LONGLONG, offsetof(Lane, passed_ns), 0, "the latest time of an event that was passed over"},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef lane_masks[] = {
    {"open", (getter)lane_mask, (setter)lane_set_mask, "the mask of pieces that may not be passed over", NULL},
    {"passed", (getter)lane_mask, (setter)lane_set_mask, "what was passed over at `passed_ns`", (void *)1},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot lane_slots[] = {
    {Py_tp_doc, "What waits at one host: `Lane(words)`, with masks as bytes of so many words of 64 bits."},
    {Py_tp_new, lane_new},
    {Py_tp_dealloc, lane_dealloc},
    {Py_tp_members, lane_members},
    {Py_tp_getset, lane_masks},
    {0, NULL},
};

static PyType_Spec lane_spec = {
    .name = "maxspan.engine.kernel.native._scan.Lane",
    .basicsize = sizeof(Lane),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = lane_slots,
};

/* --- all hosts --------------------------------------------------------------------------------------------------- */

static PyObject *skip_new(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(named))
{
    unsigned time, host;
    PyObject *lane_of, *later, *every;
    const char *across;
    Py_ssize_t length;
    if (!PyArg_ParseTuple(arguments, "IIOOOy#", &time, &host, &lane_of, &later, &every, &across, &length))
        return NULL;
    PyObject *module = PyType_GetModule(type);
    if (!module)
        return NULL;
    if (Py_TYPE(every) != (PyTypeObject *)((Types *)PyModule_GetState(module))->lane ||
        (size_t)length != ((Lane *)every)->words * 8) {
        PyErr_SetString(PyExc_TypeError, "a Lane and a mask of as many words are needed");
        return NULL;
    }
    Skip *self = (Skip *)((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
    if (!self)
        return NULL;
    self->time = time;
    self->host = host;
    self->lane_of = Py_NewRef(lane_of);
    self->later = Py_NewRef(later);
    self->every = (Lane *)Py_NewRef(every);
    self->across = malloc((size_t)length);
    if (!self->across) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    memcpy(self->across, across, (size_t)length);
    return (PyObject *)self;
}

static int skip_traverse(Skip *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE((PyObject *)self));
    Py_VISIT(self->lane_of);
    Py_VISIT(self->later);
    return 0;
}

static int skip_clear(Skip *self)
{
    Py_CLEAR(self->lane_of);
    Py_CLEAR(self->later);
    return 0;
}

static void skip_forget(Skip *self)
{
    for (uint32_t n = 0; n < self->count; n++)
        Py_DECREF(self->lanes[n]);
    self->count = 0;
    memo_clear(&self->hosts);
}

static void skip_dealloc(Skip *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    PyObject_GC_UnTrack(self);
    skip_clear(self);
    skip_forget(self);
    Py_XDECREF((PyObject *)self->every);
    free(self->across);
    free(self->lanes);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

/* Gives the lane of a host, borrowed; NULL where there is none, or for an error. */
static Lane *skip_lane(Skip *self, PyTypeObject *lane_type, const uint8_t *host, size_t length, size_t words)
{
    uint64_t hash = hash_of(host, length);
    uint32_t known = memo_find(&self->hosts, hash, host, length);
    if (known != NONE)
        return (Lane *)self->lanes[known];
    PyObject *name = length ? PyBytes_FromStringAndSize((const char *)host, (Py_ssize_t)length) : Py_NewRef(Py_None);
    PyObject *lane = name ? PyObject_CallFunctionObjArgs(self->lane_of, name, NULL) : NULL;
    Py_XDECREF(name);
    if (!lane)
        return NULL;
    if (Py_TYPE(lane) != lane_type || ((Lane *)lane)->words != words) {
        if (lane != Py_None)
            PyErr_SetString(PyExc_TypeError, "a Lane of as many words, or None, is needed");
        Py_DECREF(lane);
        return NULL;
    }
    if (self->count >= MOST_HOSTS || self->hosts.used > MOST_HOST_BYTES)
        skip_forget(self);
    if (self->count >= self->room) {
        uint32_t room = self->room * 2 + 16;
        PyObject **more = realloc(self->lanes, room * sizeof *more);
        if (!more)
            goto without_memory;
        self->lanes = more;
        self->room = room;
    }
    if (memo_add(&self->hosts, hash, host, length, self->count))
        goto without_memory;
    self->lanes[self->count++] = lane;
    return (Lane *)lane;
without_memory:
    Py_DECREF(lane);
    PyErr_NoMemory();
    return NULL;
}

/* Whether an event may be passed over: nothing waits for any of its pieces. */
static int lane_is_shut(const Lane *self, int64_t now_ns, const uint64_t *mask)
{
    if (now_ns < self->from_ns)
        return 0;
    for (size_t n = 0; n < self->words; n++)
        if (mask[n] & self->open[n])
            return 0;
    return 1;
}

static void lane_pass(Lane *self, int64_t now_ns, const uint64_t *mask)
{
    if (now_ns > self->passed_ns) {
        self->passed_ns = now_ns;
        memcpy(self->passed, mask, self->words * 8);
    } else if (now_ns == self->passed_ns)
        for (size_t n = 0; n < self->words; n++)
            self->passed[n] |= mask[n];
}

static PyType_Slot skip_slots[] = {
    {Py_tp_doc, "The lanes of all hosts: `Skip(time, host, lane_of, later, every, across)`, see native/scanning.py."},
    {Py_tp_new, skip_new},
    {Py_tp_dealloc, skip_dealloc},
    {Py_tp_traverse, skip_traverse},
    {Py_tp_clear, skip_clear},
    {0, NULL},
};

static PyType_Spec skip_spec = {
    .name = "maxspan.engine.kernel.native._scan.Skip",
    .basicsize = sizeof(Skip),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = skip_slots,
};

#endif
