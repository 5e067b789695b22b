/* All hosts, and the stages of sequences: what the scanner passes over, and what may wait there. */
#ifndef MAXSPAN_SKIP_H
#define MAXSPAN_SKIP_H

#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <structmember.h>

#include "lane.h"
#include "row.h"
#include "stages.h"
#include "times.h"

/* The types of the module. */
typedef struct {
    PyObject *row, *keys, *lane, *skip, *scan, *scanner, *lines;
} Types;

/* What a mask has for the Skip of a serial number: later stages, then openers, then samples, each with its roles. */
typedef struct {
    uint64_t serial;
    uint32_t stages, openers, samples;
    uint64_t numbers[];
} Program;

/* `hosts` are by how JSON writes their names. */
typedef struct {
    PyObject_HEAD
    uint64_t serial; /* no other Skip has it */
    PyObject *lane_of, *program;
    Lane *every; /* of sequences that join across hosts */
    uint32_t time, host, tie, fields;
    size_t words;
    int parks;
    Stage *stages;
    Opener *openers;
    Sample *samples;
    uint32_t stage_count, opener_count, sample_count;
    Py_ssize_t sample_bytes;
    uint64_t *at_host, *across; /* of the event that is looked at: what of it is passed over */
    /* of a run: what something from before it may wait for, by how long, the longest first; and what is put aside */
    Head *heads;
    uint32_t head_count;
    uint64_t *alone, *kept, *put;
    /* of a stream: the pieces that wait for their turn, for how long, and the hosts of which events have come */
    int waits;
    uint64_t *wait_at_host, *wait_across;
    int64_t wait_ns;
    Lane **changed;
    uint32_t changed_count, changed_room;
    Memo hosts;
    PyObject **lanes;
    uint32_t count, room;
} Skip;

/* hosts are asked for anew after so many of them, or so many bytes of their names */
#define MOST_HOSTS 100000
#define MOST_HOST_BYTES (16 << 20)

