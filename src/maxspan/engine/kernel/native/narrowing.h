/* What of an event continues nothing, and what begins a sequence and may wait. */
#ifndef MAXSPAN_NARROWING_H
#define MAXSPAN_NARROWING_H

#include "asking.h"
#include "scanner.h"

/* What the join keys of a line are: texts that are told apart by their hash, texts that are not, or none. */
typedef enum { KEY_OF_TEXTS, KEY_OF_OTHERS, NO_KEY } Kind;

/* so many keys of one event are looked at here: one for each value of a list */
#define MOST_HASHES 24

/* The values of a list, if all are texts: their hashes with what comes before them. 0 for another list. */
static uint32_t hashes_of_list(const uint8_t *text, size_t length, uint64_t before, uint64_t *hashes)
{
    Place p = text + 1, end = text + length;
    uint32_t count = 0;
    while ((p = after_spaces(p, end)) < end && *p == '"' && count < MOST_HASHES) {
        Place after = memchr(p + 1, '"', (size_t)(end - p - 1));
        if (!after)
            return 0;
        hashes[count++] = with_text(before, hash_of(p, (size_t)(after + 1 - p)));
        p = after_spaces(after + 1, end);
        if (p < end && *p == ']')
            return count;
        if (p >= end || *p++ != ',')
            return 0;
    }
    return 0;
}

/* Gives the keys of a line; one list among the fields gives as many as it has values. */
static Kind keys_of(const By *by, const uint8_t *line, const Token *tokens, uint64_t *hashes, uint32_t *count)
{
    Kind kind = KEY_OF_TEXTS;
    *count = 1;
    *hashes = 1;
    for (uint32_t n = 0; n < by->count; n++) {
        Token token = tokens[by->fields[n]];
        const uint8_t *text = line + token.begin;
        if (!token.length || *text == 'n') { /* null is as good as no value */
            if (by->required[n])
                return NO_KEY;
            kind = KEY_OF_OTHERS;
        } else if (kind == KEY_OF_OTHERS || memchr(text, '\\', token.length))
            kind = KEY_OF_OTHERS;
        else if (*text == '"') {
            uint64_t hash = hash_of(text, token.length);
            for (uint32_t k = 0; k < *count; k++)
                hashes[k] = with_text(hashes[k], hash);
        } else if (*text != '[' || *count > 1 || !(*count = hashes_of_list(text, token.length, *hashes, hashes)))
            kind = KEY_OF_OTHERS;
    }
    return kind;
}

static int stage_is_open(const Stage *stage, const uint8_t *line, const Token *tokens, int64_t now_ns)
{
    if (now_ns > stage->keys->latest_ns)
        return 0;
    if (!stage->told)
        return now_ns <= keys_until(stage->keys, 0, now_ns);
    uint64_t hashes[MOST_HASHES];
    uint32_t count;
    Kind kind = keys_of(&stage->by, line, tokens, hashes, &count);
    if (kind != KEY_OF_TEXTS)
        return kind == KEY_OF_OTHERS;
    for (uint32_t n = 0; n < count; n++)
        if (now_ns <= keys_until(stage->keys, hashes[n], now_ns))
            return 1;
    return 0;
}

/* The place among events of one time: a whole number, or none at all (0). -1 for something else. */
static int tie_from(const uint8_t *p, size_t length, int64_t *out)
{
    *out = 0;
    if (!length)
        return 0;
    if (length > 18)
        return -1;
    for (size_t n = 0; n < length; n++) {
        if (p[n] < '0' || p[n] > '9')
            return -1;
        *out = *out * 10 + (p[n] - '0');
    }
    return 1;
}

/* An event as it is looked at. */
typedef struct {
    const uint8_t *line;
    size_t length;
    const Token *tokens;
    int64_t now_ns;
    Lane *at_host;
    PyObject *path;
    Py_ssize_t number, position;
} Looked;

/* Whether an event that begins a sequence comes too late: what it might have continued has been passed over. */
static int is_late(const Skip *skip, const Opener *opener, const Lane *lane, int64_t now_ns)
{
    if (now_ns != lane->passed_ns)
        return now_ns < lane->passed_ns;
    for (uint32_t n = 0; n < opener->count; n++)
        if (overlap(skip->stages[opener->stages[n]].own, lane->passed, skip->words))
            return 1;
    return 0;
}

/* what an event may begin at one host; of more, the rest is left to Python */
#define MOST_BEGUN 64

