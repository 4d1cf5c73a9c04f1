// Complex numbers in a register, real and imaginary parts in turn, as they lie in memory. For
// products the compiler separates the parts and interleaves them again, which takes AVX2 twice as
// many instructions.
#pragma once
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "isa/values.h"

namespace raptors::RAPTORS_ISA {
namespace {

#if defined(__AVX2__)
template <class R>
struct Pairs {
    static constexpr int bytes = 32;
    static constexpr ptrdiff_t n = bytes / (2 * sizeof(R));  // complex numbers
    Vec<R, bytes> parts;

    static RAPTORS_INLINE Pairs load(const void* p) { return {get<Vec<R, bytes>>(p)}; }
    // Those that are `step` bytes apart.
    static RAPTORS_INLINE Pairs collect(const char* p, ptrdiff_t step) {
        auto const two = [&](ptrdiff_t i) {  // doubles, of the bits of a pair or of two
            if constexpr (sizeof(R) == 8) return get<__m128d>(p + i * step);
            return _mm_set_pd(get<double>(p + (2 * i + 1) * step), get<double>(p + 2 * i * step));
        };
        return {Vec<R, bytes>(_mm256_set_m128d(two(1), two(0)))};
    }
    RAPTORS_INLINE void spread(char* p, ptrdiff_t step) const {
        auto const all = __m256d(parts);
        if constexpr (sizeof(R) == 8) {
            put(p, _mm256_castpd256_pd128(all));
            put(p + step, _mm256_extractf128_pd(all, 1));
        } else {
            for (int i = 0; i < n; ++i) put(p + i * step, all[i]);
        }
    }
    // Fewer of them, and the first one again.
    static RAPTORS_INLINE Pairs load_part(const void* p, ptrdiff_t count) {
        Pairs some = repeat(get<complex<R>>(p));
        memcpy(&some, p, static_cast<size_t>(count) * sizeof(complex<R>));
        return some;
    }
    static RAPTORS_INLINE Pairs repeat(complex<R> x) {
        if constexpr (sizeof(R) == 4)
            return {Vec<R, bytes>(_mm256_set1_pd(__builtin_bit_cast(double, x)))};
        else
            return {Vec<R, bytes>(_mm256_set_pd(x.im, x.re, x.im, x.re))};
    }
};
template <class R>
constexpr bool is_complex<Pairs<R>> = true;

template <class R>
RAPTORS_INLINE Pairs<R> operator+(Pairs<R> x, Pairs<R> y) {
    return {x.parts + y.parts};
}
template <class R>
RAPTORS_INLINE Pairs<R> operator-(Pairs<R> x, Pairs<R> y) {
    return {x.parts - y.parts};
}
template <class R>
RAPTORS_INLINE Pairs<R> operator-(Pairs<R> x) {
    return {-x.parts};
}
// Rounded as products of single complex numbers are.
RAPTORS_INLINE Pairs<float> operator*(Pairs<float> x, Pairs<float> y) {
    auto const a = __m256(x.parts), b = __m256(y.parts);
    __m256 const crossed = _mm256_mul_ps(_mm256_movehdup_ps(a), _mm256_permute_ps(b, 0b10110001));
    return {Vec<float, 32>(_mm256_fmaddsub_ps(_mm256_moveldup_ps(a), b, crossed))};
}
RAPTORS_INLINE Pairs<double> operator*(Pairs<double> x, Pairs<double> y) {
    auto const a = __m256d(x.parts), b = __m256d(y.parts);
    __m256d const crossed =
        _mm256_mul_pd(_mm256_permute_pd(a, 0b1111), _mm256_permute_pd(b, 0b0101));
    return {Vec<double, 32>(_mm256_fmaddsub_pd(_mm256_movedup_pd(a), b, crossed))};
}

// All of n elements; returns how many are done. Inputs as Run and One in loops.h.
template <class F, class R, class... In>
RAPTORS_INLINE ptrdiff_t compute_pairs(char* out, ptrdiff_t n, const In&... in) {
    if constexpr (requires { F::apply(in.pairs(0)...).parts; }) {
        constexpr ptrdiff_t size = 2 * sizeof(R), step = Pairs<R>::n;
        ptrdiff_t i = 0;
        RAPTORS_UNROLL
        for (; i + step <= n; i += step) put(out + i * size, F::apply(in.pairs(i)...).parts);
        if (i == n) return n;
        auto const last = F::apply(in.some_pairs(i, n - i)...).parts;
        memcpy(out + i * size, &last, static_cast<size_t>((n - i) * size));
        return n;
    }
    return 0;
}

// n elements that are `step` bytes apart, as SteppingCore in loops.h.
template <class F, class R>
void step_pairs(char* const* data, const ptrdiff_t* step, ptrdiff_t n) noexcept {
    const char *x = data[0], *y = data[1];
    char* to = data[2];
    ptrdiff_t const x_step = step[0], y_step = step[1], to_step = step[2];
    ptrdiff_t i = 0;
    RAPTORS_UNROLL
    for (; i + Pairs<R>::n <= n; i += Pairs<R>::n) {
        F::apply(Pairs<R>::collect(x, x_step), Pairs<R>::collect(y, y_step)).spread(to, to_step);
        x += Pairs<R>::n * x_step;
        y += Pairs<R>::n * y_step;
        to += Pairs<R>::n * to_step;
    }
    for (; i < n; ++i) {
        F::apply(Pairs<R>::collect(x, 0), Pairs<R>::collect(y, 0)).spread(to, 0);
        x += x_step;
        y += y_step;
        to += to_step;
    }
}
#else
template <class R>
struct Pairs {};
template <class F, class R, class... In>
RAPTORS_INLINE ptrdiff_t compute_pairs(char*, ptrdiff_t, const In&...) {
    return 0;
}
#endif

}  // namespace
}  // namespace raptors::RAPTORS_ISA
