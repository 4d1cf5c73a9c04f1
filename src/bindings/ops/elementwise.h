// Elementwise operations on Python objects: tier 0 (same dtype, contiguous or scalar: straight to
// the kernel) and tier 1 (promotion, broadcasting, strides, out=, where=, dtype=). Both decline
// what they do not handle; NumPy is tier 2.
#pragma once
#include "api/elementwise.h"
#include "python/signature.h"

namespace raptors {

extern Entry* op_entry[n_ops];
extern PyObject* numpy_ufunc_of[n_ops];  // NumPy's object; nullptr for `where`

struct ElementwiseOptions {
    PyObject* out;     // nullptr, or an array
    PyObject* where;   // nullptr, or the mask
    PyObject* dtype;   // nullptr, or anything that means a dtype
    bool is_operator;  // called by an operator: the result may take a temporary operand's place
};

// nullptr without an error: declined.
PyObject* elementwise(Op op, PyObject* const* inputs, const ElementwiseOptions& options);
PyObject* binary(Op op, PyObject* l, PyObject* r, bool is_operator = false);
PyObject* unary(Op op, PyObject* x, bool is_operator = false);
PyObject* in_place(Op op, PyObject* l, PyObject* r);  // l is the output, too
// Arguments of a ufunc call: inputs, then out, and the keywords out, where, dtype.
PyObject* elementwise_call(Op op, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames);

RAPTORS_NATIVE(clip_native);  // which 0: the method, 1: the function
RAPTORS_NATIVE(where_native);

// Hands status bits to NumPy's errstate. Negative: an exception is set.
int report_fp_status(const char* name, int status);

void init_elementwise();

}  // namespace raptors
