// Sums and products of integers: 64 bits wide, exact, so that order does not matter.
#include "isa/reduce/integer_sum.h"
#include "isa/reduce/reduction.h"

namespace raptors::RAPTORS_ISA {
namespace {

// Sign-extended, as is right for unsigned types of fewer bits too: they become non-negative int64.
template <class T>
inline uint64_t wide(T x) {
    return static_cast<uint64_t>(static_cast<int64_t>(x));
}
template <>
inline uint64_t wide<boolean>(boolean x) {
    return x != 0;
}

template <class T>
uint64_t dense_sum(const char* p, ptrdiff_t n) {
    uint64_t s = 0;
    ptrdiff_t i = 0;
    if constexpr (sizeof(T) == 8) {
        Vec<uint64_t> a[4] = {};
        for (; i + 4 * lanes<T> <= n; i += 4 * lanes<T>)
            for (int k = 0; k < 4; ++k)
                a[k] += get<Vec<uint64_t>>(p + i * size_of<T> + k * vector_bytes);
        s = lane_sum<uint64_t>((a[0] + a[1]) + (a[2] + a[3]));
    } else {
        // Both halves of every lane of twice the width are added to it; a signed number is made
        // unsigned by its sign bit's flip, which adds 2^(bits-1).
        using Own = typename Widened<T>::Own;
        using Twice = typename Widened<T>::Twice;
        constexpr int bits = 8 * sizeof(T);
        constexpr bool flip = is_signed<T>;
        constexpr ptrdiff_t step = 4 * lanes<T>;
        // each step adds less than 2^(bits+1) to a lane of 2 * bits
        constexpr ptrdiff_t steps_most = sizeof(T) == 1   ? 127
                                         : sizeof(T) == 2 ? 32767
                                                          : PTRDIFF_MAX / step;
        Vec<Own> const sign = splat<Own>(static_cast<Own>(Own{1} << (bits - 1)));
        Vec<Twice> const low = splat<Twice>(static_cast<Twice>(static_cast<Own>(~Own{0})));
        while (n - i >= step) {
            ptrdiff_t const steps = smaller((n - i) / step, steps_most);
            Vec<Twice> a[4] = {};
            for (ptrdiff_t j = 0; j < steps; ++j, i += step)
                for (int k = 0; k < 4; ++k) {
                    Vec<Own> v = get<Vec<Own>>(p + i * size_of<T> + k * vector_bytes);
                    if constexpr (flip) v ^= sign;
                    Vec<Twice> const w = get<Vec<Twice>>(&v);
                    a[k] += (w & low) + (w >> bits);
                }
            for (int k = 0; k < 4; ++k) s += lane_sum<Twice>(a[k]);
        }
        if constexpr (flip) s -= static_cast<uint64_t>(i) << (bits - 1);
    }
    for (; i < n; ++i) s += wide(get<T>(p + i * size_of<T>));
    return s;
}

template <class T>
struct IntegerSum {
    using Element = T;
    using Accumulator = uint64_t;
    static constexpr bool vectors = false;
    static Accumulator next(Accumulator a, T x) { return a + wide(x); }
    static Accumulator dense(Accumulator a, const char* p, ptrdiff_t n) {
        if (n < 16) {
            for (ptrdiff_t i = 0; i < n; ++i) a += wide(get<T>(p + i * size_of<T>));
            return a;
        }
        if constexpr (std::is_same_v<T, boolean>)
            return a + static_cast<uint64_t>(count_true(p, n));
        else
            return a + dense_sum<T>(p, n);
    }
};

template <class T>
struct IntegerProduct {
    using Element = T;
    using Accumulator = uint64_t;
    static constexpr bool vectors = false;
    static Accumulator next(Accumulator a, T x) { return a * wide(x); }
    static Accumulator dense(Accumulator a, const char* p, ptrdiff_t n) {
        uint64_t b = 1, c = 1, d = 1;
        ptrdiff_t i = 0;
        for (; i + 4 <= n; i += 4) {
            a *= wide(get<T>(p + i * size_of<T>));
            b *= wide(get<T>(p + (i + 1) * size_of<T>));
            c *= wide(get<T>(p + (i + 2) * size_of<T>));
            d *= wide(get<T>(p + (i + 3) * size_of<T>));
        }
        for (; i < n; ++i) a *= wide(get<T>(p + i * size_of<T>));
        return (a * b) * (c * d);
    }
};

// Sums and products wrap around, with a sign and without.
template <class T>
using WrapsAs = std::conditional_t<std::is_same_v<T, int64_t>, uint64_t, T>;

template <class T>
void fill(ReduceTable& table, DType t) {
    if constexpr (is_elementary<T> && !floating<T>) {
        int const column = static_cast<int>(t);
        table.reduce[static_cast<int>(Combine::add)][column] = reduce_all<IntegerSum<WrapsAs<T>>>;
        table.reduce[static_cast<int>(Combine::multiply)][column] =
            reduce_all<IntegerProduct<WrapsAs<T>>>;
    }
}

}  // namespace

void fill_integer_sum(ReduceTable& table) noexcept {
#define DTYPE(id, type, ...) fill<type>(table, DType::id);
#include "tables/dtypes.def"
}

}  // namespace raptors::RAPTORS_ISA
