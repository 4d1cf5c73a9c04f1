// What formulas compute in, for each C type of dtypes.def, and how elements become that.
#pragma once
#if defined(__F16C__)
#include <immintrin.h>
#endif

#include <type_traits>

#include "isa/vec.h"

namespace raptors::RAPTORS_ISA {
namespace {

// Booleans are computed as 0 or 1, half precision in single.
template <class T>
struct ValueOf {
    using type = T;
};
template <>
struct ValueOf<boolean> {
    using type = uint8_t;
};
template <class T>
using Value = typename ValueOf<T>::type;

template <class T>
RAPTORS_INLINE Value<T> value(Value<T> stored) {
    if constexpr (std::is_same_v<T, boolean>)
        return stored != 0;
    else
        return stored;
}

// Whole runs are converted to the type computed in, and back: half precision.
template <class T>
constexpr bool is_converted = std::is_same_v<T, half>;
template <class T>
using Computed = std::conditional_t<is_converted<T>, float, T>;

template <class T>
constexpr bool is_floating = std::is_floating_point_v<T>;
template <class T>
constexpr bool is_signed = std::is_signed_v<T>;
template <class T>
constexpr bool is_complex = false;
template <class R>
constexpr bool is_complex<complex<R>> = true;
// Numbers and booleans that the processor computes with.
template <class T>
constexpr bool is_elementary = !is_converted<T> && !is_complex<T>;

template <class T>
struct RealOf {
    using type = T;
};
template <class R>
struct RealOf<complex<R>> {
    using type = R;
};
template <class T>
using Real = typename RealOf<T>::type;

// ---- complex numbers
template <class R>
RAPTORS_INLINE complex<R> operator+(complex<R> x, complex<R> y) {
    return {x.re + y.re, x.im + y.im};
}
template <class R>
RAPTORS_INLINE complex<R> operator-(complex<R> x, complex<R> y) {
    return {x.re - y.re, x.im - y.im};
}
template <class R>
RAPTORS_INLINE complex<R> operator-(complex<R> x) {
    return {-x.re, -x.im};
}
RAPTORS_INLINE float fused_product(float x, float y, float z) { return __builtin_fmaf(x, y, z); }
RAPTORS_INLINE double fused_product(double x, double y, double z) { return __builtin_fma(x, y, z); }
// One product of each part is fused with the sum, as in NumPy.
template <class R>
RAPTORS_INLINE complex<R> operator*(complex<R> x, complex<R> y) {
    R const squares = x.im * y.im, crossed = x.im * y.re;
    return {fused_product(x.re, y.re, -squares), fused_product(x.re, y.im, crossed)};
}
template <class R>
RAPTORS_INLINE bool operator==(complex<R> x, complex<R> y) {
    return (x.re == y.re) & (x.im == y.im);
}
template <class R>
RAPTORS_INLINE bool operator!=(complex<R> x, complex<R> y) {
    return (x.re != y.re) | (x.im != y.im);
}

// ---- half precision (IEEE binary16)
// A double as a float that rounds to the half nearest to the double: towards zero, the last bit set
// if anything is lost.
RAPTORS_INLINE float round_to_odd(double x) {
    auto const f = static_cast<float>(x);
    auto bits = __builtin_bit_cast(uint32_t, f);
    auto const back = static_cast<double>(f);
    uint32_t const beyond = __builtin_fabs(back) > __builtin_fabs(x);
    uint32_t const inexact = (back < x) | (back > x);
    bits = (bits - beyond) | inexact;
    return __builtin_bit_cast(float, bits);
}

#if defined(__F16C__)
RAPTORS_INLINE float widened(half x) { return _cvtsh_ss(x.bits); }
RAPTORS_INLINE half narrowed(float x) {
    return {static_cast<uint16_t>(_cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT))};
}
#elif defined(__aarch64__)
RAPTORS_INLINE float widened(half x) {
    return static_cast<float>(__builtin_bit_cast(__fp16, x.bits));
}
RAPTORS_INLINE half narrowed(float x) {
    return {__builtin_bit_cast(uint16_t, static_cast<__fp16>(x))};
}
#else
constexpr uint32_t half_exponents = (127 - 15) << 23;  // from the bias of a half to that of a float
constexpr uint32_t half_least_normal = half_exponents + (1U << 23);  // 2^-14

RAPTORS_INLINE float widened(half x) {
    uint32_t const sign = (x.bits & 0x8000U) << 16, magnitude = (x.bits & 0x7fffU) << 13;
    constexpr uint32_t top = 0x7c00U << 13;
    uint32_t bits = magnitude + half_exponents;
    if (magnitude >= top) {
        bits += half_exponents;         // infinity or NaN
    } else if (magnitude < 1U << 23) {  // subnormal: as if it had a leading one, less that one
        bits = __builtin_bit_cast(uint32_t, __builtin_bit_cast(float, bits + (1U << 23)) -
                                                __builtin_bit_cast(float, half_least_normal));
    }
    return __builtin_bit_cast(float, bits | sign);
}
RAPTORS_INLINE half narrowed(float x) {
    constexpr uint32_t infinity = 0x7f800000U;
    auto const all = __builtin_bit_cast(uint32_t, x);
    uint32_t const sign = all >> 16 & 0x8000U, bits = all & 0x7fffffffU;
    uint32_t rounded;
    if (bits > infinity) {
        rounded = 0x7e00U | (bits >> 13 & 0x3ffU);
    } else if (bits >= (127U + 16) << 23) {
        rounded = 0x7c00U;
    } else if (bits < half_least_normal) {  // a sum whose last bit is that of a subnormal half
        constexpr uint32_t magic = (127 - 15 + 23 - 10 + 1) << 23;
        rounded = __builtin_bit_cast(uint32_t, __builtin_bit_cast(float, bits) +
                                                   __builtin_bit_cast(float, magic)) -
                  magic;
    } else {
        rounded = (bits - half_exponents + 0xfffU + (bits >> 13 & 1)) >> 13;
    }
    half const result{static_cast<uint16_t>(rounded | sign)};
    // What IEEE 754 signals on the way.
    bool const overflow = bits < infinity && (rounded & 0x7fffU) == 0x7c00U;
    bool const underflow =
        bits < half_least_normal && __builtin_bit_cast(uint32_t, widened(result)) != all;
    if (overflow | underflow) [[unlikely]] {
        float volatile extreme = overflow ? 3e38F : 1e-38F;
        float volatile sink = extreme * extreme;
        (void)sink;
    }
    return result;
}
#endif

inline void widen(const char* from, char* to, ptrdiff_t n) noexcept {
    ptrdiff_t i = 0;
#if defined(__AVX512F__)
    for (; i + 16 <= n; i += 16) put(to + 4 * i, _mm512_cvtph_ps(get<__m256i>(from + 2 * i)));
#elif defined(__F16C__)
    for (; i + 8 <= n; i += 8) put(to + 4 * i, _mm256_cvtph_ps(get<__m128i>(from + 2 * i)));
#endif
    for (; i < n; ++i) put(to + 4 * i, widened(get<half>(from + 2 * i)));
}
inline void narrow(const char* from, char* to, ptrdiff_t n) noexcept {
    ptrdiff_t i = 0;
#if defined(__AVX512F__)
    for (; i + 16 <= n; i += 16)
        put(to + 2 * i, _mm512_cvtps_ph(get<__m512>(from + 4 * i), _MM_FROUND_TO_NEAREST_INT));
#elif defined(__F16C__)
    for (; i + 8 <= n; i += 8)
        put(to + 2 * i, _mm256_cvtps_ph(get<__m256>(from + 4 * i), _MM_FROUND_TO_NEAREST_INT));
#endif
    for (; i < n; ++i) put(to + 2 * i, narrowed(get<float>(from + 4 * i)));
}

}  // namespace
}  // namespace raptors::RAPTORS_ISA
