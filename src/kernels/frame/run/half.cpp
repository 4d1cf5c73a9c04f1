#include "frame/run/half.h"

#include <bit>

#include "frame/fp/fpstatus.h"

namespace raptors {
namespace {

constexpr uint32_t exponents = (127 - 15) << 23;  // from the bias of a half to that of a float
constexpr uint32_t least_normal = exponents + (1U << 23);  // 2^-14
constexpr uint32_t infinity = 0x7f800000U;

float widened(uint16_t h) noexcept {
    uint32_t const sign = (h & 0x8000U) << 16, magnitude = (h & 0x7fffU) << 13;
    constexpr uint32_t top = 0x7c00U << 13;
    uint32_t bits = magnitude + exponents;
    if (magnitude >= top) {
        bits += exponents;              // infinity or NaN
    } else if (magnitude < 1U << 23) {  // subnormal: as if it had a leading one, less that one
        bits = std::bit_cast<uint32_t>(std::bit_cast<float>(bits + (1U << 23)) -
                                       std::bit_cast<float>(least_normal));
    }
    return std::bit_cast<float>(bits | sign);
}

uint16_t rounded(float x) noexcept {
    auto const all = std::bit_cast<uint32_t>(x);
    uint32_t const sign = all >> 16 & 0x8000U, bits = all & 0x7fffffffU;
    uint32_t half;
    if (bits > infinity) {
        half = 0x7e00U;
    } else if (bits >= (127U + 16) << 23) {
        half = 0x7c00U;
    } else if (bits < least_normal) {  // a sum whose last bit is that of a subnormal half
        constexpr uint32_t magic = (127 - 15 + 23 - 10 + 1) << 23;
        half = std::bit_cast<uint32_t>(std::bit_cast<float>(bits) + std::bit_cast<float>(magic)) -
               magic;
    } else {
        half = (bits - exponents + 0xfffU + (bits >> 13 & 1)) >> 13;
    }
    return static_cast<uint16_t>(half | sign);
}

}  // namespace

void half_to_float(const uint16_t* from, float* to, ptrdiff_t n) noexcept {
    for (ptrdiff_t i = 0; i < n; ++i) to[i] = widened(from[i]);
}

int float_to_half(const float* from, uint16_t* to, ptrdiff_t n) noexcept {
    bool over = false, under = false;
    for (ptrdiff_t i = 0; i < n; ++i) {
        float const x = from[i];
        uint16_t const half = rounded(x);
        uint32_t const bits = std::bit_cast<uint32_t>(x) & 0x7fffffffU;
        over |= bits < infinity && (half & 0x7fffU) == 0x7c00U;
        under |= bits < least_normal && widened(half) != x;
        to[i] = half;
    }
    return (over ? fp_overflow : 0) | (under ? fp_underflow : 0);
}

}  // namespace raptors
