/* Rows of columns as lines of JSON, and those of them that are not passed over as if they had been read. */
#ifndef MAXSPAN_LINES_H
#define MAXSPAN_LINES_H

#include "rows.h"

/* What a line is written of, in order: a scalar, a list of scalars, or where a struct begins and ends. */
enum { SCALAR, LIST, STRUCT, END };

typedef struct {
    int kind, top; /* what is null and `top` is left out */
    uint32_t field, over; /* `over`: the part behind the end of a struct */
    size_t count;         /* of pieces, which is also the code of null */
    /* key: with quotes and colon; there: a byte a row, none if all are; from, to: where a list has its codes */
    Py_buffer key, there, data, starts, codes, from, to;
} Part;

typedef struct {
    PyObject_HEAD
    Scan *scan; /* what rows are made of: it holds one line at a time */
    Part *parts;
    uint32_t *early; /* the parts that say whether a row is passed over, structs around them included, in order */
    uint32_t part_count, early_count;
    int parks;
    Py_ssize_t end; /* of the rows that are gone through for now */
    size_t row, rows, places_end, mask_count; /* `places_end`: so many rows the parts have */
    Py_buffer masks, numbers, places;
    Answers line;
} Lines;

static int line_add(Answers *line, const void *bytes, size_t length)
{
    if (line->room - line->used < length && answers_room(line, length))
        return -1;
    memcpy(line->text + line->used, bytes, length);
    line->used += length;
    return 0;
}

static int line_key(Answers *line, const Part *part)
{
    if (line->text[line->used - 1] != '{' && line_add(line, ",", 1))
        return -1;
    return line_add(line, part->key.buf, (size_t)part->key.len);
}

static int line_piece(Answers *line, const Part *part, int32_t code)
{
    if (code < 0 || (size_t)code > part->count) {
        PyErr_SetString(PyExc_ValueError, "a piece that is not there");
        return -1;
    }
    if ((size_t)code == part->count)
        return line_add(line, "null", 4);
    int64_t from = wide_at(&part->starts, (size_t)code), to = wide_at(&part->starts, (size_t)code + 1);
    return line_add(line, (Place)part->data.buf + from, (size_t)(to - from - 1));
}

static int line_list(Answers *line, const Part *part, size_t row)
{
    int64_t from = wide_at(&part->from, row), to = wide_at(&part->to, row);
    if (from < 0 || to < from || (uint64_t)to > (size_t)part->codes.len / 4) {
        PyErr_SetString(PyExc_ValueError, "a list that is not there");
        return -1;
    }
    if (line_add(line, "[", 1))
        return -1;
    for (int64_t n = from; n < to; n++)
        if ((n > from && line_add(line, ",", 1)) || line_piece(line, part, code_at(&part->codes, (size_t)n)))
            return -1;
    return line_add(line, "]", 1);
}

/* Whether a row has a part. */
static int part_is_there(const Part *part, size_t row)
{
    if (part->kind == SCALAR)
        return (size_t)code_at(&part->codes, row) != part->count;
    return !part->there.obj || ((Place)part->there.buf)[row];
}

static int line_value(Lines *self, const Part *part, size_t row)
{
    Answers *line = &self->line;
    size_t begin = line->used;
    if (part->kind == SCALAR ? line_piece(line, part, code_at(&part->codes, row)) : line_list(line, part, row))
        return -1;
    if (part->field != NONE && line->used <= UINT32_MAX)
        self->scan->scanner->tokens[part->field] = (Token){(uint32_t)begin, (uint32_t)(line->used - begin)};
    return 0;
}

/* Writes of a row only what says whether it is passed over. */
static int line_write_early(Lines *self, size_t row)
{
    Scanner *scanner = self->scan->scanner;
    self->line.used = 0;
    memset(scanner->tokens, 0, scanner->field_count * sizeof *scanner->tokens);
    for (uint32_t n = 0; n < self->early_count; n++) {
        const Part *part = self->parts + self->early[n];
        if (part_is_there(part, row)) {
            if (part->kind != STRUCT && line_value(self, part, row))
                return -1;
        } else if (part->kind == STRUCT)
            while (n + 1 < self->early_count && self->early[n + 1] < part->over)
                n++;
    }
    return 0;
}

