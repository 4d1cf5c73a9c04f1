// Lanes of integers that are summed, and booleans that are counted.
#pragma once
#include "isa/values.h"

namespace raptors::RAPTORS_ISA {
namespace {

template <class T>
struct Widened;  // unsigned type of the same size, and of twice the size
template <>
struct Widened<boolean> {
    using Own = uint8_t;
    using Twice = uint16_t;
};
template <>
struct Widened<int8_t> : Widened<boolean> {};
template <>
struct Widened<uint8_t> : Widened<boolean> {};
template <>
struct Widened<int16_t> {
    using Own = uint16_t;
    using Twice = uint32_t;
};
template <>
struct Widened<uint16_t> : Widened<int16_t> {};
template <>
struct Widened<int32_t> {
    using Own = uint32_t;
    using Twice = uint64_t;
};
template <>
struct Widened<uint32_t> : Widened<int32_t> {};

// Sum of the lanes of a vector of unsigned numbers, widened.
template <class U>
RAPTORS_INLINE uint64_t lane_sum(Vec<U> v) {
    if constexpr (sizeof(U) == 8) {
        return reduce_lanes<U>(v, [](U a, U b) { return a + b; });
    } else {
        using Twice = typename Widened<U>::Twice;
        Vec<Twice> const w = get<Vec<Twice>>(&v);
        constexpr int bits = 8 * sizeof(U);
        return lane_sum<Twice>((w & splat<Twice>(static_cast<U>(~U{0}))) + (w >> bits));
    }
}

// How many booleans are true: by the zeros, since a vector of them takes one comparison.
inline ptrdiff_t count_true(const char* mask, ptrdiff_t n) {
    constexpr ptrdiff_t several = 4, step = several * vector_bytes;
    constexpr ptrdiff_t most_steps = 255;  // counts fit a byte
    ptrdiff_t zeros = 0, i = 0;
    while (i + step <= n) {
        Vec<uint8_t> count[several] = {};
        ptrdiff_t const end = i + smaller((n - i) / step, most_steps) * step;
        for (; i < end; i += step) {
            RAPTORS_WHOLE
            for (int k = 0; k < several; ++k) {
                auto const zero = load<uint8_t>(mask + i + k * vector_bytes) == 0;
                count[k] -= reinterpret_cast<Vec<uint8_t>>(zero);
            }
        }
        Vec<uint16_t> sum{};
        for (auto const& counts : count) {
            auto const pairs = reinterpret_cast<Vec<uint16_t>>(counts);
            sum += (pairs & 255) + (pairs >> 8);
        }
        zeros += static_cast<ptrdiff_t>(lane_sum<uint16_t>(sum));
    }
    for (; i < n; ++i) zeros += mask[i] == 0;
    return n - zeros;
}

}  // namespace
}  // namespace raptors::RAPTORS_ISA
