// Few rows times few columns.
#pragma once
#include "isa/linalg/gemv.h"

namespace raptors::RAPTORS_ISA {
namespace {

// Few rows times few columns, both contiguous and long: vectors of partial sums for a tile of
// C.

constexpr int few_rows = many_registers ? 4 : 3, few_columns = 4;

template <class C, int rows, int columns>
void few_tile(const Matrices& s, const char* a, const char* b, char* c) {
    using N = Lanes<C, vector_bytes>;
    using V = typename N::V;
    V acc[rows][columns] = {};
    auto const add = [&](auto load) {
        V y[columns];
        RAPTORS_WHOLE
        for (int q = 0; q < columns; ++q) y[q] = load(b + q * s.b_column);
        RAPTORS_WHOLE
        for (int r = 0; r < rows; ++r) {
            V const x = load(a + r * s.a_row);
            RAPTORS_WHOLE
            for (int q = 0; q < columns; ++q) acc[r][q] = N::multiply_add(x, y[q], acc[r][q]);
        }
    };
    ptrdiff_t const length = s.k * static_cast<ptrdiff_t>(sizeof(C));
    ptrdiff_t p = 0;
    for (; p + vector_bytes <= length; p += vector_bytes)
        add([p](const char* from) { return get<V>(from + p); });
    if (p < length) {
        Remainder<C> const remainder(p, length);
        add([&remainder](const char* from) { return remainder.of(from); });
    }
    RAPTORS_WHOLE
    for (int r = 0; r < rows; ++r) {
        RAPTORS_WHOLE
        for (int q = 0; q < columns; ++q)
            put(c + r * s.c_row + q * s.c_column,
                total<C, vector_bytes>(acc[r][q], std::make_integer_sequence<int, lanes<C> / 2>()));
    }
}

template <class C>
void dot_tile(const Matrices& s) noexcept {
    for (ptrdiff_t j = 0; j < s.n;) {
        bool const wide = s.n - j >= few_columns;
        const char* const b = s.b + j * s.b_column;
        for (ptrdiff_t i = 0; i < s.m;) {
            bool const high = s.m - i >= few_rows;
            auto const tile =
                high ? (wide ? few_tile<C, few_rows, few_columns> : few_tile<C, few_rows, 1>)
                     : (wide ? few_tile<C, 1, few_columns> : few_tile<C, 1, 1>);
            tile(s, s.a + i * s.a_row, b, s.c + i * s.c_row + j * s.c_column);
            i += high ? few_rows : 1;
        }
        j += wide ? few_columns : 1;
    }
}

}  // namespace
}  // namespace raptors::RAPTORS_ISA
