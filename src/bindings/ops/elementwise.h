// Elementwise operations on Python objects: tier 0 (same dtype, contiguous or scalar: straight to
// the kernel) and tier 1 (promotion, broadcasting, strides, casts, out=, where=, dtype=). Both
// decline what they do not handle; NumPy is tier 2.
#pragma once
#include "array/free_lists.h"
#include "array/temporaries.h"
#include "frame/fp/fpstatus.h"
#include "ops/ufunc.h"

namespace raptors {

struct ElementwiseOptions {
    PyObject* out[max_outputs];  // nullptr, or an array
    PyObject* where;             // nullptr, or the mask
    PyObject* dtype;             // nullptr, or anything that means a dtype
    bool is_operator;  // called by an operator: the result may take a temporary operand's place
};

// Tier 1. nullptr without an error: declined. Calls that run NumPy's loop are counted as NumPy's.
PyObject* elementwise(Ufunc& ufunc, PyObject* const* inputs, const ElementwiseOptions& options);
inline PyObject* elementwise(Op op, PyObject* const* inputs, const ElementwiseOptions& options) {
    return elementwise(ufunc_of(op), inputs, options);
}
// Tier 0, then tier 1 (fast_path.cpp).
PyObject* binary(Op op, PyObject* l, PyObject* r, bool is_operator = false);
PyObject* unary(Op op, PyObject* x, bool is_operator = false);
PyObject* in_place(Op op, PyObject* l, PyObject* r);  // l is the output, too
// Arguments of a ufunc's call: inputs, then outputs, and the keywords out, where, dtype.
PyObject* call_elementwise(Ufunc& ufunc, PyObject* const* args, Py_ssize_t nargs,
                           PyObject* kwnames);

// ufunc.outer. nullptr without an error: declined.
PyObject* outer(Ufunc& ufunc, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames);

// ufunc.at and ufunc.reduceat (indexed.cpp). nullptr without an error: declined.
PyObject* ufunc_reduceat(const Ufunc& ufunc, PyObject* const* args, Py_ssize_t nargs,
                         PyObject* kwnames);
PyObject* ufunc_at(const Ufunc& ufunc, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames);

RAPTORS_NATIVE(clip_native);  // which 0: the method, 1: the function
RAPTORS_NATIVE(where_native);
RAPTORS_NATIVE(conjugate_native);

// Hands status bits to NumPy's errstate. Negative: an exception is set.
int report_fp_status(const char* name, int status);

// ---- what both tiers share
constexpr int flat_flags = NPY_ARRAY_C_CONTIGUOUS;
// Writes only where it may without a warning.
inline bool is_writeable(const Fields* f) {
    return (f->flags & (NPY_ARRAY_WRITEABLE | warn_on_write)) == NPY_ARRAY_WRITEABLE;
}

// Runs a kernel over a row of at least `long_from` elements, by the threads that are worth it.
void run_row(const Kernel& kernel, double cost, const Block& row);

// Whether a kernel may simply run again over this row: it is short, and no output is an input.
inline bool may_repeat(const Block& row, int inputs, int outputs) {
    constexpr npy_intp short_enough = 512;
    bool again = row.n <= short_enough;
    for (int o = inputs; o < inputs + outputs; ++o)
        for (int i = 0; i < inputs; ++i) again &= row.data[i] != row.data[o];
    return again;
}

// call(), with what it raises handed to errstate. Reading the status takes as long as a short
// kernel. So what was raised before is not looked at where the kernel can run `again`: if anything
// shows, it does. `foreign`: code that may raise in the x87 unit. Negative: an error is set.
template <bool foreign = false, class Call>
inline int run_reporting(const char* name, bool again, const Call& call) {
    auto const clear = foreign ? clear_any_fp_status : clear_fp_status;
    auto const read = foreign ? any_fp_status : fp_status;
    if (!again) clear();
    call();
    int status = read();
    if (status && again) {
        clear();
        call();
        status = read();
    }
    return status ? report_fp_status(name, status) : 0;
}

// A temporary among the operands that can hold a C-ordered result of this shape and dtype; nullptr:
// none.
PyObject* dying_operand(PyObject* const* inputs, int nin, int nd, const npy_intp* dims,
                        PyArray_Descr* descr);

// Where the result of operands in C order goes: a new array, or a temporary operand.
inline PyObject* new_result(PyObject* const* inputs, int nin, const Fields* like,
                            PyArray_Descr* descr, npy_intp n, bool is_operator) {
    if (is_operator && n >= shortest_temporary / 8) [[unlikely]]
        if (PyObject* dying = dying_operand(inputs, nin, like->nd, like->dimensions, descr))
            return new_ref(dying);
    return new_array(like->nd, like->dimensions, descr);
}

}  // namespace raptors
