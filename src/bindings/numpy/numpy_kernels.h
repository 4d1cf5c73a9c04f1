// NumPy's own inner loops, called from our frame: ufuncs without kernels keep NumPy's results to
// the last bit and lose what NumPy spends around its loop.
#pragma once
#include "python/signature.h"

namespace raptors {

// The loops of one ufunc, found out once for each combination of dtypes.
struct NumpyLoops;

// nullptr: no plain elementwise ufunc.
NumpyLoops* new_numpy_loops(PyObject* numpy_ufunc, Entry* entry);
// Arguments of a ufunc's call. Counts by itself, as NumPy's; nullptr without an error: declined.
PyObject* call_numpy_loop(NumpyLoops& loops, PyObject* const* args, Py_ssize_t nargs,
                          PyObject* kwnames);

// Those behind operators. Null until NumPy's namespace is wrapped.
struct OperatorLoops {
    NumpyLoops *floor_divide, *remainder, *divmod, *power;
};
extern OperatorLoops operator_loops;

}  // namespace raptors
