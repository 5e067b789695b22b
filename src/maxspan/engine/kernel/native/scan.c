/* Lines of JSON to the events among them that fulfil something.
 *
 * A line is read once, and of it only where the values of the fields stand. What a value leaves possible is asked of
 * Python when it is first seen, and remembered for the bytes that it is written with. So nothing of what a rule means
 * is here; and a line that is not plain (json.h) is given back as it is.
 */
#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000
#endif
#include <Python.h>

#include "json.h"
#include "lane.h"
#include "matcher.h"
#include "memo.h"
#include "row.h"

/* What is remembered of a field: so many values, bytes of values, and kinds of answers. */
#define MOST_VALUES 50000
#define MOST_BYTES (4 << 20)
#define MOST_CLASSES 20000
/* values and keys of more bytes are asked for each time */
#define LONGEST_VALUE 65536
#define LONGEST_KEY 1000
#define MOST_ROOTS 20000
#define MOST_GIVEN 50000

/* --- the names of fields ----------------------------------------------------------------------------------------- */

/* One member of an object that is asked for: it leads to a field, or to an object with others. */
typedef struct {
    char *key;
    size_t length;
    uint32_t node, field;
    uint64_t stamp; /* the last line that had it */
} Member;

/* A key that has stood at some place of an object, with its quotes and colon: most lines repeat it. */
#define LONGEST_GUESS 32
#define GUESSES 4
#define GUESSED_PLACES 48

typedef struct {
    uint8_t text[LONGEST_GUESS];
    uint32_t length, member; /* `member` NONE: nobody asks for it */
} Guess;

typedef struct {
    Member *members;
    uint32_t *slots; /* members by hash_of_key */
    uint32_t count, room;
    Guess (*guesses)[GUESSES]; /* by place; the newest replaces the oldest */
    uint8_t newest[GUESSED_PLACES];
} Node;

static inline uint32_t hash_of_key(const uint8_t *key, size_t length)
{
    return length ? (uint32_t)(length * 7 + key[0] * 31 + key[length - 1] * 131 + key[length / 2] * 517) : 0;
}

static inline Member *member_of(Node *node, const uint8_t *key, size_t length)
{
    if (!node->room)
        return NULL;
    for (uint32_t place = hash_of_key(key, length) & (node->room - 1);; place = (place + 1) & (node->room - 1)) {
        uint32_t number = node->slots[place];
        if (number == NONE)
            return NULL;
        Member *member = node->members + number;
        if (member->length == length && memcmp(member->key, key, length) == 0)
            return member;
    }
}

/* Puts all members into a table with room for four times as many; -1 without memory. */
static int node_index(Node *node)
{
    uint32_t room = 8;
    while (room < node->count * 4)
        room *= 2;
    uint32_t *slots = malloc(room * sizeof *slots);
    if (!slots)
        return -1;
    memset(slots, 0xFF, room * sizeof *slots);
    for (uint32_t n = 0; n < node->count; n++) {
        uint32_t place = hash_of_key((uint8_t *)node->members[n].key, node->members[n].length) & (room - 1);
        while (slots[place] != NONE)
            place = (place + 1) & (room - 1);
        slots[place] = n;
    }
    free(node->slots);
    node->slots = slots;
    node->room = room;
    return 0;
}

/* --- the scanner ------------------------------------------------------------------------------------------------- */

/* A table of Python's: of which field, which pieces it may rule out, and what is known of values. */
typedef struct {
    uint32_t field, absent; /* `absent`: the answer for an event without the field */
    uint64_t *constrained;
    Memo values;
    Masks masks;
    Matcher *matcher; /* NULL where Python looks at each value */
} Column;

/* What the first fields leave possible, and which columns to ask then, in order. */
typedef struct {
    uint64_t *mask;
    uint32_t *columns, count;
} Plan;

typedef struct {
    PyObject_HEAD
    PyObject *root, *gather, *value, *held, *number, *decode;
    PyTypeObject *row_type, *lane_type, *skip_type, *scan_type;
    Node *nodes;
    uint32_t node_count, field_count, column_count, gate_count, plan_count, plan_room;
    size_t words;
    Column *columns;
    uint32_t *gates;
    Plan *plans;
    Memo roots;
    Masks given; /* masks that were given to Python: their numbers, and whether they are of later stages alone */
    PyObject **given_objects;
    int8_t *given_later;
    uint32_t given_room;
    /* of the line that is read */
    Token *tokens;
    uint64_t *hashes, *hashed, stamp;
    uint64_t *mask, *answer;
    uint8_t *key;
    int wrapper, other, busy;
} Scanner;

/* A chunk that is gone through. */
typedef struct {
    PyObject_HEAD
    Scanner *scanner;
    PyObject *data;
    Skip *skip; /* NULL: nothing is passed over */
    Py_ssize_t begin, number, clean;
} Scan;

/* The types of the module. */
typedef struct {
    PyObject *row, *lane, *skip, *scan, *scanner;
} Types;

/* Keys of Elasticsearch's own beside `fields` in a hit; see unwrap in sources/document.py. */
static int is_hit_key(const uint8_t *key, size_t length)
{
    static const char *const keys[] = {"fields", "sort", "highlight", "matched_queries", "inner_hits",
                                       "ignored_field_values"};
    if (length && key[0] == '_')
        return 1;
    for (size_t n = 0; n < sizeof keys / sizeof *keys; n++)
        if (strlen(keys[n]) == length && memcmp(keys[n], key, length) == 0)
            return 1;
    return 0;
}

