/* Making a scanner of what Python tells, and taking it apart. */
#ifndef MAXSPAN_MAKING_H
#define MAXSPAN_MAKING_H

#include "scanner.h"

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
    if (!PyTuple_Check(tuple)) {
        PyErr_SetString(PyExc_TypeError, "a tuple of numbers of atoms is needed");
        return NONE;
    }
    Py_ssize_t count = PyTuple_Size(tuple);
    uint32_t *atoms = malloc((size_t)(count + 1) * sizeof *atoms), list = NONE;
    if (!atoms) {
        PyErr_NoMemory();
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
    self->lines_type = (PyTypeObject *)Py_NewRef(types->lines);
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
    Py_VISIT(self->lines_type);
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
    Py_XDECREF((PyObject *)self->lines_type);
    plans_clear(self);
    free(self->plans);
    given_forget(self);
    free(self->given_objects);
    free(self->programs);
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

#endif