static PyObject *skip_new(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(named))
{
    unsigned time, host, tie, fields;
    int parks;
    PyObject *lane_of, *program, *every;
    if (!PyArg_ParseTuple(arguments, "IIIIOOOp", &fields, &time, &host, &tie, &lane_of, &program, &every, &parks))
        return NULL;
    PyObject *module = PyType_GetModule(type);
    if (!module)
        return NULL;
    if (Py_TYPE(every) != (PyTypeObject *)((Types *)PyModule_GetState(module))->lane || time >= fields ||
        host >= fields || tie >= fields) {
        PyErr_SetString(PyExc_TypeError, "fields that there are, and a Lane, are needed");
        return NULL;
    }
    Skip *self = (Skip *)((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
    if (!self)
        return NULL;
    static uint64_t made;
    self->serial = ++made;
    self->fields = fields;
    self->time = time;
    self->host = host;
    self->tie = tie;
    self->parks = parks;
    self->lane_of = Py_NewRef(lane_of);
    self->program = Py_NewRef(program);
    self->every = (Lane *)Py_NewRef(every);
    self->words = self->every->words;
    self->at_host = calloc(self->words, 8);
    self->across = calloc(self->words, 8);
    if (!self->at_host || !self->across) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static int skip_traverse(Skip *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE((PyObject *)self));
    Py_VISIT(self->lane_of);
    Py_VISIT(self->program);
    return 0;
}

static int skip_clear(Skip *self)
{
    Py_CLEAR(self->lane_of);
    Py_CLEAR(self->program);
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
    for (uint32_t n = 0; n < self->stage_count; n++)
        stage_free(self->stages + n);
    for (uint32_t n = 0; n < self->opener_count; n++)
        opener_free(self->openers + n);
    for (uint32_t n = 0; n < self->sample_count; n++) {
        sample_forget(self->samples + n);
        free(self->samples[n].own);
    }
    Py_XDECREF((PyObject *)self->every);
    free(self->samples);
    free(self->stages);
    free(self->openers);
    for (uint32_t n = 0; n < self->changed_count; n++)
        Py_DECREF(self->changed[n]);
    free(self->changed);
    free(self->wait_at_host);
    free(self->wait_across);
    heads_free(self->heads, self->head_count);
    free(self->alone);
    free(self->kept);
    free(self->put);
    free(self->at_host);
    free(self->across);
    free(self->lanes);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyObject *skip_add_stage(Skip *self, PyObject *arguments)
{
    const char *own;
    Py_ssize_t length;
    PyObject *keys, *fields, *required;
    Stage stage = {0};
    if (!PyArg_ParseTuple(arguments, "y#OppOO", &own, &length, &keys, &stage.across, &stage.told, &fields, &required))
        return NULL;
    PyObject *module = PyType_GetModule(Py_TYPE((PyObject *)self));
    if (!module)
        return NULL;
    if (Py_TYPE(keys) != (PyTypeObject *)((Types *)PyModule_GetState(module))->keys) {
        PyErr_SetString(PyExc_TypeError, "Keys are needed");
        return NULL;
    }
    Stage *more = realloc(self->stages, (self->stage_count + 1) * sizeof *more);
    if (!more)
        return PyErr_NoMemory();
    self->stages = more;
    stage.keys = (Keys *)Py_NewRef(keys);
    stage.own = own_from(self->words, own, length);
    if (!stage.own || by_from(self->fields, fields, required, &stage.by)) {
        stage_free(&stage);
        return NULL;
    }
    self->stages[self->stage_count++] = stage;
    Py_RETURN_NONE;
}

static PyObject *skip_add_opener(Skip *self, PyObject *arguments)
{
    const char *own;
    Py_ssize_t length;
    PyObject *fields, *required, *stages;
    long long maxspan_ns;
    Opener opener = {0};
    if (!PyArg_ParseTuple(arguments, "y#pOOOL", &own, &length, &opener.across, &fields, &required, &stages,
                          &maxspan_ns))
        return NULL;
    if (maxspan_ns < 0) {
        PyErr_SetString(PyExc_ValueError, "a maxspan is not negative");
        return NULL;
    }
    Opener *more = realloc(self->openers, (self->opener_count + 1) * sizeof *more);
    if (!more)
        return PyErr_NoMemory();
    self->openers = more;
    opener.maxspan_ns = maxspan_ns;
    opener.own = own_from(self->words, own, length);
    if (opener.own)
        opener.stages = numbers_from(stages, self->stage_count, &opener.count);
    if (!opener.stages || by_from(self->fields, fields, required, &opener.by)) {
        opener_free(&opener);
        return NULL;
    }
    self->openers[self->opener_count++] = opener;
    Py_RETURN_NONE;
}

static PyObject *skip_add_sample(Skip *self, PyObject *bytes)
{
    char *own;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(bytes, &own, &length))
        return NULL;
    Sample *more = realloc(self->samples, (self->sample_count + 1) * sizeof *more);
    if (!more)
        return PyErr_NoMemory();
    self->samples = more;
    Sample sample = {.own = own_from(self->words, own, length)};
    if (!sample.own)
        return NULL;
    self->samples[self->sample_count++] = sample;
    Py_RETURN_NONE;
}

static PyObject *skip_wait(Skip *self, PyObject *arguments)
{
    const char *at_host, *across;
    Py_ssize_t length, other;
    long long wait_ns;
    if (!PyArg_ParseTuple(arguments, "y#y#L", &at_host, &length, &across, &other, &wait_ns))
        return NULL;
    uint64_t *one = own_from(self->words, at_host, length), *two = one ? own_from(self->words, across, other) : NULL;
    if (!two || wait_ns < 0) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "a time of 0 or more is needed");
        free(one);
        free(two);
        return NULL;
    }
    free(self->wait_at_host);
    free(self->wait_across);
    self->wait_at_host = one;
    self->wait_across = two;
    self->wait_ns = wait_ns;
    self->waits = 1;
    Py_RETURN_NONE;
}

static PyObject *skip_follow(Skip *self, PyObject *arguments)
{
    const char *bytes;
    Py_ssize_t length;
    PyObject *masks;
    uint32_t count = 0;
    if (!PyArg_ParseTuple(arguments, "y#O!", &bytes, &length, &PyTuple_Type, &masks))
        return NULL;
    uint64_t *alone = own_from(self->words, bytes, length);
    Head *heads = alone ? heads_from(self->words, masks, &count) : NULL;
    uint64_t *kept = calloc(self->words, 8), *put = calloc(self->words, 8);
    if (heads && (!kept || !put))
        PyErr_NoMemory();
    else if (heads && self->alone)
        PyErr_SetString(PyExc_RuntimeError, "what comes before a run is said once");
    else if (heads) {
        self->alone = alone;
        self->heads = heads;
        self->head_count = count;
        self->kept = kept;
        self->put = put;
        Py_RETURN_NONE;
    }
    free(alone);
    if (heads)
        heads_free(heads, count);
    free(kept);
    free(put);
    return NULL;
}

static Sample *sample_at(Skip *self, PyObject *number)
{
    unsigned long place = PyLong_AsUnsignedLong(number);
    if (!PyErr_Occurred() && place >= self->sample_count)
        PyErr_SetString(PyExc_IndexError, "no such sample");
    return PyErr_Occurred() ? NULL : self->samples + place;
}

static PyObject *skip_seen(Skip *self, PyObject *number)
{
    Sample *sample = sample_at(self, number);
    return sample ? PyLong_FromUnsignedLongLong(sample->seen) : NULL;
}

