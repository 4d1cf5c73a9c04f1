#include "array/methods.h"

#include <cstring>

#include "array/free_lists.h"
#include "array/protocols.h"
#include "array/views.h"
#include "creation/shaping.h"
#include "numpy/fallback.h"
#include "numpy/proxies.h"
#include "ops/reduce.h"
#include "ops/scan.h"

namespace py = pybind11;

namespace raptors {
namespace {

PyObject* name_implementation;
PyObject* namespace_hooks;  // dict from Python: "pickled" (function)

PyObject* numpy_method[n_method_rows];
Entry* method_entry[n_method_rows];

// A method of NumPy's, on a base-class view if `views`.
PyObject* call_bound(PyObject* method, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                     PyObject* kwnames, bool views) {
    Py_ssize_t const total = nargs + (kwnames ? PyTuple_GET_SIZE(kwnames) : 0);
    PyObject* stack[16];
    PyObject** given = stack;
    if (total + 1 > 16) {
        given = static_cast<PyObject**>(
            PyMem_Malloc(static_cast<size_t>(total + 1) * sizeof(PyObject*)));
        if (!given) return PyErr_NoMemory();
    }
    given[0] = self;
    std::memcpy(given + 1, args, static_cast<size_t>(total) * sizeof(PyObject*));
    PyObject* o = views ? call_numpy(method, given, nargs + 1, kwnames, false)
                        : call_original(method, given, nargs + 1, kwnames);
    if (given != stack) PyMem_Free(given);
    return o;
}

PyObject* call_method(int which, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                      PyObject* kwnames) {
    declined = Why::borrowed;
    const NameRow& row = method_rows[which];
    if (row.native && is_ours(self)) {
        PyObject* o = row.native(row.which, method_entry[which], self, args, nargs, kwnames);
        if (o || PyErr_Occurred()) return o;
    }
    // A subclass's method sees the object itself, yet exact arrays among its results become ours.
    bool const exact = is_ours(self) && !any_overrides_ufunc(args, nargs, kwnames);
    if (exact) count_numpy(method_entry[which], declined, self);
    return call_bound(numpy_method[which], self, args, nargs, kwnames,
                      exact && row.view == ViewMode::top);
}

template <int which>
PyObject* method(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    return call_method(which, self, args, nargs, kwnames);
}

// __array_ufunc__(self, ufunc, method, *inputs, **kwargs). NumPy's default refuses as soon as any
// argument overrides, and ours do: so refuse for foreign overrides only, then our kernels, then
// NumPy's ufunc on views.
PyObject* array_ufunc(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    PyObject* const ufunc = nargs && is_proxy(args[0]) ? wrapped(args[0])
                            : nargs                    ? args[0]
                                                       : nullptr;
    if (nargs < 2 || !PyUnicode_Check(args[1]) || !PyObject_TypeCheck(ufunc, &PyUFunc_Type))
        return call_bound(protocols.numpy_ufunc, self, args, nargs, kwnames, true);  // its error
    if (any_overrides_ufunc(args + 2, nargs - 2, kwnames)) {
        // An array class that calls super().__array_ufunc__ gets NumPy's default, which refuses
        // because of us. NumPy is asked again with base-class views, and the class then sees what
        // it would see without us. No view is left to ask a third time.
        auto other = [](PyObject* x) { return !PyArray_Check(x) && overrides_ufunc(x); };
        if (!is_ours(self) || any_operand(args + 2, nargs - 2, kwnames, other))
            Py_RETURN_NOTIMPLEMENTED;
        return call_numpy_method(ufunc, args[1], args + 2, nargs - 2, kwnames);
    }
    // NumPy makes the method's name anew for each call: no comparison of pointers.
    if (PyUnicode_CompareWithASCIIString(args[1], "__call__") == 0)
        return call_ufunc(ufunc, args + 2, nargs - 2, kwnames);
    const Ufunc* info = find_ufunc(ufunc);
    declined = Why::borrowed;
    if (nargs > 2 && PyUnicode_CompareWithASCIIString(args[1], "reduce") == 0) {
        if (refuses_ufunc_reduce(ufunc, args + 3, nargs - 3, kwnames)) return nullptr;
        if (info && info->reduction < n_combines) {
            PyObject* o =
                ufunc_reduce_native(info->reduction, args[2], args + 3, nargs - 3, kwnames);
            if (o || PyErr_Occurred()) return o;
        }
    }
    if (info && nargs > 2 && PyUnicode_CompareWithASCIIString(args[1], "accumulate") == 0) {
        PyObject* o = ufunc_accumulate(*info, args + 2, nargs - 2, kwnames);
        if (o || PyErr_Occurred()) return o;
    }
    if (info) count_numpy(info->entry, declined, nargs > 2 ? args[2] : nullptr);
    return call_numpy_method(ufunc, args[1], args + 2, nargs - 2, kwnames);
}

// Whether arrays of class `t` are finalized by code that knows numpy.ndarray and not ours: of a
// class that does not derive from ours.
bool finalizes_foreign(PyTypeObject* t) {
    static PyObject* const name = PyUnicode_InternFromString("__array_finalize__");
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(t->tp_mro); ++i) {
        auto* const definer = reinterpret_cast<PyTypeObject*>(PyTuple_GET_ITEM(t->tp_mro, i));
        if (definer == &PyArray_Type) return false;
        if (definer->tp_dict && PyDict_GetItem(definer->tp_dict, name))
            return !PyType_IsSubtype(definer, array_type);
    }
    return false;
}

// view(): another library's array class looks at what it is a view of (__array_finalize__), and
// expects numpy.ndarray.
PyObject* view_method(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static PyObject* const base =
        PyObject_GetAttrString(reinterpret_cast<PyObject*>(&PyArray_Type), "view");
    Py_ssize_t const total = nargs + (kwnames ? PyTuple_GET_SIZE(kwnames) : 0);
    bool foreign = false;
    for (Py_ssize_t i = 0; i < total; ++i)
        foreign |= PyType_Check(args[i]) && args[i] != reinterpret_cast<PyObject*>(&PyArray_Type) &&
                   PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(args[i]), &PyArray_Type) &&
                   finalizes_foreign(reinterpret_cast<PyTypeObject*>(args[i]));
    if (!total && is_ours(self)) {
        Fields const* const f = fields(self);
        return new_view(self, f->nd, f->dimensions, f->strides, f->data, f->descr);
    }
    PyObject* given[4];
    if (total > 3) return call_bound(base, self, args, nargs, kwnames, false);  // its error
    std::memcpy(given + 1, args, static_cast<size_t>(total) * sizeof(PyObject*));
    given[0] = self;
    if (!foreign || !is_ours(self))
        return PyObject_Vectorcall(base, given, static_cast<size_t>(nargs) + 1, kwnames);
    Views views;
    given[0] = views.of(self);
    return given[0] ? views.adopt(
                          PyObject_Vectorcall(base, given, static_cast<size_t>(nargs) + 1, kwnames))
                    : nullptr;
}

