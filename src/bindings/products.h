// Products of matrices, vectors and stacks of them: any layout, straight to the kernels.
#pragma once
#include "call.h"

namespace raptors {

enum class Contraction : int { matmul, vecdot, matvec, vecmat, dot, inner, vdot };

extern Entry* matmul_entry;

// The product as a new array or scalar, or in `out` (may be nullptr). nullptr without an error:
// declined.
PyObject* product(Contraction what, Entry* entry, PyObject* a, PyObject* b,
                  PyObject* out = nullptr);

// The same as calls of NumPy's ufuncs.
struct UfuncRow {
    const char* name;
    Native native;
};
extern const UfuncRow product_ufuncs[4];

}  // namespace raptors
