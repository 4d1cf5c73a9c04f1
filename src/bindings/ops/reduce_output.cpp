#include <algorithm>

#include "creation/copying.h"
#include "ops/reduce_call.h"

namespace raptors {

Why judge_output(PyObject* out, const Fields* f, int nd, const npy_intp* dims, DType result) {
    if (!is_exact(out)) return Why::type;
    Fields const* o = fields(out);
    bool ok = dtype_of(o->descr) == result && o->nd == nd && is_writeable(o);
    for (int d = 0; ok && d < nd; ++d) ok = o->dimensions[d] == dims[d];
    if (!ok) return Why::keyword;
    return disjoint(f, o) ? Why::none : Why::overlap;  // where they meet, NumPy works on a copy
}

Nest reduce_nest(const Fields* f, const bool* reduced, bool keepdims, PyObject* out,
                 char* element) {
    Nest nest;
    nest.ndim = f->nd;
    nest.operands = 2;
    nest.data[0] = f->data;
    nest.data[1] = out ? fields(out)->data : element;
    for (int d = 0, kept = 0; d < f->nd; ++d) {
        nest.shape[d] = f->dimensions[d];
        nest.strides[0][d] = f->strides[d];
        nest.strides[1][d] = reduced[d] || !out ? 0 : fields(out)->strides[kept];
        kept += !reduced[d] || keepdims;
    }
    return nest;
}

PyObject* new_output(const Fields* f, bool copied, const bool* reduced, bool keepdims,
                     const npy_intp* mask_strides, const ReduceTypes& types, int* perm) {
    // The order is found among all axes, as in NumPy: those reduced push others about, too.
    Nest order;
    npy_intp copied_strides[NPY_MAXDIMS];
    if (copied) {
        int by_stride[max_dims];
        stride_order(f, by_stride);
        npy_intp stride = 1;
        for (int i = f->nd - 1; i >= 0; --i) {
            copied_strides[by_stride[i]] = stride;
            stride *= std::max<npy_intp>(f->dimensions[by_stride[i]], 1);
        }
    }
    order.ndim = f->nd;
    order.operands = mask_strides ? 2 : 1;
    int place[max_dims];  // of each axis in the result; -1: none
    npy_intp dims[max_dims];
    int nd = 0;
    for (int d = 0; d < f->nd; ++d) {
        order.shape[d] = f->dimensions[d];
        order.strides[0][d] = copied ? copied_strides[d] : f->strides[d];
        order.strides[1][d] = mask_strides ? mask_strides[d] : 0;
        place[d] = reduced[d] && !keepdims ? -1 : nd;
        if (place[d] >= 0) dims[nd++] = reduced[d] ? 1 : f->dimensions[d];
    }
    int all[max_dims];
    k_order(order, order.operands, all);
    for (int i = 0, kept = 0; i < f->nd; ++i)
        if (place[all[i]] >= 0) perm[kept++] = place[all[i]];
    PyObject* const out = new_array_ordered(nd, dims, perm, descr_of(types.accumulator));
    if (!out || types.accumulator != types.result) return out;
    PyArray_Descr* const wanted = descr_of_num[types.result_num];
    if (PyArray_Descr* const old = fields(out)->descr; old != wanted) {
        // longlong and long share a kernel; the descriptor is the input's
        Py_INCREF(wanted);
        fields(out)->descr = wanted;
        Py_DECREF(old);
    }
    return out;
}

// ---- outputs of objects
// NumPy (2.4) puts the initial value of a reduction into its output as bytes of the loop's dtype.
// Among objects they overwrite references, and the process ends sooner or later; eight bytes of
// zero are no reference and do no harm.
bool refuses_object_output(PyObject* out, PyArray_Descr* loop, int identity, PyObject* initial) {
    if (out && PyTuple_CheckExact(out) && PyTuple_GET_SIZE(out) == 1)
        out = PyTuple_GET_ITEM(out, 0);
    if (!out || !PyArray_Check(out) || fields(out)->descr->type_num != NPY_OBJECT) return false;
    bool const starts = initial ? initial != Py_None : identity != PyUFunc_None;
    bool const harmless = !initial && identity == PyUFunc_Zero &&
                          PyDataType_ELSIZE(loop) == static_cast<npy_intp>(sizeof(PyObject*));
    if (loop->type_num == NPY_OBJECT || !starts || harmless) return false;
    PyErr_Format(PyExc_TypeError,
                 "a reduction in %S cannot write to an output of dtype object; its dtype may be "
                 "object, or the output's %S",
                 loop, loop);
    return true;
}

bool refuses_object_output_of(PyObject* out, PyObject* dtype, int identity, PyObject* initial) {
    PyArray_Descr* loop = nullptr;
    if (is_none(out) || is_none(dtype)) return false;
    if (!PyArray_DescrConverter(dtype, &loop)) {
        PyErr_Clear();  // NumPy says what is wrong
        return false;
    }
    bool const refused = refuses_object_output(out, loop, identity, initial);
    Py_DECREF(loop);
    return refused;
}

}  // namespace raptors