// __array_function__(self, func, types, args, kwargs)
PyObject* array_function(PyObject* self, PyObject* const* given, Py_ssize_t nargs,
                         PyObject* kwnames) {
    static Signature signature = {4, 4, {"func", "types", "args", "kwargs"}, {}};
    PyObject* v[max_parameters];
    bool regular = signature.parse(given, nargs, kwnames, v) && v[0] && v[1] && v[2] && v[3] &&
                   PyTuple_Check(v[2]) && PyDict_Check(v[3]);
    if (regular) {
        Py_ssize_t at = 0;
        PyObject *key, *value;
        while (regular && PyDict_Next(v[3], &at, &key, &value)) regular = PyUnicode_Check(key);
    }
    if (!regular)
        return call_bound(protocols.numpy_function, self, given, nargs, kwnames,
                          true);  // its error
    PyObject* types =
        PySequence_Fast(v[1], "types argument to ndarray.__array_function__ must be iterable");
    if (!types) return nullptr;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(types); ++i) {
        int const known = PyObject_IsSubclass(PySequence_Fast_GET_ITEM(types, i),
                                              reinterpret_cast<PyObject*>(&PyArray_Type));
        if (known < 1) {
            Py_DECREF(types);
            if (known < 0) return nullptr;
            Py_RETURN_NOTIMPLEMENTED;
        }
    }
    Py_DECREF(types);
    auto fn = py::reinterpret_borrow<py::object>(is_proxy(v[0]) ? wrapped(v[0]) : v[0]);
    PyObject* implementation = PyObject_GetAttr(fn.ptr(), name_implementation);
    if (!implementation) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError)) return nullptr;
        PyErr_Clear();  // like=: a plain builtin
        implementation = new_ref(fn.ptr());
    }
    auto owned = py::reinterpret_steal<py::object>(implementation);
    Py_ssize_t const npos = PyTuple_GET_SIZE(v[2]), nkw = PyDict_GET_SIZE(v[3]);
    auto stack = py::reinterpret_steal<py::object>(PyTuple_New(npos + nkw));
    auto names = py::reinterpret_steal<py::object>(nkw ? PyTuple_New(nkw) : nullptr);
    if (!stack || (nkw && !names)) return nullptr;
    for (Py_ssize_t i = 0; i < npos; ++i)
        PyTuple_SET_ITEM(stack.ptr(), i, new_ref(PyTuple_GET_ITEM(v[2], i)));
    Py_ssize_t at = 0, j = 0;
    PyObject *key, *value;
    while (PyDict_Next(v[3], &at, &key, &value)) {
        PyTuple_SET_ITEM(names.ptr(), j, new_ref(key));
        PyTuple_SET_ITEM(stack.ptr(), npos + j, new_ref(value));
        ++j;
    }
    PyObject* const* items = reinterpret_cast<PyTupleObject*>(stack.ptr())->ob_item;
    if (const Proxy* ours = find_function(fn.ptr()); ours && ours->native && npos) {
        declined = Why::borrowed;
        PyObject* o = ours->on_array ? ours->native(ours->which, ours->entry, items[0], items + 1,
                                                    npos - 1, nkw ? names.ptr() : nullptr)
                                     : ours->native(ours->which, ours->entry, nullptr, items, npos,
                                                    nkw ? names.ptr() : nullptr);
        if (o || PyErr_Occurred()) return o;
    }
    return call_numpy(owned.ptr(), items, npos, nkw ? names.ptr() : nullptr, true);
}

