// x * y + z, rounded once where the ISA can.
#pragma once
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "isa/vec.h"

namespace raptors::RAPTORS_ISA {
namespace {

#if defined(__FMA__) || defined(__aarch64__)
constexpr bool rounds_once = true;
#else
constexpr bool rounds_once = false;
#endif

#if defined(__FMA__)
RAPTORS_INLINE float fused(float x, float y, float z) { return __builtin_fmaf(x, y, z); }
RAPTORS_INLINE double fused(double x, double y, double z) { return __builtin_fma(x, y, z); }
#define FUSED(type, bytes, intrinsic)                                             \
    RAPTORS_INLINE Vec<type, bytes> fused(Vec<type, bytes> x, Vec<type, bytes> y, \
                                          Vec<type, bytes> z) {                   \
        return Vec<type, bytes>(intrinsic(x, y, z));                              \
    }
FUSED(float, 16, _mm_fmadd_ps)
FUSED(double, 16, _mm_fmadd_pd)
FUSED(float, 32, _mm256_fmadd_ps)
FUSED(double, 32, _mm256_fmadd_pd)
#if defined(__AVX512F__)
FUSED(float, 64, _mm512_fmadd_ps)
FUSED(double, 64, _mm512_fmadd_pd)
#endif
#undef FUSED
#elif defined(__aarch64__)
RAPTORS_INLINE float fused(float x, float y, float z) { return __builtin_fmaf(x, y, z); }
RAPTORS_INLINE double fused(double x, double y, double z) { return __builtin_fma(x, y, z); }
RAPTORS_INLINE Vec<float> fused(Vec<float> x, Vec<float> y, Vec<float> z) {
    return Vec<float>(vfmaq_f32(float32x4_t(z), float32x4_t(x), float32x4_t(y)));
}
RAPTORS_INLINE Vec<double> fused(Vec<double> x, Vec<double> y, Vec<double> z) {
    return Vec<double>(vfmaq_f64(float64x2_t(z), float64x2_t(x), float64x2_t(y)));
}
#else
template <class V>
RAPTORS_INLINE V fused(V x, V y, V z) {
    return x * y + z;
}
#endif

}  // namespace
}  // namespace raptors::RAPTORS_ISA
