// Matrix products of any shape, layout and batch.
#pragma once
#include "api/gemm.h"
#include "frame/threads/costs.h"

namespace raptors {

// C (m, n) = A (m, k) B (k, n), for each of a nest of batches. Strides in bytes, of any sign; no
// pointer needs alignment. C must not overlap A or B, nor its elements one another. A vector is a
// matrix with m = 1 or n = 1. k = 0 gives zeros.
struct Product : Matrices {
    int batch_dims;  // at most max_dims
    const ptrdiff_t* batch_shape;
    const ptrdiff_t *a_batch, *b_batch, *c_batch;  // strides; 0: repeated
};

// What is multiplied: numbers of a dtype, or complex ones whose parts are of a floating dtype.
struct ElementType {
    DType part;
    bool are_complex;
    ElementType(DType t, bool pairs = false) noexcept : part(t), are_complex(pairs) {}
};

bool has_gemm(const Table& table, DType t) noexcept;

// Integers wrap, booleans are the or of ands. Floats: within gamma_k |A||B| of the exact product;
// NaN and infinities go as they would in a plain triple loop, and no floating-point status is
// raised that such a loop, summing in some order, could not raise. The bits depend on the shape, on
// the layout and on the ISA, never on who works, on alignment, or on the place in a batch. False:
// out of memory, C may be partly written.
[[nodiscard]] bool multiply(const Table& table, ElementType of, const Product& product,
                            WorkSplit split) noexcept;

// Nanoseconds that one thread takes, and how a call is best shared; elements of a grain are
// multiplications.
double cost_of(const Table& table, ElementType of, const Product& product) noexcept;
WorkSplit split_for(const Table& table, ElementType of, const Product& product,
                    int threads) noexcept;

}  // namespace raptors