/* Writes a row, and notes where its fields are. */
static int line_write(Lines *self, size_t row)
{
    Scanner *scanner = self->scan->scanner;
    Answers *line = &self->line;
    line->used = 0;
    memset(scanner->tokens, 0, scanner->field_count * sizeof *scanner->tokens);
    if (line_add(line, "{", 1))
        return -1;
    for (uint32_t n = 0; n < self->part_count; n++) {
        const Part *part = self->parts + n;
        if (part->kind == END) {
            if (line_add(line, "}", 1))
                return -1;
            continue;
        }
        int there = part_is_there(part, row);
        if (!there && part->top) {
            n = part->kind == STRUCT ? part->over - 1 : n;
            continue;
        }
        if (line_key(line, part))
            return -1;
        if (!there) {
            if (line_add(line, "null", 4))
                return -1;
            n = part->kind == STRUCT ? part->over - 1 : n;
        } else if (part->kind == STRUCT ? line_add(line, "{", 1) : line_value(self, part, row))
            return -1;
    }
    if (line->used >= UINT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "a row of more than 4 GB");
        return -1;
    }
    return line_add(line, "}", 1);
}

/* Takes off a row's mask what it does not continue, and with `parks` what may wait; see narrowed_number. */
static uint32_t line_narrowed(Lines *self, uint32_t given, int parks, int *known)
{
    Scan *scan = self->scan;
    Scanner *scanner = scan->scanner;
    Looked event = {self->line.text, self->line.used, scanner->tokens, 0, NULL, scan->path,
                    scan->first + scan->number, scan->position + scan->clean};
    memcpy(scanner->mask, scanner->given.words + given * scanner->words, scanner->words * 8);
    given = narrowed_number(scanner, scan->skip, parks && scan->skip->parks, 1, given, &event, known);
    Py_XDECREF((PyObject *)event.at_host);
    return given;
}

/* Gives the row if something is left of it to look at; NULL if it is passed over or waits, and for an error. */
static PyObject *line_row(Lines *self, size_t number)
{
    Scan *scan = self->scan;
    Scanner *scanner = scan->scanner;
    int64_t mask = wide_at(&self->numbers, number);
    if (mask < 0 || (uint64_t)mask >= self->mask_count) {
        PyErr_SetString(PyExc_ValueError, "a mask that is not there");
        return NULL;
    }
    size_t place;
    if (place_of(&self->places, number, self->places_end, &place))
        return NULL;
    scanner->stamp++;
    memcpy(scanner->mask, (Place)self->masks.buf + (size_t)mask * scanner->words * 8, scanner->words * 8);
    uint32_t given = given_number(scanner);
    if (given == NONE)
        return NULL;
    int known = 1;
    scan->number = scan->clean = (Py_ssize_t)place;
    if (scan->skip) {
        if (line_write_early(self, place))
            return NULL;
        given = line_narrowed(self, given, 0, &known);
        if (given == NONE)
            return NULL;
    }
    if (line_write(self, place))
        return NULL;
    if (scan->skip && known && self->parks && scan->skip->parks) {
        given = line_narrowed(self, given, 1, &known);
        if (given == NONE)
            return NULL;
    }
    PyObject *object = Py_NewRef(scanner->given_objects[given]);
    PyObject *data = PyBytes_FromStringAndSize((const char *)self->line.text, (Py_ssize_t)self->line.used);
    PyObject *row = NULL;
    if (data) {
        Py_XDECREF(scan->data);
        scan->data = data;
        Place text = (Place)PyBytes_AsString(data);
        row = new_row(scanner, scan, text, text + self->line.used, scanner->tokens);
    }
    if (!row) {
        Py_DECREF(object);
        return NULL;
    }
    Py_DECREF(((Row *)row)->mask);
    ((Row *)row)->mask = object;
    ((Row *)row)->narrowed = (char)known;
    return row;
}

