/* One host: what was passed over last, and the events that began a sequence and wait for what may continue them. */
#ifndef MAXSPAN_LANE_H
#define MAXSPAN_LANE_H

#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <structmember.h>

#include "keys.h"
#include "parked.h"

/* Events that can no longer be continued are kept for so long: others may come late. */
#define SLACK_NS 60000000000

/* The first and the last time of what an opener has begun here. */
typedef struct {
    uint32_t opener;
    int64_t first_ns, last_ns;
} Span;

/* An event of a stream that waits for its turn, with the pieces that do; `stamp` is that of its line. */
typedef struct {
    int64_t time_ns, tie;
    uint64_t stamp;
    int has_tie, is_narrowed;
    Parked *event;
    uint64_t mask[];
} Turn;

/* An event that was passed over, but that something from before a run may wait for, with the pieces of it. */
typedef struct Aside {
    struct Aside *next;
    Parked *event;
    uint64_t mask[];
} Aside;

/* At one host: until when something is open, and what was passed over last. Events of `taken_ns` or before do not wait:
 * others were looked at that are not earlier. */
typedef struct {
    PyObject_HEAD
    long long until_ns, passed_ns, taken_ns, dropped_ns;
    size_t words;
    uint64_t *passed;
    /* at the head of a run: the first event that was passed over as it came, the earliest, and what was then */
    long long since_ns, first_ns;
    uint64_t *first;
    Aside *aside, *aside_last, *aside_next; /* the next is the one that is asked for next */
    Py_ssize_t aside_bytes;
    Waiting waiting;
    int64_t last_ns, last_tie; /* of the event that waits since last: its time, and its place among those of one time */
    Span *spans;
    uint32_t span_count, span_room;
    int last_has_tie;
    /* of a stream: events in the order of a heap, the latest time, up to when they have been released; whether Python
     * looks after it */
    Turn **turns;
    size_t turn_count, turn_room;
    long long latest_ns, released_ns;
    PyObject *name;
    char is_attended, is_changed, is_busy; /* `is_busy`: while Python is asked about an event that is here */
} Lane;

/* Forgets what can no longer be continued by events at a time or later. */
static void lane_let_pass(Lane *self, int64_t now_ns)
{
    Parked *first;
    while ((first = self->waiting.first) && first->until_ns < now_ns) {
        if (first->until_ns > self->dropped_ns)
            self->dropped_ns = first->until_ns;
        waiting_drop(&self->waiting, first);
    }
}

/* Lets an event wait, from then on the lane's; -1 without memory, and it stays the caller's. */
static int lane_park(Lane *self, Parked *one, int64_t now_ns)
{
    lane_let_pass(self, now_ns > NEVER + SLACK_NS ? now_ns - SLACK_NS : NEVER);
    return waiting_add(&self->waiting, one);
}

