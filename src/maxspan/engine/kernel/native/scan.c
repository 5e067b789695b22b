/* Lines of JSON to the events among them that fulfil something.
 *
 * A line is read once, and of it only where the values of the fields stand. What a value leaves possible is asked of
 * Python when it is first seen, and remembered for the bytes that it is written with. So nothing of what a rule means
 * is here; and a line that is not plain (json.h) is given back as it is.
 */
#include "aside.h"
#include "asking.h"
#include "making.h"
#include "narrowing.h"
#include "reading.h"
#include "scanner.h"
#include "waiting.h"

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
    int known = 0; /* whether the mask is narrowed */
    if (plan >= 0) {
        int found = fulfils(self, (uint32_t)plan, line);
        uint32_t given = found > 0 ? given_number(self) : NONE;
        if (found < 0 || (found && given == NONE))
            return NULL;
        known = 1;
        if (found && scan->skip) {
            Skip *skip = scan->skip;
            /* what callers say of where a chunk stands may be nonsense */
            Looked event = {line, (size_t)(end - line), self->tokens, 0, NULL, scan->path,
                            (Py_ssize_t)((size_t)scan->first + (size_t)scan->number),
                            (Py_ssize_t)((size_t)scan->position + (size_t)scan->clean)};
            given = skip->waits ? waiting_number(self, skip, given, &event)
                                : narrowed_number(self, skip, skip->parks, 1, given, &event, &known);
            Py_XDECREF((PyObject *)event.at_host);
            if (given == NONE && PyErr_Occurred())
                return NULL;
        }
        if (!found || given == NONE) {
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
    ((Row *)row)->narrowed = (char)known;
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
    Py_XDECREF(scan->path);
    PyObject_Free(scan);
    Py_DECREF(type);
}

static PyMemberDef scan_members[] = {
    {"clean", T_PYSSIZET, offsetof(Scan, clean), READONLY, "how many lines were read so far"},
    {"number", T_PYSSIZET, offsetof(Scan, number), READONLY, "how many lines were gone through so far"},
    {"position", T_PYSSIZET, offsetof(Scan, position), 0, "the position of the first line's event, with those that others read"},
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
    PyObject *data, *skip = Py_None, *path = Py_None;
    Py_ssize_t first = 0, position = 0;
    if (!PyArg_ParseTuple(arguments, "S|OOnn", &data, &skip, &path, &first, &position))
        return NULL;
    if (skip != Py_None && (Py_TYPE(skip) != self->skip_type || !is_ours(self, (Skip *)skip))) {
        PyErr_SetString(PyExc_TypeError, "a Skip over fields and pieces that there are, or None, is needed");
        return NULL;
    }
    path = path == Py_None ? Py_NewRef(path) : PyUnicode_FromObject(path); /* exactly a text: it has no finalizer */
    Scan *scan = path ? PyObject_New(Scan, self->scan_type) : NULL;
    if (!scan) {
        Py_XDECREF(path);
        return NULL;
    }
    scan->scanner = (Scanner *)Py_NewRef((PyObject *)self);
    scan->data = Py_NewRef(data);
    scan->skip = skip == Py_None ? NULL : (Skip *)Py_NewRef(skip);
    scan->path = path;
    scan->first = first;
    scan->position = position;
    scan->begin = scan->number = scan->clean = 0;
    return (PyObject *)scan;
}

/* scanner.read(line): gives a row for one line, None for one that is not plain. */
static PyObject *scanner_read(Scanner *self, PyObject *data)
{
    char *text;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(data, &text, &length))
        return NULL;
    if (self->busy) {
        PyErr_SetString(PyExc_RuntimeError, "the scanner is at work already");
        return NULL;
    }
    Scan scan = {.data = data};
    Place line = (Place)text;
    if (!plain(self, line, line + length))
        Py_RETURN_NONE;
    return new_row(self, &scan, line, line + length, self->tokens);
}

/* --- columns ------------------------------------------------------------------------------------------------------ */

#include "lines.h"
#include "pieces.h"

/* --- the scanner -------------------------------------------------------------------------------------------------- */

