/* Streams: events of sequences wait for their turn, host by host, until no earlier one can come. */
#ifndef MAXSPAN_WAITING_H
#define MAXSPAN_WAITING_H

#include "narrowing.h"
#include "reading.h"

static void turn_free(Turn *turn)
{
    parked_free(turn->event);
    free(turn);
}

/* Whether one comes before another: by time, then by `tie` (those without one last), then as they came. */
static int is_before(const Turn *one, const Turn *other)
{
    if (one->time_ns != other->time_ns)
        return one->time_ns < other->time_ns;
    if (one->has_tie != other->has_tie)
        return one->has_tie;
    if (one->tie != other->tie)
        return one->tie < other->tie;
    return one->event->position < other->event->position;
}

static int lane_push(Lane *self, Turn *turn)
{
    if (self->turn_count == self->turn_room) {
        size_t room = self->turn_room * 2 + 16;
        Turn **more = realloc(self->turns, room * sizeof *more);
        if (!more)
            return -1;
        self->turns = more;
        self->turn_room = room;
    }
    size_t place = self->turn_count++;
    while (place && is_before(turn, self->turns[(place - 1) / 2])) {
        self->turns[place] = self->turns[(place - 1) / 2];
        place = (place - 1) / 2;
    }
    self->turns[place] = turn;
    return 0;
}

static Turn *lane_pop(Lane *self)
{
    Turn *out = self->turns[0], *last = self->turns[--self->turn_count];
    size_t place = 0, count = self->turn_count;
    for (;;) {
        size_t child = 2 * place + 1;
        if (child >= count)
            break;
        child += child + 1 < count && is_before(self->turns[child + 1], self->turns[child]);
        if (!is_before(self->turns[child], last))
            break;
        self->turns[place] = self->turns[child];
        place = child;
    }
    self->turns[place] = last;
    return out;
}

/* Notes that time has gone on at a host, so that its events are looked at; -1 without memory. */
static int lane_changed(Skip *skip, Lane *lane, int64_t now_ns)
{
    if (now_ns > lane->latest_ns)
        lane->latest_ns = now_ns;
    if (lane->is_changed)
        return 0;
    if (skip->changed_count == skip->changed_room) {
        uint32_t room = skip->changed_room * 2 + 16;
        Lane **more = realloc(skip->changed, room * sizeof *more);
        if (!more)
            return -1;
        skip->changed = more;
        skip->changed_room = room;
    }
    skip->changed[skip->changed_count++] = (Lane *)Py_NewRef((PyObject *)lane);
    lane->is_changed = 1;
    return 0;
}

/* Lets what of `mask` is in `which` wait at a host, and takes it off; one that is too late is left. -1 without memory. */
static int wait_at(Scanner *self, Skip *skip, Lane *lane, const uint64_t *which, const Looked *event, int has_tie,
                   int64_t tie, uint64_t *mask)
{
    if (!overlap(mask, which, skip->words) || event->now_ns < lane->released_ns)
        return 0;
    Turn *turn = malloc(sizeof *turn + skip->words * 8);
    Parked *parked = turn ? parked_new(event->path, event->line, event->length, 0) : NULL;
    if (!parked) {
        free(turn);
        return -1;
    }
    parked->number = event->number;
    parked->position = event->position;
    *turn = (Turn){event->now_ns, tie, self->stamp, has_tie, 0, parked};
    for (size_t w = 0; w < skip->words; w++) {
        turn->mask[w] = mask[w] & which[w];
        mask[w] &= ~which[w];
    }
    if (lane_push(lane, turn)) {
        turn_free(turn);
        return -1;
    }
    return lane_changed(skip, lane, event->now_ns);
}

/* Lets what of an event is for sequences wait: 1, 0 if Python has to look (nothing is changed then), -1 for an error. */
static int wait_for_turn(Scanner *self, Skip *skip, Looked *event, uint64_t *mask)
{
    if (!overlap(mask, skip->wait_at_host, skip->words) && !overlap(mask, skip->wait_across, skip->words))
        return 1;
    int64_t tie;
    Token token = event->tokens[skip->tie];
    int looked = look(self, skip, event), has_tie = tie_from(event->line + token.begin, token.length, &tie);
    if (looked <= 0 || has_tie < 0)
        return looked < 0 ? -1 : 0;
    if (wait_at(self, skip, event->at_host, skip->wait_at_host, event, has_tie, tie, mask) ||
        wait_at(self, skip, skip->every, skip->wait_across, event, has_tie, tie, mask)) {
        PyErr_NoMemory();
        return -1;
    }
    return 1;
}

/* The same as narrowed_number for a stream: what waits for its turn is taken off the mask. */
static uint32_t waiting_number(Scanner *self, Skip *skip, uint32_t given, Looked *event)
{
    const Program *program = program_for(self, skip, given);
    if (!program)
        return NONE;
    if (skip->parks && program->samples) {
        if (park_samples(skip, program, event, self->mask)) {
            PyErr_NoMemory();
            return NONE;
        }
        given = number_of_rest(self, given);
        if (given == NONE)
            return NONE;
    }
    return wait_for_turn(self, skip, event, self->mask) < 0 ? NONE : number_of_rest(self, given);
}

/* Looks at the events of a host up to a time, in their order: 1 if the first that is left is for Python, which is
 * narrowed then, 0 if none is, -1 for an error. */
