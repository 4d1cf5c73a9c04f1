// Reductions on Python objects: the rows of reductions.def as functions and methods, and
// ufunc.reduce, over any axes, with dtype, out, keepdims, initial, where.
#pragma once
#include "api/reduce.h"
#include "frame/run/iterate.h"
#include "python/signature.h"

namespace raptors {

// Added to the Reduction that a native call is for where the function is called, not the method.
constexpr int as_function = 1 << 8;

// Native (see signature.h): `which` is a Reduction; self the array; arguments as of the method of
// that name.
RAPTORS_NATIVE(reduce_native);
// ufunc.reduce(self, axis=0, dtype=None, out=None, keepdims=False, initial, where) of a Combine.
PyObject* ufunc_reduce_native(int which, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                              PyObject* kwnames);

// Whether NumPy must not be asked to do ufunc.reduce with these arguments (after the array); if so,
// a TypeError is set.
bool refuses_ufunc_reduce(PyObject* ufunc, PyObject* const* args, Py_ssize_t nargs,
                          PyObject* kwnames);

// The kernel that adds up in the elements' own dtype (booleans: or); nullptr: sums are wider.
ReduceFn sum_kernel(const Table& table, DType t);
// Adds the first operand of a nest up to what the second one holds.
void sum_into(const Table& table, DType t, Nest nest);

void init_reductions();

}  // namespace raptors
