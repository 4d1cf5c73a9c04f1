#include "array/thin_classes.h"

#include "numpy/fallback.h"
#include "python/array.h"

namespace py = pybind11;

namespace raptors {
namespace {

py::object numpys(const char* name) { return import_module("numpy").attr(name); }

// Attribute `name`; null where there is none, or with an error.
py::object found(PyObject* o, PyObject* name) {
    PyObject* const value = PyObject_GetAttr(o, name);
    if (!value && PyErr_ExceptionMatches(PyExc_AttributeError)) PyErr_Clear();
    return py::reinterpret_steal<py::object>(value);
}

// numpy.may_share_memory. -1: an error.
int may_share_memory(PyObject* a, PyObject* b) {
    if (PyArray_Check(a) && PyArray_Check(b))
        return count_of(fields(a)) && count_of(fields(b)) && !disjoint(fields(a), fields(b));
    PyObject* const answer = PyObject_CallFunctionObjArgs(numpys("may_share_memory").ptr(), a, b,
                                                          static_cast<PyObject*>(nullptr));
    if (!answer) return -1;
    int const truth = PyObject_IsTrue(answer);
    Py_DECREF(answer);
    return truth;
}

bool takes(Py_ssize_t nargs, Py_ssize_t least, Py_ssize_t most, const char* name) {
    if (least <= nargs && nargs <= most) return true;
    PyErr_Format(PyExc_TypeError, "%s() takes %zd to %zd arguments (%zd given)", name, least, most,
                 nargs);
    return false;
}

// A plain array on the same memory. Steals `x`; nullptr stays nullptr.
PyObject* plain_view(PyObject* x) {
    if (!x) return nullptr;
    PyObject* const view = PyArray_View(as_array(x), nullptr, &PyArray_Type);
    Py_DECREF(x);
    return adopt(view);
}

// ---- memmap

constexpr int n_attributes = 4;
PyObject* attributes[n_attributes];  // the mapping comes first

// A view of a file's memory knows the file, what else was made of one does not.
PyObject* memmap_finalize(PyObject* self, PyObject* const* args, Py_ssize_t nargs) {
    if (!takes(nargs, 1, 1, "__array_finalize__")) return nullptr;
    PyObject* const other = args[0];
    py::object const mapping = other == Py_None ? py::object() : found(other, attributes[0]);
    if (PyErr_Occurred()) return nullptr;
    int const shared = mapping ? may_share_memory(self, other) : 0;
    if (shared < 0) return nullptr;
    for (int i = 0; i < n_attributes; ++i) {
        py::object value = py::none();
        if (shared)
            value = i ? py::reinterpret_steal<py::object>(PyObject_GetAttr(other, attributes[i]))
                      : mapping;
        if (!value || PyObject_SetAttr(self, attributes[i], value.ptr()) < 0) return nullptr;
    }
    Py_RETURN_NONE;
}

bool is_memmap(PyObject* x) {
    static auto* const numpy = reinterpret_cast<PyTypeObject*>(numpys("memmap").release().ptr());
    static PyTypeObject* const own = own_class(numpy);
    return Py_IS_TYPE(x, own);
}

// What is no part of the file, by an array of indices, say, is a plain array.
PyObject* memmap_getitem(PyObject* self, PyObject* key) {
    PyObject* const part = PyArray_Type.tp_as_mapping->mp_subscript(self, key);
    if (!part || !is_memmap(part)) return part;
    py::object const mapping = found(part, attributes[0]);
    if (!mapping && PyErr_Occurred()) {
        Py_DECREF(part);
        return nullptr;
    }
    return mapping.is_none() ? plain_view(part) : part;
}

PyObject* memmap_wrap(PyObject* self, PyObject* const* args, Py_ssize_t nargs) {
    static PyObject* const base =
        PyObject_GetAttrString(reinterpret_cast<PyObject*>(&PyArray_Type), "__array_wrap__");
    if (!takes(nargs, 1, 3, "__array_wrap__")) return nullptr;
    PyObject* const given[] = {self, args[0], nargs > 1 ? args[1] : Py_None};
    PyObject* const out = PyObject_Vectorcall(base, given, nargs > 1 ? 3 : 2, nullptr);
    if (!out || out == self || !is_memmap(self)) return out;
    int const scalar = nargs == 3 ? PyObject_IsTrue(args[2]) : 0;
    if (scalar < 1) {
        if (scalar == 0) return plain_view(out);
        Py_DECREF(out);
        return nullptr;
    }
    PyObject* const nothing = PyTuple_New(0);
    PyObject* const element = nothing ? PyObject_GetItem(out, nothing) : nullptr;
    Py_XDECREF(nothing);
    Py_DECREF(out);
    return element;
}

// ---- recarray

// NumPy's method of recarrays, called for one of them.
PyObject* numpys_method(const char* name, PyObject* self, PyObject* argument) {
    auto const method =
        py::reinterpret_steal<py::object>(PyObject_GetAttrString(numpys("recarray").ptr(), name));
    if (!method) return nullptr;
    PyObject* const given[] = {self, argument};
    return PyObject_Vectorcall(method.ptr(), given, 2, nullptr);
}

bool has_names(PyArray_Descr* descr) { return PyDataType_HASFIELDS(descr); }

// Only structured arrays are more than arrays to NumPy's method.
PyObject* recarray_finalize(PyObject* self, PyObject* other) {
    if (!has_names(fields(self)->descr)) Py_RETURN_NONE;
    return numpys_method("__array_finalize__", self, other);
}

// Fields and parts that are not structured are plain arrays; others NumPy's method makes.
PyObject* recarray_getitem(PyObject* self, PyObject* key) {
    PyObject* const part = PyArray_Type.tp_as_mapping->mp_subscript(self, key);
    if (!part || !PyArray_Check(part)) return part;
    if (!has_names(fields(part)->descr)) return plain_view(part);
    Py_DECREF(part);
    return adopt(numpys_method("__getitem__", self, key));
}

// A field that is not structured, if that is what a name means. nullptr without an error: it is
// not.
PyObject* field_by_name(PyObject* self, PyObject* name) {
    PyArray_Descr* const descr = fields(self)->descr;
    PyObject* const entry =
        has_names(descr) ? PyDict_GetItemWithError(PyDataType_FIELDS(descr), name) : nullptr;
    if (!entry) return nullptr;
    auto* const own = reinterpret_cast<PyArray_Descr*>(PyTuple_GET_ITEM(entry, 0));
    if (has_names(own)) return nullptr;
    PyObject* const dict = PyObject_GenericGetDict(self, nullptr);
    bool const hidden = dict && PyDict_GetItemWithError(dict, name);
    Py_XDECREF(dict);
    if (hidden || PyErr_Occurred()) return nullptr;
    auto const offset = static_cast<int>(PyLong_AsLong(PyTuple_GET_ITEM(entry, 1)));
    Py_INCREF(own);
    return plain_view(PyArray_GetField(as_array(self), own, offset));
}

PyObject* recarray_getattribute(PyObject* self, PyObject* name) {
    if (PyUnicode_Check(name)) {
        // As object.__getattribute__, which NumPy's method asks first.
        if (_PyType_Lookup(Py_TYPE(self), name)) {
            PyObject* const value = PyObject_GenericGetAttr(self, name);
            if (value || !PyErr_ExceptionMatches(PyExc_AttributeError)) return adopt(value);
            PyErr_Clear();
        } else {
            PyObject* const field = field_by_name(self, name);
            if (field || PyErr_Occurred()) return field;
        }
    }
    return adopt(numpys_method("__getattribute__", self, name));
}

// ---- masked arrays

PyObject* view_of_data(PyObject*, PyObject* self) {
    static PyObject* const name = PyUnicode_InternFromString("_baseclass");
    static PyObject* const view = PyUnicode_InternFromString("view");
    auto const cls = py::reinterpret_steal<py::object>(PyObject_GetAttr(self, name));
    if (!cls) return nullptr;
    bool const is_plain = cls.ptr() == reinterpret_cast<PyObject*>(&PyArray_Type) ||
                          cls.ptr() == reinterpret_cast<PyObject*>(array_type);
    if (is_plain && PyArray_Check(self)) return plain_view(new_ref(self));
    PyObject* const given[] = {self, cls.ptr()};
    return adopt(PyObject_VectorcallMethod(view, given, 2, nullptr));
}

PyCFunction fast(PyObject* (*function)(PyObject*, PyObject* const*, Py_ssize_t)) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(function));
}
PyMethodDef of_memmap[] = {{"__array_finalize__", fast(memmap_finalize), METH_FASTCALL, nullptr},
                           {"__array_wrap__", fast(memmap_wrap), METH_FASTCALL, nullptr},
                           {"__getitem__", memmap_getitem, METH_O, nullptr}};
