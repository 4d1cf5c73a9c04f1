#include "ops/searching.h"

#include <algorithm>

#include "api/table.h"
#include "array/free_lists.h"
#include "array/views.h"
#include "creation/copying.h"
#include "python/operand.h"
#include "runtime/threads.h"

namespace py = pybind11;

namespace raptors {
namespace {

constexpr double count_cost = 0.05, position_cost = 0.5;  // nanoseconds for an element

// Whether each element is not 0, in C order; booleans are that already. Null: declined, or an error
// is set.
py::object truth_of(PyObject* self) {
    Fields const* const f = fields(self);
    DType const t = dtype_of(f->descr);
    declined = Why::dtype;
    if (PyTypeNum_ISDATETIME(f->descr->type_num) && PyArray_ISNBO(f->descr->byteorder)) {
        auto const numbers = py::reinterpret_steal<py::object>(
            new_view(self, f->nd, f->dimensions, f->strides, f->data, descr_of(DType::int64)));
        return numbers ? truth_of(numbers.ptr()) : py::object();
    }
    if (t == no_dtype) return {};
    if (t == DType::boolean)
        return py::reinterpret_steal<py::object>(
            f->flags & NPY_ARRAY_C_CONTIGUOUS ? new_ref(self) : c_ordered(self));
    return py::reinterpret_steal<py::object>(converted(self, descr_of(DType::boolean), Order::c));
}

// Positions in C order as indices along the axes of `shape`: those of one element lie `item` apart,
// of one axis `axis`.
void unravel(const int64_t* positions, npy_intp total, const Fields* shape, int64_t* to,
             npy_intp item, npy_intp axis) {
    int const last = shape->nd - 1;
    npy_intp const length = shape->dimensions[last];
    npy_intp at[NPY_MAXDIMS] = {}, row = 0;
    for (npy_intp k = 0; k < total; ++k, to += item) {
        for (; positions[k] - row >= length; row += length)
            for (int d = last - 1; d >= 0 && ++at[d] == shape->dimensions[d]; --d) at[d] = 0;
        for (int d = 0; d < last; ++d) to[d * axis] = at[d];
        to[last * axis] = positions[k] - row;
    }
}

void find(const Table& table, const Fields* truth, npy_intp total, int64_t* positions) {
    npy_intp const n = count_of(truth);
    run_long(n, position_cost, [&](WorkSplit) { table.nonzero(truth->data, positions, n, total); });
}

// For each of nd axes the indices along it, which are the last axis of a table: views, as NumPy's.
PyObject* columns_of(PyObject* table, int nd) {
    auto out = py::reinterpret_steal<py::object>(PyTuple_New(nd));
    if (!out) return nullptr;
    Fields const* const f = fields(table);
    for (int d = 0; d < nd; ++d) {
        PyObject* const column = new_view(table, f->nd - 1, f->dimensions, f->strides,
                                          f->data + d * npy_intp{sizeof(int64_t)}, f->descr);
        if (!column) return nullptr;
        PyTuple_SET_ITEM(out.ptr(), d, column);
    }
    return out.release().ptr();
}

// Where an exact array of at least one element is not 0. nullptr without an error: declined.
PyObject* found(PyObject* self, Places kind) {
    Fields const* const f = fields(self);
    auto const truth = truth_of(self);
    if (!truth) return nullptr;
    const Table& table = *active().table;
    Fields const* const t = fields(truth.ptr());
    npy_intp const n = count_of(t);
    npy_intp total = 0;
    run_long(n, count_cost, [&](WorkSplit) { total = table.count_true(t->data, n); });
    int const nd = kind == Places::flat ? 1 : f->nd;
    // Of nonzero a row for each element; of argwhere a column, to be transposed.
    bool const columns = kind == Places::rows;
    npy_intp const dims[] = {columns ? nd : total, columns ? total : nd};
    auto const indices =
        py::reinterpret_steal<py::object>(new_array(2, dims, descr_of_num[NPY_INTP]));
    if (!indices) return nullptr;
    auto* const to = reinterpret_cast<int64_t*>(fields(indices.ptr())->data);
    if (nd == 1) {
        find(table, t, total, to);
    } else {
        auto const flat =
            py::reinterpret_steal<py::object>(new_array(1, &total, descr_of_num[NPY_INTP]));
        if (!flat) return nullptr;
        auto* const positions = reinterpret_cast<int64_t*>(fields(flat.ptr())->data);
        find(table, t, total, positions);
        run_long(total, position_cost * nd, [&](WorkSplit) {
            unravel(positions, total, f, to, columns ? 1 : nd, columns ? total : 1);
        });
    }
    if (columns) return reversed_axes(indices.ptr());
    auto along = py::reinterpret_steal<py::object>(columns_of(indices.ptr(), nd));
    if (!along || kind == Places::nonzero) return along.release().ptr();
    return new_ref(PyTuple_GET_ITEM(along.ptr(), 0));
}

constexpr int max_unraveled = 8;  // axes; NumPy serves more

// A number of type int or one of NumPy's as an index. False: it is none.
bool read_index(PyObject* x, int64_t* index) {
    Element number;
    bool const is_integer = PyLong_CheckExact(x) || PyArray_IsScalar(x, Integer);
    if (!is_integer || !scalar_element(x, DType::int64, number)) return false;
    std::memcpy(index, &number, sizeof *index);
    return true;
}

// A shape that indices are unraveled to, in C order.
struct UnraveledShape {
    int nd = 0;
    npy_intp dims[max_unraveled], size = 1;

