// Reductions and arg-reductions. One function per fold and dtype; it goes along rows or down
// columns by the strides.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <type_traits>

#include "api/reduce.h"
#include "isa/table.h"
#include "isa/vec.h"

namespace raptors::RAPTORS_ISA {
namespace {

constexpr ptrdiff_t magnitude(ptrdiff_t stride) { return stride < 0 ? -stride : stride; }

template <class T>
constexpr bool floating = std::is_floating_point_v<T>;

template <class T>
constexpr ptrdiff_t size_of = static_cast<ptrdiff_t>(sizeof(T));

// Folds run along rows if their elements lie closer together than neighbouring folds do.
inline bool by_row(const Reduction& r) {
    return r.rows == 1 || (r.n > 1 && magnitude(r.in_stride) <= magnitude(r.in_row));
}

// Elements with any stride, copied side by side. Strides of two and three elements are common
// (complex parts, every other, RGB).
template <class T, int step>
inline void gather_every(T* __restrict to, const char* from, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; ++i) to[i] = get<T>(from + i * step * size_of<T>);
}
template <class T>
void gather(T* to, const char* from, ptrdiff_t stride, ptrdiff_t n) {
    if (stride == 2 * size_of<T>) return gather_every<T, 2>(to, from, n);
    for (ptrdiff_t i = 0; i < n; ++i) to[i] = get<T>(from + i * stride);
}

// ---- Sums of floats
// Along a row: NumPy's pairwise summation, bit by bit (numpy/_core/src/umath/loops_utils.h.src):
// halves, cut at multiples of 8, down to leaves of at most 128 elements, which have 8 accumulators
// each. Error at most (16 + 3 + log2(n / 128)) eps sum|x|.

constexpr ptrdiff_t leaf_most = 128;

// What is summed: the elements, or the squares of what they differ from a centre. `j` counts
// columns; along a row it is not looked at.
struct Elements {
    template <class V>
    RAPTORS_INLINE V operator()(V x, ptrdiff_t) const {
        return x;
    }
    Elements from(ptrdiff_t) const { return {}; }
    static constexpr bool dense = true;
};
template <class T>
struct Deviations {  // of a row
    T centre;
    template <class V>
    RAPTORS_INLINE V operator()(V x, ptrdiff_t) const {
        V const d = x - centre;
        return d * d;
    }
};
template <class T>
struct ColumnDeviations {
    const char* centres;
    ptrdiff_t step;
    bool dense;  // vectors of centres can be loaded
    template <class V>
    RAPTORS_INLINE V operator()(V x, ptrdiff_t j) const {
        V const d = x - get<V>(centres + j * step);
        return d * d;
    }
    ColumnDeviations from(ptrdiff_t column) const { return {centres + column * step, step, dense}; }
};

// The 8 accumulators of a leaf.
template <class T>
struct Eight {
    static constexpr int bytes = 8 * sizeof(T) < vector_bytes ? 8 * int{sizeof(T)} : vector_bytes;
    static constexpr int parts = 8 * int{sizeof(T)} / bytes;
    typedef T Part __attribute__((vector_size(bytes)));
    Part part[parts];

