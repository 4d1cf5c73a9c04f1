// What products are computed in: C, the elements' own type, or uint16_t for bytes, of which no
// ISA multiplies vectors. Signed and unsigned wrap alike.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <type_traits>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "api/gemm.h"
#include "isa/fused.h"
#include "isa/move/pack.h"

namespace raptors::RAPTORS_ISA {
namespace {

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr bool many_registers = true;  // 32
#else
constexpr bool many_registers = false;  // 16
#endif

// `bytes` of lanes, or one.
template <class C, int bytes>
struct Lanes {
    static constexpr bool one = bytes == sizeof(Value<C>);
    using V = std::conditional_t<one, Value<C>, Vec<Value<C>, one ? 16 : bytes>>;
    static constexpr int n = bytes / int{sizeof(Value<C>)};

    static RAPTORS_INLINE V add(V x, V y) {
        if constexpr (std::is_same_v<C, boolean>)
            return static_cast<V>(x | y);
        else
            return static_cast<V>(x + y);
    }
    static RAPTORS_INLINE V multiply_add(V x, V y, V z) {
        if constexpr (std::is_same_v<C, boolean>)
            return static_cast<V>(z | (x & y));
        else if constexpr (std::is_floating_point_v<C>)
            return fused(x, y, z);
        else if constexpr (one)
            return static_cast<V>(1U * x * y + z);  // not in int, which may overflow
        else
            return x * y + z;
    }
    // All lanes from an element of a packed A, where short ones fill 4 bytes: those are repeated
    // without a shuffle.
    static RAPTORS_INLINE V repeat(const char* p) {
        if constexpr (one)
            return get<V>(p);
        else if constexpr (sizeof(C) < 4)
            return reinterpret_cast<V>(get<uint32_t>(p) - Vec<uint32_t, bytes>{});
        else
            return get<C>(p) - V{};
    }
};
template <class C>
using Spread = std::conditional_t<(sizeof(C) < 4), uint32_t, C>;

// acc += A (rows, k) B (k, vectors of lanes); the last vector begins `last` bytes after the first.
template <class C, int bytes, int rows, int vectors>
RAPTORS_INLINE void accumulate(typename Lanes<C, bytes>::V (&acc)[rows][vectors], const char* a,
                               ptrdiff_t a_row, ptrdiff_t a_column, const char* b, ptrdiff_t b_row,
                               ptrdiff_t last, ptrdiff_t k) {
    using L = Lanes<C, bytes>;
    using V = typename L::V;
    for (; k > 0; --k, a += a_column, b += b_row) {
        V y[vectors];
        RAPTORS_WHOLE
        for (int v = 0; v < vectors; ++v) y[v] = get<V>(b + (v < vectors - 1 ? v * bytes : last));
        RAPTORS_WHOLE
        for (int r = 0; r < rows; ++r) {
            V const x = L::repeat(a + r * a_row);
            RAPTORS_WHOLE
            for (int v = 0; v < vectors; ++v) acc[r][v] = L::multiply_add(x, y[v], acc[r][v]);
        }
    }
}

}  // namespace
}  // namespace raptors::RAPTORS_ISA
