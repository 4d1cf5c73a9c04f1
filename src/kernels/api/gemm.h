// Products of matrices.
#pragma once
#include "api/types.h"

namespace raptors {

// Matrix products C (m, n) = A (m, k) B (k, n), strides in bytes and of any sign. C overlaps
// neither A nor B. Elements of floats are added to one another in the same order wherever they lie.

struct Matrices {
    ptrdiff_t m, n, k;
    const char* a;
    ptrdiff_t a_row, a_column;
    const char* b;
    ptrdiff_t b_row, b_column;
    char* c;
    ptrdiff_t c_row, c_column;
};
// Products one after the other: how many, and from the operands of one to those of the next.
struct Series {
    ptrdiff_t count, a, b, c;
};
// A matrix to be packed into panels. One of A holds `rows` of its rows, column by column, one of B
// `columns` of its columns, row by row; what goes beyond the matrix repeats its last row or column,
// so that it raises no floating-point status of its own.
struct Panels {
    const char* from;
    ptrdiff_t row, column;
    ptrdiff_t rows, columns;
    char* to;
};
struct PackedProduct {
    const char *a, *b;
    char* c;
    ptrdiff_t c_row, c_column;
    ptrdiff_t m, n, k;
    bool add;  // to what C holds
};
// y (m) = A (m, k) x (k).
struct MatrixVector {
    const char* a;
    ptrdiff_t a_row, a_column;
    const char* x;
    ptrdiff_t x_step;
    char* y;
    ptrdiff_t y_step;
    ptrdiff_t m, k;
    bool singly;  // best row by row, as one stream; by_rows' bits are the same either way
};
struct Gemm {
    int mr, nr;          // of a tile of C, in registers
    int a_size, b_size;  // bytes of a packed element
    int kc;              // most k of a packed product; bits depend on it, so no cache may decide
    double ns;           // of a multiplication with its addition
    void (*pack_a)(const Panels&) noexcept;
    void (*pack_b)(const Panels&) noexcept;
    // Complex numbers, as pairs of reals (floats only): their panels are those of the real matrices
    // A (m, 2k) and B (2k, 2n), whose product is C (m, 2n). Strides are those of pairs, rows and
    // columns count reals.
    void (*pack_pairs_a)(const Panels&) noexcept;
    void (*pack_pairs_b)(const Panels&) noexcept;
    void (*packed)(const PackedProduct&) noexcept;
    void (*small)(const Matrices&,
                  const Series&) noexcept;  // unit b_column, c_column; nullptr: there is none
    void (*dot_tile)(
        const Matrices&) noexcept;  // unit a_column, b_row, k of a vector or more; as small
    void (*dot)(const MatrixVector&) noexcept;         // m = 1
    void (*by_rows)(const MatrixVector&) noexcept;     // rows of A and x are contiguous
    void (*by_columns)(const MatrixVector&) noexcept;  // best if columns of A are
};

struct GemmTable {
    const Gemm* gemm[n_dtypes];
};

}  // namespace raptors
