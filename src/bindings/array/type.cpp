#include "array/type.h"

#include <cstring>

#include "api/table.h"
#include "array/indexing.h"
#include "array/metaclass.h"
#include "array/methods.h"
#include "array/protocols.h"
#include "creation/copying.h"
#include "creation/shaping.h"
#include "linalg/product.h"
#include "numpy/fallback.h"
#include "numpy/proxies.h"
#include "ops/elementwise.h"
#include "ops/reduce_call.h"
#include "python/type_spec.h"

namespace py = pybind11;

namespace raptors {
namespace {

Entry* slot_entry;  // operators without kernels

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

Entry* entry_of(Op op) { return op == Op::count ? slot_entry : ufunc_of(op).entry; }

// An operator without a row of its own, where one of ours is an operand (the left one, in place).
PyObject* operator_ufunc(Ufunc& ufunc, PyObject* l, PyObject* r, bool inplace) {
    declined = Why::dtype;
    if (!is_ours(l) && (inplace || !is_ours(r))) return nullptr;
    PyObject* const inputs[] = {l, r};
    ElementwiseOptions options{};
    options.is_operator = true;
    if (inplace) options.out[0] = l;
    return elementwise(ufunc, inputs, options);
}

// ---- number slots
// In this order: our kernels; the slot of an array type that is not ours; the base slot with the
// originals where someone overrides __array_ufunc__ (NumPy's slot knows the rules of deferring);
// the base slot with base-class views.
template <binaryfunc NumberSlots::*slot, Op op, bool inplace = false,
          Ufunc* OperatorUfuncs::*ufunc = nullptr>
PyObject* binary_slot(PyObject* l, PyObject* r) {
    declined = Why::type;
    if constexpr (op != Op::count) {
        PyObject* o = inplace ? in_place(op, l, r) : binary(op, l, r, true);
        if (o || PyErr_Occurred()) return o;
    } else if constexpr (ufunc != nullptr) {
        PyObject* o = operator_ufunc(*(operator_ufuncs.*ufunc), l, r, inplace);
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
        bool const inherits = number && number->*slot == &binary_slot<slot, op, inplace, ufunc>;
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
    options.out[0] = x;
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
            o = operator_ufunc(*operator_ufuncs.power, l, r, inplace);
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
    count_numpy(ufunc_of(ops[comparison]).entry, declined, l);
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

// ---- sequence
PyObject* sequence_item(PyObject* x, Py_ssize_t at) {
    ssizeargfunc const base = PyArray_Type.tp_as_sequence->sq_item;
    if (!is_ours(x)) return base(x, at);
    PyObject* const o = get_sequence_item(x, at);
    return o || PyErr_Occurred() ? o : base(x, at);  // its error
}

// x in a
int contains(PyObject* x, PyObject* value) {
    objobjproc const base = PyArray_Type.tp_as_sequence->sq_contains;
    if (!is_ours(x)) return base(x, value);
    PyObject* const equal = richcompare(x, value, Py_EQ);
    if (!equal) return -1;
    if (!is_ours(equal)) {
        Py_DECREF(equal);
        return base(x, value);
    }
    PyObject* const any =
        reduce(entry_of(Combine::logical_or), equal, combining(Combine::logical_or));
    Py_DECREF(equal);
    if (!any) return PyErr_Occurred() ? -1 : base(x, value);
    int const found = PyObject_IsTrue(any);
    Py_DECREF(any);
    return found;
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

#define BINARY_SLOT(id, op) RAPTORS_SLOT(id, (binary_slot<&NumberSlots::id, op>))
#define IN_PLACE_SLOT(id, op) RAPTORS_SLOT(id, (binary_slot<&NumberSlots::id, op, true>))
#define UFUNC_SLOT(id, ufunc, inplace) \
    RAPTORS_SLOT(id, (binary_slot<&NumberSlots::id, Op::count, inplace, &OperatorUfuncs::ufunc>))
#define UNARY_SLOT(id, op) RAPTORS_SLOT(id, (unary_slot<&NumberSlots::id, op>))

PyType_Slot array_slots[] = {
    RAPTORS_SLOT(tp_dealloc, array_dealloc),
    RAPTORS_SLOT(tp_methods, array_methods),
    RAPTORS_SLOT(tp_getset, array_getset),
    {Py_tp_doc, nullptr},  // NumPy's, filled in at registration
    RAPTORS_SLOT(tp_repr, represent<&PyTypeObject::tp_repr>),
    RAPTORS_SLOT(tp_str, represent<&PyTypeObject::tp_str>),
    RAPTORS_SLOT(tp_richcompare, richcompare),
    RAPTORS_SLOT(tp_hash, PyObject_HashNotImplemented),
    RAPTORS_SLOT(sq_item, sequence_item),
    RAPTORS_SLOT(sq_contains, contains),
    RAPTORS_SLOT(mp_subscript, subscript),
    RAPTORS_SLOT(mp_ass_subscript, assign_subscript),
    BINARY_SLOT(nb_add, Op::add),
    BINARY_SLOT(nb_subtract, Op::subtract),
    BINARY_SLOT(nb_multiply, Op::multiply),
    BINARY_SLOT(nb_true_divide, Op::divide),
    UFUNC_SLOT(nb_floor_divide, floor_divide, false),
    UFUNC_SLOT(nb_remainder, remainder, false),
    UFUNC_SLOT(nb_divmod, divmod, false),
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
    UFUNC_SLOT(nb_inplace_floor_divide, floor_divide, true),
    UFUNC_SLOT(nb_inplace_remainder, remainder, true),
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
    RAPTORS_SLOT(nb_power, (power_slot<&NumberSlots::nb_power, false>)),
    RAPTORS_SLOT(nb_inplace_power, (power_slot<&NumberSlots::nb_inplace_power, true>)),
    {0, nullptr},
};

}  // namespace

void init_array_type() {
    auto intern = [](const char* text) { return PyUnicode_InternFromString(text); };
    protocols.name_ufunc = intern("__array_ufunc__");
    protocols.name_function = intern("__array_function__");
    protocols.name_class = intern("__class__");
    slot_entry = new_entry("operator");
    matmul_entry = new_entry("matmul");
    auto* numpy_type = reinterpret_cast<PyObject*>(&PyArray_Type);
    protocols.numpy_ufunc = PyObject_GetAttr(numpy_type, protocols.name_ufunc);
    protocols.numpy_function = PyObject_GetAttr(numpy_type, protocols.name_function);
    init_methods();
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

    // PyType_FromMetaclass (3.12) refuses subclasses of ABCMeta, so the metaclass is put on right
    // after creation.
    PyTypeObject* const meta_type = make_metaclass();
    Py_INCREF(meta_type);
    Py_SET_TYPE(reinterpret_cast<PyObject*>(array_type), meta_type);
    array_type->tp_flags |= Py_TPFLAGS_IMMUTABLETYPE;  // as NumPy's static type: no class
                                                       // attributes set, no __class__ assigned
    PyType_Modified(array_type);
}

}  // namespace raptors
