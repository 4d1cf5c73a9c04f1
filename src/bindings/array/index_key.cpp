#include "array/index_key.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "array/free_lists.h"
#include "frame/nest/axes.h"
#include "ops/searching.h"
#include "python/operand.h"

namespace py = pybind11;

namespace raptors {
namespace {

constexpr int most_indexed = 16;  // axes; NumPy has a limit, too

bool is_index(PyObject* x) { return PyLong_CheckExact(x); }
// Of integers; booleans are masks.
bool is_index_array(PyObject* x) {
    return is_exact(x) && PyTypeNum_ISINTEGER(fields(x)->descr->type_num) && fields(x)->nd;
}

// 0 <= i < n after wrapping; false: NumPy raises.
bool wrap_index(PyObject* x, npy_intp n, npy_intp* i) {
    int overflow = 0;
    long long v = PyLong_AsLongLongAndOverflow(x, &overflow);
    if (overflow) return false;
    if (v < 0) v += n;
    *i = v;
    return v >= 0 && v < n;
}

// An integer as an index of no axes. nullptr: declined, or an error is set.
PyObject* as_index(PyObject* number) {
    int overflow = 0;
    npy_intp const at = PyLong_AsLongLongAndOverflow(number, &overflow);
    if (overflow) return decline(Why::index);
    PyObject* const index = new_array(0, nullptr, descr_of_num[NPY_INTP]);
    if (index) std::memcpy(fields(index)->data, &at, sizeof at);
    return index;
}

// A list of integers as an array. Null: declined, or an error is set.
py::object index_list(PyObject* list) {
    py::object indices = as_indices(list, false);
    // What is no array of integers has errors of NumPy's own.
    if (PyObject* const error = PyErr_Occurred();
        error && (PyErr_GivenExceptionMatches(error, PyExc_ValueError) ||
                  PyErr_GivenExceptionMatches(error, PyExc_TypeError)))
        PyErr_Clear();
    return indices;
}

// Axes that arrays of integers select along.
struct IndexedAxes {
    int n = 0;
    PyObject* arrays[most_indexed];  // owned; those from n on are not there
    npy_intp lengths[most_indexed], strides[most_indexed];