/* Opens the stages behind an event for its keys, and notes that in `begun`; -1 without memory. */
static int begin(Skip *skip, uint32_t number, int64_t now_ns, const uint64_t *hashes, uint32_t count, Begun *begun)
{
    const Opener *opener = skip->openers + number;
    int64_t until_ns = now_ns > INT64_MAX - opener->maxspan_ns ? INT64_MAX : now_ns + opener->maxspan_ns;
    for (uint32_t n = 0; n < count; n++) {
        begun[n] = (Begun){.opener = number, .until_ns = until_ns, .hash = hashes[n]};
        for (uint32_t s = 0; s < opener->count; s++) {
            const Stage *stage = skip->stages + opener->stages[s];
            if (keys_open(stage->keys, stage->told ? hashes[n] : 0, until_ns, now_ns))
                return -1;
        }
    }
    return 0;
}

/* Lets an event wait at a host, or across hosts, as far as it begins sequences and nothing else, and takes that off
 * `mask`; -1 without memory. */
static int park_at(Skip *skip, Lane *lane, int across, const Program *program, const Looked *event,
                   uint64_t *mask)
{
    int64_t tie;
    Token token = event->tokens[skip->tie];
    int has_tie = tie_from(event->line + token.begin, token.length, &tie);
    if (has_tie < 0 || !lane_is_next(lane, event->now_ns, has_tie, tie))
        return 0;
    Begun begun[MOST_BEGUN];
    uint32_t count = 0;
    for (uint32_t n = 0; n < program->openers; n++) {
        uint32_t number = (uint32_t)program->numbers[program->stages + n], keys;
        const Opener *opener = skip->openers + number;
        uint64_t hashes[MOST_HASHES];
        if (opener->across != across)
            continue;
        Kind kind = keys_of(&opener->by, event->line, event->tokens, hashes, &keys);
        if (kind == KEY_OF_OTHERS)
            continue;
        if (kind == KEY_OF_TEXTS) {
            if (count + keys > MOST_BEGUN || is_late(skip, opener, lane, event->now_ns))
                continue;
            if (begin(skip, number, event->now_ns, hashes, keys, begun + count) ||
                lane_note(lane, number, event->now_ns))
                return -1;
            count += keys;
        }
        for (size_t w = 0; w < skip->words; w++)
            mask[w] &= ~opener->own[w];
    }
    if (!count)
        return 0;
    Parked *one = parked_new(event->path, event->line, event->length, count);
    if (!one)
        return -1;
    memcpy(one->begun, begun, count * sizeof *begun);
    for (uint32_t n = 0; n < count; n++)
        one->until_ns = begun[n].until_ns > one->until_ns ? begun[n].until_ns : one->until_ns;
    one->number = event->number;
    one->position = event->position;
    if (lane_park(lane, one, event->now_ns)) {
        parked_free(one);
        return -1;
    }
    if (one->until_ns > lane->until_ns)
        lane->until_ns = one->until_ns;
    lane->last_ns = event->now_ns;
    lane->last_tie = tie;
    lane->last_has_tie = has_tie;
    return 0;
}

/* Lets an event wait as far as it is for samples; -1 without memory. */
static int park_samples(Skip *skip, const Program *program, const Looked *event, uint64_t *mask)
{
    const uint64_t *numbers = program->numbers + program->stages + program->openers;
    for (uint32_t n = 0; n < program->samples; n++) {
        Sample *sample = skip->samples + numbers[n];
        Parked *one = parked_new(event->path, event->line, event->length, 1);
        if (!one)
            return -1;
        one->number = event->number;
        one->position = event->position;
        one->begun[0] = (Begun){.hash = numbers[program->samples + n]};
        sample->seen |= numbers[program->samples + n];
        if (sample->last)
            sample->last->next = one;
        else
            sample->first = one;
        sample->last = one;
        skip->sample_bytes += (Py_ssize_t)parked_size(one);
        for (size_t w = 0; w < skip->words; w++)
            mask[w] &= ~sample->own[w];
    }
    return 0;
}

