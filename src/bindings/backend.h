// Who multiplies: our kernels or the BLAS library.
#pragma once
#include "blas_library.h"
#include "frame/gemm.h"

namespace raptors {

// The library, if it is to do this product of `threads` threads: the policy of the context wants
// it, or "auto" has figures that say it is faster. nullptr with an error: its loading warned, and
// warnings are errors.
const Blas* blas_for(DType t, const Product& p, int threads);

// Whether the policy of the context wants BLAS wherever it can.
bool wants_blas();

// Multiplies where the operands lie. False: nothing was done, the layout is none of BLAS's.
bool multiply(const Blas& library, DType t, const Product& p, int threads) noexcept;

// Reads RAPTORS_BACKEND; raises on bad values.
void register_backend(pybind11::module_& m);

}  // namespace raptors