/* Notes that an opener has begun something; events come in the order of time. -1 without memory. */
static int lane_note(Lane *self, uint32_t opener, int64_t now_ns)
{
    for (uint32_t n = 0; n < self->span_count; n++)
        if (self->spans[n].opener == opener) {
            self->spans[n].last_ns = now_ns;
            return 0;
        }
    if (self->span_count == self->span_room) {
        uint32_t room = self->span_room * 2 + 4;
        Span *more = realloc(self->spans, room * sizeof *more);
        if (!more)
            return -1;
        self->spans = more;
        self->span_room = room;
    }
    self->spans[self->span_count++] = (Span){opener, now_ns, now_ns};
    return 0;
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
    self->until_ns = self->passed_ns = self->taken_ns = self->dropped_ns = self->last_ns = NEVER;
    self->since_ns = NEVER;
    self->first_ns = INT64_MAX;
    self->first = calloc((size_t)words, 8);
    self->passed = calloc((size_t)words, 8);
    if (!self->first || !self->passed) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void lane_forget_aside(Lane *self)
{
    while (self->aside) {
        Aside *next = self->aside->next;
        parked_free(self->aside->event);
        free(self->aside);
        self->aside = next;
    }
    self->aside_last = self->aside_next = NULL;
    self->aside_bytes = 0;
}

static void lane_dealloc(Lane *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    waiting_clear(&self->waiting);
    lane_forget_aside(self);
    for (size_t n = 0; n < self->turn_count; n++) {
        parked_free(self->turns[n]->event);
        free(self->turns[n]);
    }
    free(self->turns);
    free(self->spans);
    Py_XDECREF(self->name);
    free(self->first);
    free(self->passed);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyObject *lane_mask(Lane *self, void *which)
{
    const uint64_t *mask = which ? self->passed : self->first;
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
    memcpy(which ? self->passed : self->first, text, (size_t)length);
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

/* Copies the mask of some pieces; NULL for an error. */
static uint64_t *own_from(size_t words, const char *bytes, Py_ssize_t length)
{
    if ((size_t)length != words * 8) {
        PyErr_SetString(PyExc_ValueError, "a mask of another length");
        return NULL;
    }
    uint64_t *own = malloc((size_t)length);
    if (own)
        memcpy(own, bytes, (size_t)length);
    else
        PyErr_NoMemory();
    return own;
}

static int overlap(const uint64_t *one, const uint64_t *other, size_t words)
{
    for (size_t n = 0; n < words; n++)
        if (one[n] & other[n])
            return 1;
    return 0;
}

/* Adds an event to a list, and lets it wait no longer for what continues an opener; -1 for an error. */
static int lane_take(Lane *self, Parked *one, uint32_t opener, PyObject *out)
{
    PyObject *item = parked_item(one, 1);
    int bad = !item || PyList_Append(out, item);
    Py_XDECREF(item);
    if (!bad)
        waiting_end(&self->waiting, one, opener); /* its other keys come with it */
    return bad ? -1 : 0;
}

/* Keys of one event meet the same sequences: what has several is taken with all that waits, so that the events of each
 * key stay in order. Of all (0), those that may be continued at a time. */
static int lane_take_all(Lane *self, uint32_t opener, uint64_t hash, int64_t from_ns, PyObject *out)
{
    Waiting *waiting = &self->waiting;
    if (hash && !waiting_has_several(waiting, opener, hash)) {
        for (Begun *begun; (begun = waiting_find(waiting, opener, hash));)
            if (lane_take(self, begun->of, opener, out))
                return -1;
        return PyList_Reverse(out); /* the latest was found first */
    }
    if ((hash && !waiting_find(waiting, opener, hash)) || !waiting_count(waiting, opener))
        return 0;
    for (Parked *one = waiting->first, *next; one; one = next) {
        next = one->next;
        if (parked_begins(one, opener, from_ns) && lane_take(self, one, opener, out))
            return -1;
    }
    return 0;
}

static PyObject *lane_parked(Lane *self, PyObject *arguments)
{
    unsigned opener;
    long long from_ns = NEVER;
    PyObject *texts;
    uint64_t hash = 0;
    if (!PyArg_ParseTuple(arguments, "IO|L", &opener, &texts, &from_ns) ||
        (texts != Py_None && hash_of_texts(texts, &hash)))
        return NULL;
    PyObject *out = PyList_New(0);
    if (!out || opener == NONE)
        return out;
    int collects = PyGC_Disable(); /* a finalizer could ask for the same events */
    if (lane_take_all(self, opener, hash, from_ns, out))
        Py_CLEAR(out);
    if (collects)
        PyGC_Enable();
    return out;
}

static PyObject *lane_spans(Lane *self, PyObject *Py_UNUSED(nothing))
{
    PyObject *out = PyList_New(0);
    for (uint32_t n = 0; n < self->span_count && out; n++) {
        Span *span = self->spans + n;
        PyObject *item =
            Py_BuildValue("(ILL)", span->opener, (long long)span->first_ns, (long long)span->last_ns);
        if (!item || PyList_Append(out, item))
            Py_CLEAR(out);
        Py_XDECREF(item);
    }
    return out;
}

/* Puts an event aside; -1 without memory. */
static int lane_put_aside(Lane *self, Parked *event, const uint64_t *mask)
{
    Aside *one = malloc(sizeof *one + self->words * 8);
    if (!one)
        return -1;
    one->next = NULL;
    one->event = event;
    memcpy(one->mask, mask, self->words * 8);
    if (self->aside_last)
        self->aside_last->next = one;
    else
        self->aside = self->aside_next = one;
    self->aside_last = one;
    self->aside_bytes += (Py_ssize_t)(parked_size(event) + sizeof *one + self->words * 8);
    return 0;
}

static PyMemberDef lane_members[] = {
    {"until_ns", T_LONGLONG, offsetof(Lane, until_ns), 0, "until when something is open"},
    {"passed_ns", T_LONGLONG, offsetof(Lane, passed_ns), 0, "the latest time of an event that was passed over"},
    {"taken_ns", T_LONGLONG, offsetof(Lane, taken_ns), 0, "events up to this time do not wait here"},
    {"dropped_ns", T_LONGLONG, offsetof(Lane, dropped_ns), READONLY, "until when forgotten events could be continued"},
    {"latest_ns", T_LONGLONG, offsetof(Lane, latest_ns), 0, "of a stream: the latest time of an event"},
    {"released_ns", T_LONGLONG, offsetof(Lane, released_ns), 0, "of a stream: up to when events have had their turn"},
    {"attended", T_BOOL, offsetof(Lane, is_attended), 0, "of a stream: whether Python looks after the host"},
    {"bytes", T_PYSSIZET, offsetof(Lane, waiting.bytes), READONLY, "what the events that wait take"},
    {"since_ns", T_LONGLONG, offsetof(Lane, since_ns), 0, "the time of the first event that was passed over as it came"},
    {"first_ns", T_LONGLONG, offsetof(Lane, first_ns), 0, "the earliest time of an event that was passed over"},
    {"aside_bytes", T_PYSSIZET, offsetof(Lane, aside_bytes), READONLY, "what the events take that were put aside"},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef lane_masks[] = {
    {"first", (getter)lane_mask, (setter)lane_set_mask, "what was passed over at `first_ns`", NULL},
    {"passed", (getter)lane_mask, (setter)lane_set_mask, "what was passed over at `passed_ns`", (void *)1},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef lane_methods[] = {
    {"parked", (PyCFunction)lane_parked, METH_VARARGS,
     "Give the events of an opener with a key, or None, that may be continued at a time; they wait no longer."},
    {"spans", (PyCFunction)lane_spans, METH_NOARGS, "Give each opener with the first and last time of its events here."},
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