/* A key, `p` after its quote; NULL also for one with a dot or an escape in it, which may name another field. */
static inline Place after_key(Place p, Place end)
{
    Place begin = p;
    while (p < end && *p != '"' && *p != '.' && *p != '\\' && *p >= 0x20 && *p < 0x80)
        p++;
    if (p < end && *p == '"')
        return p + 1;
    if (p >= end || *p < 0x80)
        return NULL;
    p = after_string(begin, end);
    return p && !memchr(begin, '.', (size_t)(p - begin)) && !memchr(begin, '\\', (size_t)(p - begin)) ? p : NULL;
}

static inline int is_guessed(const Guess *guess, Place p)
{
#ifdef __SSE2__
    unsigned same = (unsigned)_mm_movemask_epi8(
        _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)p), _mm_loadu_si128((const __m128i *)guess->text)));
    if (guess->length <= 16)
        return (~same & (unsigned)((1u << guess->length) - 1)) == 0;
    if (same != 0xFFFF)
        return 0;
    same = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(p + 16)),
                                                      _mm_loadu_si128((const __m128i *)(guess->text + 16))));
    return (~same & (unsigned)((1u << (guess->length - 16)) - 1)) == 0;
#else
    return memcmp(p, guess->text, guess->length) == 0;
#endif
}

/* Gives the value's place after a key and its colon, `p` at the quote; `member` is NULL if nobody asks for it. */
static inline Place after_member(Scanner *self, uint32_t number, uint32_t place, Place p, Place end, Member **member)
{
    Node *node = self->nodes + number;
    int may_guess = place < GUESSED_PLACES && end - p >= LONGEST_GUESS;
    if (may_guess)
        for (int n = 0; n < GUESSES; n++) {
            const Guess *guess = node->guesses[place] + n;
            if (guess->length && is_guessed(guess, p)) {
                *member = guess->member == NONE ? NULL : node->members + guess->member;
                self->other |= !number;
                return after_spaces(p + guess->length, end);
            }
        }
    Place key = p + 1, begin = p;
    p = *p == '"' ? after_key(key, end) : NULL;
    if (!p)
        return NULL;
    size_t length = (size_t)(p - key) - 1;
    int guessable = may_guess && length + 3 <= LONGEST_GUESS && *p == ':';
    if (!number) {
        if (length == 7 && memcmp(key, "_source", 7) == 0)
            return NULL;
        if (length == 6 && memcmp(key, "fields", 6) == 0) {
            self->wrapper = 1;
            guessable = 0;
        }
        if (is_hit_key(key, length))
            guessable = 0;
        else
            self->other = 1;
    }
    *member = member_of(node, key, length);
    if (guessable) {
        Guess *guess = node->guesses[place] + (node->newest[place]++ % GUESSES);
        memcpy(guess->text, begin, length + 3);
        guess->length = (uint32_t)length + 3;
        guess->member = *member ? (uint32_t)(*member - node->members) : NONE;
    }
    return after_colon(p, end);
}

static Place wanted_object(Scanner *self, uint32_t number, Place p, Place end, Place line, int deep);

/* The value of a member that is asked for. What two values of one name would mean is not decided here. */
static inline Place wanted_value(Scanner *self, Member *member, Place p, Place end, Place line, int deep)
{
    if (member->stamp == self->stamp || p >= end)
        return NULL;
    member->stamp = self->stamp;
    if (*p == '{')
        return member->node == NONE ? after_object(p + 1, end, deep)
                                    : wanted_object(self, member->node, p + 1, end, line, deep + 1);
    Place after = *p == '[' ? after_array(p + 1, end, deep, 1) : after_scalar(p, end);
    if (!after)
        return NULL;
    if (member->node != NONE)
        return *p == 'n' ? after : NULL; /* something else than an object where objects are expected */
    self->tokens[member->field] = (Token){(uint32_t)(p - line), (uint32_t)(after - p)};
    return after;
}

static Place wanted_object(Scanner *self, uint32_t number, Place p, Place end, Place line, int deep)
{
    if (deep > MOST_DEEP)
        return NULL;
    p = after_spaces(p, end);
    if (p < end && *p == '}')
        return p + 1;
    for (uint32_t place = 0;; place++) {
        p = after_spaces(p, end);
        Member *member;
        if (p >= end || !(p = after_member(self, number, place, p, end, &member)))
            return NULL;
        p = member ? wanted_value(self, member, p, end, line, deep) : after_value(p, end, deep + 1);
        if (!p)
            return NULL;
        p = after_spaces(p, end);
        if (p >= end)
            return NULL;
        if (*p == '}')
            return p + 1;
        if (*p++ != ',')
            return NULL;
    }
}

/* Reads one line from its brace on; whether it is plain. Afterwards `tokens` are those of the line. */
static int plain(Scanner *self, Place line, Place end)
{
    self->stamp++;
    self->wrapper = self->other = 0;
    memset(self->tokens, 0, self->field_count * sizeof *self->tokens);
    if (*line != '{' || end - line > INT32_MAX)
        return 0;
    Place p = wanted_object(self, 0, line + 1, end, line, 0);
    return p && after_spaces(p, end) == end && (self->other || !self->wrapper);
}