    IndexedAxes() = default;
    IndexedAxes(const IndexedAxes&) = delete;
    IndexedAxes& operator=(const IndexedAxes&) = delete;
    ~IndexedAxes() {
        for (int k = 0; k < n; ++k) Py_DECREF(arrays[k]);
    }
    bool add(py::object array, npy_intp length, npy_intp stride) {
        if (n == most_indexed) return refuse(Why::index);
        arrays[n] = array.release().ptr();
        lengths[n] = length;
        strides[n++] = stride;
        return true;
    }
    // Steals the new array; null: nothing changes.
    bool replace(int k, PyObject* array) {
        if (!array) return false;
        Py_DECREF(std::exchange(arrays[k], array));
        return true;
    }
};

// to += index * stride for n of them. Not 0: one is out of range.
uint64_t add_offsets(const int64_t* indices, npy_intp step, int64_t length, int64_t stride,
                     int64_t* to, npy_intp n) {
    uint64_t outside = 0;
    for (npy_intp i = 0; i < n; ++i) {
        int64_t at = indices[i * step];
        at += length & (at >> 63);
        outside |= static_cast<uint64_t>(at) >= static_cast<uint64_t>(length) ? 1 : 0;
        // What is out of range may run over, and is not used.
        to[i] = static_cast<int64_t>(static_cast<uint64_t>(to[i]) +
                                     static_cast<uint64_t>(at) * static_cast<uint64_t>(stride));
    }
    return outside;
}

// The same for indices that are broadcast to `dims`. False: one is out of range.
bool add_broadcast(const Fields* indices, npy_intp length, npy_intp stride, int nd,
                   const npy_intp* dims, npy_intp total, int64_t* offsets) {
    auto const* const from = reinterpret_cast<const int64_t*>(indices->data);
    if (count_of(indices) == total) return !add_offsets(from, 1, length, stride, offsets, total);
    npy_intp at[NPY_MAXDIMS] = {}, steps[NPY_MAXDIMS] = {}, place = 0, step = 1;
    for (int d = nd - 1, k = indices->nd - 1; k >= 0; --d, --k) {
        steps[d] = indices->dimensions[k] == 1 ? 0 : step;
        step *= indices->dimensions[k];
    }
    npy_intp const row = dims[nd - 1], along = steps[nd - 1];
    uint64_t outside = 0;
    for (npy_intp i = 0; i < total; i += row) {
        outside |= add_offsets(from + place, along, length, stride, offsets + i, row);
        for (int d = nd - 2; d >= 0; --d) {
            place += steps[d];
            if (++at[d] < dims[d]) break;
            place -= steps[d] * dims[d];
            at[d] = 0;
        }
    }
    return !outside;
}

// The shape of the indices together. False: declined.
bool broadcast(const IndexedAxes& axes, int* nd, npy_intp* dims, npy_intp* total) {
    *nd = 0;
    for (int k = 0; k < axes.n; ++k) *nd = std::max(*nd, fields(axes.arrays[k])->nd);
    std::fill(dims, dims + *nd, 1);
    for (int k = 0; k < axes.n; ++k) {
        Fields const* const f = fields(axes.arrays[k]);
        npy_intp* const to = dims + *nd - f->nd;
        for (int d = 0; d < f->nd; ++d) {
            if (to[d] == 1) to[d] = f->dimensions[d];
            if (f->dimensions[d] != 1 && f->dimensions[d] != to[d]) return refuse(Why::shape);
        }
    }
    *total = 1;
    for (int d = 0; d < *nd; ++d)
        if (__builtin_mul_overflow(*total, dims[d], total)) return refuse(Why::shape);
    return true;
}

// The arrays with their axes in the order that they have in memory, all arrays together. False: an
// error is set.
bool permute(IndexedAxes& axes, Selection& part) {
    bool in_order = true;
    for (int k = 0; k < axes.n; ++k) {
        Fields const* const f = fields(axes.arrays[k]);
        in_order = in_order && (f->nd < 2 || f->flags & NPY_ARRAY_C_CONTIGUOUS);
    }
    if (in_order) return true;
    int nd;
    npy_intp dims[NPY_MAXDIMS], total;
    if (!broadcast(axes, &nd, dims, &total)) return false;
    auto const stride = [&](int k, int d) -> npy_intp {
        Fields const* const f = fields(axes.arrays[k]);
        int const own = d - (nd - f->nd);
        return own < 0 || f->dimensions[own] == 1 ? 0 : magnitude(f->strides[own]);
    };
    k_order(nd, axes.n, stride, part.order);
    for (int d = 0; d < nd; ++d) part.permuted |= part.order[d] != d;
    for (int k = 0; part.permuted && k < axes.n; ++k) {
        PyObject* const x = axes.arrays[k];
        Fields const* const f = fields(x);
        npy_intp lengths[NPY_MAXDIMS], strides[NPY_MAXDIMS];
        for (int d = 0; d < nd; ++d) {
            int const own = part.order[d] - (nd - f->nd);
            lengths[d] = own < 0 ? 1 : f->dimensions[own];
            strides[d] = own < 0 ? 0 : f->strides[own];
        }
        if (!axes.replace(k, new_view(x, nd, lengths, strides, f->data, f->descr))) return false;
    }
    return true;
}

// NumPy's iterator follows the arrays in memory, those of the values too. One that has all axes in
// C order leaves no choice.
bool decides_order(PyObject* indices, npy_intp total) {
    Fields const* const f = fields(indices);
    return f->flags & NPY_ARRAY_C_CONTIGUOUS && count_of(f) == total;
}

// Several axes become one of bytes, the arrays one of offsets, from the lowest address on. False:
// declined, or an error is set.
bool combine(IndexedAxes& axes, Selection& part) {
    npy_intp lowest = 0, highest = 0;
    for (int k = 0; k < axes.n; ++k) {
        npy_intp reach;
        if (!axes.lengths[k] ||
            __builtin_mul_overflow(axes.lengths[k] - 1, axes.strides[k], &reach) ||
            __builtin_add_overflow(reach < 0 ? lowest : highest, reach,
                                   reach < 0 ? &lowest : &highest))
            return refuse(Why::index);
    }
    npy_intp length;
    if (__builtin_sub_overflow(highest, lowest, &length) ||
        __builtin_add_overflow(length, 1, &length))
        return refuse(Why::index);
    int nd;
    npy_intp dims[NPY_MAXDIMS], total;
    if (!broadcast(axes, &nd, dims, &total)) return false;
    for (int k = 0; k < axes.n; ++k) {
        PyObject* const x = axes.arrays[k];
        part.c_order |= decides_order(x, total);
        if (!axes.replace(k, as_indices(x, false).release().ptr())) return false;
    }
    part.indices = py::reinterpret_steal<py::object>(new_array(nd, dims, descr_of_num[NPY_INTP]));
    if (!part.indices) return false;
    auto* const offsets = reinterpret_cast<int64_t*>(fields(part.indices.ptr())->data);
    std::fill(offsets, offsets + total, -lowest);
    for (int k = 0; k < axes.n; ++k)
        if (!add_broadcast(fields(axes.arrays[k]), axes.lengths[k], axes.strides[k], nd, dims,
                           total, offsets))
            return refuse(Why::index);
    part.data += lowest;
    axes.lengths[0] = length;
    axes.strides[0] = 1;
    return true;
}

// The axes of a mask from `axis` on. False: declined, or an error is set.
bool add_mask(const Fields* f, int axis, PyObject* x, IndexedAxes& axes) {
    Fields const* const mask = fields(x);
    npy_intp const *const dims = f->dimensions + axis, *const strides = f->strides + axis;
    if (!std::equal(dims, dims + mask->nd, mask->dimensions)) return refuse(Why::shape);
    bool is_run = true;
    npy_intp length = dims[mask->nd - 1], stride = strides[mask->nd - 1];
    for (int d = mask->nd - 2; d >= 0 && is_run; --d) {
        npy_intp row;
        is_run = !__builtin_mul_overflow(length, stride, &row) && row == strides[d] &&
                 !__builtin_mul_overflow(length, dims[d], &length);
    }
    if (is_run) {
        auto positions = py::reinterpret_steal<py::object>(flat_positions(x));
        return positions && axes.add(std::move(positions), length, stride);
    }
    auto const along = py::reinterpret_steal<py::object>(positions_by_axis(x));
    if (!along) return false;
    for (int d = 0; d < mask->nd; ++d) {
        auto column = py::reinterpret_borrow<py::object>(PyTuple_GET_ITEM(along.ptr(), d));
        if (!axes.add(std::move(column), dims[d], strides[d])) return false;
    }
    return true;
}

// What an index is made of.
struct Items {
    Items(PyObject* const* items, Py_ssize_t length) : at(items), n(length) {}

