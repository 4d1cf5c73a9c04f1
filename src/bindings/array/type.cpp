#include "array/type.h"

#include <cstring>

#include "api/table.h"
#include "array/indexing.h"
#include "array/protocols.h"
#include "creation/from_objects.h"
#include "creation/shaping.h"
#include "linalg/product.h"
#include "numpy/fallback.h"
#include "numpy/proxies.h"
#include "numpy/registry.h"
#include "ops/elementwise.h"
#include "ops/reduce.h"

namespace py = pybind11;

namespace raptors {
namespace {

PyTypeObject* meta_type;
PyObject* object_class;  // object.__dict__["__class__"]
PyObject* name_implementation;
PyObject* namespace_hooks;  // dict from Python: "pickled" (function)
Entry* slot_entry;          // operators without kernels

using NumberSlots = PyNumberMethods;

// numpy.matrix, MaskedArray ... derive from numpy.ndarray, not from ours: Python does not try them
// first, so we do.
bool is_array_cousin(PyObject* x) {
    return PyArray_Check(x) && !is_plain(x) && !PyType_IsSubtype(Py_TYPE(x), array_type);
}

// NumPy's slot compares the right operand's slot with its own to see whether a class has operators
// of its own, and takes our slot in a class derived from ours for one: it defers where it would go
// on and refuse.
PyObject* not_deferred(PyObject* o, PyObject* r, bool inherits_ours) {
    if (o != Py_NotImplemented || !inherits_ours || is_ours(r) ||
        !PyType_IsSubtype(Py_TYPE(r), array_type) ||
        _PyType_Lookup(Py_TYPE(r), protocols.name_ufunc) != Py_None)
        return adopt(o);
    Py_DECREF(o);
    PyErr_Format(PyExc_TypeError, "operand '%s' does not support ufuncs (__array_ufunc__=None)",
                 Py_TYPE(r)->tp_name);
    return nullptr;
}

Entry* entry_of(Op op) { return op == Op::count ? slot_entry : op_entry[index(op)]; }

// An operator without kernels: NumPy's loop where one of ours is an operand (the left one, in
// place).
PyObject* operator_loop(NumpyLoops* loops, PyObject* l, PyObject* r, bool inplace) {
    declined = Why::dtype;
    if (!loops || !(is_ours(l) || (!inplace && is_ours(r)))) return nullptr;
    PyObject* const args[] = {l, r, l};
    return call_numpy_loop(*loops, args, inplace ? 3 : 2, nullptr);
}

// ---- number slots
// In this order: our kernels; the slot of an array type that is not ours; the base slot with the
// originals where someone overrides __array_ufunc__ (NumPy's slot knows the rules of deferring);
// the base slot with base-class views.
template <binaryfunc NumberSlots::*slot, Op op, bool inplace = false,
          NumpyLoops* OperatorLoops::*numpy_loops = nullptr>
PyObject* binary_slot(PyObject* l, PyObject* r) {
    declined = Why::type;
    if constexpr (op != Op::count) {
        PyObject* o = inplace ? in_place(op, l, r) : binary(op, l, r, true);
        if (o || PyErr_Occurred()) return o;
    } else if constexpr (numpy_loops != nullptr) {
        PyObject* o = operator_loop(operator_loops.*numpy_loops, l, r, inplace);
        if (o || PyErr_Occurred()) return o;
    } else if constexpr (slot == &NumberSlots::nb_matrix_multiply) {
        PyObject* o = product(Contraction::matmul, matmul_entry, l, r);
        if (o || PyErr_Occurred()) return o;
    } else {
        declined = Why::dtype;
    }
    binaryfunc const base = PyArray_Type.tp_as_number->*slot;
    if (!inplace && is_ours(l) && is_array_cousin(r)) {
        binaryfunc const theirs =
            Py_TYPE(r)->tp_as_number ? Py_TYPE(r)->tp_as_number->*slot : nullptr;
        if (theirs && theirs != base) {
            PyObject* o = theirs(l, r);
            if (o != Py_NotImplemented) return adopt(o);
            Py_DECREF(o);
        }
    }
    if ((!is_ours(l) && !is_ours(r)) || overrides_ufunc(l) || overrides_ufunc(r)) {
        const PyNumberMethods* const number = Py_TYPE(r)->tp_as_number;
        bool const inherits =
            number && number->*slot == &binary_slot<slot, op, inplace, numpy_loops>;
        return not_deferred(base(l, r), r, inherits);
    }
    count_numpy(slot == &NumberSlots::nb_matrix_multiply ? matmul_entry : entry_of(op), declined,
                is_ours(l) ? l : r);
    Views views;
    PyObject* a = is_ours(l) ? views.of(l) : l;
    PyObject* b = a && is_ours(r) ? views.of(r) : r;
    return a && b ? views.adopt(base(a, b)) : nullptr;
}

template <unaryfunc NumberSlots::*slot, Op op>
PyObject* unary_slot(PyObject* x) {
    unaryfunc const base = PyArray_Type.tp_as_number->*slot;
    if (!is_ours(x)) return adopt(base(x));
    PyObject* o = unary(op, x);
    if (o || PyErr_Occurred()) return o;
    count_numpy(entry_of(op), declined, x);
    Views views;
    PyObject* a = views.of(x);
    return a ? views.adopt(base(a)) : nullptr;
}

// Exponents that NumPy itself maps to another ufunc.
PyObject* simple_power(PyObject* x, PyObject* exponent, bool inplace) {
    declined = Why::dtype;
    if (!is_ours(x)) return nullptr;
    DType const t = dtype_of(fields(x)->descr);
    if (t == no_dtype || t == DType::boolean || fields(x)->nd == 0) return nullptr;
    Op op;
    if (PyLong_CheckExact(exponent)) {
        npy_intp e;
        if (!parse_integer(exponent, &e)) return nullptr;
        if (e == 2)
            op = Op::square;
        else if (e == -1 && is_floating(t))
            op = Op::reciprocal;
        else
            return nullptr;
    } else if (PyFloat_CheckExact(exponent) && PyFloat_AS_DOUBLE(exponent) == 0.5 &&
               is_floating(t)) {
        op = Op::sqrt;
    } else {
        return nullptr;
    }
    if (!inplace) return unary(op, x, true);
    ElementwiseOptions options{};
    options.out = x;
    return elementwise(op, &x, options);
}

// Whether NumPy's operator calls the ufunc `power`: for numbers that no version maps to another
// one.
bool is_power_loop(PyObject* exponent) {
    if (PyFloat_CheckExact(exponent)) {
        double const e = PyFloat_AS_DOUBLE(exponent);
        return e != -1 && e != 0 && e != 0.5 && e != 1 && e != 2;
    }
    if (PyLong_CheckExact(exponent)) {
        npy_intp e;
        return parse_integer(exponent, &e) && (e < -1 || e > 2);
    }
    return is_ours(exponent) && fields(exponent)->nd > 0;
}

template <ternaryfunc NumberSlots::*slot, bool inplace>
PyObject* power_slot(PyObject* l, PyObject* r, PyObject* modulus) {
    ternaryfunc const base = PyArray_Type.tp_as_number->*slot;
    if (modulus == Py_None) {
        PyObject* o = simple_power(l, r, inplace);
        if (!o && !PyErr_Occurred() && is_power_loop(r))
            o = operator_loop(operator_loops.power, l, r, inplace);
        if (o || PyErr_Occurred()) return o;
    }
    if (!inplace && is_ours(l) && is_array_cousin(r)) {
        ternaryfunc const theirs =
            Py_TYPE(r)->tp_as_number ? Py_TYPE(r)->tp_as_number->*slot : nullptr;
        if (theirs && theirs != base) {
            PyObject* o = theirs(l, r, modulus);
            if (o != Py_NotImplemented) return adopt(o);
            Py_DECREF(o);
        }
    }
    if ((!is_ours(l) && !is_ours(r)) || overrides_ufunc(l) || overrides_ufunc(r)) {
        const PyNumberMethods* const number = Py_TYPE(r)->tp_as_number;
        bool const inherits = number && number->*slot == &power_slot<slot, inplace>;
        return not_deferred(base(l, r, modulus), r, inherits);
    }
    static Entry* const entry = new_entry("power");
    count_numpy(entry, declined, is_ours(l) ? l : r);
    Views views;
    PyObject* a = is_ours(l) ? views.of(l) : l;
    PyObject* b = a && is_ours(r) ? views.of(r) : r;
    return a && b ? views.adopt(base(a, b, modulus)) : nullptr;
}

PyObject* richcompare(PyObject* l, PyObject* r, int comparison) {
    static const Op ops[] = {Op::less,      Op::less_equal, Op::equal,
                             Op::not_equal, Op::greater,    Op::greater_equal};
    static const int swapped[] = {Py_GT, Py_GE, Py_EQ, Py_NE, Py_LT, Py_LE};
    PyObject* o = binary(ops[comparison], l, r);
    if (o || PyErr_Occurred()) return o;
    richcmpfunc const base = PyArray_Type.tp_richcompare;
    if (is_ours(l) && is_array_cousin(r)) {
        // Also with NumPy's own slot: Python asks a subclass first, with the mirrored operator.
        o = Py_TYPE(r)->tp_richcompare(r, l, swapped[comparison]);
        if (o != Py_NotImplemented) return adopt(o);
        Py_DECREF(o);
    }
    if (!is_ours(l) || overrides_ufunc(r)) return adopt(base(l, r, comparison));
    count_numpy(op_entry[index(ops[comparison])], declined, l);
    Views views;
    PyObject* a = views.of(l);
    PyObject* b = a && is_ours(r) ? views.of(r) : r;
    return a && b ? views.adopt(base(a, b, comparison)) : nullptr;
}

// ---- mapping
PyObject* subscript(PyObject* x, PyObject* key) {
    binaryfunc const base = PyArray_Type.tp_as_mapping->mp_subscript;
    if (!is_ours(x)) {
        // Of a class derived from ours: fancy results are views of a fresh plain array.
        PyObject* const part = base(x, key);
        if (part && PyArray_Check(part)) {
            PyObject* const owner = fields(part)->base;
            if (owner && is_plain(owner) && Py_REFCNT(owner) == 1) retype(owner);
        }
        return part;
    }
    PyObject* o = get_item(x, key);
    if (o || PyErr_Occurred()) return o;
    count_numpy(getitem_entry, declined, x);
    Views views;  // without them, fancy results would not own their data
    PyObject* a = views.of(x);
    PyObject* k = a ? views.argument(key, true) : nullptr;
    return k ? views.adopt(base(a, k)) : nullptr;
}

int assign_subscript(PyObject* x, PyObject* key, PyObject* value) {
    objobjargproc const base = PyArray_Type.tp_as_mapping->mp_ass_subscript;
    if (is_ours(x) && value) {
        int const done = set_item(x, key, value);
        if (done != 1) return done;
        count_numpy(setitem_entry, declined, x);
    }
    return base(x, key, value);
}

// ---- repr
// NumPy guards against self-containing object arrays by id(): a re-entered array must get the very
// same view.
struct Shown {
    PyObject *original, *view;
    Shown* outer;
};
thread_local Shown* shown;

template <reprfunc PyTypeObject::*slot>
PyObject* represent(PyObject* x) {
    reprfunc const base = PyArray_Type.*slot;
    if (!is_ours(x)) return base(x);
    for (Shown* s = shown; s; s = s->outer)
        if (s->original == x) {
            PyObject* view = new_ref(s->view);
            PyObject* text = base(view);
            Py_DECREF(view);
            return text;
        }
    Views views;
    PyObject* view = views.of(x);
    if (!view) return nullptr;
    Shown self = {x, view, shown};
    shown = &self;
    PyObject* text = base(view);
    shown = self.outer;
    return text;
}

// ---- methods
// NumPy's, on a base-class view; natively where a row of registry.cpp says so. Inherited as they
// are, since they must see the object itself: resize, setflags, __setstate__, sort, partition, put,
// itemset, setfield, item, tolist, tobytes, tofile, dump(s), getters and setters,
// __array_finalize__.
const char* const method_names[] = {
    "all",       "any",        "argmax",    "argmin",   "argpartition", "argsort",
    "astype",    "byteswap",   "choose",    "clip",     "compress",     "conj",
    "conjugate", "copy",       "cumprod",   "cumsum",   "diagonal",     "dot",
    "flatten",   "getfield",   "max",       "mean",     "min",          "nonzero",
    "prod",      "ravel",      "repeat",    "reshape",  "round",        "searchsorted",
    "squeeze",   "std",        "sum",       "swapaxes", "take",         "trace",
    "transpose", "var",        "__array__", "__copy__", "__deepcopy__", "__array_wrap__",
    "to_device", "__dlpack__",
};
constexpr int n_methods = sizeof method_names / sizeof *method_names;
PyObject* numpy_method[n_methods];
const NativeRow* native_method[n_methods];
Entry* method_entry[n_methods];
PyMethodDef method_defs[n_methods + 8];

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
    if (const NativeRow* row = native_method[which]; row && is_ours(self)) {
        PyObject* o = row->native(row->which, method_entry[which], self, args, nargs, kwnames);
        if (o || PyErr_Occurred()) return o;
    }
    // A subclass's method sees the object itself, yet exact arrays among its results become ours.
    bool const views = is_ours(self) && !any_overrides_ufunc(args, nargs, kwnames);
    if (views) count_numpy(method_entry[which], declined, self);
    return call_bound(numpy_method[which], self, args, nargs, kwnames, views);
}

template <int which>
PyObject* method(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    return call_method(which, self, args, nargs, kwnames);
}

template <int... which>
void fill_methods(std::integer_sequence<int, which...>) {
    ((method_defs[which] = {method_names[which],
                            reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(method<which>)),
                            METH_FASTCALL | METH_KEYWORDS, nullptr}),
     ...);
}

