#include "array/masked.h"

#include <algorithm>
#include <cstring>

#include "array/free_lists.h"
#include "creation/copying.h"
#include "frame/run/move.h"
#include "python/operand.h"
#include "runtime/threads.h"

namespace py = pybind11;

namespace raptors {
namespace {

constexpr double masked_cost = 0.1;  // nanoseconds for an element

Signature const copyto_signature = {3, 2, {"src", "casting", "where"}, {}};

bool is_writable(const Fields* f) {
    return f->flags & NPY_ARRAY_WRITEABLE && !(f->flags & warn_on_write);
}

// A mask of the array's own shape, of elements that are bytes.
bool takes_mask(const Fields* f, const Fields* mask) {
    if (!is_movable(f->descr)) return refuse(Why::dtype);
    return (f->nd && same_shape(f, mask)) || refuse(Why::index);
}
// The same of an array that is written to.
bool puts_by_mask(const Fields* f, const Fields* mask) {
    if (!takes_mask(f, mask)) return false;
    return (disjoint(mask, f) && is_injective(f)) || refuse(Why::overlap);
}

// An array without gaps of the same elements: itself, or a copy. Null: an error is set.
py::object in_one_run(PyObject* x) {
    return py::reinterpret_steal<py::object>(
        fields(x)->flags & NPY_ARRAY_C_CONTIGUOUS ? new_ref(x) : c_ordered(x));
}

// What is assigned: an array in the dtype of that it goes to, or one element.
struct Values {
    py::object array;
    Element element;
    const Fields* f = nullptr;  // of the array
    char* data;
};

enum class Cast { none, same_kind, any };

// False: declined, or an error is set.
bool read_values(const Fields* f, PyObject* value, Cast cast, Values& values) {
    if (!is_exact(value)) {
        DType const t = dtype_of(f->descr);
        values.data = values.element;
        declined = Why::value;
        return t != no_dtype && (cast == Cast::any || is_of_kind(value, t)) &&
               scalar_element(value, t, values.element);
    }
    declined = Why::overlap;
    if (!disjoint(fields(value), f)) return false;
    declined = Why::dtype;
    PyArray_Descr* const descr = fields(value)->descr;
    if (cast == Cast::none && descr != f->descr) return false;
    if (cast == Cast::same_kind && !PyArray_CanCastTypeTo(descr, f->descr, NPY_SAME_KIND_CASTING))
        return false;
    values.array = py::reinterpret_steal<py::object>(as_values(f->descr, value));
    if (!values.array) return false;
    values.f = fields(values.array.ptr());
    values.data = values.f->data;
    return true;
}

bool is_single(const Values& values) { return !values.f || count_of(values.f) == 1; }

// The elements of f where the mask is true become the values, or the one element; all is broadcast.
// False: the shapes do not go with that of f.
bool copy_where(const Fields* f, const Fields* mask, char* element, const Fields* values) {
    Nest nest;
    nest.ndim = f->nd;
    nest.operands = 3;
    nest.data[0] = values ? values->data : element;
    nest.data[1] = f->data;
    nest.data[2] = mask->data;
    std::copy(f->dimensions, f->dimensions + f->nd, nest.shape);
    std::copy(f->strides, f->strides + f->nd, nest.strides[1]);
    declined = Why::shape;
    if (!broadcast_strides(mask, f->nd, f->dimensions, nest.strides[2])) return false;
    if (!values || count_of(values) == 1)
        std::fill(nest.strides[0], nest.strides[0] + f->nd, 0);
    else if (!broadcast_strides(values, f->nd, f->dimensions, nest.strides[0]))
        return false;
    simplify(nest);
    npy_intp const size = PyDataType_ELSIZE(f->descr);
    const Table& table = *active().table;
    run_long(count_of(f), masked_cost, [&](WorkSplit split) {
        for_parts(nest, split, [&](const Nest& part) {
            move_masked(table, part, size);
            return true;
        });
    });
    return true;
}

bool copy_where(const Fields* f, const Fields* mask, Values& values) {
    return copy_where(f, mask, values.data, values.f);
}

// Contiguous values, `given` of them, one after the other where the mask is true, from the first
// again after the last. False: an error is set.
bool expand(const Fields* f, const Fields* mask, const char* values, npy_intp given,
            npy_intp total) {
    npy_intp const n = count_of(f), size = PyDataType_ELSIZE(f->descr);
    const Table& table = *active().table;
    py::object repeated;
    if (given < total) {
        repeated = py::reinterpret_steal<py::object>(new_array(1, &total, f->descr));
        if (!repeated) return false;
        char* const to = fields(repeated.ptr())->data;
        for (npy_intp at = 0; at < total; at += given)
            std::memcpy(to + at * size, values,
                        static_cast<size_t>(std::min(given, total - at) * size));
        values = to;
    }
    run_long(n, masked_cost,
             [&](WorkSplit) { table.expand(mask->data, values, f->data, n, total, size); });
    return true;
}

// Values, `given` or at least as many as are needed (`exact`: as many), in C order where the mask
// is true, from the first again after the last. False: declined, or an error is set.
bool spread(const Fields* f, PyObject* mask, Values& values, bool exact) {
    if (is_single(values)) {
        copy_where(f, fields(mask), values);
        return true;
    }
    auto const flat_mask = in_one_run(mask), flat_values = in_one_run(values.array.ptr());
    if (!flat_mask || !flat_values) return false;
    Fields const* const m = fields(flat_mask.ptr());
    npy_intp const given = count_of(values.f), total = count_true(m);
    if (exact ? given != total : !given) return refuse(Why::shape);
    const char* const from = fields(flat_values.ptr())->data;
    if (f->flags & NPY_ARRAY_C_CONTIGUOUS) return expand(f, m, from, given, total);
    Values placed;
    placed.array = py::reinterpret_steal<py::object>(new_array(f->nd, f->dimensions, f->descr));
    if (!placed.array) return false;
    placed.f = fields(placed.array.ptr());
    placed.data = placed.f->data;
    if (!expand(placed.f, m, from, given, total)) return false;
    copy_where(f, m, placed);
    return true;
}

}  // namespace

npy_intp count_true(const Fields* mask) {
    return active().table->count_true(mask->data, count_of(mask));
}

bool copy_where(const Fields* f, const Fields* mask, const Fields* values) {
    return copy_where(f, mask, nullptr, values);
}

PyObject* compressed(Entry* entry, PyObject* self, PyObject* key) {
    Fields const* const f = fields(self);
    if (!takes_mask(f, fields(key))) return nullptr;
    auto const mask = in_one_run(key), array = in_one_run(self);
    if (!mask || !array) return nullptr;
    npy_intp const n = count_of(f);
    npy_intp const total = count_true(fields(mask.ptr()));
    PyObject* const out = new_array(1, &total, f->descr);
    if (!out) return nullptr;
    active().table->compress(fields(mask.ptr())->data, fields(array.ptr())->data, fields(out)->data,
                             n, total, PyDataType_ELSIZE(f->descr));
    count_native(entry, f);
    return out;
}

int assign_masked(const Fields* f, PyObject* key, PyObject* value) {
    Values values;
    if (puts_by_mask(f, fields(key)) && !(is_exact(value) && fields(value)->nd > 1) &&
        read_values(f, value, Cast::any, values) && spread(f, key, values, true))
        return 0;
    return PyErr_Occurred() ? -1 : 1;
}

PyObject* compress_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                          Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (kwnames || nargs != (self ? 1 : 2)) return decline(Why::keyword);
    PyObject *const mask = args[0], *const array = self ? self : args[1];
    if (!is_ours(array) || !is_mask(mask)) return decline(Why::type);
    if (which == 0 && fields(array)->nd != 1) return decline(Why::shape);
    return compressed(entry, array, mask);
}

