#include "array/indexing.h"

#include <cstring>

#include "api/table.h"
#include "array/free_lists.h"
#include "creation/from_objects.h"
#include "ops/elementwise.h"
#include "python/operand.h"

namespace raptors {

Entry *getitem_entry, *setitem_entry;

namespace {

// The part of an array that a basic index selects.
struct Selection {
    char* data;
    int nd;
    npy_intp dims[NPY_MAXDIMS];
    npy_intp strides[NPY_MAXDIMS];
    bool element;  // all axes given by integers: a scalar
};

enum class Parsed { yes, no, error };

bool is_index(PyObject* x) { return PyLong_CheckExact(x); }

// 0 <= i < n after wrapping; false: NumPy raises.
bool wrap_index(PyObject* x, npy_intp n, npy_intp* i) {
    int overflow = 0;
    long long v = PyLong_AsLongLongAndOverflow(x, &overflow);
    if (overflow) return false;
    if (v < 0) v += n;
    *i = v;
    return v >= 0 && v < n;
}

Parsed parse(const Fields* f, PyObject* key, Selection& part) {
    PyObject* const* items = &key;
    Py_ssize_t n = 1;
    if (PyTuple_CheckExact(key)) {
        items = reinterpret_cast<PyTupleObject*>(key)->ob_item;
        n = PyTuple_GET_SIZE(key);
        if (n > NPY_MAXDIMS) return Parsed::no;
    }
    int used = 0, made = 0;
    bool ellipsis = false;
    for (Py_ssize_t i = 0; i < n; ++i) {
        PyObject* x = items[i];
        if (is_index(x) || PySlice_Check(x))
            ++used;
        else if (x == Py_None)
            ++made;
        else if (x == Py_Ellipsis && !ellipsis)
            ellipsis = true;
        else
            return Parsed::no;
    }
    if (used > f->nd || f->nd - used + made > NPY_MAXDIMS) return Parsed::no;
    part.data = f->data;
    part.nd = 0;
    bool only_integers = !ellipsis && !made && used == f->nd;
    int axis = 0;
    auto keep = [&](npy_intp dim, npy_intp stride) {
        part.dims[part.nd] = dim;
        part.strides[part.nd++] = stride;
    };
    for (Py_ssize_t i = 0; i < n; ++i) {
        PyObject* x = items[i];
        if (x == Py_None) {
            keep(1, 0);
        } else if (x == Py_Ellipsis) {
            for (int skip = f->nd - used; skip > 0; --skip, ++axis)
                keep(f->dimensions[axis], f->strides[axis]);
        } else if (PySlice_Check(x)) {
            Py_ssize_t start, stop, step;
            if (PySlice_Unpack(x, &start, &stop, &step) < 0) return Parsed::error;
            Py_ssize_t const len = PySlice_AdjustIndices(f->dimensions[axis], &start, &stop, step);
            if (len > 0) part.data += start * f->strides[axis];
            npy_intp stride;
            if (__builtin_mul_overflow(f->strides[axis], step, &stride)) return Parsed::no;
            // NumPy leaves the stride of a slice of length 0 or 1 as the product, too.
            keep(len, stride);
            only_integers = false;
            ++axis;
        } else {
            npy_intp at;
            if (!wrap_index(x, f->dimensions[axis], &at)) return Parsed::no;
            part.data += at * f->strides[axis];
            ++axis;
        }
    }
    for (; axis < f->nd; ++axis) keep(f->dimensions[axis], f->strides[axis]);
    part.element = only_integers;
    return Parsed::yes;
}

PyObject* element(const Fields* f, DType t, char* data) {
    if (t == DType::float64) {
        PyObject* s = PyArrayScalar_New(Double);
        if (s) std::memcpy(&PyArrayScalar_VAL(s, Double), data, sizeof(double));
        return s;
    }
    return PyArray_Scalar(data, f->descr, nullptr);
}

bool is_mask(PyObject* key) {
    return is_exact(key) && fields(key)->descr == descr_of(DType::boolean);
}

// a[mask]: a mask of the array's own shape, both without gaps.
PyObject* compressed(const Table& table, const Fields* f, PyObject* key) {
    Fields const* const mask = fields(key);
    auto const size = static_cast<unsigned long long>(PyDataType_ELSIZE(f->descr));
    if (!is_movable(f->descr) || size > sizeof(Element) || (size & (size - 1)))
        return decline(Why::dtype);
    if (!f->nd || mask->nd != f->nd || !(f->flags & mask->flags & NPY_ARRAY_C_CONTIGUOUS))
        return decline(Why::index);
    for (int d = 0; d < f->nd; ++d)
        if (mask->dimensions[d] != f->dimensions[d]) return decline(Why::index);
    npy_intp const n = count_of(f);
    npy_intp const total = table.count_true(mask->data, n);
    PyObject* const out = new_array(1, &total, f->descr);
    if (!out) return nullptr;
    table.compress[__builtin_ctzll(size)](mask->data, f->data, fields(out)->data, n, total);
    count_native(getitem_entry, column_of(f->descr), Layout::contiguous, f->nd, f->dimensions);
    return out;
}

}  // namespace

PyObject* get_item(PyObject* self, PyObject* key) {
    Fields* const f = fields(self);
    DType const t = dtype_of(f->descr);
    if (!active().table) return decline(Why::disabled);
    if (f->nd == 1 && is_index(key) && t != no_dtype) {
        npy_intp at;
        if (!wrap_index(key, f->dimensions[0], &at)) return decline(Why::index);
        count_native(getitem_entry, t, Layout::scalar, 1, f->dimensions);
        return element(f, t, f->data + at * f->strides[0]);
    }
    if (is_mask(key)) return compressed(*active().table, f, key);
    Selection part;
    switch (parse(f, key, part)) {
        case Parsed::error:
            return nullptr;
        case Parsed::no:
            return decline(Why::index);
        case Parsed::yes:
            break;
    }
    if (part.element) {
        if (t == no_dtype) {  // NumPy's scalar, whose base (void) must be this very array
            count_numpy(getitem_entry, Why::dtype, self);
            return PyArray_Type.tp_as_mapping->mp_subscript(self, key);
        }
        count_native(getitem_entry, t, Layout::scalar, f->nd, f->dimensions);
        return element(f, t, part.data);
    }
    PyObject* view = new_view(self, part.nd, part.dims, part.strides, part.data, f->descr);
    if (view)
        count_native(getitem_entry, column_of(f->descr), Layout::strided, f->nd, f->dimensions);
    return view;
}

int set_item(PyObject* self, PyObject* key, PyObject* value) {
    Fields* const f = fields(self);
    DType const t = dtype_of(f->descr);
    auto refuse = [](Why why) {
        declined = why;
        return 1;
    };
    if (!active().table) return refuse(Why::disabled);
    if (!(f->flags & NPY_ARRAY_WRITEABLE) || (f->flags & warn_on_write) ||
        (t == no_dtype && !is_exact(value)))
        return refuse(Why::dtype);
    if (f->nd == 1 && is_index(key) && t != no_dtype) {
        npy_intp at;
        if (!wrap_index(key, f->dimensions[0], &at)) return refuse(Why::index);
        Element bytes;
        if (t == DType::float64 && PyFloat_Check(value)) {
            double const v = PyFloat_AS_DOUBLE(value);
            std::memcpy(f->data + at * f->strides[0], &v, sizeof v);
        } else if (scalar_element(value, t, bytes)) {
            std::memcpy(f->data + at * f->strides[0], bytes, static_cast<size_t>(item_size(t)));
        } else {
            return refuse(Why::value);
        }
        count_native(setitem_entry, t, Layout::scalar, 1, f->dimensions);
        return 0;
    }
    Selection part;
    switch (parse(f, key, part)) {
        case Parsed::error:
            return -1;
        case Parsed::no:
            return refuse(Why::index);
        case Parsed::yes:
            break;
    }
    int const done = assign(part.data, part.nd, part.dims, part.strides, f->descr, value);
    if (done == 0)
        count_native(setitem_entry, column_of(f->descr),
                     part.element ? Layout::scalar : Layout::strided, f->nd, f->dimensions);
    return done == 1 ? refuse(Why::value) : done;
}

void init_indexing() {
    getitem_entry = new_entry("__getitem__");
    setitem_entry = new_entry("__setitem__");
}

}  // namespace raptors
