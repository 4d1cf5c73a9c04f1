#include "creation/shaping.h"

#include "array/free_lists.h"
#include "creation/from_objects.h"

namespace raptors {
namespace {

Signature order_signature = {1, 1, {"order"}, {}};
Signature axis_signature = {1, 1, {"axis"}, {}};

}  // namespace

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
    if (!(f->flags & NPY_ARRAY_C_CONTIGUOUS)) return decline(Why::shape);
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
    return counted(entry, reshaped(self, nd, dims));
}

PyObject* reversed_axes(PyObject* self) {
    Fields* const f = fields(self);
    npy_intp dims[NPY_MAXDIMS], strides[NPY_MAXDIMS];
    for (int d = 0; d < f->nd; ++d) {
        dims[d] = f->dimensions[f->nd - 1 - d];
        strides[d] = f->strides[f->nd - 1 - d];
    }
    return new_view(self, f->nd, dims, strides, f->data, f->descr);
}

PyObject* transpose_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                           Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (kwnames || !is_ours(self) || (which == 1 && nargs > 1)) return decline(Why::keyword);
    Fields* const f = fields(self);
    PyObject* out;
    if (nargs == 0 || (nargs == 1 && args[0] == Py_None)) {
        out = reversed_axes(self);
    } else {
        npy_intp axes[NPY_MAXDIMS], dims[NPY_MAXDIMS], strides[NPY_MAXDIMS];
        int n = 0;
        bool const is_function = which == 1;  // which takes a sequence only
        if ((is_function && PyLong_CheckExact(args[0])) || !parse_shape(args, nargs, &n, axes) ||
            n != f->nd || !wrap_axes(n, n, axes))
            return decline(Why::shape);
        for (int i = 0; i < n; ++i) {
            dims[i] = f->dimensions[axes[i]];
            strides[i] = f->strides[axes[i]];
        }
        out = new_view(self, n, dims, strides, f->data, f->descr);
    }
    return counted(entry, out);
}

PyObject* swapaxes_native(int, Entry* entry, PyObject* self, PyObject* const* args,
                          Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (kwnames || nargs != 2 || !is_ours(self)) return decline(Why::keyword);
    Fields* const f = fields(self);
    npy_intp a, b;
    if (!parse_axis(args[0], f->nd, &a) || !parse_axis(args[1], f->nd, &b))
        return decline(Why::shape);
    npy_intp dims[NPY_MAXDIMS], strides[NPY_MAXDIMS];
    for (int d = 0; d < f->nd; ++d) {
        npy_intp const from = d == a ? b : d == b ? a : d;
        dims[d] = f->dimensions[from];
        strides[d] = f->strides[from];
    }
    return counted(entry, new_view(self, f->nd, dims, strides, f->data, f->descr));
}

PyObject* squeeze_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                         PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    if (!is_ours(self) || !axis_signature.parse(args, nargs, kwnames, slots))
        return decline(Why::keyword);
    Fields* const f = fields(self);
    npy_intp only = -1;
    if (!is_none(slots[0]) && (!parse_axis(slots[0], f->nd, &only) || f->dimensions[only] != 1))
        return decline(Why::shape);
    npy_intp dims[NPY_MAXDIMS], strides[NPY_MAXDIMS];
    int nd = 0;
    for (int d = 0; d < f->nd; ++d) {
        if (f->dimensions[d] == 1 && (only < 0 || only == d)) continue;
        dims[nd] = f->dimensions[d];
        strides[nd++] = f->strides[d];
    }
    if (nd == f->nd) return counted(entry, new_ref(self));  // nothing to squeeze: itself
    return counted(entry, new_view(self, nd, dims, strides, f->data, f->descr));
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

PyObject* expand_dims_native(int, Entry* entry, PyObject* self, PyObject* const* args,
                             Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    if (!is_ours(self) || !axis_signature.parse(args, nargs, kwnames, slots) || !slots[0])
        return decline(Why::keyword);
    Fields* const f = fields(self);
    npy_intp axis;
    if (f->nd == NPY_MAXDIMS || !parse_axis(slots[0], f->nd + 1, &axis) ||
        !(f->flags & NPY_ARRAY_C_CONTIGUOUS) || !count_of(f))
        return decline(Why::shape);
    npy_intp dims[NPY_MAXDIMS];
    for (int d = 0, from = 0; d <= f->nd; ++d) dims[d] = d == axis ? 1 : f->dimensions[from++];
    return counted(entry, reshaped(self, f->nd + 1, dims));
}

PyObject* broadcast_to_native(int, Entry* entry, PyObject* self, PyObject* const* args,
                              Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (kwnames || nargs != 1 || !is_ours(self)) return decline(Why::keyword);
    Fields* const f = fields(self);
    int nd;
    npy_intp dims[NPY_MAXDIMS], strides[NPY_MAXDIMS];
    if (!parse_shape(args[0], &nd, dims) || nd < f->nd) return decline(Why::shape);
    int const first = nd - f->nd;
    npy_intp bytes = PyDataType_ELSIZE(f->descr);
    for (int d = 0; d < nd; ++d) {
        if (dims[d] <= 0 || __builtin_mul_overflow(bytes, dims[d], &bytes))
            return decline(Why::shape);
        strides[d] = 0;  // also where both lengths are 1
        if (d < first || f->dimensions[d - first] == 1) continue;
        if (f->dimensions[d - first] != dims[d]) return decline(Why::shape);
        strides[d] = f->strides[d - first];
    }
    PyObject* out = new_view(self, nd, dims, strides, f->data, f->descr);
    if (out) fields(out)->flags &= ~NPY_ARRAY_WRITEABLE;  // elements repeat
    return counted(entry, out);
}

}  // namespace raptors