    PyObject* const* at;
    Py_ssize_t n;
    int used = 0, made = 0;  // axes of the array, new axes
    int integers = 0;
    bool ellipsis = false;
    int arrays = 0;
    Py_ssize_t first = -1, last = -1;  // among integers and arrays
    Py_ssize_t start[NPY_MAXDIMS], stop[NPY_MAXDIMS], step[NPY_MAXDIMS];  // of slices

    // The numbers of slices may run any code, which may change the arrays: they come first. no:
    // their errors are NumPy's.
    Parsed unpack_slices() {
        for (Py_ssize_t i = 0; i < n; ++i) {
            if (!PySlice_Check(at[i]) || PySlice_Unpack(at[i], start + i, stop + i, step + i) == 0)
                continue;
            if (!PyErr_ExceptionMatches(PyExc_TypeError) &&
                !PyErr_ExceptionMatches(PyExc_ValueError))
                return Parsed::error;
            PyErr_Clear();
            return Parsed::no;
        }
        return Parsed::yes;
    }

    // False: not for us.
    bool count() {
        for (Py_ssize_t i = 0; i < n; ++i) {
            PyObject* const x = at[i];
            bool const array = is_index_array(x), mask = !array && is_mask(x);
            if (array || mask || is_index(x)) {
                used += mask ? fields(x)->nd : 1;
                if (first < 0) first = i;
                last = i;
                (array || mask ? arrays : integers) += 1;
            } else if (PySlice_Check(x)) {
                ++used;
            } else if (x == Py_None) {
                ++made;
            } else if (x == Py_Ellipsis && !ellipsis) {
                ellipsis = true;
            } else {
                return false;
            }
        }
        return true;
    }
    // Beside arrays integers are arrays, too. Where others lie between them, their axes come first.
    bool are_apart() const {
        for (Py_ssize_t i = first; i < last; ++i)
            if (!is_index(at[i]) && !is_index_array(at[i]) && !is_mask(at[i])) return true;
        return false;
    }
};

// The axes that are kept; add_array(axis, array) takes those of arrays.
template <class AddArray>
Parsed select(const Fields* f, const Items& items, Selection& part, const AddArray& add_array) {
    part.data = f->data;
    part.nd = 0;
    int axis = 0;
    auto const keep = [&](npy_intp dim, npy_intp stride) {
        part.dims[part.nd] = dim;
        part.strides[part.nd++] = stride;
    };
    for (Py_ssize_t i = 0; i < items.n; ++i) {
        PyObject* const x = items.at[i];
        if (i == items.first) part.indexed = part.nd;
        if (x == Py_None) {
            keep(1, 0);
        } else if (x == Py_Ellipsis) {
            for (int skip = f->nd - items.used; skip > 0; --skip, ++axis)
                keep(f->dimensions[axis], f->strides[axis]);
        } else if (PySlice_Check(x)) {
            Py_ssize_t start = items.start[i], stop = items.stop[i];
            Py_ssize_t const step = items.step[i];
            Py_ssize_t const len = PySlice_AdjustIndices(f->dimensions[axis], &start, &stop, step);
            if (len > 0) part.data += start * f->strides[axis];
            npy_intp stride;
            if (__builtin_mul_overflow(f->strides[axis], step, &stride)) return Parsed::no;
            // NumPy leaves the stride of a slice of length 0 or 1 as the product, too.
            keep(len, stride);
            ++axis;
        } else if (is_index(x)) {
            npy_intp at;
            if (!wrap_index(x, f->dimensions[axis], &at)) return Parsed::no;
            part.data += at * f->strides[axis];
            ++axis;
        } else if (!add_array(&axis, x)) {
            return PyErr_Occurred() ? Parsed::error : Parsed::no;
        }
    }
    for (; axis < f->nd; ++axis) keep(f->dimensions[axis], f->strides[axis]);
    return Parsed::yes;
}

// Whether NumPy's iterator may turn an axis: one array of one axis it follows as it is.
bool goes_backwards(const IndexedAxes& axes) {
    if (axes.n == 1 && fields(axes.arrays[0])->nd < 2) return false;
    for (int k = 0; k < axes.n; ++k) {
        Fields const* const f = fields(axes.arrays[k]);
        for (int d = 0; d < f->nd; ++d)
            if (f->strides[d] < 0 && f->dimensions[d] > 1) return true;
    }
    return false;
}

Parsed select_by_arrays(const Fields* f, const Items& items, bool keep, Selection& part) {
    IndexedAxes axes;
    Parsed const parsed = select(f, items, part, [&](int* axis, PyObject* x) {
        if (is_mask(x)) {
            int const first = *axis;
            *axis += fields(x)->nd;
            return add_mask(f, first, x, axes);
        }
        npy_intp const length = f->dimensions[*axis], stride = f->strides[*axis];
        ++*axis;
        return axes.add(py::reinterpret_borrow<py::object>(x), length, stride);
    });
    if (parsed != Parsed::yes) return parsed;
    if (keep && std::all_of(part.dims, part.dims + part.nd, [](npy_intp n) { return n == 1; }) &&
        !permute(axes, part))
        return PyErr_Occurred() ? Parsed::error : Parsed::no;
    part.backwards = goes_backwards(axes);
    if (axes.n == 1) {
        part.indices = py::reinterpret_borrow<py::object>(axes.arrays[0]);
        part.c_order = decides_order(part.indices.ptr(), count_of(fields(part.indices.ptr())));
    } else if (!combine(axes, part)) {
        return PyErr_Occurred() ? Parsed::error : Parsed::no;
    }
    if (items.are_apart()) part.indexed = 0;
    npy_intp *const dims = part.dims + part.indexed, *const strides = part.strides + part.indexed;
    std::copy_backward(dims, part.dims + part.nd, part.dims + part.nd + 1);
    std::copy_backward(strides, part.strides + part.nd, part.strides + part.nd + 1);
    *dims = axes.lengths[0];
    *strides = axes.strides[0];
    ++part.nd;
    return Parsed::yes;
}

}  // namespace

bool is_mask(PyObject* key) {
    return is_exact(key) && fields(key)->descr == descr_of(DType::boolean) && fields(key)->nd;
}

py::object as_indices(PyObject* x, bool truth) {
    if (PyLong_CheckExact(x)) return py::reinterpret_steal<py::object>(as_index(x));
    bool const list = is_sequence(x);
    auto found = py::reinterpret_steal<py::object>(
        list          ? PyArray_FromAny(x, nullptr, 0, 0, NPY_ARRAY_DEFAULT, nullptr)
        : is_exact(x) ? new_ref(x)
                      : decline(Why::type));
    if (!found) return {};
    PyArray_Descr* const index_type = descr_of_num[NPY_INTP];
    Fields const* const f = fields(found.ptr());
    if (f->descr == index_type) {
        if ((f->flags & NPY_ARRAY_CARRAY_RO) == NPY_ARRAY_CARRAY_RO) return found;
    } else if (PyTypeNum_ISBOOL(f->descr->type_num)
                   ? !truth
                   : list || !PyTypeNum_ISINTEGER(f->descr->type_num)) {
        declined = Why::dtype;
        return {};
    }
    Py_INCREF(index_type);
    return py::reinterpret_steal<py::object>(PyArray_FromAny(
        found.ptr(), index_type, 0, 0, NPY_ARRAY_DEFAULT | NPY_ARRAY_FORCECAST, nullptr));
}

bool has_lists(PyObject* key) {
    if (PyList_CheckExact(key)) return true;
    if (!PyTuple_CheckExact(key)) return false;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(key); ++i)
        if (PyList_CheckExact(PyTuple_GET_ITEM(key, i))) return true;
    return false;
}