/* Finds the time and the host of an event: 1 if they are of the usual form, 0 if Python has to look, -1 for an error. */
static int look(Scanner *self, Skip *skip, Looked *event)
{
    Token time = event->tokens[skip->time], host = event->tokens[skip->host];
    if (!time.length || !time_from(event->line + time.begin, time.length, &event->now_ns))
        return 0;
    event->at_host = skip_lane(skip, self->lane_type, event->line + host.begin, host.length);
    Py_XINCREF((PyObject *)event->at_host); /* hosts may be forgotten while Python is asked */
    return event->at_host ? 1 : PyErr_Occurred() ? -1 : 0;
}

/* Keeps of what nothing waits for at a host what something from before the run may wait for: what is found without the
 * other runs is put aside, the rest stays in `kept`. -1 without memory. */
static int keep_head(Skip *skip, Lane *lane, const Looked *event, const uint64_t *passed)
{
    int64_t now_ns = event->now_ns;
    if (now_ns <= lane->first_ns) {
        int same = now_ns == lane->first_ns;
        for (size_t w = 0; w < skip->words; w++)
            lane->first[w] = passed[w] | (same ? lane->first[w] : 0);
        lane->first_ns = now_ns;
    }
    if (lane->since_ns == NEVER)
        lane->since_ns = now_ns;
    uint64_t any = 0, *own = skip->put;
    memset(own, 0, skip->words * 8);
    for (uint32_t n = 0; n < skip->head_count; n++) {
        int64_t maxspan_ns = skip->heads[n].maxspan_ns;
        if (lane->since_ns < INT64_MAX - maxspan_ns && now_ns > lane->since_ns + maxspan_ns)
            break;
        for (size_t w = 0; w < skip->words; w++)
            own[w] |= passed[w] & skip->heads[n].own[w];
    }
    for (size_t w = 0; w < skip->words; w++) {
        skip->kept[w] |= own[w] & ~skip->alone[w];
        own[w] &= skip->alone[w];
        any |= own[w];
    }
    if (!any)
        return 0;
    Parked *one = parked_new(event->path, event->line, event->length, 0);
    if (!one)
        return -1;
    one->number = event->number;
    one->position = event->position;
    if (lane_put_aside(lane, one, own)) {
        parked_free(one);
        return -1;
    }
    return 0;
}

/* Takes off a mask what the event does not continue; -1 without memory. */
static int shut(Skip *skip, const Program *program, int keeps, const Looked *event, uint64_t *mask)
{
    uint64_t any_at_host = 0, any_across = 0;
    memset(skip->at_host, 0, skip->words * 8);
    memset(skip->across, 0, skip->words * 8);
    for (uint32_t n = 0; n < program->stages; n++) {
        const Stage *stage = skip->stages + program->numbers[n];
        const Lane *lane = stage->across ? skip->every : event->at_host;
        if (event->now_ns <= lane->until_ns && stage_is_open(stage, event->line, event->tokens, event->now_ns))
            continue;
        uint64_t *out = stage->across ? skip->across : skip->at_host, any = 0;
        for (size_t w = 0; w < skip->words; w++) {
            any |= mask[w] & stage->own[w];
            out[w] |= mask[w] & stage->own[w];
        }
        *(stage->across ? &any_across : &any_at_host) |= any;
    }
    if (any_at_host)
        lane_pass(event->at_host, event->now_ns, skip->at_host);
    if (any_across)
        lane_pass(skip->every, event->now_ns, skip->across);
    for (size_t w = 0; w < skip->words; w++)
        mask[w] &= ~(skip->at_host[w] | skip->across[w]);
    if (!keeps || !skip->alone)
        return 0;
    memset(skip->kept, 0, skip->words * 8);
    if ((any_at_host && keep_head(skip, event->at_host, event, skip->at_host)) ||
        (any_across && keep_head(skip, skip->every, event, skip->across)))
        return -1;
    for (size_t w = 0; w < skip->words; w++)
        mask[w] |= skip->kept[w];
    return 0;
}

/* Gives the program of a mask that Python knows; NULL for an error. */
static const Program *program_for(Scanner *self, Skip *skip, uint32_t given)
{
    Program *known = self->programs[given];
    if (!known || known->serial != skip->serial) {
        free(known);
        self->programs[given] = NULL;
        known = program_of(skip, self->given_objects[given]);
        self->programs[given] = known;
    }
    return known;
}

/* Gives the number of `mask`, which has less than the given one; NONE for an error, or where nothing is left. */
static uint32_t number_of_rest(Scanner *self, uint32_t given)
{
    uint64_t any = 0, changed = 0;
    const uint64_t *before = self->given.words + given * self->words;
    for (size_t n = 0; n < self->words; n++) {
        any |= self->mask[n];
        changed |= self->mask[n] ^ before[n];
    }
    return !any ? NONE : changed ? given_number(self) : given;
}

