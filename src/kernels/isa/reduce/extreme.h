// The smaller or the larger of elements.
#pragma once
#include "isa/reduce/reduction.h"

namespace raptors::RAPTORS_ISA {
namespace {

// One lane from all, by vectors of half the length.
template <class T, int bytes, class V, class Op>
inline T reduce_lanes(V v, Op op) {
    if constexpr (bytes == 16) {
        T lane[16 / sizeof(T)];
        put(lane, v);
        T a = lane[0];
        for (size_t i = 1; i < 16 / sizeof(T); ++i) a = op(a, lane[i]);
        return a;
    } else {
        typedef T Half __attribute__((vector_size(bytes / 2)));
        const char* const p = reinterpret_cast<const char*>(&v);
        return reduce_lanes<T, bytes / 2>(op(get<Half>(p), get<Half>(p + bytes / 2)), op);
    }
}

// Of a NaN and anything the NaN is kept, or else `ignores_nans`: the other. Comparisons of NaN
// raise a status that nobody looks at.
template <class T, bool largest, bool ignores_nans>
struct Extreme {
    using Element = T;
    using Accumulator = T;
    static constexpr bool vectors = true;
    template <class V>
    static V pick(V a, V x) {
        V const better = (largest ? x > a : x < a) ? x : a;
        if constexpr (ignores_nans)
            return a != a ? x : better;
        else if constexpr (floating<T>)
            return x != x ? x : better;
        else
            return better;
    }
    static T next(T a, T x) { return pick(a, x); }

    // With AVX-512 a comparison's result is a mask, and looking for NaNs by them takes longer than
    // L3 needs for the data. As integers without their sign NaNs are what lies above infinity.
    static constexpr bool seeks_nans_first = floating<T> && vector_bytes == 64;
    // The extreme of n >= 4 vectors if no element is a NaN.
    static bool of_numbers(const char* p, ptrdiff_t n, T* extreme) {
        using V = Vec<T>;
        using U = Unsigned<T>;
        using W = Vec<U>;
        constexpr ptrdiff_t w = lanes<T>;
        auto better = [](auto a, auto x) { return (largest ? x > a : x < a) ? x : a; };
        auto shifted = [](const char* q) {
            W const bits = get<W>(q);
            return bits + bits;
        };
        auto greater = [](W a, W x) { return x > a ? x : a; };
        V m[4];
        W high[4];
        auto take = [&](const char* q) {
            for (int k = 0; k < 4; ++k) {
                m[k] = better(m[k], get<V>(q + k * vector_bytes));
                high[k] = greater(high[k], shifted(q + k * vector_bytes));
            }
        };
        for (int k = 0; k < 4; ++k) {
            m[k] = get<V>(p + k * vector_bytes);
            high[k] = shifted(p + k * vector_bytes);
        }
        ptrdiff_t i = 4 * w;
        for (; i + 4 * w <= n; i += 4 * w) take(p + i * size_of<T>);
        if (i < n) take(p + (n - 4 * w) * size_of<T>);  // some elements again
        T const infinity = static_cast<T>(__builtin_inf());
        U const limit = static_cast<U>(get<U>(&infinity) << 1);
        U const most = reduce_lanes<U, vector_bytes>(
            greater(greater(high[0], high[1]), greater(high[2], high[3])),
            [](auto a, auto x) { return x > a ? x : a; });
        *extreme =
            reduce_lanes<T, vector_bytes>(better(better(m[0], m[1]), better(m[2], m[3])), better);
        return most <= limit;
    }

    static T dense(T a, const char* p, ptrdiff_t n) {
        using V = Vec<T>;
        constexpr ptrdiff_t w = lanes<T>;
        if constexpr (seeks_nans_first)
            if (T x; n >= 4 * w && of_numbers(p, n, &x)) return pick(a, x);
        ptrdiff_t i = 0;
        if (n >= w) {
            V m = get<V>(p);
            if (n >= 8 * w) {
                V b = get<V>(p + vector_bytes), c = get<V>(p + 2 * vector_bytes),
                  d = get<V>(p + 3 * vector_bytes), e = m, f = m, g = m, h = m;
                for (; i + 8 * w <= n; i += 8 * w) {
                    const char* const q = p + i * size_of<T>;
                    m = pick(m, get<V>(q));
                    b = pick(b, get<V>(q + vector_bytes));
                    c = pick(c, get<V>(q + 2 * vector_bytes));
                    d = pick(d, get<V>(q + 3 * vector_bytes));
                    e = pick(e, get<V>(q + 4 * vector_bytes));
                    f = pick(f, get<V>(q + 5 * vector_bytes));
                    g = pick(g, get<V>(q + 6 * vector_bytes));
                    h = pick(h, get<V>(q + 7 * vector_bytes));
                }
                m = pick(pick(pick(m, b), pick(c, d)), pick(pick(e, f), pick(g, h)));
            }
            for (; i + w <= n; i += w) m = pick(m, get<V>(p + i * size_of<T>));
            if (i < n) m = pick(m, get<V>(p + (n - w) * size_of<T>));  // some lanes again
            return pick(
                a, reduce_lanes<T, vector_bytes>(m, [](auto x, auto y) { return pick(x, y); }));
        }
        for (; i < n; ++i) a = pick(a, get<T>(p + i * size_of<T>));
        return a;
    }
};

}  // namespace
}  // namespace raptors::RAPTORS_ISA