static int lane_go_on(Scanner *self, Skip *skip, Lane *lane, int64_t until_ns)
{
    while (lane->turn_count && lane->turns[0]->time_ns <= until_ns) {
        Turn *turn = lane->turns[0];
        if (turn->is_narrowed)
            return 1;
        Parked *parked = turn->event;
        Place line = parked_line(parked);
        if (turn->stamp != self->stamp && !plain(self, line, line + parked->length)) {
            PyErr_SetString(PyExc_RuntimeError, "a line that was plain is not any more");
            return -1;
        }
        turn->stamp = self->stamp;
        memcpy(self->mask, turn->mask, skip->words * 8);
        Looked event = {line, parked->length, self->tokens, 0, NULL, parked->path, parked->number, parked->position};
        uint32_t given = given_number(self);
        int known;
        if (given != NONE)
            given = narrowed_number(self, skip, skip->parks, 0, given, &event, &known);
        Py_XDECREF((PyObject *)event.at_host);
        if (PyErr_Occurred())
            return -1;
        if (given != NONE) {
            memcpy(turn->mask, self->mask, skip->words * 8);
            turn->is_narrowed = 1;
            return 1;
        }
        turn_free(lane_pop(lane));
    }
    lane_let_pass(lane, until_ns);
    return 0;
}

/* scanner.changed(skip): the name of the next host that Python has to look after, None if there is none. */
static PyObject *scanner_changed(Scanner *self, PyObject *skip_object)
{
    if (!are_ours(self, skip_object, NULL))
        return NULL;
    Skip *skip = (Skip *)skip_object;
    while (skip->changed_count) {
        Lane *lane = skip->changed[skip->changed_count - 1];
        if (!are_ours(self, skip_object, (PyObject *)lane))
            return NULL;
        skip->changed_count--; /* others may change while Python is asked */
        lane->is_changed = 0;
        int64_t until_ns = lane->latest_ns > NEVER + skip->wait_ns ? lane->latest_ns - skip->wait_ns : NEVER;
        self->busy = lane->is_busy = 1;
        int left = lane->is_attended ? 1 : lane_go_on(self, skip, lane, until_ns);
        self->busy = lane->is_busy = 0;
        if (!left && until_ns > lane->released_ns)
            lane->released_ns = until_ns;
        if (left < 0) /* it is looked at again; without memory for that it is with its next event */
            lane_changed(skip, lane, lane->latest_ns);
        PyObject *name = left > 0 ? Py_NewRef(lane->name) : NULL;
        Py_DECREF(lane);
        if (left < 0)
            return NULL;
        if (name)
            return name;
    }
    Py_RETURN_NONE;
}

/* What Python takes of a turn: its mask, and the event. */
static PyObject *turn_item(Scanner *self, Turn *turn)
{
    memcpy(self->mask, turn->mask, self->words * 8);
    uint32_t given = given_number(self);
    PyObject *item = given == NONE ? NULL : parked_item(turn->event, 0);
    PyObject *out = item ? PyTuple_Pack(2, self->given_objects[given], item) : NULL;
    Py_XDECREF(item);
    return out;
}

/* scanner.turn(skip, lane, until_ns): the next event of a host that continues something, None if there is none. */
static PyObject *scanner_turn(Scanner *self, PyObject *arguments)
{
    PyObject *skip, *lane_object;
    long long until_ns;
    if (!PyArg_ParseTuple(arguments, "OOL", &skip, &lane_object, &until_ns) || !are_ours(self, skip, lane_object))
        return NULL;
    Lane *lane = (Lane *)lane_object;
    self->busy = lane->is_busy = 1;
    int left = lane_go_on(self, (Skip *)skip, lane, until_ns);
    PyObject *out = left > 0 ? turn_item(self, lane->turns[0]) : NULL;
    self->busy = lane->is_busy = 0;
    if (out)
        turn_free(lane_pop(lane));
    if (left)
        return out;
    Py_RETURN_NONE;
}

/* scanner.turns(lane, until_ns): all events of a host up to a time, in their order. */
static PyObject *scanner_turns(Scanner *self, PyObject *arguments)
{
    PyObject *lane_object;
    long long until_ns;
    if (!PyArg_ParseTuple(arguments, "OL", &lane_object, &until_ns) || !are_ours(self, NULL, lane_object))
        return NULL;
    Lane *lane = (Lane *)lane_object;
    PyObject *out = PyList_New(0);
    self->busy = lane->is_busy = 1;
    while (out && lane->turn_count && lane->turns[0]->time_ns <= until_ns) {
        PyObject *item = turn_item(self, lane->turns[0]);
        if (!item || PyList_Append(out, item))
            Py_CLEAR(out);
        Py_XDECREF(item);
        if (out)
            turn_free(lane_pop(lane));
    }
    self->busy = lane->is_busy = 0;
    return out;
}

/* scanner.tell(skip, lane, now_ns): time has gone on at a host. */
static PyObject *scanner_tell(Scanner *self, PyObject *arguments)
{
    PyObject *skip, *lane;
    long long now_ns;
    if (!PyArg_ParseTuple(arguments, "OOL", &skip, &lane, &now_ns) || !are_ours(self, skip, lane))
        return NULL;
    if (lane_changed((Skip *)skip, (Lane *)lane, now_ns))
        return PyErr_NoMemory();
    Py_RETURN_NONE;
}

#endif
