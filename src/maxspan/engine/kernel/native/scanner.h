/* What a scanner is made of. */
#ifndef MAXSPAN_SCANNER_H
#define MAXSPAN_SCANNER_H

#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000
#endif
#include <Python.h>

#include "matcher.h"
#include "names.h"
#include "skip.h"

/* What is remembered of a field: so many values, bytes of values, and kinds of answers. */
#define MOST_VALUES 50000
#define MOST_BYTES (4 << 20)
#define MOST_CLASSES 20000
/* values and keys of more bytes are asked for each time */
#define LONGEST_VALUE 65536
#define LONGEST_KEY 1000
#define MOST_ROOTS 20000
#define MOST_GIVEN 50000

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
    PyTypeObject *row_type, *lane_type, *skip_type, *scan_type, *lines_type;
    Node *nodes;
    uint32_t node_count, field_count, column_count, gate_count, plan_count, plan_room;
    size_t words;
    Column *columns;
    uint32_t *gates;
    Plan *plans;
    Memo roots;
    Masks given; /* masks that were given to Python: their numbers, and what they have, where that was asked */
    PyObject **given_objects;
    Program **programs;
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
    Skip *skip;     /* NULL: nothing is passed over */
    PyObject *path; /* of what waits: where its lines are from, the number of the first line, its event's position */
    Py_ssize_t first, position, begin, number, clean;
} Scan;


#endif