    // False: NumPy judges.
    bool read(PyObject* shape) {
        npy_intp all[NPY_MAXDIMS];
        if (!parse_shape(shape, &nd, all) || nd < 1 || nd > max_unraveled) return false;
        for (int d = 0; d < nd; ++d) {
            dims[d] = all[d];
            if (dims[d] < 1 || __builtin_mul_overflow(size, dims[d], &size)) return false;
        }
        return true;
    }
    // An index as one along each axis. False: it is out of range.
    bool unravel_one(int64_t index, int64_t* to) const {
        if (index < 0 || index >= size) return false;
        for (int d = nd - 1; d > 0; --d) {
            to[d] = index % dims[d];
            index /= dims[d];
        }
        to[0] = index;
        return true;
    }
};

// The indices along the axes of n elements as one index each. False: one is out of range.
bool ravel(const int64_t* const* along, const UnraveledShape& shape, npy_intp n, int64_t* to) {
    bool in_range = true;
    for (npy_intp i = 0; i < n; ++i) {
        int64_t index = 0;
        for (int d = 0; d < shape.nd; ++d) {
            int64_t const at = along[d][i];
            in_range &= static_cast<uint64_t>(at) < static_cast<uint64_t>(shape.dims[d]);
            // What is out of range may run over, and is not used.
            index = static_cast<int64_t>(static_cast<uint64_t>(index) *
                                             static_cast<uint64_t>(shape.dims[d]) +
                                         static_cast<uint64_t>(at));
        }
        to[i] = index;
    }
    return in_range;
}

// Of arrays of int64 of one shape in C order. nullptr without an error: declined.
PyObject* ravel_arrays(PyObject* const* arrays, const UnraveledShape& shape) {
    const int64_t* along[max_unraveled];
    Fields const* const f = fields(arrays[0]);
    for (int d = 0; d < shape.nd; ++d) {
        if (!is_exact(arrays[d])) return decline(Why::type);
        Fields const* const g = fields(arrays[d]);
        if (dtype_of(g->descr) != DType::int64) return decline(Why::dtype);
        if (!is_run(g) || !g->nd || !same_shape(f, g)) return decline(Why::shape);
        along[d] = reinterpret_cast<const int64_t*>(g->data);
    }
    auto out =
        py::reinterpret_steal<py::object>(new_array(f->nd, f->dimensions, descr_of_num[NPY_INTP]));
    if (!out) return nullptr;
    npy_intp const n = count_of(f);
    bool in_range = true;
    run_long(n, position_cost * shape.nd, [&](WorkSplit) {
        in_range = ravel(along, shape, n, reinterpret_cast<int64_t*>(fields(out.ptr())->data));
    });
    return in_range ? out.release().ptr() : decline(Why::value);
}

PyObject* ravel_numbers(PyObject* const* numbers, const UnraveledShape& shape) {
    int64_t at[max_unraveled], index;
    const int64_t* along[max_unraveled];
    for (int d = 0; d < shape.nd; ++d) {
        if (!read_index(numbers[d], at + d)) return decline(Why::type);
        along[d] = at + d;
    }
    if (!ravel(along, shape, 1, &index)) return decline(Why::value);
    return as_scalar(reinterpret_cast<const char*>(&index), DType::int64, NPY_INTP);
}

// Counts a call by its indices and hands its result on. nullptr stays nullptr.
PyObject* counted_by(Entry* entry, PyObject* indices, PyObject* out) {
    if (out && is_exact(indices))
        count_native(entry, fields(indices));
    else if (out)
        count_native(entry, DType::int64, Layout::scalar, 0, nullptr);
    return out;
}

PyObject* unravel_number(int64_t index, const UnraveledShape& shape) {
    int64_t to[max_unraveled];
    if (!shape.unravel_one(index, to)) return decline(Why::value);
    auto out = py::reinterpret_steal<py::object>(PyTuple_New(shape.nd));
    for (int d = 0; out && d < shape.nd; ++d) {
        PyObject* const one =
            as_scalar(reinterpret_cast<const char*>(to + d), DType::int64, NPY_INTP);
        if (!one) return nullptr;
        PyTuple_SET_ITEM(out.ptr(), d, one);
    }
    return out.release().ptr();
}

// Of a C-ordered array of int64.
PyObject* unravel_array(PyObject* indices, const UnraveledShape& shape) {
    Fields const* const f = fields(indices);
    npy_intp dims[NPY_MAXDIMS + 1];
    std::copy(f->dimensions, f->dimensions + f->nd, dims);
    dims[f->nd] = shape.nd;
    auto const table =
        py::reinterpret_steal<py::object>(new_array(f->nd + 1, dims, descr_of_num[NPY_INTP]));
    if (!table) return nullptr;
    auto const* const from = reinterpret_cast<const int64_t*>(f->data);
    auto* const to = reinterpret_cast<int64_t*>(fields(table.ptr())->data);
    npy_intp const n = count_of(f);
    bool in_range = true;
    run_long(n, position_cost * shape.nd, [&](WorkSplit) {
        for (npy_intp i = 0; i < n && in_range; ++i)
            in_range = shape.unravel_one(from[i], to + i * shape.nd);
    });
    return in_range ? columns_of(table.ptr(), shape.nd) : decline(Why::value);
}

}  // namespace

PyObject* unravel_index_native(int, Entry* entry, PyObject* self, PyObject* const* args,
                               Py_ssize_t nargs, PyObject* kwnames) {
    UnraveledShape shape;
    if (!active().table) return decline(Why::disabled);
    if (nargs != 1 || kwnames || !shape.read(args[0])) return decline(Why::keyword);
    PyObject* out = nullptr;
    if (is_exact(self)) {
        Fields const* const f = fields(self);
        if (dtype_of(f->descr) != DType::int64) return decline(Why::dtype);
        if (!is_run(f) || !f->nd || f->nd == NPY_MAXDIMS) return decline(Why::shape);
        out = unravel_array(self, shape);
    } else {
        int64_t index;
        if (!read_index(self, &index)) return decline(Why::type);
        out = unravel_number(index, shape);
    }
    return counted_by(entry, self, out);
}

PyObject* ravel_multi_index_native(int, Entry* entry, PyObject* self, PyObject* const* args,
                                   Py_ssize_t nargs, PyObject* kwnames) {
    UnraveledShape shape;
    if (!active().table) return decline(Why::disabled);
    if (nargs != 1 || kwnames || !shape.read(args[0])) return decline(Why::keyword);
    if (!PyTuple_CheckExact(self) || PyTuple_GET_SIZE(self) != shape.nd) return decline(Why::type);
    PyObject* const* const along = reinterpret_cast<PyTupleObject*>(self)->ob_item;
    PyObject* const out =
        is_exact(along[0]) ? ravel_arrays(along, shape) : ravel_numbers(along, shape);
    return counted_by(entry, along[0], out);
}

PyObject* nonzero_native(int which, Entry* entry, PyObject* self, PyObject* const*,
                         Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (nargs || kwnames) return decline(Why::keyword);
    if (!is_exact(self)) return decline(Why::type);
    Fields const* const f = fields(self);
    if (!f->nd || !count_of(f)) return decline(Why::shape);
    PyObject* const out = found(self, static_cast<Places>(which));
    if (out) count_native(entry, f);
    return out;
}

PyObject* flat_positions(PyObject* mask) {
    return count_of(fields(mask)) ? found(mask, Places::flat) : decline(Why::shape);
}

PyObject* positions_by_axis(PyObject* mask) {
    return count_of(fields(mask)) ? found(mask, Places::nonzero) : decline(Why::shape);
}

}  // namespace raptors