/* --- asking Python ----------------------------------------------------------------------------------------------- */

static PyObject *new_row(Scanner *self, const Scan *scan, Place line, Place end, const Token *tokens)
{
    Place text = (Place)PyBytes_AsString(scan->data);
    Row *row = PyObject_NewVar(Row, self->row_type, tokens ? (Py_ssize_t)self->field_count : 0);
    if (!row)
        return NULL;
    row->data = Py_NewRef(scan->data);
    row->mask = Py_NewRef(Py_None);
    row->decode = Py_NewRef(self->decode);
    row->number = scan->number;
    row->before = scan->clean;
    row->begin = line - text;
    row->end = end - text;
    if (tokens)
        memcpy(row->tokens, tokens, self->field_count * sizeof *tokens);
    return (PyObject *)row;
}

static int mask_from(Scanner *self, PyObject *bytes, uint64_t *mask)
{
    char *text;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(bytes, &text, &length))
        return -1;
    if ((size_t)length != self->words * 8) {
        PyErr_SetString(PyExc_ValueError, "a mask of another length");
        return -1;
    }
    memcpy(mask, text, (size_t)length);
    return 0;
}

static void column_clear(Column *column)
{
    memo_clear(&column->values);
    masks_clear(&column->masks);
    column->absent = NONE;
    if (column->matcher)
        matcher_forget(column->matcher);
}

/* Asks Python about a column; the mask that it gives is in `answer`, and its number is given. NONE for an error. */
static uint32_t asked(Scanner *self, uint32_t number, PyObject *question, const void *bytes, size_t length)
{
    Column *column = self->columns + number;
    PyObject *place = PyLong_FromUnsignedLong(number);
    PyObject *text = bytes ? PyBytes_FromStringAndSize(bytes, (Py_ssize_t)length) : Py_NewRef(Py_None);
    PyObject *answer = place && text ? PyObject_CallFunctionObjArgs(question, place, text, NULL) : NULL;
    Py_XDECREF(place);
    Py_XDECREF(text);
    if (!answer)
        return NONE;
    int bad = mask_from(self, answer, self->answer);
    Py_DECREF(answer);
    if (bad)
        return NONE;
    if (column->masks.count >= MOST_CLASSES)
        column_clear(column);
    uint32_t known = masks_number(&column->masks, self->answer, self->words);
    if (known == NONE)
        PyErr_NoMemory();
    return known;
}

/* Gives the number of the answer for the atoms that the matcher holds; NONE for an error. */
static uint32_t answer_for_atoms(Scanner *self, uint32_t number)
{
    Column *column = self->columns + number;
    Matcher *matcher = column->matcher;
    uint32_t kind = masks_find(&matcher->kinds, matcher->atoms, matcher->atom_words);
    if (kind != NONE)
        return matcher->answers[kind];
    if (matcher->kinds.count >= MOST_CLASSES)
        column_clear(column);
    uint32_t known = asked(self, number, self->held, matcher->atoms, matcher->atom_words * 8);
    if (known == NONE)
        return NONE;
    if (matcher->kinds.count >= matcher->answer_room) {
        uint32_t room = matcher->answer_room * 2 + 64;
        uint32_t *more = realloc(matcher->answers, room * sizeof *more);
        if (!more)
            goto without_memory;
        matcher->answers = more;
        matcher->answer_room = room;
    }
    kind = masks_number(&matcher->kinds, matcher->atoms, matcher->atom_words);
    if (kind == NONE)
        goto without_memory;
    matcher->answers[kind] = known;
    return known;
without_memory:
    PyErr_NoMemory();
    return NONE;
}

/* Gives what the value of a column's field leaves possible; NULL for an error. */
static const uint64_t *left_by(Scanner *self, uint32_t number, Place line)
{
    Column *column = self->columns + number;
    Token token = self->tokens[column->field];
    uint64_t hash = 0;
    uint32_t known = column->absent;
    if (token.length) {
        if (self->hashed[column->field] != self->stamp) {
            self->hashed[column->field] = self->stamp;
            self->hashes[column->field] = hash_of(line + token.begin, token.length);
        }
        hash = self->hashes[column->field];
        known = memo_find(&column->values, hash, line + token.begin, token.length);
    }
    if (known != NONE)
        return column->masks.words + known * self->words;
    Place value = line + token.begin;
    if (column->values.count >= MOST_VALUES || column->values.used > MOST_BYTES)
        column_clear(column);
    int found = column->matcher && token.length ? matcher_value(column->matcher, value, token.length) : 0;
    if (found < 0) {
        PyErr_NoMemory();
        return NULL;
    }
    known = found ? answer_for_atoms(self, number)
                  : asked(self, number, self->value, token.length ? value : NULL, token.length);
    if (known == NONE)
        return NULL;
    if (!token.length)
        column->absent = known;
    else if (token.length <= LONGEST_VALUE && memo_add(&column->values, hash, value, token.length, known)) {
        PyErr_NoMemory();
        return NULL;
    }
    return column->masks.words + known * self->words;
}

