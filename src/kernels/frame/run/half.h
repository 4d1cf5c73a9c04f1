// Half precision (IEEE binary16), which is stored but not computed in.
#pragma once
#include <cstddef>
#include <cstdint>

namespace raptors {

void half_to_float(const uint16_t* from, float* to, ptrdiff_t n) noexcept;
// Rounds to nearest, ties to even. What IEEE 754 signals on the way: bits of FpStatus.
int float_to_half(const float* from, uint16_t* to, ptrdiff_t n) noexcept;

}  // namespace raptors