// The constructor in what NumPy pickles is swapped for ours (in Python: raptors._pickle).
PyObject* swap_constructor(PyObject* state) {
    if (!state) return nullptr;
    PyObject* hook = PyDict_GetItemString(namespace_hooks, "pickled");
    PyObject* swapped = hook ? PyObject_CallOneArg(hook, state) : new_ref(state);
    Py_DECREF(state);
    return swapped;
}

template <bool with_protocol>
PyObject* reduce(PyObject* x, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static PyObject* const base = PyObject_GetAttrString(
        reinterpret_cast<PyObject*>(&PyArray_Type), with_protocol ? "__reduce_ex__" : "__reduce__");
    PyObject* const state = call_bound(base, x, args, nargs, kwnames, is_ours(x));
    return is_ours(x) ? swap_constructor(state) : state;
}

// User subclasses win over ours, scalars (-1e6) do not.
PyObject* get_priority(PyObject* x, void*) { return PyFloat_FromDouble(is_ours(x) ? -1.0 : 0.0); }

// numpy.ma keeps the class of what it masks in an attribute of this name, and prints it unless it
// is numpy.ndarray.
PyObject* get_baseclass(PyObject* x, void*) {
    if (is_ours(x)) return new_ref(reinterpret_cast<PyObject*>(&PyArray_Type));
    PyObject* const attributes = PyObject_GenericGetDict(x, nullptr);
    PyObject* found = attributes ? PyDict_GetItemString(attributes, "_baseclass") : nullptr;
    Py_XINCREF(found);
    Py_XDECREF(attributes);
    if (!found)
        PyErr_Format(PyExc_AttributeError, "'%s' object has no attribute '_baseclass'",
                     Py_TYPE(x)->tp_name);
    return found;
}
int set_baseclass(PyObject* x, PyObject* value, void*) {
    PyObject* const attributes = is_ours(x) ? nullptr : PyObject_GenericGetDict(x, nullptr);
    if (!attributes) {
        PyErr_Format(PyExc_AttributeError, "'%s' object has no attribute '_baseclass'",
                     Py_TYPE(x)->tp_name);
        return -1;
    }
    int const done = value ? PyDict_SetItemString(attributes, "_baseclass", value)
                           : PyDict_DelItemString(attributes, "_baseclass");
    Py_DECREF(attributes);
    return done;
}

PyObject* ndim_of(PyObject* x) { return PyLong_FromLong(fields(x)->nd); }
PyObject* size_of(PyObject* x) { return PyLong_FromSsize_t(count_of(fields(x))); }