/* Gives the number of an event's mask, `given` before, without what the event does not continue, and where it `parks`
 * what may wait; `keeps`: not without what something from before a run may wait for. `known` is 0 where Python has to
 * look. NONE for an error, or where nothing is left. */
static uint32_t narrowed_number(Scanner *self, Skip *skip, int parks, int keeps, uint32_t given, Looked *event,
                                int *known)
{
    const Program *program = program_for(self, skip, given);
    if (!program)
        return NONE;
    *known = 1;
    if (parks && program->samples) {
        if (park_samples(skip, program, event, self->mask)) {
            PyErr_NoMemory();
            return NONE;
        }
        given = number_of_rest(self, given);
        program = given == NONE ? NULL : program_for(self, skip, given);
        if (!program)
            return NONE;
    }
    if (program->stages) {
        *known = look(self, skip, event);
        if (*known <= 0)
            return *known ? NONE : given;
        if (shut(skip, program, keeps, event, self->mask)) {
            PyErr_NoMemory();
            return NONE;
        }
        given = number_of_rest(self, given);
        program = given == NONE ? NULL : program_for(self, skip, given);
        if (!program)
            return NONE;
    }
    if (!parks || !program->openers)
        return given;
    int looked = event->at_host ? 1 : look(self, skip, event);
    if (looked <= 0)
        return looked ? NONE : given;
    if (park_at(skip, event->at_host, 0, program, event, self->mask) ||
        park_at(skip, skip->every, 1, program, event, self->mask)) {
        PyErr_NoMemory();
        return NONE;
    }
    return number_of_rest(self, given);
}

static int is_ours(const Scanner *self, const Skip *skip)
{
    return skip->words == self->words && skip->fields == self->field_count;
}

/* Whether a Skip and a Lane, as far as they are given, are of this scanner, and it is not at work. */
static int are_ours(Scanner *self, PyObject *skip, PyObject *lane)
{
    if ((skip && (Py_TYPE(skip) != self->skip_type || !is_ours(self, (Skip *)skip))) ||
        (lane && (Py_TYPE(lane) != self->lane_type || ((Lane *)lane)->words != self->words))) {
        PyErr_SetString(PyExc_TypeError, "a Skip and a Lane of this scanner's fields and pieces are needed");
        return 0;
    }
    if (self->busy || (lane && ((Lane *)lane)->is_busy)) {
        PyErr_SetString(PyExc_RuntimeError, "the scanner is at work already");
        return 0;
    }
    return 1;
}

/* scanner.narrow(row, mask, skip): the same for a row, wherever it comes from; None where Python has to look. */
static PyObject *scanner_narrow(Scanner *self, PyObject *arguments)
{
    PyObject *row, *mask, *skip;
    if (!PyArg_ParseTuple(arguments, "OOO", &row, &mask, &skip))
        return NULL;
    Row *one = (Row *)row;
    if (Py_TYPE(row) != self->row_type || Py_TYPE(skip) != self->skip_type || !is_ours(self, (Skip *)skip) ||
        Py_SIZE(row) != (Py_ssize_t)self->field_count) {
        PyErr_SetString(PyExc_TypeError, "a Row that was read, a mask and a Skip are needed");
        return NULL;
    }
    if (self->busy) {
        PyErr_SetString(PyExc_RuntimeError, "the scanner is at work already");
        return NULL;
    }
    if (mask_from(self, mask, self->mask))
        return NULL;
    Looked event = {(const uint8_t *)row_text(one), (size_t)(one->end - one->begin), one->tokens, 0, NULL, NULL, 0, 0};
    PyObject *data = Py_NewRef(one->data); /* the row gives it up when it is asked for its line */
    int known = 1;
    self->busy = 1;
    uint32_t given = given_number(self);
    if (given != NONE)
        given = narrowed_number(self, (Skip *)skip, 0, 0, given, &event, &known);
    self->busy = 0;
    Py_XDECREF((PyObject *)event.at_host);
    Py_DECREF(data);
    if (PyErr_Occurred())
        return NULL;
    if (!known)
        Py_RETURN_NONE;
    return given == NONE ? PyLong_FromLong(0) : Py_NewRef(self->given_objects[given]);
}

#endif
