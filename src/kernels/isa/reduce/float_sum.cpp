// Sums of floats, and products.
#include "isa/reduce/reduction.h"

namespace raptors::RAPTORS_ISA {
namespace {

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
struct Deviations {  // of a row, or of columns with one centre
    T centre;
    template <class V>
    RAPTORS_INLINE V operator()(V x, ptrdiff_t) const {
        V const d = x - centre;
        return d * d;
    }
    Deviations from(ptrdiff_t) const { return *this; }
    static constexpr bool dense = true;
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
void sum_rows(const ReduceBlock& r, Of of) {
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
void sum_columns(const ReduceBlock& r, F f) {
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
void sum_few_columns(const ReduceBlock& r, F f, Repeat repeated) {
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
void sum_floats(const ReduceBlock& r, OfRow of_row, OfColumns of_columns, Repeated repeated) {
    if (r.n <= 0) return;
    if (by_row(r)) return sum_rows<T>(r, of_row);
    if (r.rows <= 16 && r.in_row == size_of<T> && r.in_stride == r.rows * size_of<T> && r.n >= 256)
        return sum_few_columns<T>(r, of_columns, repeated);
    sum_columns<T>(r, of_columns);
}

template <class T>
void deviation(const ReduceBlock& r) noexcept {
    if (r.centre_row == 0) {
        Deviations<T> const all{get<T>(r.centre)};
        return sum_floats<T>(
            r, [&](ptrdiff_t) { return all; }, all, [&](T*, ptrdiff_t) { return all; });
    }
    ColumnDeviations<T> const columns = {r.centre, r.centre_row, r.centre_row == size_of<T>};
    sum_floats<T>(
        r, [&r](ptrdiff_t row) { return Deviations<T>{get<T>(r.centre + row * r.centre_row)}; },
        columns,
        [&r](T* to, ptrdiff_t n) {
            for (ptrdiff_t j = 0; j < n; ++j) to[j] = get<T>(r.centre + j % r.rows * r.centre_row);
            return ColumnDeviations<T>{reinterpret_cast<const char*>(to), size_of<T>, true};
        });
}

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

template <class T>
void sum(const ReduceBlock& r) noexcept {
    sum_floats<T>(
        r, [](ptrdiff_t) { return Elements{}; }, Elements{},
        [](T*, ptrdiff_t) { return Elements{}; });
}

template <class T>
void fill(ReduceTable& table, DType t) {
    int const column = static_cast<int>(t);
    table.reduce[static_cast<int>(Combine::add)][column] = sum<T>;
    table.reduce[static_cast<int>(Combine::multiply)][column] = reduce_all<FloatProduct<T>>;
    table.deviation[column] = deviation<T>;
}

}  // namespace

void fill_float_sum(ReduceTable& table) noexcept {
    fill<float>(table, DType::float32);
    fill<double>(table, DType::float64);
}

}  // namespace raptors::RAPTORS_ISA