static PyObject *lines_next(Lines *self)
{
    Scanner *scanner = self->scan->scanner;
    if (scanner->busy) {
        PyErr_SetString(PyExc_RuntimeError, "the scanner is at work already");
        return NULL;
    }
    while (self->row < self->rows && (Py_ssize_t)self->row < self->end) {
        scanner->busy = 1;
        PyObject *row = line_row(self, self->row++);
        scanner->busy = 0;
        if (row || PyErr_Occurred())
            return row;
    }
    return NULL;
}

static void release(Py_buffer *buffer)
{
    if (buffer->obj)
        PyBuffer_Release(buffer);
}

static void lines_dealloc(Lines *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    for (uint32_t n = 0; n < self->part_count; n++) {
        Part *part = self->parts + n;
        release(&part->key);
        release(&part->there);
        release(&part->data);
        release(&part->starts);
        release(&part->codes);
        release(&part->from);
        release(&part->to);
    }
    free(self->parts);
    free(self->early);
    release(&self->masks);
    release(&self->numbers);
    release(&self->places);
    answers_clear(&self->line);
    Py_XDECREF((PyObject *)self->scan);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyMemberDef lines_members[] = {
    {"end", T_PYSSIZET, offsetof(Lines, end), 0, "how many of the rows are gone through, for now"},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot lines_slots[] = {
    {Py_tp_doc, "Goes through rows of columns: gives those that are not passed over."},
    {Py_tp_dealloc, lines_dealloc},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, lines_next},
    {Py_tp_members, lines_members},
    {0, NULL},
};

static PyType_Spec lines_spec = {
    .name = "maxspan.engine.kernel.native._scan.Lines",
    .basicsize = sizeof(Lines),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = lines_slots,
};

/* Whether a part is what it has to be; `parts` is how many there are. */
static int part_fits(const Part *part, size_t rows, uint32_t number, uint32_t parts, uint32_t fields)
{
    size_t size = (size_t)part->starts.len / 8;
    if (part->there.obj && (size_t)part->there.len < rows)
        return 0;
    if (part->kind == STRUCT)
        return part->over > number && part->over <= parts;
    if (part->kind == END)
        return 1;
    if ((part->kind != SCALAR && part->kind != LIST) || (part->field != NONE && part->field >= fields) || !size ||
        !part->codes.obj || !part->data.obj || size > INT32_MAX)
        return 0;
    if (part->kind == SCALAR ? (size_t)part->codes.len / 4 < rows
                             : (!part->from.obj || !part->to.obj || (size_t)part->from.len / 8 < rows ||
                                (size_t)part->to.len / 8 < rows))
        return 0;
    int64_t before = wide_at(&part->starts, 0);
    if (before < 0)
        return 0;
    for (size_t n = 1; n < size; n++) {
        int64_t next = wide_at(&part->starts, n);
        if (next <= before)
            return 0;
        before = next;
    }
    return before <= part->data.len;
}

static int lines_parts(Lines *self, PyObject *parts)
{
    Py_ssize_t count = PyTuple_Size(parts);
    self->parts = calloc((size_t)count + 1, sizeof *self->parts);
    if (!self->parts) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t n = 0; n < count; n++) {
        Part *part = self->parts + n;
        int field;
        if (!PyArg_ParseTuple(PyTuple_GetItem(parts, n), "iy*piIz*z*z*z*z*z*", &part->kind, &part->key, &part->top,
                              &field, &part->over, &part->there, &part->data, &part->starts, &part->codes,
                              &part->from, &part->to)) {
            memset(part, 0, sizeof *part);
            return -1;
        }
        self->part_count++;
        part->field = field < 0 ? NONE : (uint32_t)field;
        part->count = (size_t)part->starts.len / 8 - (part->starts.len >= 8);
        if (!part_fits(part, self->places_end, (uint32_t)n, (uint32_t)count, self->scan->scanner->field_count)) {
            PyErr_SetString(PyExc_ValueError, "parts of lines that do not fit together");
            return -1;
        }
    }
    return 0;
}

