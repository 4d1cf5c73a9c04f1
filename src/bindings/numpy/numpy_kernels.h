// NumPy's own inner loops as kernels: ufuncs without rows in ops.def keep NumPy's results to the
// last bit and lose what NumPy spends around its loop.
#pragma once
#include "python/pybind.h"

#include "api/block.h"

namespace raptors {

// Nanoseconds for an element of such a loop, which nobody has measured.
constexpr double numpy_loop_cost = 3;

// The loop of an elementwise ufunc for operands of these type numbers, inputs first; none where its
// table has no such loop (those of the newer kind NumPy alone can call), or dtypes are unknown
// here.
Kernel numpy_kernel(PyUFuncObject* ufunc, const int* type_nums);

}  // namespace raptors
