/* One host: what was passed over last, and the events that began a sequence and wait for what may continue them. */
#ifndef MAXSPAN_LANE_H
#define MAXSPAN_LANE_H

#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <structmember.h>

#include "keys.h"

/* Events that can no longer be continued are kept for so long: others may come late. */
#define SLACK_NS 60000000000

/* What an event begins: the number of the opener, with the hash of the key. */
typedef struct {
    uint32_t opener;
    int64_t until_ns;
    uint64_t hash;
} Begun;

/* An event that waits, with its line. */
typedef struct Parked {
    struct Parked *next;
    PyObject *path;
    Py_ssize_t number, position;
    int64_t until_ns; /* the latest of what it begins */
    uint32_t length, count, left; /* `left`: how many of what it begins wait yet */
    Begun begun[]; /* and then the line */
} Parked;

/* An event of a stream that waits for its turn, with the pieces that do; `stamp` is that of its line. */
typedef struct {
    int64_t time_ns, tie;
    uint64_t stamp;
    int has_tie, is_narrowed;
    Parked *event;
    uint64_t mask[];
} Turn;

/* At one host: the pieces that may never be passed over, from when on others may, until when something is open, and
 * what was passed over last. Events of `taken_ns` or before do not wait: others were looked at that are not earlier. */
typedef struct {
    PyObject_HEAD
    long long from_ns, until_ns, passed_ns, taken_ns, dropped_ns;
    size_t words;
    uint64_t *keep, *passed;
    Parked *first, *last;
    int64_t last_ns, last_tie; /* of the event that waits since last: its time, and its place among those of one time */
    Py_ssize_t bytes;
    int last_has_tie;
    /* of a stream: events in the order of a heap, the latest time, up to when they have been released; whether Python
     * looks after it */
    Turn **turns;
    size_t turn_count, turn_room;
    long long latest_ns, released_ns;
    PyObject *name;
    char is_attended, is_changed;
} Lane;

static size_t parked_size(const Parked *one)
{
    return sizeof *one + one->count * sizeof *one->begun + one->length;
}

static uint8_t *parked_line(Parked *one)
{
    return (uint8_t *)(one->begun + one->count);
}

static void lane_drop_first(Lane *self)
{
    Parked *one = self->first;
    self->first = one->next;
    if (!self->first)
        self->last = NULL;
    self->bytes -= (Py_ssize_t)parked_size(one);
    Py_DECREF(one->path);
    free(one);
}

/* Forgets the events of which nothing waits any more. */
static void lane_drop_empty(Lane *self)
{
    Parked **place = &self->first;
    self->last = NULL;
    while (*place) {
        Parked *one = *place;
        if (one->left) {
            self->last = one;
            place = &one->next;
            continue;
        }
        *place = one->next;
        self->bytes -= (Py_ssize_t)parked_size(one);
        Py_DECREF(one->path);
        free(one);
    }
}

/* Forgets what can no longer be continued by events at a time or later. */
static void lane_let_pass(Lane *self, int64_t now_ns)
{
    while (self->first && self->first->until_ns < now_ns) {
        if (self->first->until_ns > self->dropped_ns)
            self->dropped_ns = self->first->until_ns;
        lane_drop_first(self);
    }
}

/* Makes room for an event that waits; it is not in the list yet. NULL without memory. */
static Parked *parked_new(PyObject *path, const uint8_t *line, size_t length, uint32_t count)
{
    Parked *one = malloc(sizeof *one + count * sizeof *one->begun + length);
    if (!one)
        return NULL;
    *one = (Parked){.next = NULL, .path = Py_NewRef(path), .until_ns = NEVER};
    one->length = (uint32_t)length;
    one->count = one->left = count;
    memcpy(parked_line(one), line, length);
    return one;
}

static void lane_park(Lane *self, Parked *one, int64_t now_ns)
{
    lane_let_pass(self, now_ns > NEVER + SLACK_NS ? now_ns - SLACK_NS : NEVER);
    if (self->last)
        self->last->next = one;
    else
        self->first = one;
    self->last = one;
    self->bytes += (Py_ssize_t)parked_size(one);
}

/* Whether an event may wait behind those that wait already: it is not earlier, nor before one of the same time. */
static int lane_is_next(const Lane *self, int64_t now_ns, int has_tie, int64_t tie)
{
    if (now_ns <= self->taken_ns || now_ns < self->last_ns)
        return 0;
    return now_ns > self->last_ns || (has_tie == self->last_has_tie && tie >= self->last_tie);
}

