/* Events that wait, in their order, and which of them wait for events with a key. */
#ifndef MAXSPAN_PARKED_H
#define MAXSPAN_PARKED_H

#include <Python.h>
#include <stddef.h>
#include <stdint.h>

#include "memo.h"

struct Parked;

/* What an event begins: the number of the opener, NONE once that waits no longer, with the hash of the key. */
typedef struct Begun {
    uint32_t opener;
    int64_t until_ns;
    uint64_t hash;
    struct Parked *of;
    struct Begun *next, **at; /* those of one slot of the table, the latest first; what leads here */
} Begun;

/* An event that waits, with its line. */
typedef struct Parked {
    struct Parked *next, *before;
    PyObject *path;
    Py_ssize_t number, position;
    int64_t until_ns; /* the latest of what it begins */
    uint32_t length, count, left; /* `left`: how many of what it begins wait yet */
    Begun begun[]; /* and then the line */
} Parked;

/* The events that wait in one place, what they begin by opener and key, and how much of that there is by opener. */
typedef struct {
    Parked *first, *last;
    Begun **slots;
    size_t room, used;
    uint32_t *counts, openers;
    Py_ssize_t bytes;
} Waiting;

static size_t parked_size(const Parked *one)
{
    return sizeof *one + one->count * sizeof *one->begun + one->length;
}

static uint8_t *parked_line(Parked *one)
{
    return (uint8_t *)(one->begun + one->count);
}

/* Makes room for an event that waits; it is in no list yet. NULL without memory. */
static Parked *parked_new(PyObject *path, const uint8_t *line, size_t length, uint32_t count)
{
    Parked *one = malloc(sizeof *one + count * sizeof *one->begun + length);
    if (!one)
        return NULL;
    *one = (Parked){.path = Py_NewRef(path), .until_ns = INT64_MIN};
    one->length = (uint32_t)length;
    one->count = one->left = count;
    memcpy(parked_line(one), line, length);
    return one;
}

static void parked_free(Parked *one)
{
    Py_DECREF(one->path);
    free(one);
}

/* An event as Python takes it: line, path, number, position, and what else is to be said. */
static PyObject *parked_item(Parked *one, uint64_t roles)
{
    return Py_BuildValue("(y#OnnK)", parked_line(one), (Py_ssize_t)one->length, one->path, one->number, one->position,
                         (unsigned long long)roles);
}

/* Whether an event waits for what continues an opener, at a time or later. */
static int parked_begins(const Parked *one, uint32_t opener, int64_t from_ns)
{
    for (uint32_t n = 0; n < one->count; n++)
        if (one->begun[n].opener == opener && one->begun[n].until_ns >= from_ns)
            return 1;
    return 0;
}

/* --- by opener and key ------------------------------------------------------------------------------------------- */

static Begun **waiting_slot(const Waiting *self, uint32_t opener, uint64_t hash)
{
    return self->slots + ((hash + opener * UINT64_C(0x9E3779B97F4A7C15)) & (self->room - 1));
}

static void waiting_link(Waiting *self, Begun *one)
{
    Begun **slot = waiting_slot(self, one->opener, one->hash);
    one->next = *slot;
    one->at = slot;
    if (one->next)
        one->next->at = &one->next;
    *slot = one;
}

static void waiting_unlink(Waiting *self, Begun *one)
{
    *one->at = one->next;
    if (one->next)
        one->next->at = one->at;
    self->counts[one->opener]--;
    self->used--;
    one->opener = NONE;
}

/* Gives the latest of what begins with a key and waits; NULL if there is none. */
static Begun *waiting_find(const Waiting *self, uint32_t opener, uint64_t hash)
{
    Begun *one = self->room ? *waiting_slot(self, opener, hash) : NULL;
    while (one && (one->opener != opener || one->hash != hash))
        one = one->next;
    return one;
}

/* Whether an event waits that begins with this key and with others. */
static int waiting_has_several(const Waiting *self, uint32_t opener, uint64_t hash)
{
    for (Begun *one = waiting_find(self, opener, hash); one; one = one->next)
        if (one->opener == opener && one->hash == hash)
            for (uint32_t n = 0; n < one->of->count; n++)
                if (one->of->begun[n].opener == opener && one->of->begun[n].hash != hash)
                    return 1;
    return 0;
}

static uint32_t waiting_count(const Waiting *self, uint32_t opener)
{
    return opener < self->openers ? self->counts[opener] : 0;
}

/* Makes room for what an event begins; -1 without memory. */
static int waiting_grow(Waiting *self, const Parked *more)
{
    uint32_t openers = self->openers;
    for (uint32_t n = 0; n < more->count; n++)
        if (more->begun[n].opener >= openers)
            openers = more->begun[n].opener + 1;
    if (openers > self->openers) {
        uint32_t *counts = realloc(self->counts, openers * sizeof *counts);
        if (!counts)
            return -1;
        memset(counts + self->openers, 0, (openers - self->openers) * sizeof *counts);
        self->counts = counts;
        self->openers = openers;
    }
    size_t room = self->room ? self->room : 16;
    while (room < self->used + more->count)
        room *= 2;
    if (room == self->room)
        return 0;
    Begun **slots = calloc(room, sizeof *slots);
    if (!slots)
        return -1;
    free(self->slots);
    self->slots = slots;
    self->room = room;
    for (Parked *one = self->first; one; one = one->next)
        for (uint32_t n = 0; n < one->count; n++)
            if (one->begun[n].opener != NONE)
                waiting_link(self, one->begun + n);
    return 0;
}

/* --- all of them ------------------------------------------------------------------------------------------------- */

/* Lets an event wait, behind the others; -1 without memory, and nothing is changed. */
static int waiting_add(Waiting *self, Parked *one)
{
    if (waiting_grow(self, one))
        return -1;
    one->before = self->last;
    *(self->last ? &self->last->next : &self->first) = one;
    self->last = one;
    self->bytes += (Py_ssize_t)parked_size(one);
    for (uint32_t n = 0; n < one->count; n++) {
        one->begun[n].of = one;
        waiting_link(self, one->begun + n);
        self->counts[one->begun[n].opener]++;
        self->used++;
    }
    return 0;
}

static void waiting_drop(Waiting *self, Parked *one)
{
    for (uint32_t n = 0; n < one->count; n++)
        if (one->begun[n].opener != NONE)
            waiting_unlink(self, one->begun + n);
    *(one->before ? &one->before->next : &self->first) = one->next;
    *(one->next ? &one->next->before : &self->last) = one->before;
    self->bytes -= (Py_ssize_t)parked_size(one);
    parked_free(one);
}

/* Notes that an event waits no longer for what continues an opener; it goes if it waits for nothing else. */
static void waiting_end(Waiting *self, Parked *one, uint32_t opener)
{
    for (uint32_t n = 0; n < one->count; n++)
        if (one->begun[n].opener == opener) {
            waiting_unlink(self, one->begun + n);
            one->left--;
        }
    if (!one->left)
        waiting_drop(self, one);
}

static void waiting_clear(Waiting *self)
{
    while (self->first)
        waiting_drop(self, self->first);
    free(self->slots);
    free(self->counts);
    memset(self, 0, sizeof *self);
}

#endif
