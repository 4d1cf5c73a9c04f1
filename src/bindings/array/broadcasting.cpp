#include "array/broadcasting.h"

#include <algorithm>

#include "api/block.h"
#include "array/free_lists.h"
#include "creation/shaping.h"

namespace raptors {

PyObject* broadcast_to_native(int, Entry* entry, PyObject* self, PyObject* const* args,
                              Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (kwnames || nargs != 1 || !is_ours(self)) return decline(Why::keyword);
    Fields* const f = fields(self);
    int nd;
    npy_intp dims[NPY_MAXDIMS], strides[NPY_MAXDIMS];
    if (!parse_shape(args[0], &nd, dims)) return decline(Why::shape);
    npy_intp bytes = PyDataType_ELSIZE(f->descr);
    for (int d = 0; d < nd; ++d)
        if (dims[d] <= 0 || __builtin_mul_overflow(bytes, dims[d], &bytes))
            return decline(Why::shape);
    if (!broadcast_strides(f, nd, dims, strides)) return decline(Why::shape);
    PyObject* out = new_view(self, nd, dims, strides, f->data, f->descr);
    if (out) fields(out)->flags &= ~NPY_ARRAY_WRITEABLE;  // elements repeat
    return counted(entry, out);
}

namespace {

// Whether NumPy returns an array that has the shape already, although others have not. Older ones
// make a view of it.
bool returns_itself() {
    static bool const itself = [] {
        auto const numpy = import_module("numpy");
        pybind11::object const a = numpy.attr("zeros")(2);
        pybind11::object const both = numpy.attr("broadcast_arrays")(a, 1);
        pybind11::object const first = both[pybind11::int_(0)];
        return first.ptr() == a.ptr();
    }();
    return itself;
}

}  // namespace

// Those that are of the shape already are returned themselves; the others may be written to, with a
// warning.
PyObject* broadcast_arrays_native(int, Entry* entry, PyObject*, PyObject* const* args,
                                  Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (kwnames || !nargs || nargs > max_operands) return decline(Why::keyword);
    BroadcastShape shape;
    for (Py_ssize_t i = 0; i < nargs; ++i) {
        if (!is_ours(args[i])) return decline(Why::type);
        if (!shape.add(fields(args[i]))) return decline(Why::shape);
    }
    if (!returns_itself()) return decline(Why::borrowed);
    PyObject* const out = PyTuple_New(nargs);
    if (!out) return nullptr;
    for (Py_ssize_t i = 0; i < nargs; ++i) {
        Fields const* const f = fields(args[i]);
        npy_intp strides[NPY_MAXDIMS];
        bool same = f->nd == shape.nd;
        for (int d = 0; same && d < f->nd; ++d) same = f->dimensions[d] == shape.dims[d];
        broadcast_strides(f, shape.nd, shape.dims, strides);
        PyObject* const one =
            same ? new_ref(args[i])
                 : new_view(args[i], shape.nd, shape.dims, strides, f->data, f->descr);
        if (!one) {
            Py_DECREF(out);
            return nullptr;
        }
        if (!same && f->flags & NPY_ARRAY_WRITEABLE) fields(one)->flags |= warn_on_write;
        PyTuple_SET_ITEM(out, i, one);
    }
    Fields const* const f = fields(args[0]);
    count_native(entry, f);
    return out;
}

PyObject* ix_native(int, Entry* entry, PyObject*, PyObject* const* args, Py_ssize_t nargs,
                    PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (kwnames || !nargs || nargs > NPY_MAXDIMS) return decline(Why::keyword);
    for (Py_ssize_t i = 0; i < nargs; ++i) {
        if (!is_ours(args[i])) return decline(Why::type);
        Fields const* const f = fields(args[i]);
        // Masks become indices, and nothing becomes integers.
        if (f->nd != 1 || !f->dimensions[0] || f->descr->type_num == NPY_BOOL)
            return decline(Why::shape);
    }
    PyObject* const out = PyTuple_New(nargs);
    for (Py_ssize_t i = 0; out && i < nargs; ++i) {
        npy_intp dims[NPY_MAXDIMS];
        std::fill(dims, dims + nargs, npy_intp{1});
        dims[i] = fields(args[i])->dimensions[0];
        PyObject* const one = in_shape(args[i], static_cast<int>(nargs), dims);
        if (!one) {
            Py_DECREF(out);
            return nullptr;
        }
        PyTuple_SET_ITEM(out, i, one);
    }
    Fields const* const f = fields(args[0]);
    if (out) count_native(entry, f);
    return out;
}

}  // namespace raptors
