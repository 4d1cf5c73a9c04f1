// Comparisons of whole vectors, and their results as bytes 0 or 1. From masks of 4 and 8 bytes the
// compiler makes bytes with three times as many instructions on AVX2, more than it takes to read
// the elements from L3.
#pragma once
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "isa/scalar_math.h"

namespace raptors::RAPTORS_ISA {
namespace {

template <class V>
concept Vector = requires(V v) { v[0]; };
template <class V>
concept FloatingVector = Vector<V> && is_floating<Lane<V>>;

// What formulas call, over the lanes of a vector: all bits set where it holds.
template <FloatingVector V>
RAPTORS_INLINE auto is_nan(V x) {
    return x != x;
}
template <FloatingVector V>
RAPTORS_INLINE auto is_inf(V x) {
    return magnitudes(x) == signed_infinity_bits<Lane<V>>;
}
template <FloatingVector V>
RAPTORS_INLINE auto is_finite(V x) {
    return magnitudes(x) < signed_infinity_bits<Lane<V>>;
}
template <FloatingVector V>
RAPTORS_INLINE auto sign_bit(V x) {
    return as<Signed<Lane<V>>>(x) < 0;
}

#if defined(__AVX2__) && !defined(__AVX512F__)
// The lanes of masks of 4 or 8 bytes each, in order, as 0 or 1.
RAPTORS_INLINE __m256i packed_masks(const __m256i (&mask)[4]) {
    __m256i const words_low = _mm256_packs_epi32(mask[0], mask[1]),
                  words_high = _mm256_packs_epi32(mask[2], mask[3]);
    __m256i const bytes = _mm256_packs_epi16(words_low, words_high);
    // Packing leaves four lanes of each mask in each half.
    __m256i const order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    return _mm256_and_si256(_mm256_permutevar8x32_epi32(bytes, order), _mm256_set1_epi8(1));
}
RAPTORS_INLINE __m256i packed_masks(const __m256i (&mask)[8]) {
    __m256i pair[4];  // lanes of two masks in turn
    RAPTORS_WHOLE
    for (int i = 0; i < 4; ++i)
        pair[i] = _mm256_blend_epi32(mask[2 * i], mask[2 * i + 1], 0b10101010);
    __m256i const words_low = _mm256_packs_epi32(pair[0], pair[1]),
                  words_high = _mm256_packs_epi32(pair[2], pair[3]);
    __m256i const bytes = _mm256_packs_epi16(words_low, words_high);
    // Each half has two lanes of each of four masks now, and the other half their other two.
    __m256i const halves = _mm256_permute4x64_epi64(bytes, 0b11011000);
    __m256i const order = _mm256_setr_epi8(0, 2, 8, 10, 1, 3, 9, 11, 4, 6, 12, 14, 5, 7, 13, 15, 0,
                                           2, 8, 10, 1, 3, 9, 11, 4, 6, 12, 14, 5, 7, 13, 15);
    return _mm256_and_si256(_mm256_shuffle_epi8(halves, order), _mm256_set1_epi8(1));
}

// How many elements are done, the first ones. Inputs as Run and One in loops.h.
template <class F, class... In>
RAPTORS_INLINE ptrdiff_t compare_lines(char* out, ptrdiff_t n, const In&... in) {
    ptrdiff_t i = 0;
    if constexpr (requires { F::apply(in.line(0)...)[0]; }) {
        constexpr int step = lanes<Lane<decltype(F::apply(in.line(0)...))>>;
        for (; i + 32 <= n; i += 32) {
            __m256i mask[32 / step];
            RAPTORS_WHOLE
            for (int k = 0; k < 32 / step; ++k)
                mask[k] = reinterpret_cast<__m256i>(F::apply(in.line(i + k * step)...));
            put(out + i, packed_masks(mask));
        }
    }
    return i;
}
#else
template <class F, class... In>
RAPTORS_INLINE ptrdiff_t compare_lines(char*, ptrdiff_t, const In&...) {
    return 0;
}
#endif

}  // namespace
}  // namespace raptors::RAPTORS_ISA