    template <class F>
    RAPTORS_INLINE void load(const char* p, F f) {
        for (int i = 0; i < parts; ++i) part[i] = f(get<Part>(p + i * bytes), 0);
    }
    template <class F>
    RAPTORS_INLINE void add(const char* p, F f) {
        for (int i = 0; i < parts; ++i) part[i] += f(get<Part>(p + i * bytes), 0);
    }
    // ((r0 + r1) + (r2 + r3)) + ((r4 + r5) + (r6 + r7))
    T total() const {
        if constexpr (parts == 1) {
            Part const a =
                part[0] + __builtin_shufflevector(part[0], part[0], 1, 0, 3, 2, 5, 4, 7, 6);
            Part const b = a + __builtin_shufflevector(a, a, 2, 3, 0, 1, 6, 7, 4, 5);
            return b[0] + b[4];
        } else if constexpr (parts == 2) {
            // r0+r1, r4+r5, r2+r3, r6+r7
            Part const a = __builtin_shufflevector(part[0], part[1], 0, 4, 2, 6) +
                           __builtin_shufflevector(part[0], part[1], 1, 5, 3, 7);
            return (a[0] + a[2]) + (a[1] + a[3]);
        } else {
            Part const a = __builtin_shufflevector(part[0], part[1], 0, 2) +
                           __builtin_shufflevector(part[0], part[1], 1, 3);
            Part const b = __builtin_shufflevector(part[2], part[3], 0, 2) +
                           __builtin_shufflevector(part[2], part[3], 1, 3);
            return (a[0] + a[1]) + (b[0] + b[1]);
        }
    }
};

// Sums of neighbouring lanes of a and b, within 16 bytes of each: lane order is a matter of those
// who call.
template <class V>
inline V add_pairs(V a, V b) {
    constexpr int w = sizeof(V) / sizeof(a[0]);
    if constexpr (w == 2)
        return __builtin_shufflevector(a, b, 0, 2) + __builtin_shufflevector(a, b, 1, 3);
    else if constexpr (w == 4 && sizeof(V) == 16)
        return __builtin_shufflevector(a, b, 0, 2, 4, 6) +
               __builtin_shufflevector(a, b, 1, 3, 5, 7);
    else if constexpr (w == 4)
        return __builtin_shufflevector(a, b, 0, 4, 2, 6) +
               __builtin_shufflevector(a, b, 1, 5, 3, 7);
    else if constexpr (sizeof(V) == 32)
        return __builtin_shufflevector(a, b, 0, 2, 8, 10, 4, 6, 12, 14) +
               __builtin_shufflevector(a, b, 1, 3, 9, 11, 5, 7, 13, 15);
    else
        return __builtin_shufflevector(a, b, 0, 8, 2, 10, 4, 12, 6, 14) +
               __builtin_shufflevector(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
}

// (A + B) + (C + D) of the totals of four leaves, or that of eight.
template <class T>
inline T join(const Eight<T>* r) {
    if constexpr (Eight<T>::parts == 1 && sizeof(T) == 4) {
        auto const ad =
            add_pairs(add_pairs(r[0].part[0], r[1].part[0]), add_pairs(r[2].part[0], r[3].part[0]));
        auto const eh =
            add_pairs(add_pairs(r[4].part[0], r[5].part[0]), add_pairs(r[6].part[0], r[7].part[0]));
        // first halves of four leaves | second halves
        return Eight<T>{{__builtin_shufflevector(ad, eh, 0, 1, 2, 3, 8, 9, 10, 11) +
                         __builtin_shufflevector(ad, eh, 4, 5, 6, 7, 12, 13, 14, 15)}}
            .total();
    } else if constexpr (Eight<T>::parts == 1) {
        auto quarters = [](auto a, auto b) {
            return __builtin_shufflevector(a, b, 0, 1, 4, 5, 8, 9, 12, 13) +
                   __builtin_shufflevector(a, b, 2, 3, 6, 7, 10, 11, 14, 15);
        };
        auto const ad =
            quarters(add_pairs(r[0].part[0], r[1].part[0]), add_pairs(r[2].part[0], r[3].part[0]));
        auto const eh =
            quarters(add_pairs(r[4].part[0], r[5].part[0]), add_pairs(r[6].part[0], r[7].part[0]));
        return Eight<T>{{quarters(ad, eh)}}.total();
    } else if constexpr (Eight<T>::parts == 2 && sizeof(T) == 8) {
        // r0+r1, r4+r5, r2+r3, r6+r7 of a leaf; then A, A', B, B'; then A, C, B, D
        auto halves = [](const Eight<T>& a, const Eight<T>& b) {
            auto const x = add_pairs(a.part[0], a.part[1]), y = add_pairs(b.part[0], b.part[1]);
            return __builtin_shufflevector(x, y, 0, 1, 4, 5) +
                   __builtin_shufflevector(x, y, 2, 3, 6, 7);
        };
        auto const t = add_pairs(halves(r[0], r[1]), halves(r[2], r[3]));
        return (t[0] + t[2]) + (t[1] + t[3]);
    } else if constexpr (Eight<T>::parts == 2) {
        auto const t = add_pairs(
            add_pairs(add_pairs(r[0].part[0], r[0].part[1]), add_pairs(r[1].part[0], r[1].part[1])),
            add_pairs(add_pairs(r[2].part[0], r[2].part[1]),
                      add_pairs(r[3].part[0], r[3].part[1])));
        return (t[0] + t[1]) + (t[2] + t[3]);
    } else {
        auto leaf = [](const Eight<T>& a) {
            return add_pairs(add_pairs(a.part[0], a.part[1]), add_pairs(a.part[2], a.part[3]));
        };
        auto const t =
            add_pairs(add_pairs(leaf(r[0]), leaf(r[1])), add_pairs(leaf(r[2]), leaf(r[3])));
        return t[0] + t[1];
    }
}

template <class T, class F>
inline T short_sum(const char* p, ptrdiff_t n, F f) {  // n < 8
    T s = T(-0.0);
    for (ptrdiff_t i = 0; i < n; ++i) s += f(get<T>(p + i * size_of<T>), 0);
    return s;
}

template <class T, class F>
inline T leaf_sum(const char* p, ptrdiff_t n, F f) {  // 8 <= n <= leaf_most
    Eight<T> r;
    r.load(p, f);
    ptrdiff_t i = 8;
    for (; i + 8 <= n; i += 8) r.add(p + i * size_of<T>, f);
    T s = r.total();
    for (; i < n; ++i) s += f(get<T>(p + i * size_of<T>), 0);
    return s;
}

// Eight leaves one after the other, whose totals are taken together: a processor overlaps the
// additions of one with those of the next. `eights` counts groups of 8 elements, 68 to 128, so that
// halving three times gives leaves. (Side by side they read eight streams, which from memory is
// three times slower, and so is any prefetch: 10 GB/s of 30; from L3 it gains nothing, from L2 a
// tenth.)
template <class T, class F>
T eight_leaves(const char* p, ptrdiff_t eights, F f) {
    constexpr ptrdiff_t group = 8 * size_of<T>;
    constexpr int together = Eight<T>::parts == 1 ? 8 : 4;
    T sum[8 / together];
    for (int first = 0; first < 8; first += together) {
        Eight<T> r[together];
#pragma GCC unroll 8
        for (int i = 0; i < together; ++i) {
            ptrdiff_t groups = eights;
            for (int bit = 4; bit; bit /= 2)
                groups = (first + i) & bit ? groups - groups / 2 : groups / 2;
            const char* const end = p + groups * group;
            r[i].load(p, f);
            for (p += group; p < end; p += group) r[i].add(p, f);
        }
        sum[first / together] = join<T>(r);
    }
    if constexpr (together == 8) return sum[0];
    return sum[0] + sum[8 / together - 1];
}

template <class T, class F>
T pairwise_sum(const char* p, ptrdiff_t n, F f) {
    if (n < 8) return short_sum<T>(p, n, f);
    if (n <= leaf_most) return leaf_sum<T>(p, n, f);
    if (n % 8 == 0 && n >= 68 * 8 && n <= 128 * 8) return eight_leaves<T>(p, n / 8, f);
    ptrdiff_t const half = n / 2 / 8 * 8;
    return pairwise_sum<T>(p, half, f) + pairwise_sum<T>(p + half * size_of<T>, n - half, f);
}

// The same tree over elements with a stride.
template <class T, class F>
T strided_sum(const char* p, ptrdiff_t n, ptrdiff_t stride, F f) {
    constexpr ptrdiff_t most = 1024;
    if (n > most) {
        ptrdiff_t const half = n / 2 / 8 * 8;
        return strided_sum<T>(p, half, stride, f) +
               strided_sum<T>(p + half * stride, n - half, stride, f);
    }
    alignas(64) T side[most];
    gather(side, p, stride, n);
    return pairwise_sum<T>(reinterpret_cast<const char*>(side), n, f);
}

template <class T>
inline void add_to(char* out, T x) {
    put<T>(out, get<T>(out) + x);
}

template <class T, int n, class Of>
void sum_short_rows(const char* __restrict in, char* __restrict out, ptrdiff_t rows, Of of) {
    for (ptrdiff_t r = 0; r < rows; ++r) {
        auto const f = of(r);
        T s = f(get<T>(in + r * n * size_of<T>), 0);
        for (int i = 1; i < n; ++i) s += f(get<T>(in + (r * n + i) * size_of<T>), 0);
        add_to<T>(out + r * size_of<T>, s);
    }
}

// of(row): what is summed of a row.
template <class T, class Of>
void sum_rows(const Reduction& r, Of of) {
    constexpr ptrdiff_t size = size_of<T>;
    if (r.in_stride != size && r.n > 1) {
        for (ptrdiff_t i = 0; i < r.rows; ++i)
            add_to<T>(r.out + i * r.out_row,
                      strided_sum<T>(r.in + i * r.in_row, r.n, r.in_stride, of(i)));
        return;
    }
    if (r.rows > 1 && r.in_row == r.n * size && r.out_row == size) {
        if (r.n == 2) return sum_short_rows<T, 2>(r.in, r.out, r.rows, of);
        if (r.n == 3) return sum_short_rows<T, 3>(r.in, r.out, r.rows, of);
        if (r.n == 4) return sum_short_rows<T, 4>(r.in, r.out, r.rows, of);
    }
    for (ptrdiff_t i = 0; i < r.rows; ++i)
        add_to<T>(r.out + i * r.out_row, pairwise_sum<T>(r.in + i * r.in_row, r.n, of(i)));
}

// Down columns: groups of 4 rows are added as a tree, 16 groups one after the other, blocks of 64
// rows pairwise by a binary counter: error at most (2 + 16 + log2(n / 64) + 1) eps sum|x|. The
// tree depends on n alone. Partial rows live on the stack.

// Are the rows to come asked for while a group of rows is read? From memory that makes sums 1.2 to
// 1.7 times as fast (Zen 4, rows of 2 to 16 KiB), from the third cache a tenth slower. Into L2: two
// groups of long rows fill L1.
bool asks_ahead(const Reduction& r) { return r.n * r.in_stride > (ptrdiff_t{4} << 20); }

template <int rows>
void ask_for(const char* p, ptrdiff_t stride) {
    for (int row = 0; row < rows; ++row) __builtin_prefetch(p + row * stride, 0, 2);
}

// acc = or += the sum of 4 rows (or of one).
template <class T, bool first, int rows, class F>
void add_rows(T* __restrict acc, const char* __restrict p, ptrdiff_t stride, ptrdiff_t columns,
              ptrdiff_t column, bool ahead, F f) {
    ptrdiff_t j = 0;
    auto sum = [&]<class V>(const char* q, ptrdiff_t at) -> V {
        if constexpr (rows == 1)
            return f(get<V>(q), at);
        else
            return (f(get<V>(q), at) + f(get<V>(q + stride), at)) +
                   (f(get<V>(q + 2 * stride), at) + f(get<V>(q + 3 * stride), at));
    };
    if (column == size_of<T> && f.dense) {
        using V = Vec<T>;
        constexpr int whole = 64 / vector_bytes;  // cache lines: rows may share a set of L1
        for (; j + whole * lanes<T> <= columns; j += whole * lanes<T>)
            for (int k = 0; k < whole; ++k) {
                T* const to = acc + j + k * lanes<T>;
                if (k == 0 && ahead) ask_for<rows>(p + rows * stride + j * size_of<T>, stride);
                ptrdiff_t const at = j + k * lanes<T>;
                V const s = sum.template operator()<V>(p + at * size_of<T>, at);
                put<V>(to, first ? s : get<V>(to) + s);
            }
    }
    for (; j < columns; ++j) {
        T const s = sum.template operator()<T>(p + j * column, j);
        acc[j] = first ? s : acc[j] + s;
    }
}

template <class T, class F>
void sum_block(T* acc, const char* p, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns,
               ptrdiff_t column, bool ahead, F f) {
    ptrdiff_t i = 0;
    if (rows >= 4) {
        add_rows<T, true, 4>(acc, p, stride, columns, column, ahead, f);
        for (i = 4; i + 4 <= rows; i += 4)
            add_rows<T, false, 4>(acc, p + i * stride, stride, columns, column, ahead, f);
    } else {
        add_rows<T, true, 1>(acc, p, stride, columns, column, ahead, f);
        i = 1;
    }
    for (; i < rows; ++i)
        add_rows<T, false, 1>(acc, p + i * stride, stride, columns, column, ahead, f);
}

// to = a + b
template <class T>
void add_tiles(T* to, const T* a, const T* b, ptrdiff_t columns) {
    for (ptrdiff_t j = 0; j < columns; ++j) to[j] = a[j] + b[j];
}

template <class T, class F>
void sum_columns(const Reduction& r, F f) {
    constexpr ptrdiff_t size = size_of<T>, block = 64;
    constexpr ptrdiff_t stack_bytes =
        65536;  // long rows of a tile are streams that the hardware prefetches
    bool const ahead = asks_ahead(r);
    alignas(64) T stack[stack_bytes / size];
    ptrdiff_t const blocks = (r.n + block - 1) / block;
    int levels = 1;
    while (blocks >> levels) ++levels;
    // one tile per level of the counter and one for the block being added up
    ptrdiff_t const width = stack_bytes / size / (levels + 1) / (64 / size) * (64 / size);
    for (ptrdiff_t column = 0; column < r.rows; column += width) {
        ptrdiff_t const columns = smaller(width, r.rows - column);
        T* const fresh = stack + levels * width;
        for (ptrdiff_t b = 0; b < blocks; ++b) {
            ptrdiff_t const rows = smaller(block, r.n - b * block);
            T* sum = b & 1 ? fresh : stack;
            sum_block<T>(sum, r.in + b * block * r.in_stride + column * r.in_row, r.in_stride, rows,
                         columns, r.in_row, ahead, f.from(column));
            for (int level = 0; b >> level & 1; ++level) {
                T* const to = b >> (level + 1) & 1 ? fresh : stack + (level + 1) * width;
                add_tiles(to, stack + level * width, sum, columns);
                sum = to;
            }
        }
        int level = __builtin_ctzll(static_cast<unsigned long long>(blocks));
        const T* total = stack + level * width;
        while (blocks >> ++level)
            if (blocks >> level & 1) {
                add_tiles(fresh, stack + level * width, total, columns);
                total = fresh;
            }
        for (ptrdiff_t j = 0; j < columns; ++j)
            add_to<T>(r.out + (column + j) * r.out_row, total[j]);
    }
}

// A few columns side by side, many rows: several rows are taken as one long row, and the parts of a
// column added as a tree.
template <class T, class F, class Repeat>
void sum_few_columns(const Reduction& r, F f, Repeat repeated) {
    ptrdiff_t const columns = r.rows;
    ptrdiff_t joined = 16;
    while (2 * joined * columns <= 256) joined *= 2;
    T part[256], tail[16], centres[256];
    for (T& x : part) x = T(-0.0);
    ptrdiff_t const whole = r.n / joined, rest = r.n % joined;
    sum_columns<T>({r.in, reinterpret_cast<char*>(part), whole, joined * r.in_stride,
                    joined * columns, size_of<T>, size_of<T>},
                   repeated(centres, joined * columns));
    for (ptrdiff_t parts = joined / 2; parts; parts /= 2)
        for (ptrdiff_t j = 0; j < parts * columns; ++j) part[j] += part[parts * columns + j];
    if (rest) {
        for (T& x : tail) x = T(-0.0);
        sum_columns<T>({r.in + whole * joined * r.in_stride, reinterpret_cast<char*>(tail), rest,
                        r.in_stride, columns, r.in_row, size_of<T>},
                       f);
        for (ptrdiff_t j = 0; j < columns; ++j) part[j] += tail[j];
    }
    for (ptrdiff_t j = 0; j < columns; ++j) add_to<T>(r.out + j * r.out_row, part[j]);
}

// The sums of a reduction. of_row(i), of_columns: what is summed; repeated(to, n): the same for n
// columns that repeat those of the reduction.
template <class T, class OfRow, class OfColumns, class Repeated>
void sum_floats(const Reduction& r, OfRow of_row, OfColumns of_columns, Repeated repeated) {
    if (r.n <= 0) return;
    if (by_row(r)) return sum_rows<T>(r, of_row);
    if (r.rows <= 16 && r.in_row == size_of<T> && r.in_stride == r.rows * size_of<T> && r.n >= 256)
        return sum_few_columns<T>(r, of_columns, repeated);
    sum_columns<T>(r, of_columns);
}

template <class T>
void deviation(const Reduction& r) noexcept {
    ColumnDeviations<T> const columns = {r.centre, r.centre_row, r.centre_row == size_of<T>};
    sum_floats<T>(
        r, [&r](ptrdiff_t row) { return Deviations<T>{get<T>(r.centre + row * r.centre_row)}; },
        columns,
        [&r](T* to, ptrdiff_t n) {
            for (ptrdiff_t j = 0; j < n; ++j) to[j] = get<T>(r.centre + j % r.rows * r.centre_row);
            return ColumnDeviations<T>{reinterpret_cast<const char*>(to), size_of<T>, true};
        });
}

// ---- Sums of integers: 64 bits wide, exact, so that order does not matter

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
constexpr bool is_signed = T(-1) < T(0);
template <>
constexpr bool is_signed<boolean> = false;

// Sum of the lanes of a vector of unsigned numbers, widened.
template <class U>
inline uint64_t lane_sum(Vec<U> v) {
    if constexpr (sizeof(U) == 8) {
        return fold<U>(v, [](U a, U b) { return a + b; });
    } else {
        using Twice = typename Widened<U>::Twice;
        Vec<Twice> const w = get<Vec<Twice>>(&v);
        constexpr int bits = 8 * sizeof(U);
        return lane_sum<Twice>((w & splat<Twice>(static_cast<U>(~U{0}))) + (w >> bits));
    }
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
                    if constexpr (std::is_same_v<T, boolean>)
                        v = v != 0 ? splat<Own>(1) : Vec<Own>{};
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

// ---- Folds whose elements go into an accumulator one after the other
// start(out) -> accumulator; next(accumulator, element) -> accumulator.

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

// In NumPy's order, so that overflow and underflow come where its own do.
template <class T>
struct FloatProduct {
    using Element = T;
    using Accumulator = T;
    static constexpr bool vectors = true;
    template <class V>
    static V pick(V a, V x) {
        return a * x;
    }
    static T next(T a, T x) { return a * x; }
    static T dense(T a, const char* p, ptrdiff_t n) {
        for (ptrdiff_t i = 0; i < n; ++i) a *= get<T>(p + i * size_of<T>);
        return a;
    }
};

// One lane from all, by vectors of half the length.
template <class T, int bytes, class V, class Op>
inline T fold_lanes(V v, Op op) {
    if constexpr (bytes == 16) {
        T lane[16 / sizeof(T)];
        put(lane, v);
        T a = lane[0];
        for (size_t i = 1; i < 16 / sizeof(T); ++i) a = op(a, lane[i]);
        return a;
    } else {
        typedef T Half __attribute__((vector_size(bytes / 2)));
        const char* const p = reinterpret_cast<const char*>(&v);
        return fold_lanes<T, bytes / 2>(op(get<Half>(p), get<Half>(p + bytes / 2)), op);
    }
}

template <size_t size>
struct Bits;
template <>
struct Bits<1> {
    using type = uint8_t;
};
template <>
struct Bits<2> {
    using type = uint16_t;
};
template <>
struct Bits<4> {
    using type = uint32_t;
};
template <>
struct Bits<8> {
    using type = uint64_t;
};

// Of a NaN and anything the NaN is kept. Comparisons of NaN raise a status that nobody looks at.
template <class T, bool largest>
struct Extreme {
    using Element = T;
    using Accumulator = T;
    static constexpr bool vectors = true;
    template <class V>
    static V pick(V a, V x) {
        V const better = (largest ? x > a : x < a) ? x : a;
        if constexpr (floating<T>)
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
        using U = typename Bits<sizeof(T)>::type;
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
        U const most = fold_lanes<U, vector_bytes>(
            greater(greater(high[0], high[1]), greater(high[2], high[3])),
            [](auto a, auto x) { return x > a ? x : a; });
        *extreme =
            fold_lanes<T, vector_bytes>(better(better(m[0], m[1]), better(m[2], m[3])), better);
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
            return pick(a,
                        fold_lanes<T, vector_bytes>(m, [](auto x, auto y) { return pick(x, y); }));
        }
        for (; i < n; ++i) a = pick(a, get<T>(p + i * size_of<T>));
        return a;
    }
};

// Truth is looked at in the bits, so types of one length share the code: a NaN is true, -0.0 is
// not.
template <class U, U significant, bool all>
struct BitTruth {
    using Element = U;
    using Accumulator = uint8_t;
    static constexpr bool vectors = false;
    static bool of(U x) { return (x & significant) != 0; }
    static uint8_t next(uint8_t a, U x) { return all ? (a != 0) & of(x) : (a != 0) | of(x); }
    // Stops after the piece that decides.
    static uint8_t dense(uint8_t a, const char* p, ptrdiff_t n) {
        using V = Vec<U>;
        constexpr ptrdiff_t w = lanes<U>, piece = 4096 / size_of<U>;
        if (all ? !a : a != 0) return !all;
        V const mask = splat<U>(significant);
        ptrdiff_t i = 0;
        while (n - i >= w) {
            ptrdiff_t const end = i + smaller(n - i, i ? piece : smaller(piece, 16 * w)) / w * w;
            V seen = {};  // any: bits of true elements; all: lanes with a false one
            for (; i < end; i += w) {
                V const v = get<V>(p + i * size_of<U>) & mask;
                seen |= all ? (v == 0 ? splat<U>(1) : V{}) : v;
            }
            uint64_t any = 0;
            for (int k = 0; k < vector_bytes; k += 8)
                any |= get<uint64_t>(reinterpret_cast<const char*>(&seen) + k);
            if (any) return !all;
        }
        for (; i < n; ++i)
            if (of(get<U>(p + i * size_of<U>)) != all) return !all;
        return all;
    }
};
template <class T>
using BitsOf = typename Bits<sizeof(T)>::type;
template <class T, bool all>
using Truth =
    BitTruth<BitsOf<T>,
             static_cast<BitsOf<T>>(static_cast<BitsOf<T>>(~BitsOf<T>{0}) >> floating<T>), all>;

template <class F>
void fold_rows(const Reduction& r) {
    using T = typename F::Element;
    using A = typename F::Accumulator;
    constexpr ptrdiff_t most = 4096 / size_of<T>;
    for (ptrdiff_t i = 0; i < r.rows; ++i) {
        A a = get<A>(r.out + i * r.out_row);
        const char* p = r.in + i * r.in_row;
        if (r.in_stride == size_of<T> || r.n == 1) {
            a = F::dense(a, p, r.n);
        } else if (r.n < 16) {
            for (ptrdiff_t j = 0; j < r.n; ++j) a = F::next(a, get<T>(p + j * r.in_stride));
        } else {
            alignas(64) T side[most];
            for (ptrdiff_t j = 0; j < r.n; j += most) {
                ptrdiff_t const n = smaller(most, r.n - j);
                gather(side, p + j * r.in_stride, r.in_stride, n);
                a = F::dense(a, reinterpret_cast<const char*>(side), n);
            }
        }
        put(r.out + i * r.out_row, a);
    }
}

template <class F, bool dense_columns>
void fold_down(typename F::Accumulator* __restrict acc, const char* __restrict p, ptrdiff_t stride,
               ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t column, bool ahead) {
    using T = typename F::Element;
    if (dense_columns) column = size_of<T>;
    ptrdiff_t i = 0;
    if constexpr (F::vectors && dense_columns) {
        using V = Vec<T>;
        ptrdiff_t const whole = columns / lanes<T> * lanes<T>;
        for (; i + 4 <= rows; i += 4)
            for (ptrdiff_t j = 0; j < whole; j += lanes<T>) {
                const char* const q = p + i * stride + j * column;
                if (ahead && j * size_of<T> % 64 == 0) ask_for<4>(q + 4 * stride, stride);
                V const a = F::pick(F::pick(get<V>(acc + j), get<V>(q)), get<V>(q + stride));
                put(acc + j, F::pick(F::pick(a, get<V>(q + 2 * stride)), get<V>(q + 3 * stride)));
            }
        if (whole < columns)
            for (ptrdiff_t k = 0; k < i; ++k)
                for (ptrdiff_t j = whole; j < columns; ++j)
                    acc[j] = F::next(acc[j], get<T>(p + k * stride + j * column));
    }
    for (; i + 4 <= rows; i += 4) {
        const char* const q = p + i * stride;
        for (ptrdiff_t j = 0; j < columns; ++j) {
            auto a = F::next(acc[j], get<T>(q + j * column));
            a = F::next(a, get<T>(q + stride + j * column));
            a = F::next(a, get<T>(q + 2 * stride + j * column));
            acc[j] = F::next(a, get<T>(q + 3 * stride + j * column));
        }
    }
    for (; i < rows; ++i)
        for (ptrdiff_t j = 0; j < columns; ++j)
            acc[j] = F::next(acc[j], get<T>(p + i * stride + j * column));
}

template <class F>
void fold_columns(const Reduction& r) {
    using T = typename F::Element;
    using A = typename F::Accumulator;
    constexpr ptrdiff_t width = 1024;
    alignas(64) A acc[width];
    for (ptrdiff_t column = 0; column < r.rows; column += width) {
        ptrdiff_t const columns = smaller(width, r.rows - column);
        char* const out = r.out + column * r.out_row;
        const char* const in = r.in + column * r.in_row;
        for (ptrdiff_t j = 0; j < columns; ++j) acc[j] = get<A>(out + j * r.out_row);
        if (r.in_row == size_of<T>)
            fold_down<F, true>(acc, in, r.in_stride, r.n, columns, r.in_row, asks_ahead(r));
        else
            fold_down<F, false>(acc, in, r.in_stride, r.n, columns, r.in_row, false);
        for (ptrdiff_t j = 0; j < columns; ++j) put<A>(out + j * r.out_row, acc[j]);
    }
}

// ---- argmin, argmax

template <class T, bool largest>
struct Arg {
    using F = Extreme<T, largest>;
    static bool is_nan(T x) {
        if constexpr (floating<T>) return x != x;
        return false;
    }
    static bool better(T x, T best) { return largest ? x > best : x < best; }
    static constexpr ptrdiff_t block = 16384 / size_of<T>;

    // Blocks with a strictly better extreme are noted, the element is looked for in the last of
    // them.
    static ptrdiff_t dense(const char* p, ptrdiff_t n) {
        T best = get<T>(p);
        if (is_nan(best)) return 0;
        ptrdiff_t found = 0;
        for (ptrdiff_t i = 0; i < n; i += block) {
            T const x =
                F::dense(get<T>(p + i * size_of<T>), p + i * size_of<T>, smaller(block, n - i));
            if (!better(x, best) && !is_nan(x)) continue;
            best = x;
            found = i;
            if (is_nan(x)) break;
        }
        return found + first_equal(p + found * size_of<T>, n - found, best);
    }
    // Where the block's extreme is; it is there.
    static ptrdiff_t first_equal(const char* p, ptrdiff_t n, T best) {
        using V = Vec<T>;
        bool const nan = is_nan(best);
        V const wanted = splat<T>(best);
        ptrdiff_t i = 0;
        for (; i + 4 * lanes<T> <= n; i += 4 * lanes<T>) {
            const char* const q = p + i * size_of<T>;
            V const a = get<V>(q), b = get<V>(q + vector_bytes), c = get<V>(q + 2 * vector_bytes),
                    d = get<V>(q + 3 * vector_bytes);
            auto const hit =
                nan ? ((a != a) | (b != b)) | ((c != c) | (d != d))
                    : ((a == wanted) | (b == wanted)) | ((c == wanted) | (d == wanted));
            uint64_t any = 0;
            for (int k = 0; k < vector_bytes; k += 8)
                any |= get<uint64_t>(reinterpret_cast<const char*>(&hit) + k);
            if (any) break;
        }
        for (;; ++i) {
            T const x = get<T>(p + i * size_of<T>);
            if (nan ? is_nan(x) : x == best) return i;
        }
    }
    static ptrdiff_t strided(const char* p, ptrdiff_t n, ptrdiff_t stride) {
        T best = get<T>(p);
        ptrdiff_t found = 0;
        for (ptrdiff_t i = 0; i < n && !is_nan(best); ++i) {
            T const x = get<T>(p + i * stride);
            if (better(x, best) || is_nan(x)) {
                best = x;
                found = i;
            }
        }
        return found;
    }
    static void update(T& best, int64_t& found, T x, ptrdiff_t i) {
        if (!better(x, best) && !(is_nan(x) && !is_nan(best))) return;
        best = x;
        found = i;
    }
    static constexpr ptrdiff_t step = 4 * lanes<T>;
    // May any of the next columns change? Rarely, in the long run.
    static bool changes(const T* best, const char* p) {
        using V = Vec<T>;
        auto lane = [&](int k) {
            V const x = get<V>(p + k * vector_bytes);
            auto const b =
                largest ? x > get<V>(best + k * lanes<T>) : x < get<V>(best + k * lanes<T>);
            if constexpr (floating<T>)
                return b | (x != x);
            else
                return b;
        };
        auto const hit = (lane(0) | lane(1)) | (lane(2) | lane(3));
        uint64_t any = 0;
        for (int k = 0; k < vector_bytes; k += 8)
            any |= get<uint64_t>(reinterpret_cast<const char*>(&hit) + k);
        return any;
    }
    static void columns(const Reduction& r) {
        constexpr ptrdiff_t width = 512;
        T best[width];
        int64_t found[width];
        for (ptrdiff_t column = 0; column < r.rows; column += width) {
            ptrdiff_t const count = smaller(width, r.rows - column);
            const char* const in = r.in + column * r.in_row;
            for (ptrdiff_t j = 0; j < count; ++j) {
                best[j] = get<T>(in + j * r.in_row);
                found[j] = 0;
            }
            for (ptrdiff_t i = 1; i < r.n; ++i) {
                const char* const row = in + i * r.in_stride;
                ptrdiff_t j = 0;
                if (r.in_row == size_of<T>)
                    for (; j + step <= count; j += step)
                        if (changes(best + j, row + j * size_of<T>))
                            for (ptrdiff_t k = j; k < j + step; ++k)
                                update(best[k], found[k], get<T>(row + k * size_of<T>), i);
                for (; j < count; ++j) update(best[j], found[j], get<T>(row + j * r.in_row), i);
            }
            for (ptrdiff_t j = 0; j < count; ++j)
                put<int64_t>(r.out + (column + j) * r.out_row, found[j]);
        }
    }
    static void run(const Reduction& r) {
        if (!by_row(r)) return columns(r);
        for (ptrdiff_t i = 0; i < r.rows; ++i) {
            const char* const p = r.in + i * r.in_row;
            put<int64_t>(r.out + i * r.out_row,
                         r.in_stride == size_of<T> ? dense(p, r.n) : strided(p, r.n, r.in_stride));
        }
    }
};

// The first element that is true, or false.
template <bool largest>
struct Arg<boolean, largest> {
    static void run(const Reduction& r) {
        for (ptrdiff_t i = 0; i < r.rows; ++i) {
            const char* const p = r.in + i * r.in_row;
            ptrdiff_t j = 0;
            if (r.in_stride == 1)
                while (r.n - j > 256 &&
                       Truth<boolean, !largest>::dense(!largest, p + j, 256) == !largest)
                    j += 256;
            while (j < r.n && (get<uint8_t>(p + j * r.in_stride) != 0) != largest) ++j;
            put<int64_t>(r.out + i * r.out_row, j < r.n ? j : 0);
        }
    }
};

// ---- The slots

template <class F>
void fold_all(const Reduction& r) noexcept {
    if (r.n <= 0) return;
    by_row(r) ? fold_rows<F>(r) : fold_columns<F>(r);
}

// Sums and products wrap around, with a sign and without.
template <class T>
using WrapsAs = std::conditional_t<std::is_same_v<T, int64_t>, uint64_t, T>;

template <class T>
void sum(const Reduction& r) noexcept {
    if constexpr (floating<T>) {
        sum_floats<T>(
            r, [](ptrdiff_t) { return Elements{}; }, Elements{},
            [](T*, ptrdiff_t) { return Elements{}; });
    } else {
        fold_all<IntegerSum<WrapsAs<T>>>(r);
    }
}
template <class T>
void prod(const Reduction& r) noexcept {
    if constexpr (floating<T>)
        fold_all<FloatProduct<T>>(r);
    else
        fold_all<IntegerProduct<WrapsAs<T>>>(r);
}
template <class T>
void min(const Reduction& r) noexcept {
    fold_all<Extreme<T, false>>(r);
}
template <>
void min<boolean>(const Reduction& r) noexcept {
    fold_all<Truth<boolean, true>>(r);
}
template <class T>
void max(const Reduction& r) noexcept {
    fold_all<Extreme<T, true>>(r);
}
template <>
void max<boolean>(const Reduction& r) noexcept {
    fold_all<Truth<boolean, false>>(r);
}
template <class T>
void any(const Reduction& r) noexcept {
    fold_all<Truth<T, false>>(r);
}
template <class T>
void all(const Reduction& r) noexcept {
    fold_all<Truth<T, true>>(r);
}
template <class T>
void argmin(const Reduction& r) noexcept {
    Arg<T, false>::run(r);
}
template <class T>
void argmax(const Reduction& r) noexcept {
    Arg<T, true>::run(r);
}

}  // namespace

void fill_reduce(ReduceTable& table) {
#define DTYPE(id, type, ...) fill(static_cast<int>(DType::id), type{});
#define REDUCE(name, ...) table.reduce[static_cast<int>(Fold::name)][column] = name<T>;
#define ARGREDUCE(name, ...) table.reduce[static_cast<int>(Fold::name)][column] = name<T>;
    auto fill = [&]<class T>(int column, T) {
#include "tables/reductions.def"
    };
#include "tables/dtypes.def"
    table.deviation[static_cast<int>(DType::float32)] = deviation<float>;
    table.deviation[static_cast<int>(DType::float64)] = deviation<double>;
}

}  // namespace raptors::RAPTORS_ISA