static PyMethodDef scanner_methods[] = {
    {"scan", (PyCFunction)scanner_scan, METH_VARARGS, "Go through a chunk; with a Skip what it says is passed over."},
    {"narrow", (PyCFunction)scanner_narrow, METH_VARARGS, "Give a row's mask without what continues nothing; or None."},
    {"changed", (PyCFunction)scanner_changed, METH_O, "Give the name of a host that Python has to look after; or None."},
    {"turn", (PyCFunction)scanner_turn, METH_VARARGS, "Give the next event of a host up to a time that is more than nothing."},
    {"turns", (PyCFunction)scanner_turns, METH_VARARGS, "Give all events of a host up to a time, as they came."},
    {"aside", (PyCFunction)scanner_aside, METH_VARARGS, "Give the next event that was put aside at a host; or None."},
    {"forget_aside", (PyCFunction)scanner_forget_aside, METH_O, "Forget what was put aside at a host."},
    {"tell", (PyCFunction)scanner_tell, METH_VARARGS, "Let time go on at a host."},
    {"read", (PyCFunction)scanner_read, METH_O, "Read one line; None if it is not plain."},
    {"add_plan", (PyCFunction)scanner_add_plan, METH_VARARGS, "Add a mask and the columns to ask; gives its number."},
    {"narrow_rows", (PyCFunction)scanner_narrow_rows, METH_VARARGS, "Leave to rows what their values in a column allow."},
    {"lines", (PyCFunction)scanner_lines, METH_VARARGS, "Go through rows of columns, as through the lines of a chunk."},
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

/* What Python and this file agree on: a module that was built from older files is not used (native/__init__.py). */
#define INTERFACE 7

static int module_exec(PyObject *module)
{
    static int drawn; /* once: what scanners of another module of this process remember goes by the same secret */
    if (!drawn) {
        PyObject *os = PyImport_ImportModule("os");
        PyObject *bytes = os ? PyObject_CallMethod(os, "urandom", "n", (Py_ssize_t)sizeof secret) : NULL;
        Py_XDECREF(os);
        if (!bytes)
            return -1;
        memcpy(secret, PyBytes_AsString(bytes), sizeof secret);
        Py_DECREF(bytes);
        drawn = 1;
    }
    Types *types = PyModule_GetState(module);
    struct {
        PyObject **type;
        PyType_Spec *spec;
        const char *name;
    } const all[] = {{&types->row, &row_spec, "Row"},
                     {&types->keys, &keys_spec, "Keys"},
                     {&types->lane, &lane_spec, "Lane"},
                     {&types->skip, &skip_spec, "Skip"},
                     {&types->scan, &scan_spec, "Scan"},
                     {&types->lines, &lines_spec, "Lines"},
                     {&types->scanner, &scanner_spec, "Scanner"}};
    for (size_t n = 0; n < sizeof all / sizeof *all; n++) {
        *all[n].type = PyType_FromModuleAndSpec(module, all[n].spec, NULL);
        if (!*all[n].type || PyModule_AddObjectRef(module, all[n].name, *all[n].type))
            return -1;
    }
    return PyModule_AddIntConstant(module, "INTERFACE", INTERFACE);
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    Types *types = PyModule_GetState(module);
    Py_VISIT(types->row);
    Py_VISIT(types->keys);
    Py_VISIT(types->lane);
    Py_VISIT(types->skip);
    Py_VISIT(types->scan);
    Py_VISIT(types->lines);
    Py_VISIT(types->scanner);
    return 0;
}

static int module_clear(PyObject *module)
{
    Types *types = PyModule_GetState(module);
    Py_CLEAR(types->row);
    Py_CLEAR(types->keys);
    Py_CLEAR(types->lane);
    Py_CLEAR(types->skip);
    Py_CLEAR(types->scan);
    Py_CLEAR(types->lines);
    Py_CLEAR(types->scanner);
    return 0;
}

static PyMethodDef module_methods[] = {
    {"text_pieces", text_pieces, METH_VARARGS, "Write texts as JSON, each with a line feed; gives also where they begin."},
    {"time_pieces", time_pieces, METH_VARARGS, "Write times, in microseconds since 1970, in the same way."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_scan",
    .m_doc = "Lines of JSON to the events among them that fulfil something.",
    .m_size = sizeof(Types),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
};

PyMODINIT_FUNC PyInit__scan(void)
{
    return PyModuleDef_Init(&module_definition);
}
