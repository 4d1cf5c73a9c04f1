// Moving elements of one size between a strided 2-D operand and a packed one. U: the unsigned type
// of that size, of 16 bytes a pair.
#pragma once
#include <utility>

#include "isa/loops.h"

namespace raptors::RAPTORS_ISA {
namespace {

struct PackLayout {
    ptrdiff_t rows, n;       // extents
    ptrdiff_t outer, inner;  // byte strides of the strided side
};

RAPTORS_INLINE ptrdiff_t magnitude(ptrdiff_t x) { return x < 0 ? -x : x; }

// Reading along rows would touch a new cache line with each element while the neighbour column lies
// next to it.
RAPTORS_INLINE bool is_column_like(ptrdiff_t outer, ptrdiff_t inner) {
    return outer != 0 && magnitude(outer) < magnitude(inner);
}

// Square tiles of the widest vectors that still shuffle well.
template <class U, int most>
struct TileRow {
    static constexpr int bytes = vector_bytes < 32 || sizeof(U) < 4 ? 16 : most;
    static constexpr int n = bytes / static_cast<int>(sizeof(U));
    using Number = std::conditional_t<(sizeof(U) < 16), U, uint64_t>;
    typedef Number type __attribute__((vector_size(bytes)));
    static constexpr std::make_integer_sequence<int, bytes / sizeof(Number)> lanes_in_order{};
};

// In each 16 bytes, elements of both vectors in turn, from the first or the second half of those.
template <bool second_half, int group, class V, int... i>
RAPTORS_INLINE V zip(V x, V y, std::integer_sequence<int, i...>) {
    constexpr int n = sizeof...(i);
    return __builtin_shufflevector(
        x, y, ((i & 1) * n + i / group * group + i % group / 2 + (second_half ? group / 2 : 0))...);
}

// The first or the second half of one vector, then that of the other.
template <bool second_half, class V, int... i>
RAPTORS_INLINE V halves(V x, V y, std::integer_sequence<int, i...>) {
    constexpr int n = sizeof...(i), half = n / 2;
    return __builtin_shufflevector(x, y, (i / half * n + i % half + (second_half ? half : 0))...);
}

// Within groups of 16 bytes first, which is what AVX2 shuffles in one instruction.
template <class U, int most>
RAPTORS_INLINE void transpose_tile(char* to, ptrdiff_t to_step, const char* from,
                                   ptrdiff_t from_step) {
    using V = typename TileRow<U, most>::type;
    constexpr int n = TileRow<U, most>::n, group = 16 / static_cast<int>(sizeof(U));
    constexpr auto lanes_in_order = TileRow<U, most>::lanes_in_order;
    V x[n], y[n];
    RAPTORS_WHOLE
    for (int i = 0; i < n; ++i) {
        memcpy(&x[i], from + i * from_step, sizeof(V));
#if defined(__AVX2__)
        asm("" : "+x"(x[i]));  // else each shuffle loads its operand again
#endif
    }
    RAPTORS_WHOLE
    for (int step = 1; step < group; step *= 2) {
        RAPTORS_WHOLE
        for (int i = 0; i < n / 2; ++i) {
            int const first = i / (group / 2) * group + i % (group / 2);
            int const second = first + group / 2;
            y[2 * i] = zip<false, group>(x[first], x[second], lanes_in_order);
            y[2 * i + 1] = zip<true, group>(x[first], x[second], lanes_in_order);
        }
        RAPTORS_WHOLE
        for (int i = 0; i < n; ++i) x[i] = y[i];
    }
    if constexpr (n > group) {
        RAPTORS_WHOLE
        for (int i = 0; i < group; ++i) {
            y[i] = halves<false>(x[i], x[group + i], lanes_in_order);
            y[group + i] = halves<true>(x[i], x[group + i], lanes_in_order);
        }
    }
    RAPTORS_WHOLE
    for (int i = 0; i < n; ++i) memcpy(to + i * to_step, n > group ? &y[i] : &x[i], sizeof(V));
}

template <class U, int... i>
RAPTORS_INLINE void gather_group(char* to, const char* from, ptrdiff_t step,
                                 std::integer_sequence<int, i...>) {
    typedef U Group __attribute__((vector_size(16)));
    Group const group = {*reinterpret_cast<const Unaligned<U>*>(from + i * step)...};
    memcpy(to, &group, sizeof group);
}

// n elements, `step` bytes apart at `from`, to a run at `to`. The constant strides are there for
// the vectoriser.
template <class U>
void gather(char* to, const char* from, ptrdiff_t n, ptrdiff_t step) noexcept {
    constexpr auto size = static_cast<ptrdiff_t>(sizeof(U));
    using E = Unaligned<U>;
    auto const out = reinterpret_cast<E*>(to);
    auto const in = reinterpret_cast<const E*>(from);
    if (step == size) {
        RAPTORS_INDEPENDENT
        for (ptrdiff_t i = 0; i < n; ++i) out[i] = in[i];
    } else if (step == 0) {
        U const x = *in;
        RAPTORS_INDEPENDENT
        for (ptrdiff_t i = 0; i < n; ++i) out[i] = x;
    } else if (step == -size) {
        RAPTORS_INDEPENDENT
        for (ptrdiff_t i = 0; i < n; ++i) out[i] = in[-i];
    } else if (step == 2 * size) {
        RAPTORS_INDEPENDENT
        for (ptrdiff_t i = 0; i < n; ++i) out[i] = in[2 * i];
    } else if (step == 3 * size) {
        RAPTORS_INDEPENDENT
        for (ptrdiff_t i = 0; i < n; ++i) out[i] = in[3 * i];
    } else if constexpr (sizeof(U) == 16) {
        for (ptrdiff_t i = 0; i < n; ++i) out[i] = *reinterpret_cast<const E*>(from + i * step);
    } else {
        // Collected in a register: one store an element would bind.
        constexpr ptrdiff_t group = 16 / size;
        ptrdiff_t i = 0;
        for (; i + group <= n; i += group)
            gather_group<U>(to + i * size, from + i * step, step,
                            std::make_integer_sequence<int, static_cast<int>(group)>());
        for (; i < n; ++i) out[i] = *reinterpret_cast<const E*>(from + i * step);
    }
}

template <class U>
void scatter(char* to, const char* from, ptrdiff_t n, ptrdiff_t step) noexcept {
    constexpr auto size = static_cast<ptrdiff_t>(sizeof(U));
    using E = Unaligned<U>;
    auto const in = reinterpret_cast<const E*>(from);
    auto const out = reinterpret_cast<E*>(to);
    if (step == size) {
        RAPTORS_INDEPENDENT
        for (ptrdiff_t i = 0; i < n; ++i) out[i] = in[i];
    } else if (step == -size) {
        RAPTORS_INDEPENDENT
        for (ptrdiff_t i = 0; i < n; ++i) out[-i] = in[i];
    } else {
        RAPTORS_UNROLL
        for (ptrdiff_t i = 0; i < n; ++i) *reinterpret_cast<E*>(to + i * step) = in[i];
    }
}

// How many lines, so many bytes apart, are gone through side by side: those that have a cache line
// each in half of L1, if they are a power of two apart, so that few sets hold all; else as many as
// L2 holds, which is enough, and longer runs of what is written.
constexpr ptrdiff_t lines_side_by_side(ptrdiff_t step) {
    constexpr int line_bits = 6, page_bits = 12;  // a set of L1 is found by the bits between
    constexpr ptrdiff_t ways = 4, few = 32, most = 1024;
    int const bits = step ? __builtin_ctzll(static_cast<unsigned long long>(step)) : page_bits;
    int const fixed = bits < line_bits ? line_bits : bits < page_bits ? bits : page_bits;
    ptrdiff_t const in_l1 = ways << (page_bits - fixed);
    return in_l1 < few ? in_l1 : most;
}

// Transposes few lines, or lines of few elements, one by one, in pieces that L1 holds.
template <class U>
void transpose_few(char* to, ptrdiff_t to_step, const char* from, ptrdiff_t from_step,
                   ptrdiff_t lines, ptrdiff_t length) noexcept {
    constexpr ptrdiff_t size = sizeof(U), piece = 512;
    if (length < lines) {
        for (ptrdiff_t a = 0; a < lines; a += piece)
            for (ptrdiff_t b = 0; b < length; ++b)
                gather<U>(to + b * to_step + a * size, from + a * from_step + b * size,
                          smaller(piece, lines - a), from_step);
    } else {
        for (ptrdiff_t b = 0; b < length; b += piece)
            for (ptrdiff_t a = 0; a < lines; ++a)
                scatter<U>(to + b * to_step + a * size, from + a * from_step + b * size,
                           smaller(piece, length - b), to_step);
    }
}

// Reads `lines` lines of `length` elements, writes `length` lines of `lines` elements, along those:
// several side by side, at least so many.
template <class U, int most = 32>
void transpose(char* to, ptrdiff_t to_step, const char* from, ptrdiff_t from_step, ptrdiff_t lines,
               ptrdiff_t length, ptrdiff_t least = TileRow<U, most>::n) noexcept {
    constexpr ptrdiff_t tile = TileRow<U, most>::n, size = sizeof(U);
    ptrdiff_t const fit = lines_side_by_side(from_step) / tile * tile;
    ptrdiff_t const across = fit < least ? least : fit;
    if (lines < tile || length < tile)
        return transpose_few<U>(to, to_step, from, from_step, lines, length);
    auto const one = [&](ptrdiff_t a, ptrdiff_t b) {  // the last ones overlap those before
        a = smaller(a, lines - tile);
        b = smaller(b, length - tile);
        transpose_tile<U, most>(to + b * to_step + a * size, to_step,
                                from + a * from_step + b * size, from_step);
    };
    if (across == tile) {
        for (ptrdiff_t a = 0; a < lines; a += tile)
            for (ptrdiff_t b = 0; b < length; b += tile) one(a, b);
    } else {
        for (ptrdiff_t first = 0; first < lines; first += across)
            for (ptrdiff_t b = 0; b < length; b += tile)
                for (ptrdiff_t a = first; a < smaller(lines, first + across); a += tile) one(a, b);
    }
}

// Strided -> packed (rows of n elements, one after another).
template <class U>
void pack(char* to, const char* from, const PackLayout& l) noexcept {
    using E = Unaligned<U>;
    constexpr auto size = static_cast<ptrdiff_t>(sizeof(U));
    if (l.outer == size && is_column_like(l.outer, l.inner))
        return transpose<U>(to, l.n * size, from, l.inner, l.n, l.rows);
    if (is_column_like(l.outer, l.inner)) {
        for (ptrdiff_t i = 0; i < l.n; ++i) {
            const char* p = from + i * l.inner;
            auto out = reinterpret_cast<E*>(to) + i;
            for (ptrdiff_t r = 0; r < l.rows; ++r, p += l.outer, out += l.n)
                *out = *reinterpret_cast<const E*>(p);
        }
        return;
    }
    for (ptrdiff_t r = 0; r < l.rows; ++r)
        gather<U>(to + r * l.n * size, from + r * l.outer, l.n, l.inner);
}

// Packed -> strided.
template <class U>
void unpack(char* to, const char* from, const PackLayout& l) noexcept {
    using E = Unaligned<U>;
    constexpr auto size = static_cast<ptrdiff_t>(sizeof(U));
    if (l.outer == size && is_column_like(l.outer, l.inner))
        return transpose<U>(to, l.inner, from, l.n * size, l.rows, l.n);
    if (is_column_like(l.outer, l.inner)) {
        for (ptrdiff_t i = 0; i < l.n; ++i) {
            char* p = to + i * l.inner;
            auto in = reinterpret_cast<const E*>(from) + i;
            for (ptrdiff_t r = 0; r < l.rows; ++r, p += l.outer, in += l.n)
                *reinterpret_cast<E*>(p) = *in;
        }
        return;
    }
    for (ptrdiff_t r = 0; r < l.rows; ++r)
        scatter<U>(to + r * l.outer, from + r * l.n * size, l.n, l.inner);
}

}  // namespace
}  // namespace raptors::RAPTORS_ISA
