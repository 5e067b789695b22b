/* What was put aside at the head of a run, once it is known what comes before the run. */
#ifndef MAXSPAN_ASIDE_H
#define MAXSPAN_ASIDE_H

#include "narrowing.h"
#include "reading.h"

/* Gives the number of what is left of an event of some pieces; NONE for an error, or where nothing is. */
static uint32_t aside_number(Scanner *self, Skip *skip, const Aside *one, const uint64_t *wanted)
{
    if (!overlap(one->mask, wanted, self->words))
        return NONE;
    for (size_t w = 0; w < self->words; w++)
        self->mask[w] = one->mask[w] & wanted[w];
    uint32_t given = given_number(self);
    if (given == NONE || !skip)
        return given;
    Parked *parked = one->event;
    Place line = parked_line(parked);
    if (!plain(self, line, line + parked->length)) {
        PyErr_SetString(PyExc_RuntimeError, "a line that was plain is not any more");
        return NONE;
    }
    Looked event = {line, parked->length, self->tokens, 0, NULL, parked->path, parked->number, parked->position};
    int known;
    given = narrowed_number(self, skip, 0, 0, given, &event, &known);
    Py_XDECREF((PyObject *)event.at_host);
    return given;
}

/* scanner.aside(skip, lane, mask): the next event that was put aside, of some pieces, and that continues something; its
 * mask and the event, None behind the last, and then it begins anew. With None for `skip` all are given. */
static PyObject *scanner_aside(Scanner *self, PyObject *arguments)
{
    PyObject *skip, *lane_object;
    const char *bytes;
    Py_ssize_t length;
    if (!PyArg_ParseTuple(arguments, "OOy#", &skip, &lane_object, &bytes, &length) ||
        !are_ours(self, skip == Py_None ? NULL : skip, lane_object))
        return NULL;
    Lane *lane = (Lane *)lane_object;
    uint64_t *wanted = own_from(self->words, bytes, length);
    if (!wanted)
        return NULL;
    PyObject *out = NULL;
    self->busy = lane->is_busy = 1;
    while (!out && lane->aside_next) {
        const Aside *one = lane->aside_next;
        uint32_t given = aside_number(self, skip == Py_None ? NULL : (Skip *)skip, one, wanted);
        if (PyErr_Occurred())
            break;
        lane->aside_next = one->next;
        PyObject *item = given == NONE ? NULL : parked_item(one->event, 0);
        if (item)
            out = PyTuple_Pack(2, self->given_objects[given], item);
        Py_XDECREF(item);
        if (given != NONE && !out)
            break;
    }
    self->busy = lane->is_busy = 0;
    free(wanted);
    if (out || PyErr_Occurred())
        return out;
    lane->aside_next = lane->aside;
    Py_RETURN_NONE;
}

/* scanner.forget_aside(lane): what was put aside at a host is not needed any more. */
static PyObject *scanner_forget_aside(Scanner *self, PyObject *lane)
{
    if (!are_ours(self, NULL, lane))
        return NULL;
    lane_forget_aside((Lane *)lane);
    Py_RETURN_NONE;
}

#endif