py::object without_lists(PyObject* key) {
    if (PyList_CheckExact(key)) return index_list(key);
    Py_ssize_t const n = PyTuple_GET_SIZE(key);
    auto copy = py::reinterpret_steal<py::object>(PyTuple_New(n));
    for (Py_ssize_t i = 0; copy && i < n; ++i) {
        PyObject* const x = PyTuple_GET_ITEM(key, i);
        PyObject* const item = PyList_CheckExact(x) ? index_list(x).release().ptr() : new_ref(x);
        if (!item) return {};
        PyTuple_SET_ITEM(copy.ptr(), i, item);
    }
    return copy;
}

char* locate(const Fields* f, PyObject* key) {
    npy_intp at;
    if (is_index(key))
        return f->nd == 1 && wrap_index(key, f->dimensions[0], &at) ? f->data + at * f->strides[0]
                                                                    : nullptr;
    if (!PyTuple_CheckExact(key) || PyTuple_GET_SIZE(key) != f->nd) return nullptr;
    char* data = f->data;
    for (int d = 0; d < f->nd; ++d) {
        PyObject* const x = PyTuple_GET_ITEM(key, d);
        if (!is_index(x) || !wrap_index(x, f->dimensions[d], &at)) return nullptr;
        data += at * f->strides[d];
    }
    return data;
}