PyObject* fill_method(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    static Entry* const entry = new_entry("fill");
    static PyObject* const base =
        PyObject_GetAttrString(reinterpret_cast<PyObject*>(&PyArray_Type), "fill");
    if (is_ours(self) && nargs == 1 && !kwnames) {
        int const done = fill(self, args[0]);
        if (done < 0) return nullptr;
        if (done == 0) {
            count_native(entry, dtype_of(fields(self)->descr), Layout::contiguous, fields(self)->nd,
                         fields(self)->dimensions);
            Py_RETURN_NONE;
        }
        count_numpy(entry, Why::value, self);
    }
    return call_bound(base, self, args, nargs, kwnames, false);
}

// A ufunc's method on base-class views.
PyObject* call_on_views(PyObject* ufunc, PyObject* method, PyObject* const* args, Py_ssize_t nargs,
                        PyObject* kwnames) {
    PyObject* const bound = PyObject_GetAttr(ufunc, method);
    if (!bound) return nullptr;
    PyObject* const o = call_numpy(bound, args, nargs, kwnames, true);
    Py_DECREF(bound);
    return o;
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
        return call_on_views(ufunc, args[1], args + 2, nargs - 2, kwnames);
    }
    // NumPy makes the method's name anew for each call: no comparison of pointers.
    if (PyUnicode_CompareWithASCIIString(args[1], "__call__") == 0)
        return call_ufunc(ufunc, args + 2, nargs - 2, kwnames);
    const UfuncInfo* info = find_ufunc(ufunc);
    declined = Why::borrowed;
    if (nargs > 2 && PyUnicode_CompareWithASCIIString(args[1], "reduce") == 0) {
        if (refuses_ufunc_reduce(ufunc, args + 3, nargs - 3, kwnames)) return nullptr;
        if (info && info->fold < n_folds) {
            PyObject* o = ufunc_reduce_native(info->fold, reduce_entry[info->fold], args[2],
                                              args + 3, nargs - 3, kwnames);
            if (o || PyErr_Occurred()) return o;
        }
    }
    if (info) count_numpy(info->entry, declined, nargs > 2 ? args[2] : nullptr);
    return call_on_views(ufunc, args[1], args + 2, nargs - 2, kwnames);
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

