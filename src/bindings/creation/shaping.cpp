#include "creation/shaping.h"

#include "array/free_lists.h"
#include "creation/copying.h"

namespace raptors {
namespace {

Signature const order_signature = {1, 1, {"order"}, {}};

// The strides of a view of at least one element in another shape of as many. False: there is none.
// As PyArray_Newshape's _attempt_nocopy_reshape: the shortest groups of axes that have as many
// elements in both shapes, each of which has to be one run of the old ones.
bool view_strides(const Fields* f, int nd, const npy_intp* dims, npy_intp* strides) {
    npy_intp old_dims[NPY_MAXDIMS], old_strides[NPY_MAXDIMS];
    int old = 0;
    for (int d = 0; d < f->nd; ++d) {
        if (f->dimensions[d] == 1) continue;
        old_dims[old] = f->dimensions[d];
        old_strides[old++] = f->strides[d];
    }
    int from = 0, to = 0;
    while (from < old && to < nd) {
        int from_end = from + 1, to_end = to + 1;
        for (npy_intp a = old_dims[from], b = dims[to]; a != b;) {
            if (b < a)
                b *= dims[to_end++];
            else
                a *= old_dims[from_end++];
        }
        for (int d = from; d + 1 < from_end; ++d)
            if (old_strides[d] != old_dims[d + 1] * old_strides[d + 1]) return false;
        npy_intp stride = old_strides[from_end - 1];
        for (int d = to_end - 1; d >= to; --d) {
            strides[d] = stride;
            stride *= dims[d];
        }
        from = from_end;
        to = to_end;
    }
    for (; to < nd; ++to) strides[to] = to ? strides[to - 1] : PyDataType_ELSIZE(f->descr);
    return true;
}

}  // namespace

PyObject* in_shape(PyObject* self, int nd, const npy_intp* dims) {
    Fields const* const f = fields(self);
    if (f->flags & NPY_ARRAY_C_CONTIGUOUS) return reshaped(self, nd, dims);
    npy_intp strides[NPY_MAXDIMS];
    if (view_strides(f, nd, dims, strides))
        return new_view(self, nd, dims, strides, f->data, f->descr);
    auto const copy = pybind11::reinterpret_steal<pybind11::object>(flattened(self));
    return copy ? reshaped(copy.ptr(), nd, dims) : nullptr;
}

PyObject* reshaped(PyObject* self, int nd, const npy_intp* dims) {
    Fields* const f = fields(self);
    npy_intp strides[NPY_MAXDIMS];
    npy_intp stride = PyDataType_ELSIZE(f->descr);
    for (int i = nd - 1; i >= 0; --i) {
        strides[i] = stride;
        stride *= dims[i];
    }
    return new_view(self, nd, dims, strides, f->data, f->descr);
}

PyObject* flattened(PyObject* self) {
    Fields* const f = fields(self);
    if (!is_movable(f->descr)) return decline(Why::dtype);
    npy_intp const n = count_of(f), size = PyDataType_ELSIZE(f->descr);
    PyObject* out = new_array(1, &n, f->descr);
    if (!out) return nullptr;
    npy_intp strides[NPY_MAXDIMS];
    npy_intp stride = size;
    for (int i = f->nd - 1; i >= 0; --i) {
        strides[i] = stride;
        stride *= f->dimensions[i];
    }
    move_elements(f->nd, f->dimensions, f->data, f->strides, fields(out)->data, strides, size);
    return out;
}

PyObject* raveled(PyObject* self) {
    Fields const* const f = fields(self);
    npy_intp const n = count_of(f);
    return f->flags & NPY_ARRAY_C_CONTIGUOUS ? reshaped(self, 1, &n) : flattened(self);
}

PyObject* reshape_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                         Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (kwnames || !is_ours(self) || nargs < 1 || (which == 1 && nargs != 1))
        return decline(Why::keyword);
    Fields* const f = fields(self);
    int nd = 0;
    npy_intp dims[NPY_MAXDIMS];
    if (!parse_shape(args, nargs, &nd, dims)) return decline(Why::shape);
    npy_intp const total = count_of(f);
    npy_intp known = 1;
    int unknown = -1;
    for (int i = 0; i < nd; ++i) {
        if (dims[i] == -1 && unknown < 0)
            unknown = i;
        else if (dims[i] <= 0 || __builtin_mul_overflow(known, dims[i], &known))
            return decline(Why::shape);
    }
    if (unknown >= 0) {
        if (total % known) return decline(Why::shape);
        dims[unknown] = total / known;
        if (!total) return decline(Why::shape);
    } else if (known != total) {
        return decline(Why::shape);
    }
    return counted(entry, in_shape(self, nd, dims));
}

PyObject* ravel_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                       PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    if (!is_ours(self) || !order_signature.parse(args, nargs, kwnames, slots) ||
        !is_c_order(slots[0]))
        return decline(Why::keyword);
    Fields* const f = fields(self);
    if (count_of(f) == 0) return decline(Why::shape);
    return counted(entry, raveled(self));
}

PyObject* flatten_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                         PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    if (!is_ours(self) || !order_signature.parse(args, nargs, kwnames, slots) ||
        !is_c_order(slots[0]))
        return decline(Why::keyword);
    return counted(entry, flattened(self));
}

}  // namespace raptors
