// Reductions on Python objects: methods, functions and ufunc.reduce, over any axes, with dtype,
// out, keepdims, initial, where.
#pragma once
#include "api/reduce.h"
#include "frame/run/iterate.h"
#include "python/signature.h"

namespace raptors {

// What a native reduction is: a Fold of the table, or one composed of it.
enum class Reduce : int {
#define REDUCE(name, ...) name,
#define ARGREDUCE(name, ...) name,
#include "tables/reductions.def"
    mean
};

// Native (see signature.h): `which` is a Reduce; self the array; arguments as of the method of that
// name.
PyObject* reduce_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                        Py_ssize_t nargs, PyObject* kwnames);
// ufunc.reduce(self, axis=0, dtype=None, out=None, keepdims=False, initial, where).
PyObject* ufunc_reduce_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                              Py_ssize_t nargs, PyObject* kwnames);

// Whether NumPy must not be asked to do ufunc.reduce with these arguments (after the array); if so,
// a TypeError is set.
bool refuses_ufunc_reduce(PyObject* ufunc, PyObject* const* args, Py_ssize_t nargs,
                          PyObject* kwnames);

// The kernel that adds up in the elements' own dtype (booleans: or); nullptr: sums are wider.
ReduceFn sum_kernel(const Table& table, DType t);
// Adds the first operand of a nest up to what the second one holds.
void sum_into(const Table& table, DType t, Nest nest);

void init_reductions();
extern Entry* reduce_entry[n_folds + 1];  // by Reduce

}  // namespace raptors
