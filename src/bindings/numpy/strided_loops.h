// NumPy's strided loops for dtypes that raptors has no number for (dates, texts, longdouble ...),
// in our frame: the results are NumPy's, what NumPy spends around its loop is gone.
#pragma once
#include "ops/ufunc.h"

namespace raptors {

// An elementwise ufunc on arrays, or NumPy's scalars, at least one of such a dtype. nullptr without
// an error: declined. Counted as NumPy's.
PyObject* strided_loop(Ufunc& ufunc, PyObject* const* inputs);

}  // namespace raptors