/* Gives the number of the plan for the line, -1 where there is none yet, -2 for an error. */
static long plan_of(Scanner *self, const Scan *scan, Place line, Place end)
{
    size_t length = 0;
    for (uint32_t n = 0; n < self->gate_count && length <= LONGEST_KEY; n++) {
        Token token = self->tokens[self->gates[n]];
        if (length + token.length <= LONGEST_KEY)
            memcpy(self->key + length, line + token.begin, token.length);
        length += token.length;
        if (length <= LONGEST_KEY)
            self->key[length++] = 0;
    }
    uint64_t hash = 0;
    if (length <= LONGEST_KEY) {
        hash = hash_of(self->key, length);
        uint32_t known = memo_find(&self->roots, hash, self->key, length);
        if (known != NONE)
            return (long)known;
    }
    PyObject *row = new_row(self, scan, line, end, self->tokens);
    PyObject *answer = row ? PyObject_CallFunctionObjArgs(self->root, row, NULL) : NULL;
    Py_XDECREF(row);
    if (!answer)
        return -2;
    long plan = PyLong_AsLong(answer);
    Py_DECREF(answer);
    if (plan == -1 && PyErr_Occurred())
        return -2;
    if (plan < -1 || plan >= (long)self->plan_count) {
        PyErr_SetString(PyExc_ValueError, "no such plan");
        return -2;
    }
    if (plan >= 0 && length <= LONGEST_KEY) {
        if (self->roots.count >= MOST_ROOTS)
            memo_clear(&self->roots);
        if (memo_add(&self->roots, hash, self->key, length, (uint32_t)plan)) {
            PyErr_NoMemory();
            return -2;
        }
    }
    return plan;
}

/* Gives the number of `mask` among those that Python knows; NONE for an error. */
static uint32_t given_number(Scanner *self)
{
    uint32_t known = masks_find(&self->given, self->mask, self->words);
    if (known != NONE)
        return known;
    PyObject *bytes = PyBytes_FromStringAndSize((const char *)self->mask, (Py_ssize_t)self->words * 8);
    PyObject *object = bytes ? PyObject_CallFunctionObjArgs(self->number, bytes, NULL) : NULL;
    Py_XDECREF(bytes);
    if (!object)
        return NONE;
    if (self->given.count >= MOST_GIVEN) {
        for (uint32_t n = 0; n < self->given.count; n++)
            Py_DECREF(self->given_objects[n]);
        masks_clear(&self->given);
    }
    if (self->given.count >= self->given_room) {
        uint32_t room = self->given_room * 2 + 64;
        PyObject **objects = realloc(self->given_objects, room * sizeof *objects);
        self->given_objects = objects ? objects : self->given_objects;
        int8_t *later = realloc(self->given_later, room);
        self->given_later = later ? later : self->given_later;
        if (!objects || !later)
            goto without_memory;
        self->given_room = room;
    }
    known = masks_number(&self->given, self->mask, self->words);
    if (known == NONE)
        goto without_memory;
    self->given_objects[known] = object;
    self->given_later[known] = -1;
    return known;
without_memory:
    Py_DECREF(object);
    PyErr_NoMemory();
    return NONE;
}

/* Whether an event is passed over: 1, 0, or -1 for an error. */
static int passed_over(Scanner *self, Skip *skip, uint32_t given, Place line)
{
    if (self->given_later[given] < 0) {
        PyObject *answer = PyObject_CallFunctionObjArgs(skip->later, self->given_objects[given], NULL);
        int later = answer ? PyObject_IsTrue(answer) : -1;
        Py_XDECREF(answer);
        if (later < 0)
            return -1;
        self->given_later[given] = (int8_t)later;
    }
    Token time = self->tokens[skip->time], host = self->tokens[skip->host];
    int64_t now_ns;
    if (!self->given_later[given] || !time.length || !time_from(line + time.begin, time.length, &now_ns))
        return 0;
    Lane *lane = skip_lane(skip, self->lane_type, line + host.begin, host.length, self->words);
    if (!lane)
        return PyErr_Occurred() ? -1 : 0;
    return lane_passes(lane, now_ns, self->mask);
}

/* Asks the columns of a plan: 1 if something is left in `mask`, 0 if nothing is, -1 for an error. */
static int fulfils(Scanner *self, uint32_t number, Place line)
{
    size_t words = self->words;
    uint64_t *mask = self->mask, any = 0;
    memcpy(mask, self->plans[number].mask, words * 8);
    for (size_t n = 0; n < words; n++)
        any |= mask[n];
    if (!any)
        return 0;
    for (uint32_t n = 0; number < self->plan_count && n < self->plans[number].count; n++) {
        uint32_t place = self->plans[number].columns[n];
        const uint64_t *constrained = self->columns[place].constrained;
        uint64_t asked = 0;
        for (size_t w = 0; w < words; w++)
            asked |= mask[w] & constrained[w];
        if (!asked)
            continue;
        const uint64_t *left = left_by(self, place, line);
        if (!left)
            return -1;
        any = 0;
        for (size_t w = 0; w < words; w++)
            any |= mask[w] &= left[w];
        if (!any)
            return 0;
    }
    return 1;
}

