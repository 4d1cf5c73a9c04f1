// A functor over vectors, applied to runs: whole vectors, then one that is filled up.
//
// F has `V apply(V x)`, or `V apply(V x, V y)`, and `filler`, an element for which apply raises no
// floating-point status. Floating-point status is that of the elements: what fills the last vector
// adds nothing.
#pragma once
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "isa/loops.h"

namespace raptors::RAPTORS_ISA {
namespace {

// The first n lanes from memory, 0 < n < lanes<T>; the others are `rest`.
template <class T>
RAPTORS_INLINE Vec<T> load_part(const char* p, ptrdiff_t n, T rest) {
#if defined(__AVX512F__)
    auto const some = (1U << n) - 1;
    if constexpr (sizeof(T) == 4)
        return Vec<T>(_mm512_mask_loadu_ps(__m512(splat(rest)), static_cast<__mmask16>(some), p));
    else
        return Vec<T>(_mm512_mask_loadu_pd(__m512d(splat(rest)), static_cast<__mmask8>(some), p));
#else
    T lane[lanes<T>];
    for (int i = 0; i < lanes<T>; ++i) lane[i] = i < n ? get<T>(p + i * size_of<T>) : rest;
    return load<T>(lane);
#endif
}

template <class T>
RAPTORS_INLINE void store_part(char* p, Vec<T> v, ptrdiff_t n) {
#if defined(__AVX512F__)
    auto const some = (1U << n) - 1;
    if constexpr (sizeof(T) == 4)
        _mm512_mask_storeu_ps(p, static_cast<__mmask16>(some), __m512(v));
    else
        _mm512_mask_storeu_pd(p, static_cast<__mmask8>(some), __m512d(v));
#else
    T lane[lanes<T>];
    store(lane, v);
    for (ptrdiff_t i = 0; i < n; ++i) put(p + i * size_of<T>, lane[i]);
#endif
}

// An input: a run, or one element for the whole run.
template <class T, bool one>
struct Source {
    const char* first;
    RAPTORS_INLINE Vec<T> whole(ptrdiff_t i) const { return load<T>(first + i * size_of<T>); }
    RAPTORS_INLINE Vec<T> part(ptrdiff_t i, ptrdiff_t n, T rest) const {
        return load_part<T>(first + i * size_of<T>, n, rest);
    }
};
template <class T>
struct Source<T, true> {
    Vec<T> x;
    explicit Source(const char* p) : x(splat(get<T>(p))) {}
    RAPTORS_INLINE Vec<T> whole(ptrdiff_t) const { return x; }
    RAPTORS_INLINE Vec<T> part(ptrdiff_t, ptrdiff_t n, T rest) const {
        T lane[lanes<T>];
        for (int i = 0; i < lanes<T>; ++i) lane[i] = i < n ? x[i] : rest;
        return load<T>(lane);
    }
};

template <class F, class T, class... S>
RAPTORS_INLINE void transform(char* out, ptrdiff_t n, S const&... source) {
    constexpr ptrdiff_t step = lanes<T>;
    ptrdiff_t i = 0;
    for (; i + step <= n; i += step) store(out + i * size_of<T>, F::apply(source.whole(i)...));
    if (ptrdiff_t const rest = n - i; rest > 0)
        store_part<T>(out + i * size_of<T>,
                      F::apply(source.part(i, rest, static_cast<T>(F::filler))...), rest);
}

// The cores for `Cores`.
template <class F, class T>
void transform_unary(char* const* data, ptrdiff_t n) noexcept {
    transform<F, T>(data[1], n, Source<T, false>{data[0]});
}
template <class F, class T, unsigned scalar_mask>
void transform_binary(char* const* data, ptrdiff_t n) noexcept {
    transform<F, T>(data[2], n, Source<T, (scalar_mask & 1) != 0>{data[0]},
                    Source<T, (scalar_mask & 2) != 0>{data[1]});
}

template <class F, class T>
struct UnaryTransform {
    static constexpr Core core = transform_unary<F, Computed<T>>;
    static constexpr Cores cores = {
        1, 1, {size_of<T>, size_of<T>}, {core}, is_converted<T> ? 3U : 0U};
    static void run(const Block& b, const void*) noexcept {
        if (!is_converted<T> && b.rows == 1 && b.inner[0] == size_of<T> && b.inner[1] == size_of<T>)
            [[likely]]
            return core(b.data, b.n);
        drive(b, cores);
    }
};

template <class F, class T>
struct BinaryTransform {
    static constexpr Cores cores = {
        2,
        1,
        {size_of<T>, size_of<T>, size_of<T>},
        {transform_binary<F, T, 0>, transform_binary<F, T, 1>, transform_binary<F, T, 2>}};
    static void run(const Block& b, const void*) noexcept { drive(b, cores); }
};

}  // namespace
}  // namespace raptors::RAPTORS_ISA