getter numpy_get_t;
PyObject* get_t(PyObject* x, void*) {
    return is_ours(x) ? reversed_axes(x) : numpy_get_t(x, nullptr);
}
setter numpy_set_t;
int set_t(PyObject* x, PyObject* v, void*) {
    if (numpy_set_t) return numpy_set_t(x, v, nullptr);
    PyErr_SetString(PyExc_AttributeError,
                    "attribute 'T' of 'numpy.ndarray' objects is not writable");
    return -1;
}
PyGetSetDef getset[] = {
    {"__array_priority__", get_priority, nullptr, nullptr, nullptr},
    {"T", get_t, nullptr, nullptr, nullptr},
    {"_baseclass", get_baseclass, set_baseclass, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

// ---- metaclass
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

template <class F>
void* slot_pointer(F f) {
    return reinterpret_cast<void*>(f);
}
#define SLOT(id, f) {Py_##id, slot_pointer(f)}
#define BINARY_SLOT(id, op) SLOT(id, (binary_slot<&NumberSlots::id, op>))
#define IN_PLACE_SLOT(id, op) SLOT(id, (binary_slot<&NumberSlots::id, op, true>))
#define LOOP_SLOT(id, loops, inplace) \
    SLOT(id, (binary_slot<&NumberSlots::id, Op::count, inplace, &OperatorLoops::loops>))
#define UNARY_SLOT(id, op) SLOT(id, (unary_slot<&NumberSlots::id, op>))

PyTypeObject* make_type(PyType_Spec& spec, PyObject* base) {
    PyObject* t = PyType_FromSpecWithBases(&spec, base);
    if (!t) throw py::error_already_set();
    return reinterpret_cast<PyTypeObject*>(t);
}

void fill_method_defs(PyObject* numpy_type) {
    for (int i = 0; i < n_methods; ++i) {
        numpy_method[i] = PyObject_GetAttrString(numpy_type, method_names[i]);
        if (!numpy_method[i]) throw py::error_already_set();
        native_method[i] = find_native_method(method_names[i]);
        method_entry[i] = new_entry(method_names[i]);
    }
    fill_methods(std::make_integer_sequence<int, n_methods>{});
    auto with_keywords = [](auto f) {
        return reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(f));
    };
    PyMethodDef* more = method_defs + n_methods;
    constexpr int keywords = METH_FASTCALL | METH_KEYWORDS;
    *more++ = {"fill", with_keywords(fill_method), keywords, nullptr};
    *more++ = {"view", with_keywords(view_method), keywords, nullptr};
    *more++ = {"__array_ufunc__", with_keywords(array_ufunc), keywords, nullptr};
    *more++ = {"__array_function__", with_keywords(array_function), keywords, nullptr};
    *more++ = {"__reduce_ex__", with_keywords(reduce<true>), keywords, nullptr};
    *more++ = {"__reduce__", with_keywords(reduce<false>), keywords, nullptr};
    // Docs and text signatures are NumPy's.
    for (PyMethodDef* def = method_defs; def->ml_name; ++def) {
        PyObject* numpy = PyObject_GetAttrString(numpy_type, def->ml_name);
        if (numpy && Py_TYPE(numpy) == &PyMethodDescr_Type)
            def->ml_doc = reinterpret_cast<PyMethodDescrObject*>(numpy)->d_method->ml_doc;
        PyErr_Clear();
        Py_XDECREF(numpy);
    }
}

PyType_Slot array_slots[] = {
    SLOT(tp_dealloc, array_dealloc),
    SLOT(tp_methods, method_defs),
    SLOT(tp_getset, getset),
    {Py_tp_doc, nullptr},  // NumPy's, filled in at registration
    SLOT(tp_repr, represent<&PyTypeObject::tp_repr>),
    SLOT(tp_str, represent<&PyTypeObject::tp_str>),
    SLOT(tp_richcompare, richcompare),
    SLOT(tp_hash, PyObject_HashNotImplemented),
    SLOT(mp_subscript, subscript),
    SLOT(mp_ass_subscript, assign_subscript),
    BINARY_SLOT(nb_add, Op::add),
    BINARY_SLOT(nb_subtract, Op::subtract),
    BINARY_SLOT(nb_multiply, Op::multiply),
    BINARY_SLOT(nb_true_divide, Op::divide),
    LOOP_SLOT(nb_floor_divide, floor_divide, false),
    LOOP_SLOT(nb_remainder, remainder, false),
    LOOP_SLOT(nb_divmod, divmod, false),
    BINARY_SLOT(nb_lshift, Op::left_shift),
    BINARY_SLOT(nb_rshift, Op::right_shift),
    BINARY_SLOT(nb_and, Op::bitwise_and),
    BINARY_SLOT(nb_or, Op::bitwise_or),
    BINARY_SLOT(nb_xor, Op::bitwise_xor),
    BINARY_SLOT(nb_matrix_multiply, Op::count),
    IN_PLACE_SLOT(nb_inplace_add, Op::add),
    IN_PLACE_SLOT(nb_inplace_subtract, Op::subtract),
    IN_PLACE_SLOT(nb_inplace_multiply, Op::multiply),
    IN_PLACE_SLOT(nb_inplace_true_divide, Op::divide),
    LOOP_SLOT(nb_inplace_floor_divide, floor_divide, true),
    LOOP_SLOT(nb_inplace_remainder, remainder, true),
    IN_PLACE_SLOT(nb_inplace_lshift, Op::left_shift),
    IN_PLACE_SLOT(nb_inplace_rshift, Op::right_shift),
    IN_PLACE_SLOT(nb_inplace_and, Op::bitwise_and),
    IN_PLACE_SLOT(nb_inplace_or, Op::bitwise_or),
    IN_PLACE_SLOT(nb_inplace_xor, Op::bitwise_xor),
    IN_PLACE_SLOT(nb_inplace_matrix_multiply, Op::count),
    UNARY_SLOT(nb_negative, Op::negative),
    UNARY_SLOT(nb_positive, Op::positive),
    UNARY_SLOT(nb_absolute, Op::absolute),
    UNARY_SLOT(nb_invert, Op::invert),
    SLOT(nb_power, (power_slot<&NumberSlots::nb_power, false>)),
    SLOT(nb_inplace_power, (power_slot<&NumberSlots::nb_inplace_power, true>)),
    {0, nullptr},
};

PyType_Slot meta_slots[] = {
    SLOT(tp_methods, meta_methods),
    SLOT(tp_getattro, meta_getattro),
    SLOT(tp_richcompare, meta_compare),
    SLOT(tp_hash, meta_hash),
    {0, nullptr},
};

}  // namespace