/* Gives a row for a line that fulfils something or could not be read; NULL for others, and for an error. */
static PyObject *row_of(Scanner *self, Scan *scan, Place line, Place end)
{
    while (end > line && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
        end--;
    if (!plain(self, line, end))
        return new_row(self, scan, line, end, NULL);
    long plan = plan_of(self, scan, line, end);
    if (plan < -1)
        return NULL;
    PyObject *mask = NULL;
    if (plan >= 0) {
        int found = fulfils(self, (uint32_t)plan, line);
        uint32_t given = found > 0 ? given_number(self) : NONE;
        if (found < 0 || (found && given == NONE))
            return NULL;
        int passed = found && scan->skip ? passed_over(self, scan->skip, given, line) : 0;
        if (passed < 0)
            return NULL;
        if (!found || passed) {
            scan->clean++;
            return NULL;
        }
        mask = Py_NewRef(self->given_objects[given]);
    }
    PyObject *row = new_row(self, scan, line, end, self->tokens);
    if (row && !mask)
        mask = PyObject_CallFunctionObjArgs(self->gather, row, NULL);
    if (!row || !mask) {
        Py_XDECREF(row);
        Py_XDECREF(mask);
        return NULL;
    }
    scan->clean++;
    Py_DECREF(((Row *)row)->mask);
    ((Row *)row)->mask = mask;
    int fulfilled = PyObject_IsTrue(mask);
    if (fulfilled <= 0)
        Py_CLEAR(row);
    return row;
}

static PyObject *scan_next(Scan *scan)
{
    char *text;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(scan->data, &text, &length))
        return NULL;
    if (scan->scanner->busy) { /* another thread, while Python was asked */
        PyErr_SetString(PyExc_RuntimeError, "the scanner is at work already");
        return NULL;
    }
    Place last = (Place)text + length;
    while (scan->begin < length) {
        Place begin = (Place)text + scan->begin;
        Place end = memchr(begin, '\n', (size_t)(last - begin));
        if (!end)
            end = last;
        Place line = after_spaces(begin, end);
        scan->scanner->busy = 1;
        PyObject *row = line < end ? row_of(scan->scanner, scan, line, end) : NULL;
        scan->scanner->busy = 0;
        scan->begin = end + 1 - (Place)text;
        scan->number++;
        if (row || PyErr_Occurred())
            return row;
    }
    return NULL;
}

static void scan_dealloc(Scan *scan)
{
    PyTypeObject *type = Py_TYPE((PyObject *)scan);
    Py_XDECREF((PyObject *)scan->scanner);
    Py_XDECREF((PyObject *)scan->skip);
    Py_XDECREF(scan->data);
    PyObject_Free(scan);
    Py_DECREF(type);
}

static PyMemberDef scan_members[] = {
    {"clean", T_PYSSIZET, offsetof(Scan, clean), READONLY, "how many lines were read so far"},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot scan_slots[] = {
    {Py_tp_doc, "Goes through a chunk: gives a row for each line that fulfils something or was not read."},
    {Py_tp_dealloc, scan_dealloc},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, scan_next},
    {Py_tp_members, scan_members},
    {0, NULL},
};

static PyType_Spec scan_spec = {
    .name = "maxspan.engine.kernel.native._scan.Scan",
    .basicsize = sizeof(Scan),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = scan_slots,
};

static PyObject *scanner_scan(Scanner *self, PyObject *arguments)
{
    PyObject *data, *skip = Py_None;
    if (!PyArg_ParseTuple(arguments, "S|O", &data, &skip))
        return NULL;
    if (skip != Py_None && (Py_TYPE(skip) != self->skip_type || ((Skip *)skip)->time >= self->field_count ||
                            ((Skip *)skip)->host >= self->field_count)) {
        PyErr_SetString(PyExc_TypeError, "a Skip over fields that there are, or None, is needed");
        return NULL;
    }
    Scan *scan = PyObject_New(Scan, self->scan_type);
    if (!scan)
        return NULL;
    scan->scanner = (Scanner *)Py_NewRef((PyObject *)self);
    scan->data = Py_NewRef(data);
    scan->skip = skip == Py_None ? NULL : (Skip *)Py_NewRef(skip);
    scan->begin = scan->number = scan->clean = 0;
    return (PyObject *)scan;
}

/* --- plans ------------------------------------------------------------------------------------------------------- */

static void plans_clear(Scanner *self)
{
    for (uint32_t n = 0; n < self->plan_count; n++) {
        free(self->plans[n].mask);
        free(self->plans[n].columns);
    }
    self->plan_count = 0;
    memo_clear(&self->roots);
}

static PyObject *scanner_forget(Scanner *self, PyObject *Py_UNUSED(nothing))
{
    plans_clear(self);
    Py_RETURN_NONE;
}

static PyObject *scanner_add_plan(Scanner *self, PyObject *arguments)
{
    PyObject *mask, *order;
    if (!PyArg_ParseTuple(arguments, "SO!", &mask, &PyTuple_Type, &order))
        return NULL;
    if (self->plan_count == self->plan_room) {
        uint32_t room = self->plan_room * 2 + 16;
        Plan *more = realloc(self->plans, room * sizeof *more);
        if (!more)
            return PyErr_NoMemory();
        self->plans = more;
        self->plan_room = room;
    }
    Py_ssize_t count = PyTuple_Size(order);
    Plan plan = {malloc(self->words * 8), malloc((size_t)(count + 1) * sizeof *plan.columns), (uint32_t)count};
    int bad = !plan.mask || !plan.columns;
    if (bad)
        PyErr_NoMemory();
    bad = bad || mask_from(self, mask, plan.mask);
    for (Py_ssize_t n = 0; n < count && !bad; n++) {
        unsigned long number = PyLong_AsUnsignedLong(PyTuple_GetItem(order, n));
        bad = PyErr_Occurred() != NULL;
        if (!bad && number >= self->column_count) {
            PyErr_SetString(PyExc_ValueError, "no such column");
            bad = 1;
        }
        plan.columns[n] = (uint32_t)number;
    }
    if (bad) {
        free(plan.mask);
        free(plan.columns);
        return NULL;
    }
    self->plans[self->plan_count] = plan;
    return PyLong_FromUnsignedLong(self->plan_count++);
}

