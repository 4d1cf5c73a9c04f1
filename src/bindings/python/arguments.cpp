#include "python/arguments.h"

#include "runtime/call_log.h"

namespace raptors {

bool parse_integer(PyObject* x, npy_intp* value) {
    if (!PyLong_CheckExact(x)) return false;
    auto* const integer = reinterpret_cast<PyLongObject*>(x);
#if PY_VERSION_HEX >= 0x030C0000
    if (PyUnstable_Long_IsCompact(integer)) [[likely]] {
        *value = PyUnstable_Long_CompactValue(integer);
        return true;
    }
#else
    if (Py_ssize_t const sign = Py_SIZE(x); sign >= -1 && sign <= 1) [[likely]] {  // one digit
        *value = sign * static_cast<npy_intp>(integer->ob_digit[0]);
        return true;
    }
#endif
    int overflow = 0;
    long long const v = PyLong_AsLongLongAndOverflow(x, &overflow);
    *value = v;
    return !overflow;
}

bool parse_flag(PyObject* x, bool* flag) {
    *flag = x == Py_True;
    return !x || x == Py_False || x == Py_True;
}

namespace {
bool parse_integers(PyObject* const* items, Py_ssize_t n, int* nd, npy_intp* values) {
    if (n > NPY_MAXDIMS) return false;
    *nd = static_cast<int>(n);
    for (Py_ssize_t i = 0; i < n; ++i)
        if (!parse_integer(items[i], values + i)) return false;
    return true;
}
}  // namespace

bool parse_shape(PyObject* shape, int* nd, npy_intp* dims) {
    if (PyLong_CheckExact(shape)) {
        *nd = 1;
        return parse_integer(shape, dims);
    }
    return is_sequence(shape) &&
           parse_integers(PySequence_Fast_ITEMS(shape), PySequence_Fast_GET_SIZE(shape), nd, dims);
}

bool parse_shape(PyObject* const* args, Py_ssize_t nargs, int* nd, npy_intp* dims) {
    return nargs == 1 ? parse_shape(args[0], nd, dims) : parse_integers(args, nargs, nd, dims);
}

bool parse_axes(PyObject* axes, int nd, int* n, npy_intp* values) {
    return parse_shape(axes, n, values) && wrap_axes(nd, *n, values);
}

bool parse_axes(PyObject* axes, int nd, bool among[]) {
    bool const all = is_none(axes);
    for (int d = 0; d < nd; ++d) among[d] = all;
    if (all) return true;
    bool const several = PyTuple_CheckExact(axes);
    PyObject* const* const items = several ? PySequence_Fast_ITEMS(axes) : &axes;
    Py_ssize_t const n = several ? PyTuple_GET_SIZE(axes) : 1;
    for (Py_ssize_t i = 0; i < n; ++i) {
        npy_intp d;
        if (!parse_axis(items[i], nd, &d) || among[d]) return false;
        among[d] = true;
    }
    return true;
}

namespace {

// Names and static types that mean a dtype, each kept alive: NumPy parses them anew every time.
struct Meaning {
    PyObject* object;
    PyArray_Descr* descr;
};
Meaning meanings[64];

}  // namespace

PyArray_Descr* parse_dtype(PyObject* dtype) {
    if (is_none(dtype) || dtype == reinterpret_cast<PyObject*>(&PyFloat_Type))
        return descr_of(DType::float64);
    Meaning& known = meanings[reinterpret_cast<uintptr_t>(dtype) / 16 % 64];
    if (known.object == dtype) return known.descr;
    PyArray_Descr* d = nullptr;
    if (!PyArray_DescrConverter(dtype, &d)) return nullptr;
    int const num = d->type_num;
    bool const ok = dtype_of(d) != no_dtype;
    Py_DECREF(d);
    if (!ok) {
        declined = Why::dtype;
        return nullptr;
    }
    bool const is_name = PyUnicode_CheckExact(dtype) && PyUnicode_CHECK_INTERNED(dtype);
    if (is_name ||
        (Py_IS_TYPE(dtype, &PyType_Type) &&
         !PyType_HasFeature(reinterpret_cast<PyTypeObject*>(dtype), Py_TPFLAGS_HEAPTYPE))) {
        PyObject* const before = known.object;
        known = {new_ref(dtype), descr_of_num[num]};
        Py_XDECREF(before);
    }
    return descr_of_num[num];
}

bool parse_dtype(PyObject* dtype, PyArray_Descr** descr) {
    if (is_none(dtype)) return true;
    PyArray_Descr* const found = parse_dtype(dtype);
    if (found) *descr = found;
    return found != nullptr;
}

bool is_c_order(PyObject* order) { return is_none(order) || is_text(order, "C"); }

bool parse_order(PyObject* order, Order* to) {
    if (!order) return true;
    if (!PyUnicode_CheckExact(order) || PyUnicode_GET_LENGTH(order) != 1) return false;
    switch (PyUnicode_READ_CHAR(order, 0)) {
        case 'C':
            *to = Order::c;
            return true;
        case 'F':
            *to = Order::fortran;
            return true;
        case 'A':
            *to = Order::any;
            return true;
        case 'K':
            *to = Order::keep;
            return true;
        default:
            return false;
    }
}

}  // namespace raptors