/* Chooses the parts of the fields that say whether something waits for an event. */
static int lines_early(Lines *self, const Skip *skip)
{
    uint32_t fields = self->scan->scanner->field_count;
    uint8_t *wanted = calloc((size_t)fields + 1, 1);
    self->early = malloc((self->part_count + 1) * sizeof *self->early);
    if (!self->early || !wanted) {
        free(wanted);
        PyErr_NoMemory();
        return -1;
    }
    if (skip) {
        wanted[skip->time] = wanted[skip->host] = 1;
        for (uint32_t n = 0; n < skip->stage_count; n++)
            for (uint32_t k = 0; k < skip->stages[n].by.count; k++)
                wanted[skip->stages[n].by.fields[k]] = 1;
    }
    for (uint32_t n = 0; skip && n < self->part_count; n++) {
        const Part *part = self->parts + n;
        uint32_t end = part->kind == STRUCT ? part->over : n + 1;
        for (uint32_t inner = n; inner < end; inner++) {
            const Part *one = self->parts + inner;
            if ((one->kind == SCALAR || one->kind == LIST) && one->field != NONE && wanted[one->field]) {
                self->early[self->early_count++] = n;
                break;
            }
        }
    }
    free(wanted);
    return 0;
}

/* Gives what goes through rows, of `rows` that the parts have: for each its place, the number of its mask among `masks`, and the parts of lines. */
static PyObject *scanner_lines(Scanner *self, PyObject *arguments)
{
    PyObject *skip, *parts;
    Py_buffer places, masks, numbers;
    PyObject *path;
    Py_ssize_t first, position, rows;
    int parks;
    if (!PyArg_ParseTuple(arguments, "OO!nnpny*y*y*O!", &skip, &PyUnicode_Type, &path, &first, &position, &parks,
                          &rows, &places, &masks, &numbers, &PyTuple_Type, &parts))
        return NULL;
    PyObject *empty = PyBytes_FromStringAndSize("", 0);
    PyObject *scan_arguments = empty ? Py_BuildValue("(OOOnn)", empty, skip, path, first, position) : NULL;
    PyObject *scan = scan_arguments ? scanner_scan(self, scan_arguments) : NULL;
    Py_XDECREF(empty);
    Py_XDECREF(scan_arguments);
    Lines *lines = scan ? PyObject_New(Lines, self->lines_type) : NULL;
    if (!lines) {
        Py_XDECREF(scan);
        PyBuffer_Release(&places);
        PyBuffer_Release(&masks);
        PyBuffer_Release(&numbers);
        return NULL;
    }
    lines->scan = (Scan *)scan;
    lines->parts = NULL;
    lines->early = NULL;
    lines->part_count = lines->early_count = 0;
    lines->row = 0;
    lines->rows = (size_t)places.len / 8;
    lines->end = (Py_ssize_t)lines->rows;
    lines->parks = parks;
    lines->places_end = rows < 0 ? 0 : (size_t)rows;
    lines->mask_count = (size_t)masks.len / (self->words * 8);
    lines->places = places;
    lines->masks = masks;
    lines->numbers = numbers;
    memset(&lines->line, 0, sizeof lines->line);
    int bad = (size_t)numbers.len / 8 != lines->rows;
    if (bad)
        PyErr_SetString(PyExc_ValueError, "as many numbers of masks as rows are needed");
    if (bad || lines_parts(lines, parts) || lines_early(lines, ((Scan *)scan)->skip)) {
        Py_DECREF((PyObject *)lines);
        return NULL;
    }
    return (PyObject *)lines;
}

#endif
