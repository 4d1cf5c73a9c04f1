// Scans on Python objects: ufunc.accumulate and the functions and methods that scans.def names,
// along an axis, with dtype and out.
#pragma once
#include "api/scan.h"
#include "ops/ufunc.h"

namespace raptors {

// ufunc.accumulate(array, axis=0, dtype=None, out=None), of which there is at least the array.
// nullptr without an error: declined.
PyObject* ufunc_accumulate(const Ufunc& ufunc, PyObject* const* args, Py_ssize_t nargs,
                           PyObject* kwnames);

// Native (see signature.h): `which` is a Scan; axis=None, dtype=None, out=None.
RAPTORS_NATIVE(cumulative_native);

}  // namespace raptors