PyMethodDef of_recarray[] = {{"__array_finalize__", recarray_finalize, METH_O, nullptr},
                             {"__getattribute__", recarray_getattribute, METH_O, nullptr},
                             {"__getitem__", recarray_getitem, METH_O, nullptr}};
PyMethodDef of_masked = {"data", view_of_data, METH_O, nullptr};

py::object checked(PyObject* o) {
    if (!o) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(o);
}

// Methods of NumPy's class `name`, which whatever derives from it has, too.
template <size_t n>
py::dict methods_of(const char* name, PyMethodDef (&methods)[n]) {
    py::object const cls = numpys(name);
    py::dict all;
    for (PyMethodDef& method : methods)
        all[method.ml_name] =
            checked(PyDescr_NewMethod(reinterpret_cast<PyTypeObject*>(cls.ptr()), &method));
    return all;
}

}  // namespace

py::dict memmap_methods() {
    const char* const names[n_attributes] = {"_mmap", "filename", "offset", "mode"};
    for (int i = 0; i < n_attributes; ++i) attributes[i] = PyUnicode_InternFromString(names[i]);
    return methods_of("memmap", of_memmap);
}

py::dict recarray_methods() { return methods_of("recarray", of_recarray); }

py::object masked_data() { return checked(PyCFunction_New(&of_masked, nullptr)); }

}  // namespace raptors