/* --- making one -------------------------------------------------------------------------------------------------- */

static void column_free(Column *column)
{
    column_clear(column);
    if (column->matcher)
        matcher_clear(column->matcher);
    free(column->matcher);
    free(column->constrained);
}

static uint32_t new_node(Scanner *self)
{
    Node *more = realloc(self->nodes, (self->node_count + 1) * sizeof *more);
    if (!more)
        return NONE;
    self->nodes = more;
    Node *node = more + self->node_count;
    memset(node, 0, sizeof *node);
    node->guesses = calloc(GUESSED_PLACES, sizeof *node->guesses);
    return node->guesses ? self->node_count++ : NONE;
}

/* Gives the member of a node with this key, made where there is none; NULL without memory. */
static Member *made_member(Scanner *self, uint32_t number, const char *key, size_t length)
{
    Node *node = self->nodes + number;
    Member *known = member_of(node, (const uint8_t *)key, length);
    if (known)
        return known;
    Member *more = realloc(node->members, (node->count + 1) * sizeof *more);
    if (!more)
        return NULL;
    node->members = more;
    char *own = malloc(length + 1);
    if (!own)
        return NULL;
    memcpy(own, key, length);
    more[node->count] = (Member){own, length, NONE, NONE, 0};
    node->count++;
    return node_index(node) ? NULL : node->members + node->count - 1;
}

static int add_field(Scanner *self, uint32_t field, const char *name)
{
    uint32_t number = 0;
    for (;;) {
        const char *dot = strchr(name, '.');
        Member *member = made_member(self, number, name, dot ? (size_t)(dot - name) : strlen(name));
        if (!member)
            return -1;
        if (!dot) {
            member->field = field;
            return 0;
        }
        number = member->node;
        if (number == NONE) {
            /* new_node moves the nodes, but not their members */
            number = new_node(self);
            if (number == NONE)
                return -1;
            member->node = number;
        }
        name = dot + 1;
    }
}

static int set_fields(Scanner *self, PyObject *names)
{
    self->field_count = (uint32_t)PyTuple_Size(names);
    size_t room = self->field_count + 1;
    self->tokens = calloc(room, sizeof *self->tokens);
    self->hashes = calloc(room, sizeof *self->hashes);
    self->hashed = calloc(room, sizeof *self->hashed);
    if (!self->tokens || !self->hashes || !self->hashed || new_node(self) == NONE) {
        PyErr_NoMemory();
        return -1;
    }
    for (uint32_t n = 0; n < self->field_count; n++) {
        PyObject *bytes = PyUnicode_AsUTF8String(PyTuple_GetItem(names, n));
        char *name;
        if (!bytes || PyBytes_AsStringAndSize(bytes, &name, NULL)) {
            Py_XDECREF(bytes);
            return -1;
        }
        int bad = add_field(self, n, name);
        Py_DECREF(bytes);
        if (bad) {
            PyErr_NoMemory();
            return -1;
        }
    }
    return 0;
}

static int field_number(Scanner *self, PyObject *object, uint32_t *out)
{
    unsigned long number = PyLong_AsUnsignedLong(object);
    if (PyErr_Occurred())
        return -1;
    if (number >= self->field_count) {
        PyErr_SetString(PyExc_ValueError, "no such field");
        return -1;
    }
    *out = (uint32_t)number;
    return 0;
}

/* Reads a tuple of numbers of atoms into a list; NONE for an error. */
static uint32_t atoms_from(Matcher *matcher, PyObject *tuple)
{
    Py_ssize_t count = PyTuple_Check(tuple) ? PyTuple_Size(tuple) : -1;
    uint32_t *atoms = count < 0 ? NULL : malloc((size_t)(count + 1) * sizeof *atoms), list = NONE;
    if (!atoms) {
        PyErr_SetString(PyExc_TypeError, "a tuple of numbers of atoms is needed");
        return NONE;
    }
    for (Py_ssize_t n = 0; n < count; n++) {
        unsigned long atom = PyLong_AsUnsignedLong(PyTuple_GetItem(tuple, n));
        if (!PyErr_Occurred() && atom >= matcher->atom_words * 64)
            PyErr_SetString(PyExc_ValueError, "no such atom");
        if (PyErr_Occurred())
            goto done;
        atoms[n] = (uint32_t)atom;
    }
    list = matcher_list(matcher, atoms, (uint32_t)count);
    if (list == NONE)
        PyErr_NoMemory();
done:
    free(atoms);
    return list;
}

static int words_from(Matcher *matcher, Memo *memo, PyObject *words)
{
    for (Py_ssize_t n = 0; n < PyTuple_Size(words); n++) {
        const char *text;
        Py_ssize_t length;
        PyObject *atoms;
        if (!PyArg_ParseTuple(PyTuple_GetItem(words, n), "y#O", &text, &length, &atoms))
            return -1;
        uint32_t list = atoms_from(matcher, atoms);
        if (list == NONE)
            return -1;
        const uint8_t *bytes = (const uint8_t *)text;
        if (memo_add(memo, hash_of(bytes, (size_t)length), bytes, (size_t)length, list)) {
            PyErr_NoMemory();
            return -1;
        }
    }
    return 0;
}

