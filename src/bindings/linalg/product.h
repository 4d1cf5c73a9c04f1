// Products of matrices, vectors and stacks of them: any layout, straight to the kernels.
#pragma once
#include "frame/run/gemm.h"
#include "python/signature.h"

namespace raptors {

enum class Contraction : int { matmul, vecdot, matvec, vecmat, dot, inner, vdot };

extern Entry* matmul_entry;

// The product as a new array or scalar, or in `out` (may be nullptr). nullptr without an error:
// declined.
PyObject* product(Contraction what, Entry* entry, PyObject* a, PyObject* b,
                  PyObject* out = nullptr);

RAPTORS_NATIVE(dot_native);  // which: a Contraction

// The product of all elements, which are one run, with themselves. False: declined, or an error is
// set.
bool product_with_itself(const Table& table, const Fields* f, char* element);

// Multiplies, by our kernels or by BLAS, and leaves what floating-point status that raised. False:
// an error is set.
bool run_product(const Table& table, ElementType element, const Product& p, Offload* offload);

// The same as calls of NumPy's ufuncs.
struct UfuncRow {
    const char* name;
    Native native;
};
extern const UfuncRow product_ufuncs[4];

}  // namespace raptors
