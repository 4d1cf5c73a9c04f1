// The ways to compute a product of matrices, from which gemm.cpp chooses.
#pragma once
#include "api/table.h"
#include "frame/run/gemm.h"
#include "frame/threads/processors.h"

namespace raptors {

constexpr ptrdiff_t smaller(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
constexpr ptrdiff_t larger(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }
constexpr ptrdiff_t ceil_div(ptrdiff_t a, ptrdiff_t b) { return (a + b - 1) / b; }
constexpr ptrdiff_t round_up(ptrdiff_t a, ptrdiff_t b) { return ceil_div(a, b) * b; }

// What is the same for all products of a call.
struct GemmCall {
    const Gemm& gemm;
    ptrdiff_t size;  // of an element
    Kernel add;      // of two elements
    Kernel copy;
    ptrdiff_t parts;  // reals of an element
    void (*pack_a)(const Panels&) noexcept;
    void (*pack_b)(const Panels&) noexcept;
};

// ---- Products of a matrix with its own transpose are symmetric, to the bit: elements are summed
// alike wherever they lie, those of reals. Only what is on and below the diagonal is computed.

inline bool is_symmetric(const Matrices& p) noexcept {
    return p.a == p.b && p.m == p.n && p.a_row == p.b_column && p.a_column == p.b_row;
}

// Copies a block of C that lies below the diagonal to where it belongs above.
inline void mirror(const GemmCall& call, const Matrices& p, ptrdiff_t row, ptrdiff_t column,
                   ptrdiff_t rows, ptrdiff_t columns) noexcept {
    if (rows <= 0) return;
    call.copy(
        {{p.c + row * p.c_row + column * p.c_column, p.c + column * p.c_row + row * p.c_column},
         {p.c_row, p.c_column},
         {p.c_column, p.c_row},
         rows,
         columns});
}

// ---- Small products

// B stays in L2, and A or what is read of it for a strip of C; rows of A and C are
// read and written as they lie. (Measured against packing: a tenth faster at 100, equal at 512
// KiB.)
inline bool is_small(const Gemm& gemm, ptrdiff_t size, ptrdiff_t m, ptrdiff_t n,
                     ptrdiff_t k) noexcept {
    if (!gemm.small || k > gemm.kc) return false;
    ptrdiff_t const a = m * k * size, b = k * n * size;
    constexpr ptrdiff_t certainly = ptrdiff_t{32} * 1024;
    if (b <= certainly && (a <= certainly || n <= gemm.nr)) return true;
    ptrdiff_t const most = cache_sizes().l2 / 3;
    return m <= 2 * gemm.mr || (b <= most && (a <= most || n <= gemm.nr));
}

constexpr Series once = {1, 0, 0, 0};

// ---- Matrix x vector

// From L3 a matrix comes up to a fifth faster as one stream (with AVX-512; kernels of
// fewer registers look away); from memory or from a cache of many cores several rows at once do,
// and where it is in L2 nothing is waited for.
inline bool comes_as_one_stream(ptrdiff_t size, ptrdiff_t m, ptrdiff_t k) noexcept {
    constexpr ptrdiff_t least_row = 1024, most_third = ptrdiff_t{64} << 20;
    CacheSizes const cache = cache_sizes();
    if (k * size < least_row || cache.l3 > most_third) return false;
    ptrdiff_t const bytes = m * k * size;
    return bytes > cache.l2 && bytes <= cache.l3 / 4 * 3;
}

inline MatrixVector vector_product(const Matrices& p, ptrdiff_t size) noexcept {
    return {p.a, p.a_row, p.a_column, p.b, p.b_row,
            p.c, p.c_row, p.m,        p.k, comes_as_one_stream(size, p.m, p.k)};
}

// ---- The ways. False: out of memory.

// Small products, by strips of C.
bool run_strips(const GemmCall& call, const Matrices& p, WorkSplit split) noexcept;

// Few rows times few columns.
bool fits_dot_tile(const GemmCall& call, const Matrices& p) noexcept;
bool run_dot_tile(const GemmCall& call, const Matrices& p, WorkSplit split) noexcept;

// By rows.
bool run_vector(const GemmCall& call, const Matrices& p, WorkSplit split) noexcept;

// By blocks of A and of B.
bool run_packed(const GemmCall& call, const Matrices& p, WorkSplit split) noexcept;

}  // namespace raptors
