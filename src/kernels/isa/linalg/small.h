// Products of small matrices, without packing.
#pragma once
#include "isa/linalg/lanes.h"

namespace raptors::RAPTORS_ISA {
namespace {

// Small products. C is cut into strips of up to three vectors; the last vector of a row ends
// with it, and so may compute some elements again: there is no rest, and nothing is read or written
// beyond. A row shorter than a vector takes a shorter one.

template <int vectors>
constexpr int strip_rows = many_registers || vectors == 1 ? 8 : 4;

// Beginning `at` bytes after the first column; the last vector `last` bytes after that.
template <class C, int bytes, int vectors>
void strip(const Matrices& p, const Series& series, ptrdiff_t at, ptrdiff_t last) {
    using V = typename Lanes<C, bytes>::V;
    ptrdiff_t const k = p.k, a_row = p.a_row, a_column = p.a_column, b_row = p.b_row,
                    c_row = p.c_row;
    const char* product_a = p.a;
    const char* b = p.b + at;
    char* product_c = p.c + at;
    for (ptrdiff_t left = series.count; left > 0;
         --left, product_a += series.a, b += series.b, product_c += series.c) {
        const char* a = product_a;
        char* c = product_c;
        auto const some = [&]<int rows>(std::integral_constant<int, rows>) {
            V acc[rows][vectors] = {};
            accumulate<C, bytes>(acc, a, a_row, a_column, b, b_row, last, k);
            RAPTORS_WHOLE
            for (int r = 0; r < rows; ++r) {
                RAPTORS_WHOLE
                for (int v = 0; v < vectors; ++v)
                    put(c + r * c_row + (v < vectors - 1 ? v * bytes : last), acc[r][v]);
            }
            a += rows * a_row;
            c += rows * c_row;
        };
        constexpr int most = strip_rows<vectors>;
        for (ptrdiff_t i = p.m / most; i > 0; --i) some(std::integral_constant<int, most>());
        if (most > 4 && (p.m & 4)) some(std::integral_constant<int, 4>());
        if (p.m & 2) some(std::integral_constant<int, 2>());
        if (p.m & 1) some(std::integral_constant<int, 1>());
    }
}

template <class C, int bytes>
void strip_of(ptrdiff_t vectors, const Matrices& p, const Series& series, ptrdiff_t at,
              ptrdiff_t last) {
    (vectors == 1   ? strip<C, bytes, 1>
     : vectors == 2 ? strip<C, bytes, 2>
                    : strip<C, bytes, 3>)(p, series, at, last);
}

template <class C, int bytes>
void small_by(const Matrices& p, const Series& series) {
    ptrdiff_t const length = p.n * static_cast<ptrdiff_t>(sizeof(C));
    ptrdiff_t vectors = (length + bytes - 1) / bytes;
    if (vectors <= 3) return strip_of<C, bytes>(vectors, p, series, 0, length - bytes);
    // 64 bytes cost as much as 2 x 32 on many CPUs.
    bool const half = bytes == 64 && length % 64 > 0 && length % 64 <= 32;
    if (half) --vectors;
    Matrices one = p;
    constexpr Series once = {1, 0, 0, 0};
    for (ptrdiff_t z = 0; z < series.count; ++z) {
        ptrdiff_t at = 0;
        for (ptrdiff_t left = vectors; left > 0;) {
            ptrdiff_t const some = left == 4 ? 2 : smaller(left, 3);
            left -= some;
            ptrdiff_t const end = left || half ? at + some * bytes : length;
            strip_of<C, bytes>(some, one, once, at, end - bytes - at);
            at += some * bytes;
        }
        if constexpr (bytes == 64)
            if (half) strip<C, 32, 1>(one, once, length - 32, 0);
        one.a += series.a;
        one.b += series.b;
        one.c += series.c;
    }
}

template <class C>
void small(const Matrices& p, const Series& series) noexcept {
    ptrdiff_t const length = p.n * static_cast<ptrdiff_t>(sizeof(C));
    auto const vectors = [length](int bytes) { return (length + bytes - 1) / bytes; };
    if constexpr (vector_bytes == 64)
        if (length >= 64 && !(vectors(32) <= 3 && vectors(32) < 2 * vectors(64)))
            return small_by<C, 64>(p, series);
    if constexpr (vector_bytes >= 32)
        if (length >= 32) return small_by<C, 32>(p, series);
    if (length >= 16) return small_by<C, 16>(p, series);
    small_by<C, sizeof(C)>(p, series);
}

}  // namespace
}  // namespace raptors::RAPTORS_ISA
