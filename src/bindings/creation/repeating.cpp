#include "creation/repeating.h"

#include <algorithm>
#include <cstring>

#include "api/table.h"
#include "array/free_lists.h"
#include "creation/copying.h"
#include "creation/shaping.h"
#include "frame/run/move.h"
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
        !parse_integer(slots[0], &times) || times < 1)
        return decline(Why::keyword);
    Fields const* const f = fields(self);
    if (f->nd != 1) return decline(Why::shape);
    py::object const source = flat_source(self);
    if (!source) return nullptr;
    if (times == 1) return counted(entry, c_ordered(self));
    npy_intp const n = f->dimensions[0], dims[] = {times, n};
    npy_intp total;
    if (__builtin_mul_overflow(times, n, &total)) return decline(Why::shape);
    auto const rows = py::reinterpret_steal<py::object>(new_array(2, dims, f->descr));
    if (!rows) return nullptr;
    repeat_elements(fields(source.ptr())->data, fields(rows.ptr())->data, 1, times,
                    bytes_from(f, 0));
    return counted(entry, reshaped(rows.ptr(), 1, &total));
}

PyObject* resize_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                        PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (!is_ours(self)) return decline(Why::type);
    Fields const* const f = fields(self);
    int nd;
    npy_intp dims[NPY_MAXDIMS], wanted = 1;
    if (kwnames || nargs != 1 || !parse_shape(args[0], &nd, dims)) return decline(Why::keyword);
    npy_intp const given = count_of(f), size = PyDataType_ELSIZE(f->descr);
    // Records lose their padding, and all else the other byte order.
    if (!is_movable(f->descr) || !PyArray_ISNBO(f->descr->byteorder) ||
        f->descr->type_num == NPY_VOID)
        return decline(Why::dtype);
    for (int d = 0; d < nd; ++d)
        if (dims[d] < 1 || __builtin_mul_overflow(wanted, dims[d], &wanted))
            return decline(Why::shape);
    if (!given || !f->nd) return decline(Why::shape);
    auto const source = py::reinterpret_steal<py::object>(raveled(self));
    auto const all = py::reinterpret_steal<py::object>(new_array(1, &wanted, f->descr));
    if (!source || !all) return nullptr;
    Fields const* const from = fields(source.ptr());
    char* const to = fields(all.ptr())->data;
    npy_intp const first = std::min(given, wanted);
    move_elements(1, &first, from->data, from->strides, to, fields(all.ptr())->strides, size);
    for (npy_intp done = first; done < wanted; done += std::min(done, wanted - done))
        std::memcpy(to + done * size, to,
                    static_cast<size_t>(std::min(done, wanted - done) * size));
    return counted(entry, reshaped(all.ptr(), nd, dims));
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
    if (!all && !parse_axis(slots[1], f->nd, &axis)) return decline(Why::shape);
    if (!is_movable(f->descr)) return decline(Why::dtype);
    if (!f->nd || !count_of(f)) return decline(Why::shape);
    // Of all elements in C order, or along an axis, where the result lies as the array does.
    auto const source = py::reinterpret_steal<py::object>(all ? raveled(self) : new_ref(self));
    if (!source) return nullptr;
    Fields const* const from = fields(source.ptr());
    int perm[NPY_MAXDIMS];
    stride_order(from, perm);
    auto const out = py::reinterpret_steal<py::object>(
        new_array_ordered(from->nd, from->dimensions, perm, f->descr));
    if (!out) return nullptr;
    Fields const* const to = fields(out.ptr());
    npy_intp const n = from->dimensions[axis], first = ((shift % n) + n) % n;
    npy_intp const size = PyDataType_ELSIZE(f->descr);
    Nest parts[2];  // those that stay in front of the end, those that go round to the beginning
    for (int k = 0; k < 2; ++k) {
        Nest& part = parts[k];
        part.ndim = from->nd;
        part.operands = 2;
        std::copy(from->dimensions, from->dimensions + from->nd, part.shape);
        std::copy(from->strides, from->strides + from->nd, part.strides[0]);
        std::copy(to->strides, to->strides + from->nd, part.strides[1]);
        part.shape[axis] = k ? first : n - first;
        part.data[0] = from->data + (k ? (n - first) * from->strides[axis] : 0);
        part.data[1] = to->data + (k ? 0 : first * to->strides[axis]);
        simplify(part);
    }
    const Table& table = *active().table;
    run_long(count_of(f), byte_cost * static_cast<double>(size), [&](WorkSplit split) {
        for (const Nest& part : parts) move(table, part, size, split);
    });
    return counted(entry, all ? reshaped(out.ptr(), f->nd, f->dimensions) : new_ref(out.ptr()));
}

}  // namespace raptors
