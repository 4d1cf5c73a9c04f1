// The BLAS library: which one, loaded by whom, and what it says of itself.
#pragma once
#include "python/pybind.h"

#include "frame/run/blas.h"

namespace raptors {

// The library, loaded by the first call; nullptr: there is none, and the first call has warned if
// one was expected. A warning that is an error is set. Holds the GIL; a BlasUse of the library must
// not wait for the GIL.
const Blas* blas_library();

void init_blas();  // reads RAPTORS_BLAS; raises on a file that does not exist

bool load_blas();  // blas_library(): whether there is one
// For `threads` threads; "error" says why there is no library.
pybind11::dict blas_info(int threads);
// Puts a @ b into c by the library, for tests; all where they lie. Whether its integers were long
// enough.
bool blas_multiply(const pybind11::object& a, const pybind11::object& b, const pybind11::object& c,
                   int threads);

}  // namespace raptors
