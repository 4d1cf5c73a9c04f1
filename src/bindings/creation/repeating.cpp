#include "creation/repeating.h"

#include <algorithm>
#include <cstring>

#include "api/table.h"
#include "array/free_lists.h"
#include "creation/from_objects.h"
#include "creation/shaping.h"
#include "runtime/threads.h"

namespace py = pybind11;

namespace raptors {
namespace {

Signature const repeat_signature = {2, 2, {"repeats", "axis"}, {}};
Signature const tile_signature = {1, 1, {"reps"}, {}};
Signature const roll_signature = {2, 2, {"shift", "axis"}, {}};
constexpr double byte_cost = 0.05;  // nanoseconds

// An array of elements that can be moved, in C order: itself or a copy. Null: declined, or an error
// is set.
py::object flat_source(PyObject* self) {
    Fields const* const f = fields(self);
    declined = is_movable(f->descr) ? Why::shape : Why::dtype;
    if (declined == Why::dtype || !f->nd || !count_of(f)) return {};
    return py::reinterpret_steal<py::object>(f->flags & NPY_ARRAY_C_CONTIGUOUS ? new_ref(self)
                                                                               : c_ordered(self));
}

// The bytes of all elements along the axes from `first` on.
npy_intp bytes_from(const Fields* f, int first) {
    npy_intp bytes = PyDataType_ELSIZE(f->descr);
    for (int d = first; d < f->nd; ++d) bytes *= f->dimensions[d];
    return bytes;
}

// The product of the axes in front of `end`.
npy_intp count_before(const Fields* f, int end) {
    npy_intp n = 1;
    for (int d = 0; d < end; ++d) n *= f->dimensions[d];
    return n;
}

void repeat_elements(const char* in, char* out, npy_intp n, npy_intp times, npy_intp size) {
    const Table& table = *active().table;
    run_long(n * times, byte_cost * static_cast<double>(size),
             [&](WorkSplit) { table.repeat(in, out, n, times, size); });
}

}  // namespace

PyObject* repeat_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                        PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (!is_exact(self)) return decline(Why::type);
    PyObject* slots[max_parameters];
    npy_intp times, axis = 0;
    if (!repeat_signature.parse(args, nargs, kwnames, slots) || !slots[0] ||
        !parse_integer(slots[0], &times) || times < 1)
        return decline(Why::keyword);
    Fields const* const f = fields(self);
    bool const all = is_none(slots[1]);
    if (!all && !parse_axis(slots[1], f->nd, &axis)) return decline(Why::shape);
    py::object const source = flat_source(self);
    if (!source) return nullptr;
    npy_intp dims[NPY_MAXDIMS];
    std::copy(f->dimensions, f->dimensions + f->nd, dims);
    int const nd = all ? 1 : f->nd;
    if (all) dims[0] = count_of(f);
    if (__builtin_mul_overflow(dims[axis], times, &dims[axis])) return decline(Why::shape);
    PyObject* const out = new_array(nd, dims, f->descr);
    if (!out) return nullptr;
    int const inner = all ? f->nd : static_cast<int>(axis) + 1;
    repeat_elements(fields(source.ptr())->data, fields(out)->data, count_before(f, inner), times,
                    bytes_from(f, inner));
    return counted(entry, out);
}

PyObject* tile_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                      PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (!is_ours(self)) return decline(Why::type);
    PyObject* slots[max_parameters];
    npy_intp times;
    if (!tile_signature.parse(args, nargs, kwnames, slots) || !slots[0] ||
        !parse_integer(slots[0], &times) || times < 2)
        return decline(Why::keyword);
    Fields const* const f = fields(self);
    if (f->nd != 1) return decline(Why::shape);
    py::object const source = flat_source(self);
    if (!source) return nullptr;
    npy_intp const n = f->dimensions[0], dims[] = {times, n};
    npy_intp total;
    if (__builtin_mul_overflow(times, n, &total)) return decline(Why::shape);
    auto const rows = py::reinterpret_steal<py::object>(new_array(2, dims, f->descr));
    if (!rows) return nullptr;
    repeat_elements(fields(source.ptr())->data, fields(rows.ptr())->data, 1, times,
                    bytes_from(f, 0));
    return counted(entry, reshaped(rows.ptr(), 1, &total));
}

PyObject* roll_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                      PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (!is_ours(self)) return decline(Why::type);
    PyObject* slots[max_parameters];
    npy_intp shift, axis = 0;
    if (!roll_signature.parse(args, nargs, kwnames, slots) || !slots[0] ||
        !parse_integer(slots[0], &shift))
        return decline(Why::keyword);
    Fields const* const f = fields(self);
    bool const all = is_none(slots[1]);
    // Along an axis the result lies as the array does.
    if (!all && (!(f->flags & NPY_ARRAY_C_CONTIGUOUS) || !parse_axis(slots[1], f->nd, &axis)))
        return decline(Why::shape);
    py::object const source = flat_source(self);
    if (!source) return nullptr;
    npy_intp const total = count_of(f);
    auto const out = py::reinterpret_steal<py::object>(
        all ? new_array(1, &total, f->descr) : new_array(f->nd, f->dimensions, f->descr));
    if (!out) return nullptr;
    npy_intp const n = all ? total : f->dimensions[axis];
    if (n == 0) return decline(Why::shape);
    int const outer = all ? 0 : static_cast<int>(axis);
    npy_intp const row = bytes_from(f, outer), rows = count_before(f, outer);
    npy_intp const first = ((shift % n) + n) % n * (row / n);  // where the row begins in the result
    const char* from = fields(source.ptr())->data;
    char* to = fields(out.ptr())->data;
    run_long(rows * row, byte_cost, [&](WorkSplit) {
        for (npy_intp i = 0; i < rows; ++i, from += row, to += row) {
            std::memcpy(to + first, from, static_cast<size_t>(row - first));
            std::memcpy(to, from + row - first, static_cast<size_t>(first));
        }
    });
    return counted(entry, all ? reshaped(out.ptr(), f->nd, f->dimensions) : new_ref(out.ptr()));
}

}  // namespace raptors
