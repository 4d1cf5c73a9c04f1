#include "array/metaclass.h"

#include "array/protocols.h"
#include "numpy/fallback.h"
#include "python/type_spec.h"

namespace py = pybind11;

namespace raptors {
namespace {

PyTypeObject* meta_type;
PyObject* object_class;  // object.__dict__["__class__"]

PyObject* abc_check(PyObject* cls, PyObject* o, const char* name) {
    return PyObject_CallMethod(reinterpret_cast<PyObject*>(meta_type->tp_base), name, "OO", cls, o);
}
PyObject* type_check(PyObject* cls, PyObject* o, const char* name) {
    return PyObject_CallMethod(reinterpret_cast<PyObject*>(&PyType_Type), name, "OO", cls, o);
}
bool is_array_type(PyObject* cls) { return cls == reinterpret_cast<PyObject*>(array_type); }

// Every numpy.ndarray is an instance of raptors.ndarray; instances of user subclasses are exact.
PyObject* instance_check(PyObject* cls, PyObject* o) {
    if (is_array_type(cls)) {
        if (PyArray_Check(o)) Py_RETURN_TRUE;
        // An object may claim a class through __class__ (proxies); most cannot.
        PyTypeObject* t = Py_TYPE(o);
        if (t->tp_getattro == PyObject_GenericGetAttr &&
            _PyType_Lookup(t, protocols.name_class) == object_class)
            Py_RETURN_FALSE;
        return type_check(cls, o, "__instancecheck__");
    }
    if (PyType_IsSubtype(Py_TYPE(o), reinterpret_cast<PyTypeObject*>(cls))) Py_RETURN_TRUE;
    return abc_check(cls, o, "__instancecheck__");
}
// As isinstance: singledispatch and programs that collect types rely on it.
PyObject* subclass_check(PyObject* cls, PyObject* o) {
    if (is_array_type(cls)) {
        if (PyType_Check(o) && PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(o), &PyArray_Type))
            Py_RETURN_TRUE;
        return type_check(cls, o, "__subclasscheck__");
    }
    return abc_check(cls, o, "__subclasscheck__");
}
// NumPy asks type(x).__array_ufunc__ and takes "is numpy's default" as "no override". A user
// subclass that defines none must look like that, although super().__array_ufunc__ (which reads the
// MRO, not this) still finds ours. Of raptors.ndarray itself NumPy finds ours, and others NumPy's.
PyObject* meta_getattro(PyObject* cls, PyObject* name) {
    PyObject* o = PyType_Type.tp_getattro(cls, name);
    PyObject* numpy = !o                            ? nullptr
                      : o == protocols.our_ufunc    ? protocols.numpy_ufunc
                      : o == protocols.our_function ? protocols.numpy_function
                                                    : nullptr;
    if (numpy && (!is_array_type(cls) || finds_default(name))) {
        Py_DECREF(o);
        return new_ref(numpy);
    }
    return o;
}

// The order of C3, but for raptors.ndarray, which moves back to numpy.ndarray: a class between the
// two, that of type(name, (type(array), Mixin), {}), say, comes before either for NumPy's arrays.
PyObject* meta_mro(PyObject* cls, PyObject*) {
    PyObject* const order =
        PyObject_CallMethod(reinterpret_cast<PyObject*>(&PyType_Type), "mro", "O", cls);
    if (!order || !PyList_CheckExact(order)) return order;
    Py_ssize_t const n = PyList_GET_SIZE(order);
    Py_ssize_t i = 0;
    while (i < n && !is_array_type(PyList_GET_ITEM(order, i))) ++i;
    for (; i + 1 < n; ++i) {
        PyObject* const next = PyList_GET_ITEM(order, i + 1);
        if (next == reinterpret_cast<PyObject*>(&PyArray_Type)) break;
        PyList_SET_ITEM(order, i + 1, PyList_GET_ITEM(order, i));
        PyList_SET_ITEM(order, i, next);
    }
    return order;
}

// __new__(metaclass, name, bases, body, ...). A class whose body does not name its module is of the
// module that calls type(); ABCMeta's Python code, which is called next, would be taken for that.
PyObject* meta_new(PyObject*, PyObject* args, PyObject* kwargs) {
    static PyObject* const base =
        PyObject_GetAttrString(reinterpret_cast<PyObject*>(meta_type->tp_base), "__new__");
    static PyObject* const name_module = PyUnicode_InternFromString("__module__");
    auto given = py::reinterpret_borrow<py::object>(args);
    PyObject* const globals = PyEval_GetGlobals();
    PyObject* const caller = globals ? PyDict_GetItemString(globals, "__name__") : nullptr;
    if (caller && PyTuple_GET_SIZE(args) == 4 && PyDict_Check(PyTuple_GET_ITEM(args, 3)) &&
        !PyDict_GetItem(PyTuple_GET_ITEM(args, 3), name_module)) {
        given = py::reinterpret_steal<py::object>(PyTuple_New(4));
        if (!given) return nullptr;
        for (Py_ssize_t i = 0; i < 3; ++i)
            PyTuple_SET_ITEM(given.ptr(), i, new_ref(PyTuple_GET_ITEM(args, i)));
        PyObject* const body = PyDict_Copy(PyTuple_GET_ITEM(args, 3));
        if (!body) return nullptr;
        PyTuple_SET_ITEM(given.ptr(), 3, body);
        if (PyDict_SetItem(body, name_module, caller) < 0) return nullptr;
    }
    return PyObject_Call(base, given.ptr(), kwargs);
}

// raptors.ndarray and its kin (raptors/_classes.py) equal the classes that they stand for, with the
// same hash, as raptors' functions equal NumPy's: libraries keep dictionaries by class, and compare
// type(a) == type(b).
PyObject* stands_for(PyObject* cls) {
    static PyObject* const name = PyUnicode_InternFromString("_numpy");
    if (Py_TYPE(cls) == &PyType_Type) return cls;  // most classes
    if (is_array_type(cls)) return reinterpret_cast<PyObject*>(&PyArray_Type);
    if (!PyType_Check(cls) || !PyType_IsSubtype(Py_TYPE(cls), meta_type)) return cls;
    PyObject* const numpy = PyDict_GetItem(reinterpret_cast<PyTypeObject*>(cls)->tp_dict, name);
    return numpy ? numpy : cls;
}
PyObject* meta_compare(PyObject* a, PyObject* b, int comparison) {
    if (comparison != Py_EQ && comparison != Py_NE) Py_RETURN_NOTIMPLEMENTED;
    if (!PyType_Check(b)) Py_RETURN_NOTIMPLEMENTED;
    return PyBool_FromLong((stands_for(a) == stands_for(b)) == (comparison == Py_EQ));
}
Py_hash_t meta_hash(PyObject* cls) { return PyType_Type.tp_hash(stands_for(cls)); }

PyMethodDef meta_methods[] = {
    {"__instancecheck__", instance_check, METH_O, nullptr},
    {"__subclasscheck__", subclass_check, METH_O, nullptr},
    {"mro", meta_mro, METH_NOARGS, nullptr},
    // No tp_new: type.__new__ would refuse to be called with this metaclass.
    {"__new__", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(meta_new)),
     METH_VARARGS | METH_KEYWORDS | METH_STATIC, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot meta_slots[] = {
    RAPTORS_SLOT(tp_methods, meta_methods),
    RAPTORS_SLOT(tp_getattro, meta_getattro),
    RAPTORS_SLOT(tp_richcompare, meta_compare),
    RAPTORS_SLOT(tp_hash, meta_hash),
    {0, nullptr},
};

}  // namespace

// Derived from ABCMeta: classes that mix raptors.ndarray with an ABC have no metaclass conflict.
PyTypeObject* make_metaclass() {
    object_class = _PyType_Lookup(&PyBaseObject_Type, protocols.name_class);
    PyType_Spec spec = {"raptors._ArrayType", 0, 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                        meta_slots};
    meta_type = make_type(spec, import_module("abc").attr("ABCMeta").ptr());
    return meta_type;
}

}  // namespace raptors