PyObject* copyto_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                        PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    if (!copyto_signature.parse(args, nargs, kwnames, slots) || !slots[0] || slots[1])
        return decline(Why::keyword);
    PyObject* const from = slots[0];
    if (!is_exact(self)) return decline(Why::type);
    Fields const* const f = fields(self);
    if (!is_writable(f)) return decline(Why::value);
    if (!slots[2] || slots[2] == Py_True) {
        if (is_exact(from)
                ? !PyArray_CanCastTypeTo(fields(from)->descr, f->descr, NPY_SAME_KIND_CASTING)
                : !is_of_kind(from, dtype_of(f->descr)))
            return decline(Why::dtype);
        int const done = assign(f->data, f->nd, f->dimensions, f->strides, f->descr, from);
        if (done) return done < 0 ? nullptr : decline(Why::value);
    } else {
        if (!is_mask(slots[2]) || !is_movable(f->descr)) return decline(Why::type);
        Fields const* const mask = fields(slots[2]);
        Values values;
        if (!disjoint(mask, f) || !is_injective(f)) return decline(Why::overlap);
        if (!read_values(f, from, Cast::same_kind, values)) return nullptr;
        if (values.f && values.f->nd > f->nd) return decline(Why::shape);
        if (!copy_where(f, mask, values)) return nullptr;
    }
    count_native(entry, f);
    Py_RETURN_NONE;
}

namespace {

// What place() and putmask() share: (mask, values) for an array. False: declined, or an error is
// set.
bool read_masked(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames,
                 Values& values) {
    if (kwnames || nargs != 2) return refuse(Why::keyword);
    if (!is_exact(self) || !is_mask(args[0])) return refuse(Why::type);
    Fields const* const f = fields(self);
    if (!is_writable(f)) return refuse(Why::value);
    return puts_by_mask(f, fields(args[0])) && read_values(f, args[1], Cast::none, values);
}

}  // namespace

PyObject* place_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                       PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    Values values;
    if (!read_masked(self, args, nargs, kwnames, values)) return nullptr;
    Fields const* const f = fields(self);
    if (!spread(f, args[0], values, false)) return nullptr;
    count_native(entry, f);
    Py_RETURN_NONE;
}

PyObject* putmask_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                         PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    Values values;
    if (!read_masked(self, args, nargs, kwnames, values)) return nullptr;
    Fields const *const f = fields(self), *const mask = fields(args[0]);
    // Values that are fewer than elements are repeated, which is no broadcasting.
    if (!is_single(values) && !same_shape(values.f, f)) return decline(Why::shape);
    copy_where(f, mask, values);
    count_native(entry, f);
    Py_RETURN_NONE;
}

}  // namespace raptors
