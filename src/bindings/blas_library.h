// The BLAS library: which one, loaded by whom, and what it says of itself.
#pragma once
#include "pybind.h"

#include "frame/blas.h"

namespace raptors {

// The library, loaded by the first call; nullptr: there is none, and the first call has warned if
// one was expected. A warning that is an error is set. Holds the GIL; a BlasUse of the library must
// not wait for the GIL.
const Blas* blas_library();

// Reads RAPTORS_BLAS; raises on a file that does not exist.
void register_blas(pybind11::module_& m);

}  // namespace raptors