// Of ours by our own code, where it takes them: NumPy's descriptors look first whose subclass an
// array is. Not of shape and dtype: NumPy 2.5 asks whether a class has setters of its own for them.
// `numpy`: NumPy's attribute of that name.
template <PyObject* (*get)(PyObject*)>
PyObject* get_attribute(PyObject* x, void* numpy) {
    PyObject* const own = is_ours(x) ? get(x) : nullptr;
    if (own || PyErr_Occurred()) return own;
    auto const* const attribute = static_cast<PyGetSetDef*>(numpy);
    return attribute->get(x, attribute->closure);
}
int set_attribute(PyObject* x, PyObject* value, void* numpy) {
    auto const* const attribute = static_cast<PyGetSetDef*>(numpy);
    return attribute->set(x, value, attribute->closure);
}

template <class F>
PyCFunction with_keywords(F f) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(f));
}

const PyMethodDef* numpy_definition(const char* name) {
    for (const PyMethodDef* def = PyArray_Type.tp_methods; def && def->ml_name; ++def)
        if (std::strcmp(def->ml_name, name) == 0) return def;
    return nullptr;
}

// Protocols that are as they are get NumPy's code under a descriptor of our own: the interpreter
// calls it without detours only for the very class that defines it. Others stay inherited, since
// programs call them as functions of the class, on any array: ndarray.tolist(x).
template <int... which>
void fill_methods(PyMethodDef* def, std::integer_sequence<int, which...>) {
    PyCFunction const code[] = {with_keywords(method<which>)...};
    for (int i = 0; i < n_method_rows; ++i) {
        if (numpy_method[i])
            *def++ = {method_rows[i].name, code[i], METH_FASTCALL | METH_KEYWORDS, nullptr};
        else if (const PyMethodDef* const numpy = numpy_definition(method_rows[i].name);
                 numpy && method_rows[i].name[0] == '_')
            *def++ = *numpy;
    }
#define OWN_METHOD(name, code, reason) \
    *def++ = { #name, with_keywords(code), METH_FASTCALL | METH_KEYWORDS, nullptr };
#include "numpy/methods.def"
}

}  // namespace

PyMethodDef array_methods[n_method_rows + n_own_method_rows + 1];

PyGetSetDef array_getset[] = {
    {"__array_priority__", get_priority, nullptr, nullptr, nullptr},
    {"T", get_attribute<reversed_axes>, set_attribute, nullptr, nullptr},
    {"mT", get_attribute<matrix_transposed>, set_attribute, nullptr, nullptr},
    {"real", get_attribute<real_part>, set_attribute, nullptr, nullptr},
    {"imag", get_attribute<imaginary_part>, set_attribute, nullptr, nullptr},
    {"ndim", get_attribute<ndim_of>, set_attribute, nullptr, nullptr},
    {"size", get_attribute<size_of>, set_attribute, nullptr, nullptr},
    {"_baseclass", get_baseclass, set_baseclass, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

void init_methods() {
    auto* const numpy_type = reinterpret_cast<PyObject*>(&PyArray_Type);
    name_implementation = PyUnicode_InternFromString("_implementation");
    namespace_hooks = py::dict().release().ptr();
    for (PyGetSetDef* own = array_getset; own->name; ++own)
        for (PyGetSetDef* g = PyArray_Type.tp_getset; g && g->name; ++g)
            if (own->set == set_attribute && std::strcmp(g->name, own->name) == 0) {
                own->closure = g;
                own->doc = g->doc;
                if (!g->set) own->set = nullptr;
            }
    for (int i = 0; i < n_method_rows; ++i) {
        const NameRow& row = method_rows[i];
        if (row.view == ViewMode::as_is) continue;
        numpy_method[i] = PyObject_GetAttrString(numpy_type, row.name);
        if (!numpy_method[i]) throw py::error_already_set();
        method_entry[i] = new_entry(row.name, row.reason);
    }
    fill_methods(array_methods, std::make_integer_sequence<int, n_method_rows>{});
    // Docs and text signatures are NumPy's.
    for (PyMethodDef* def = array_methods; def->ml_name; ++def) {
        PyObject* numpy = PyObject_GetAttrString(numpy_type, def->ml_name);
        if (numpy && Py_TYPE(numpy) == &PyMethodDescr_Type)
            def->ml_doc = reinterpret_cast<PyMethodDescrObject*>(numpy)->d_method->ml_doc;
        PyErr_Clear();
        Py_XDECREF(numpy);
    }
}

void bind_hooks(const py::dict& hooks) { namespace_hooks = py::dict(hooks).release().ptr(); }

}  // namespace raptors