void init_array_type() {
    auto intern = [](const char* text) { return PyUnicode_InternFromString(text); };
    protocols.name_ufunc = intern("__array_ufunc__");
    protocols.name_function = intern("__array_function__");
    protocols.name_class = intern("__class__");
    name_implementation = intern("_implementation");
    object_class = _PyType_Lookup(&PyBaseObject_Type, protocols.name_class);
    slot_entry = new_entry("operator");
    matmul_entry = new_entry("matmul");
    auto* numpy_type = reinterpret_cast<PyObject*>(&PyArray_Type);
    protocols.numpy_ufunc = PyObject_GetAttr(numpy_type, protocols.name_ufunc);
    protocols.numpy_function = PyObject_GetAttr(numpy_type, protocols.name_function);
    for (PyGetSetDef* g = PyArray_Type.tp_getset; g && g->name; ++g)
        if (std::strcmp(g->name, "T") == 0) {
            numpy_get_t = g->get;
            numpy_set_t = g->set;
            getset[1].doc = g->doc;
        }
    if (numpy_set_t) getset[1].set = set_t;
    fill_method_defs(numpy_type);
    for (PyType_Slot& s : array_slots)
        if (s.slot == Py_tp_doc) s.pfunc = const_cast<char*>(PyArray_Type.tp_doc);

    // The name that AttributeError texts show is NumPy's; __module__ (repr of the class, pickles)
    // is set below. No GC flag: as numpy.ndarray. A type with it could not be retyped in place.
    PyType_Spec spec = {"numpy.ndarray", 0, 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                        array_slots};
    array_type = make_type(spec, numpy_type);
    auto module_name = py::str("raptors");
    if (PyDict_SetItemString(array_type->tp_dict, "__module__", module_name.ptr()) < 0)
        throw py::error_already_set();
    protocols.our_ufunc = PyDict_GetItemWithError(array_type->tp_dict, protocols.name_ufunc);
    protocols.our_function = PyDict_GetItemWithError(array_type->tp_dict, protocols.name_function);

    // Derived from ABCMeta: classes that mix raptors.ndarray with an ABC have no metaclass
    // conflict. PyType_FromMetaclass (3.12) refuses subclasses of ABCMeta, so the metaclass is put
    // on right after creation.
    PyType_Spec meta_spec = {"raptors._ArrayType", 0, 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                             meta_slots};
    meta_type = make_type(meta_spec, import_module("abc").attr("ABCMeta").ptr());
    Py_INCREF(meta_type);
    Py_SET_TYPE(reinterpret_cast<PyObject*>(array_type), meta_type);
    array_type->tp_flags |= Py_TPFLAGS_IMMUTABLETYPE;  // as NumPy's static type: no class
                                                       // attributes set, no __class__ assigned
    PyType_Modified(array_type);

    namespace_hooks = py::dict().release().ptr();
}

void bind_hooks(const py::dict& hooks) { namespace_hooks = py::dict(hooks).release().ptr(); }

}  // namespace raptors
