// Equations with small matrices.
#pragma once
#include "api/types.h"

namespace raptors {

// Equations A X = B with small square matrices A (n, n), n <= most_small, and B (n, columns):
// `count` of them; or as many determinants (without B). Strides in bytes, of any sign.
constexpr int most_small = 8;
struct Equations {
    int n;
    ptrdiff_t columns, count;
    const char* a;
    ptrdiff_t a_row, a_column, a_next;
    const char* b;  // nullptr: the identity
    ptrdiff_t b_row, b_column, b_next;
    char* out;
    ptrdiff_t out_row, out_column, out_next;
};
// False where a result is not to be used: it is not finite, or rounding decides whether a matrix is
// singular. (A determinant is 0 if a column is.) Floats are computed in double: overflow and
// underflow of the last rounding are left to the floating-point status.
using EquationsFn = bool (*)(const Equations&) noexcept;

struct SolveTable {
    EquationsFn solve[n_dtypes], determinant[n_dtypes];
};

}  // namespace raptors
