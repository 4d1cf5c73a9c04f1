// Moving elements of one size between a strided 2-D operand and a packed one. U: the unsigned type
// of that size.
#pragma once
#include "loops.h"

namespace raptors::RAPTORS_ISA {
namespace {

struct Layout {
    ptrdiff_t rows, n;       // extents
    ptrdiff_t outer, inner;  // byte strides of the strided side
};

RAPTORS_INLINE ptrdiff_t magnitude(ptrdiff_t x) { return x < 0 ? -x : x; }

// Reading along rows would touch a new cache line with each element while the neighbour column lies
// next to it.
RAPTORS_INLINE bool is_column_like(ptrdiff_t outer, ptrdiff_t inner) {
    return outer != 0 && magnitude(outer) < magnitude(inner);
}

template <class U>
RAPTORS_INLINE U& at(char* p) {
    return *reinterpret_cast<U*>(p);
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
    } else {
        for (ptrdiff_t i = 0; i < n; ++i) out[i] = *reinterpret_cast<const E*>(from + i * step);
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
        for (ptrdiff_t i = 0; i < n; ++i) *reinterpret_cast<E*>(to + i * step) = in[i];
    }
}

// Strided -> packed (rows of n elements, one after another).
template <class U>
void pack(char* to, const char* from, const Layout& l) noexcept {
    using E = Unaligned<U>;
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
        gather<U>(to + r * l.n * static_cast<ptrdiff_t>(sizeof(U)), from + r * l.outer, l.n,
                  l.inner);
}

// Packed -> strided.
template <class U>
void unpack(char* to, const char* from, const Layout& l) noexcept {
    using E = Unaligned<U>;
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
        scatter<U>(to + r * l.outer, from + r * l.n * static_cast<ptrdiff_t>(sizeof(U)), l.n,
                   l.inner);
}

}  // namespace
}  // namespace raptors::RAPTORS_ISA