Parsed parse_key(const Fields* f, PyObject* key, bool keep, Selection& part) {
    Items items(&key, 1);
    if (PyTuple_CheckExact(key)) {
        items.at = reinterpret_cast<PyTupleObject*>(key)->ob_item;
        items.n = PyTuple_GET_SIZE(key);
    }
    if (items.n > NPY_MAXDIMS) return Parsed::no;
    if (Parsed const unpacked = items.unpack_slices(); unpacked != Parsed::yes) return unpacked;
    if (!items.count() || items.used > f->nd ||
        f->nd - items.used + items.made + (items.arrays ? 1 : 0) > NPY_MAXDIMS)
        return Parsed::no;
    part.element = part.permuted = part.c_order = false;
    if (items.arrays) return select_by_arrays(f, items, keep, part);
    part.element = items.integers == f->nd && items.integers == items.n;
    return select(f, items, part, [](int*, PyObject*) { return false; });
}

bool select_along(const Fields* f, int axis, PyObject* x, bool keep, Selection& part) {
    Fields const* const g = fields(x);
    int const nd = f->nd;
    if (g->nd != nd || !PyTypeNum_ISINTEGER(g->descr->type_num)) return refuse(Why::index);
    npy_intp dims[NPY_MAXDIMS];
    for (int d = 0; d < nd; ++d) {
        npy_intp const own = f->dimensions[d], other = g->dimensions[d];
        if (!own || !other || (d != axis && own != other && own != 1 && other != 1))
            return refuse(Why::shape);
        dims[d] = d == axis || own == 1 ? other : own;
    }
    IndexedAxes axes;
    if (!axes.add(py::reinterpret_borrow<py::object>(x), f->dimensions[axis], f->strides[axis]))
        return false;
    // Places along the other axes: arrays of 0, 1, 2 ...
    for (int d = 0; d < nd; ++d) {
        if (d == axis || f->dimensions[d] == 1) continue;
        npy_intp shape[NPY_MAXDIMS];
        for (int k = 0; k < nd; ++k) shape[k] = k == d ? dims[d] : 1;
        auto places =
            py::reinterpret_steal<py::object>(new_array(nd, shape, descr_of_num[NPY_INTP]));
        if (!places) return false;
        auto* const to = reinterpret_cast<int64_t*>(fields(places.ptr())->data);
        for (npy_intp i = 0; i < dims[d]; ++i) to[i] = i;
        if (!axes.add(std::move(places), f->dimensions[d], f->strides[d])) return false;
    }
    part.data = f->data;
    part.nd = 1;
    part.indexed = 0;
    part.element = part.permuted = part.c_order = false;
    part.backwards = goes_backwards(axes);
    if ((keep && !permute(axes, part)) || !combine(axes, part)) return false;
    part.dims[0] = axes.lengths[0];
    part.strides[0] = axes.strides[0];
    return true;
}

}  // namespace raptors