/* Gives the events of a sample that wait, in their order; they wait no longer. */
static PyObject *skip_sampled(Skip *self, PyObject *number)
{
    Sample *sample = sample_at(self, number);
    PyObject *out = sample ? PyList_New(0) : NULL;
    if (!out)
        return NULL;
    int collects = PyGC_Disable(); /* a finalizer could ask for the same events */
    Py_ssize_t bytes = 0;
    for (Parked *one = sample->first; one && out; one = one->next) {
        PyObject *item = parked_item(one, one->begun->hash);
        bytes += (Py_ssize_t)parked_size(one);
        if (!item || PyList_Append(out, item))
            Py_CLEAR(out);
        Py_XDECREF(item);
    }
    if (out) {
        self->sample_bytes -= bytes;
        sample_forget(sample);
    }
    if (collects)
        PyGC_Enable();
    return out;
}

/* Asks what a mask has; NULL for an error. */
static Program *program_of(Skip *self, PyObject *mask)
{
    PyObject *answer = PyObject_CallFunctionObjArgs(self->program, mask, NULL);
    PyObject *stages, *openers, *samples, *roles;
    uint32_t *lists[3] = {NULL}, counts[3];
    Program *out = NULL;
    if (!answer)
        return NULL;
    if (!PyTuple_Check(answer))
        PyErr_SetString(PyExc_TypeError, "a tuple of stages, openers, samples and their roles is needed");
    else if (PyArg_ParseTuple(answer, "OOOO!", &stages, &openers, &samples, &PyTuple_Type, &roles)) {
        lists[0] = numbers_from(stages, self->stage_count, counts);
        lists[1] = lists[0] ? numbers_from(openers, self->opener_count, counts + 1) : NULL;
        lists[2] = lists[1] ? numbers_from(samples, self->sample_count, counts + 2) : NULL;
    }
    if (lists[2] && PyTuple_Size(roles) != (Py_ssize_t)counts[2])
        PyErr_SetString(PyExc_ValueError, "as many roles as samples are needed");
    else if (lists[2]) {
        out = malloc(sizeof *out + (counts[0] + counts[1] + 2 * counts[2]) * sizeof *out->numbers);
        if (!out)
            PyErr_NoMemory();
    }
    if (out) {
        uint64_t *number = out->numbers;
        *out = (Program){self->serial, counts[0], counts[1], counts[2]};
        for (int list = 0; list < 3; list++)
            for (uint32_t n = 0; n < counts[list]; n++)
                *number++ = lists[list][n];
        for (uint32_t n = 0; n < counts[2]; n++)
            *number++ = PyLong_AsUnsignedLongLong(PyTuple_GetItem(roles, n));
        if (PyErr_Occurred()) {
            free(out);
            out = NULL;
        }
    }
    for (int list = 0; list < 3; list++)
        free(lists[list]);
    Py_DECREF(answer);
    return out;
}

/* Gives the lane of a host, borrowed; NULL where there is none, or for an error. */
static Lane *skip_lane(Skip *self, PyTypeObject *lane_type, const uint8_t *host, size_t length)
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
    if (Py_TYPE(lane) != lane_type || ((Lane *)lane)->words != self->words) {
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

static PyMethodDef skip_methods[] = {
    {"add_stage", (PyCFunction)skip_add_stage, METH_VARARGS, "Add a later stage; see native/scanning.py."},
    {"add_opener", (PyCFunction)skip_add_opener, METH_VARARGS, "Add what begins a sequence; see native/scanning.py."},
    {"wait", (PyCFunction)skip_wait, METH_VARARGS, "Let pieces wait for their turn: of hosts, across hosts, so long."},
    {"follow", (PyCFunction)skip_follow, METH_VARARGS,
     "Let nothing be passed over that something from before may wait for: a mask, and masks by maxspan."},
    {"add_sample", (PyCFunction)skip_add_sample, METH_O, "Add the mask of a rule on samples."},
    {"seen", (PyCFunction)skip_seen, METH_O, "Give the roles of a sample that events had which waited."},
    {"sampled", (PyCFunction)skip_sampled, METH_O, "Give the events of a sample that wait; they wait no longer."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef skip_members[] = {
    {"sample_bytes", T_PYSSIZET, offsetof(Skip, sample_bytes), READONLY, "what the events of samples take that wait"},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot skip_slots[] = {
    {Py_tp_doc, "The lanes of all hosts: `Skip(fields, time, host, tie, lane_of, program, every, parks)`, see "
                "native/scanning.py."},
    {Py_tp_new, skip_new},
    {Py_tp_dealloc, skip_dealloc},
    {Py_tp_traverse, skip_traverse},
    {Py_tp_clear, skip_clear},
    {Py_tp_methods, skip_methods},
    {Py_tp_members, skip_members},
    {0, NULL},
};

static PyType_Spec skip_spec = {
    .name = "maxspan.engine.kernel.native._scan.Skip",
    .basicsize = sizeof(Skip),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = skip_slots,
};

#endif
