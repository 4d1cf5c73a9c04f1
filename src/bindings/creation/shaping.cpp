#include "creation/shaping.h"

#include "array/free_lists.h"
#include "creation/from_objects.h"

namespace raptors {
namespace {

Signature const order_signature = {1, 1, {"order"}, {}};

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