static int wildcards_from(Matcher *matcher, PyObject *wildcards)
{
    Py_ssize_t count = PyTuple_Size(wildcards);
    matcher->wildcards = calloc((size_t)count + 1, sizeof *matcher->wildcards);
    if (!matcher->wildcards) {
        PyErr_NoMemory();
        return -1;
    }
    for (; matcher->count < count; matcher->count++) {
        Wildcard *one = matcher->wildcards + matcher->count;
        const char *text;
        Py_ssize_t length;
        PyObject *atoms;
        if (!PyArg_ParseTuple(PyTuple_GetItem(wildcards, matcher->count), "y#pO", &text, &length, &one->insensitive,
                              &atoms))
            return -1;
        one->list = atoms_from(matcher, atoms);
        one->length = (size_t)length;
        if (one->list == NONE)
            return -1;
        one->text = malloc((size_t)length + 1);
        if (!one->text) {
            PyErr_NoMemory();
            return -1;
        }
        memcpy(one->text, text, (size_t)length);
    }
    return 0;
}

/* Makes a column's matcher of what Python tells of its table; a tuple, or None where there is none. */
static int set_matcher(Column *column, PyObject *texts)
{
    if (texts == Py_None)
        return 0;
    Py_ssize_t atoms;
    PyObject *every, *exact, *folded, *wildcards;
    if (!PyArg_ParseTuple(texts, "nOO!O!O!", &atoms, &every, &PyTuple_Type, &exact, &PyTuple_Type, &folded,
                          &PyTuple_Type, &wildcards))
        return -1;
    if (atoms < 1 || atoms > 1 << 24) {
        PyErr_SetString(PyExc_ValueError, "one atom or more, not millions");
        return -1;
    }
    Matcher *matcher = column->matcher = calloc(1, sizeof *matcher);
    if (!matcher) {
        PyErr_NoMemory();
        return -1;
    }
    matcher->atom_words = ((size_t)atoms + 63) / 64;
    matcher->atoms = calloc(matcher->atom_words, 8);
    if (!matcher->atoms) {
        PyErr_NoMemory();
        return -1;
    }
    matcher->every = atoms_from(matcher, every);
    if (matcher->every == NONE || words_from(matcher, &matcher->exact, exact) ||
        words_from(matcher, &matcher->folded, folded) || wildcards_from(matcher, wildcards))
        return -1;
    if (matcher_compile(matcher)) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static int set_columns(Scanner *self, PyObject *gates, PyObject *columns)
{
    Py_ssize_t gate_count = PyTuple_Size(gates), column_count = PyTuple_Size(columns);
    self->mask = calloc(self->words + 1, 8);
    self->answer = calloc(self->words + 1, 8);
    self->key = malloc(LONGEST_KEY + 1);
    self->gates = calloc((size_t)gate_count + 1, sizeof *self->gates);
    self->columns = calloc((size_t)column_count + 1, sizeof *self->columns);
    if (!self->mask || !self->answer || !self->key || !self->gates || !self->columns) {
        PyErr_NoMemory();
        return -1;
    }
    for (; self->gate_count < gate_count; self->gate_count++)
        if (field_number(self, PyTuple_GetItem(gates, self->gate_count), self->gates + self->gate_count))
            return -1;
    for (; self->column_count < column_count; self->column_count++) {
        Column *column = self->columns + self->column_count;
        PyObject *field, *constrained, *texts;
        if (!PyArg_ParseTuple(PyTuple_GetItem(columns, self->column_count), "OSO", &field, &constrained, &texts))
            return -1;
        column->absent = NONE;
        column->constrained = calloc(self->words + 1, 8);
        if (!column->constrained) {
            PyErr_NoMemory();
            return -1;
        }
        if (field_number(self, field, &column->field) || mask_from(self, constrained, column->constrained) ||
            set_matcher(column, texts)) {
            column_free(column);
            return -1;
        }
    }
    return 0;
}

static PyObject *scanner_new(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(named))
{
    PyObject *fields, *gates, *columns, *root, *gather, *value, *held, *number, *decode;
    Py_ssize_t words;
    if (!PyArg_ParseTuple(arguments, "O!O!O!nOOOOOO", &PyTuple_Type, &fields, &PyTuple_Type, &gates, &PyTuple_Type,
                          &columns, &words, &root, &gather, &value, &held, &number, &decode))
        return NULL;
    if (words < 1 || words > 1 << 20) {
        PyErr_SetString(PyExc_ValueError, "masks of one word or more, not of a million");
        return NULL;
    }
    PyObject *module = PyType_GetModule(type);
    if (!module)
        return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Scanner *self = (Scanner *)allocate(type, 0);
    if (!self)
        return NULL;
    Types *types = PyModule_GetState(module);
    self->row_type = (PyTypeObject *)Py_NewRef(types->row);
    self->lane_type = (PyTypeObject *)Py_NewRef(types->lane);
    self->skip_type = (PyTypeObject *)Py_NewRef(types->skip);
    self->scan_type = (PyTypeObject *)Py_NewRef(types->scan);
    self->words = (size_t)words;
    self->root = Py_NewRef(root);
    self->gather = Py_NewRef(gather);
    self->value = Py_NewRef(value);
    self->held = Py_NewRef(held);
    self->number = Py_NewRef(number);
    self->decode = Py_NewRef(decode);
    if (set_fields(self, fields) || set_columns(self, gates, columns)) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int scanner_traverse(Scanner *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE((PyObject *)self));
    Py_VISIT(self->row_type);
    Py_VISIT(self->lane_type);
    Py_VISIT(self->skip_type);
    Py_VISIT(self->scan_type);
    Py_VISIT(self->root);
    Py_VISIT(self->gather);
    Py_VISIT(self->value);
    Py_VISIT(self->held);
    Py_VISIT(self->number);
    Py_VISIT(self->decode);
    return 0;
}

static int scanner_clear(Scanner *self)
{
    Py_CLEAR(self->root);
    Py_CLEAR(self->gather);
    Py_CLEAR(self->value);
    Py_CLEAR(self->held);
    Py_CLEAR(self->number);
    Py_CLEAR(self->decode);
    return 0;
}

static void scanner_dealloc(Scanner *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    PyObject_GC_UnTrack(self);
    scanner_clear(self);
    Py_XDECREF((PyObject *)self->row_type);
    Py_XDECREF((PyObject *)self->lane_type);
    Py_XDECREF((PyObject *)self->skip_type);
    Py_XDECREF((PyObject *)self->scan_type);
    plans_clear(self);
    free(self->plans);
    for (uint32_t n = 0; n < self->given.count; n++)
        Py_DECREF(self->given_objects[n]);
    free(self->given_objects);
    free(self->given_later);
    masks_clear(&self->given);
    for (uint32_t n = 0; n < self->column_count; n++)
        column_free(self->columns + n);
    for (uint32_t n = 0; n < self->node_count; n++) {
        for (uint32_t m = 0; m < self->nodes[n].count; m++)
            free(self->nodes[n].members[m].key);
        free(self->nodes[n].members);
        free(self->nodes[n].slots);
        free(self->nodes[n].guesses);
    }
    free(self->nodes);
    free(self->columns);
    free(self->gates);
    free(self->tokens);
    free(self->hashes);
    free(self->hashed);
    free(self->mask);
    free(self->answer);
    free(self->key);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMethodDef scanner_methods[] = {
    {"scan", (PyCFunction)scanner_scan, METH_VARARGS, "Go through a chunk; with a Skip what it says is passed over."},
    {"add_plan", (PyCFunction)scanner_add_plan, METH_VARARGS, "Add a mask and the columns to ask; gives its number."},
    {"forget", (PyCFunction)scanner_forget, METH_NOARGS, "Forget all plans."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot scanner_slots[] = {
    {Py_tp_doc, "Reads chunks of lines for a set of rules; see native/scanning.py for what it is given."},
    {Py_tp_new, scanner_new},
    {Py_tp_dealloc, scanner_dealloc},
    {Py_tp_traverse, scanner_traverse},
    {Py_tp_clear, scanner_clear},
    {Py_tp_methods, scanner_methods},
    {0, NULL},
};

static PyType_Spec scanner_spec = {
    .name = "maxspan.engine.kernel.native._scan.Scanner",
    .basicsize = sizeof(Scanner),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = scanner_slots,
};

/* --- the module -------------------------------------------------------------------------------------------------- */

static int module_exec(PyObject *module)
{
    PyObject *os = PyImport_ImportModule("os");
    PyObject *bytes = os ? PyObject_CallMethod(os, "urandom", "n", (Py_ssize_t)sizeof secret) : NULL;
    Py_XDECREF(os);
    if (!bytes)
        return -1;
    memcpy(secret, PyBytes_AsString(bytes), sizeof secret);
    Py_DECREF(bytes);
    Types *types = PyModule_GetState(module);
    struct {
        PyObject **type;
        PyType_Spec *spec;
        const char *name;
    } const all[] = {{&types->row, &row_spec, "Row"},
                     {&types->lane, &lane_spec, "Lane"},
                     {&types->skip, &skip_spec, "Skip"},
                     {&types->scan, &scan_spec, "Scan"},
                     {&types->scanner, &scanner_spec, "Scanner"}};
    for (size_t n = 0; n < sizeof all / sizeof *all; n++) {
        *all[n].type = PyType_FromModuleAndSpec(module, all[n].spec, NULL);
        if (!*all[n].type || PyModule_AddObjectRef(module, all[n].name, *all[n].type))
            return -1;
    }
    return 0;
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    Types *types = PyModule_GetState(module);
    Py_VISIT(types->row);
    Py_VISIT(types->lane);
    Py_VISIT(types->skip);
    Py_VISIT(types->scan);
    Py_VISIT(types->scanner);
    return 0;
}

static int module_clear(PyObject *module)
{
    Types *types = PyModule_GetState(module);
    Py_CLEAR(types->row);
    Py_CLEAR(types->lane);
    Py_CLEAR(types->skip);
    Py_CLEAR(types->scan);
    Py_CLEAR(types->scanner);
    return 0;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_scan",
    .m_doc = "Lines of JSON to the events among them that fulfil something.",
    .m_size = sizeof(Types),
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
};

PyMODINIT_FUNC PyInit__scan(void)
{
    return PyModuleDef_Init(&module_definition);
}
