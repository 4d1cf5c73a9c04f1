#include "shaping.h"

#include "object_cache.h"

namespace raptors {

PyObject* reshape_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                         Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (kwnames || !is_ours(self) || nargs < 1 || (which == 1 && nargs != 1))
        return decline(Why::keyword);
    Fields* const f = fields(self);
    if (!(f->flags & NPY_ARRAY_C_CONTIGUOUS)) return decline(Why::shape);
    int nd = 0;
    npy_intp dims[NPY_MAXDIMS];
    if (nargs == 1) {
        if (!parse_shape(args[0], &nd, dims)) return decline(Why::shape);
    } else {
        if (nargs > NPY_MAXDIMS) return decline(Why::shape);
        for (Py_ssize_t i = 0; i < nargs; ++i) {
            int one;
            if (!PyLong_CheckExact(args[i]) || !parse_shape(args[i], &one, dims + nd))
                return decline(Why::shape);
            ++nd;
        }
    }
    npy_intp const total = size_of(f);
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
    npy_intp strides[NPY_MAXDIMS];
    npy_intp stride = PyDataType_ELSIZE(f->descr);
    for (int i = nd - 1; i >= 0; --i) {
        strides[i] = stride;
        stride *= dims[i];
    }
    return counted(entry, new_view(self, nd, dims, strides, f->data, f->descr));
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
        if (nargs == 1) {
            if (PyLong_CheckExact(args[0]) || !parse_shape(args[0], &n, axes))
                return decline(Why::shape);
        } else {
            if (nargs > NPY_MAXDIMS) return decline(Why::shape);
            for (Py_ssize_t i = 0; i < nargs; ++i) {
                int one;
                if (!PyLong_CheckExact(args[i]) || !parse_shape(args[i], &one, axes + n))
                    return decline(Why::shape);
                ++n;
            }
        }
        if (n != f->nd) return decline(Why::shape);
        bool seen[NPY_MAXDIMS] = {};
        for (int i = 0; i < n; ++i) {
            npy_intp const axis = axes[i] < 0 ? axes[i] + n : axes[i];
            if (axis < 0 || axis >= n || seen[axis]) return decline(Why::shape);
            seen[axis] = true;
            dims[i] = f->dimensions[axis];
            strides[i] = f->strides[axis];
        }
        out = new_view(self, n, dims, strides, f->data, f->descr);
    }
    return counted(entry, out);
}

}  // namespace raptors