static PyObject *lane_new(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(named))
{
    Py_ssize_t words;
    PyObject *name = Py_None;
    if (!PyArg_ParseTuple(arguments, "n|O", &words, &name))
        return NULL;
    if (words < 1 || words > 1 << 20) {
        PyErr_SetString(PyExc_ValueError, "masks of one word or more, not of a million");
        return NULL;
    }
    Lane *self = (Lane *)((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
    if (!self)
        return NULL;
    self->words = (size_t)words;
    self->name = Py_NewRef(name);
    self->latest_ns = self->released_ns = NEVER;
    self->from_ns = self->until_ns = self->passed_ns = self->taken_ns = self->dropped_ns = self->last_ns = NEVER;
    self->keep = calloc((size_t)words, 8);
    self->passed = calloc((size_t)words, 8);
    if (!self->keep || !self->passed) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void lane_dealloc(Lane *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    while (self->first)
        lane_drop_first(self);
    for (size_t n = 0; n < self->turn_count; n++) {
        Py_DECREF(self->turns[n]->event->path);
        free(self->turns[n]->event);
        free(self->turns[n]);
    }
    free(self->turns);
    Py_XDECREF(self->name);
    free(self->keep);
    free(self->passed);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyObject *lane_mask(Lane *self, void *which)
{
    const uint64_t *mask = which ? self->passed : self->keep;
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
    memcpy(which ? self->passed : self->keep, text, (size_t)length);
    return 0;
}

/* Notes what of an event was passed over. */
static void lane_pass(Lane *self, int64_t now_ns, const uint64_t *mask)
{
    if (now_ns > self->passed_ns) {
        self->passed_ns = now_ns;
        memcpy(self->passed, mask, self->words * 8);
    } else if (now_ns == self->passed_ns)
        for (size_t n = 0; n < self->words; n++)
            self->passed[n] |= mask[n];
}

static int overlap(const uint64_t *one, const uint64_t *other, size_t words)
{
    for (size_t n = 0; n < words; n++)
        if (one[n] & other[n])
            return 1;
    return 0;
}

/* An event as Python takes it: line, path, number, position, and what else is to be said. */
static PyObject *parked_item(Parked *one, uint64_t roles)
{
    return Py_BuildValue("(y#OnnK)", parked_line(one), (Py_ssize_t)one->length, one->path, one->number, one->position,
                         (unsigned long long)roles);
}

static PyObject *lane_parked(Lane *self, PyObject *arguments)
{
    unsigned opener;
    PyObject *texts;
    uint64_t hash = 0;
    if (!PyArg_ParseTuple(arguments, "IO", &opener, &texts) || (texts != Py_None && hash_of_texts(texts, &hash)))
        return NULL;
    PyObject *out = PyList_New(0);
    for (Parked *one = self->first; one && out; one = one->next)
        for (uint32_t n = 0; n < one->count; n++) {
            if (one->begun[n].opener != opener || (hash && one->begun[n].hash != hash))
                continue;
            PyObject *item = parked_item(one, 1);
            if (!item || PyList_Append(out, item))
                Py_CLEAR(out);
            Py_XDECREF(item);
            if (!out)
                return NULL;
            for (uint32_t other = 0; other < one->count; other++) /* its other keys come with it */
                if (one->begun[other].opener == opener) {
                    one->begun[other].opener = NONE;
                    one->left--;
                }
        }
    lane_drop_empty(self);
    return out;
}

static PyMemberDef lane_members[] = {
    {"from_ns", T_LONGLONG, offsetof(Lane, from_ns), 0, "events before this time are not passed over here"},
    {"until_ns", T_LONGLONG, offsetof(Lane, until_ns), 0, "until when something is open"},
    {"passed_ns", T_LONGLONG, offsetof(Lane, passed_ns), 0, "the latest time of an event that was passed over"},
    {"taken_ns", T_LONGLONG, offsetof(Lane, taken_ns), 0, "events up to this time do not wait here"},
    {"dropped_ns", T_LONGLONG, offsetof(Lane, dropped_ns), READONLY, "until when forgotten events could be continued"},
    {"latest_ns", T_LONGLONG, offsetof(Lane, latest_ns), 0, "of a stream: the latest time of an event"},
    {"released_ns", T_LONGLONG, offsetof(Lane, released_ns), 0, "of a stream: up to when events have had their turn"},
    {"attended", T_BOOL, offsetof(Lane, is_attended), 0, "of a stream: whether Python looks after the host"},
    {"bytes", T_PYSSIZET, offsetof(Lane, bytes), READONLY, "what the events that wait take"},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef lane_masks[] = {
    {"keep", (getter)lane_mask, (setter)lane_set_mask, "the mask of pieces that are not passed over", NULL},
    {"passed", (getter)lane_mask, (setter)lane_set_mask, "what was passed over at `passed_ns`", (void *)1},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef lane_methods[] = {
    {"parked", (PyCFunction)lane_parked, METH_VARARGS, "Give the events of an opener with a key, or None; they wait no longer."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot lane_slots[] = {
    {Py_tp_doc, "What waits at one host: `Lane(words, name)`, with masks as bytes of so many words of 64 bits."},
    {Py_tp_new, lane_new},
    {Py_tp_dealloc, lane_dealloc},
    {Py_tp_members, lane_members},
    {Py_tp_getset, lane_masks},
    {Py_tp_methods, lane_methods},
    {0, NULL},
};

static PyType_Spec lane_spec = {
    .name = "maxspan.engine.kernel.native._scan.Lane",
    .basicsize = sizeof(Lane),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = lane_slots,
};

#endif
