// A matrix and a vector, and the product of two vectors.
#pragma once
#include "isa/linalg/lanes.h"

namespace raptors::RAPTORS_ISA {
namespace {

// What remains of rows of at least a vector: their last vector without the lanes before, which are
// zeros.
template <class L>
class Remainder {
public:
    Remainder(ptrdiff_t begin, ptrdiff_t end)
        : at_(end - vector_bytes), kept_(load<uint8_t>(zeros_then_ones.bytes + (end - begin))) {}
    RAPTORS_INLINE Vec<L> of(const char* row) const {
        return as<L>(load<uint8_t>(row + at_) & kept_);
    }

private:
    struct Bytes {
        uint8_t bytes[2 * vector_bytes];
    };
    static constexpr Bytes zeros_then_ones = [] {
        Bytes b{};
        for (int i = vector_bytes; i < 2 * vector_bytes; ++i) b.bytes[i] = 0xff;
        return b;
    }();
    ptrdiff_t at_;
    Vec<uint8_t> kept_;
};

// All lanes: each half to the other, until one is left.
template <class C, int bytes, int... i>
RAPTORS_INLINE Value<C> total(Vec<Value<C>, bytes> v, std::integer_sequence<int, i...>) {
    constexpr int half = sizeof...(i);
    if constexpr (half == 1) {
        return Lanes<C, sizeof(Value<C>)>::add(v[0], v[1]);
    } else {
        using H = Lanes<C, bytes / 2>;
        return total<C, bytes / 2>(H::add(__builtin_shufflevector(v, v, i...),
                                          __builtin_shufflevector(v, v, (half + i)...)),
                                   std::make_integer_sequence<int, half / 2>());
    }
}

// Several rows of at least a vector, each in `chains` sums of its own; x may have as many.
template <class C, int rows, int chains>
RAPTORS_INLINE void dot_rows(const MatrixVector& s, ptrdiff_t row, ptrdiff_t x_row = 0) {
    using L = Value<C>;
    using N = Lanes<C, vector_bytes>;
    using V = typename N::V;
    const char* const a = s.a + row * s.a_row;
    char* const y = s.y + row * s.y_step;
    V acc[rows][chains] = {};
    auto const add = [&](int chain, auto load) {
        auto const some = [&load](const char* from) {
            V const v = load(from);
            if constexpr (std::is_same_v<C, boolean>)
                return V((v != 0) & 1);
            else
                return v;
        };
        RAPTORS_WHOLE
        for (int r = 0; r < rows; ++r)
            acc[r][chain] =
                N::multiply_add(some(a + r * s.a_row), some(s.x + r * x_row), acc[r][chain]);
    };
    ptrdiff_t const length = s.k * static_cast<ptrdiff_t>(sizeof(L));
    ptrdiff_t p = 0;
    for (; p + chains * vector_bytes <= length; p += chains * vector_bytes) RAPTORS_WHOLE
    for (int v = 0; v < chains; ++v)
        add(v, [at = p + v * vector_bytes](const char* from) { return get<V>(from + at); });
    if constexpr (chains > 2) {
        for (; p + vector_bytes <= length; p += vector_bytes)
            add(0, [p](const char* from) { return get<V>(from + p); });
    } else if (p + vector_bytes <= length) {
        add(0, [p](const char* from) { return get<V>(from + p); });
        p += vector_bytes;
    }
    if (p < length) {
        Remainder<L> const remainder(p, length);
        add(1, [&remainder](const char* from) { return remainder.of(from); });
    }
    RAPTORS_WHOLE
    for (int r = 0; r < rows; ++r) {
        RAPTORS_WHOLE
        for (int half = chains / 2; half > 0; half /= 2) RAPTORS_WHOLE
        for (int v = 0; v < half; ++v) acc[r][v] = N::add(acc[r][2 * v], acc[r][2 * v + 1]);
        put(y + r * s.y_step,
            total<C, vector_bytes>(acc[r][0], std::make_integer_sequence<int, lanes<L> / 2>()));
    }
}

template <class C>
RAPTORS_INLINE Value<C> scalar_of(const char* p) {
    if constexpr (std::is_same_v<C, boolean>)
        return get<uint8_t>(p) != 0;
    else
        return get<C>(p);
}

// Rows of less than a vector. fixed: their length, if it is known.
template <class C, int fixed>
void dot_short_rows(const MatrixVector& s) {
    using L = Value<C>;
    constexpr auto size = static_cast<ptrdiff_t>(sizeof(L));
    ptrdiff_t const k = fixed ? fixed : s.k;
    L x[fixed ? fixed : 64];
    for (ptrdiff_t p = 0; p < k; ++p) x[p] = scalar_of<C>(s.x + p * size);
    auto const rows = [&x, length = k](const char* a, ptrdiff_t a_row, char* y, ptrdiff_t y_step,
                                       ptrdiff_t m) {
        RAPTORS_INDEPENDENT
        for (ptrdiff_t i = 0; i < m; ++i) {
            L sum = 0;
            for (ptrdiff_t p = 0; p < length; ++p)
                sum = Lanes<C, sizeof(L)>::multiply_add(scalar_of<C>(a + i * a_row + p * size),
                                                        x[p], sum);
            put(y + i * y_step, sum);
        }
    };
    if (fixed && s.a_row == fixed * size && s.y_step == size)
        rows(s.a, fixed * size, s.y, size, s.m);  // known strides: vectors of rows
    else
        rows(s.a, s.a_row, s.y, s.y_step, s.m);
}

// One row, of elements that lie apart.
template <class C>
void dot_strided(const MatrixVector& s) {
    using L = Value<C>;
    using One = Lanes<C, sizeof(L)>;
    constexpr int chains = 8;
    L acc[chains] = {};
    ptrdiff_t const a_column = s.a_column, x_step = s.x_step;
    const char *a = s.a, *x = s.x;
    ptrdiff_t left = s.k;
    for (; left >= chains; left -= chains, a += chains * a_column, x += chains * x_step)
        RAPTORS_WHOLE
    for (int i = 0; i < chains; ++i)
        acc[i] =
            One::multiply_add(scalar_of<C>(a + i * a_column), scalar_of<C>(x + i * x_step), acc[i]);
    for (; left > 0; --left, a += a_column, x += x_step)
        acc[0] = One::multiply_add(scalar_of<C>(a), scalar_of<C>(x), acc[0]);
    for (int half = chains / 2; half > 0; half /= 2)
        for (int i = 0; i < half; ++i) acc[i] = One::add(acc[i], acc[i + half]);
    put(s.y, acc[0]);
}

template <class C>
void dot_any_short_rows(const MatrixVector& s) {
    if (s.k == 2) return dot_short_rows<C, 2>(s);
    if (s.k == 3) return dot_short_rows<C, 3>(s);
    if (s.k == 4) return dot_short_rows<C, 4>(s);
    dot_short_rows<C, 0>(s);
}

// A long row as three, which are read at the same time: memory, and L3 that others use,
// too, give more to several streams (Zen 3). Not 2^n apart: of pieces 128 KiB apart reading takes
// twice as long.
template <class C>
void dot_long(const MatrixVector& s) {
    constexpr ptrdiff_t page = 4096, beyond = 11 * 128;
    constexpr auto size = static_cast<ptrdiff_t>(sizeof(Value<C>));
    using One = Lanes<C, sizeof(Value<C>)>;
    ptrdiff_t const third = s.k * size / 3 / page * page - page + beyond;
    Value<C> sums[3];
    MatrixVector thirds = s, rest = s;
    thirds.a_row = third;
    thirds.k = third / size;
    thirds.y = reinterpret_cast<char*>(sums);
    thirds.y_step = size;
    dot_rows<C, 3, 4>(thirds, 0, third);
    rest.a += 3 * third;
    rest.x += 3 * third;
    rest.k -= 3 * thirds.k;
    dot_rows<C, 1, 4>(rest, 0);
    put(s.y, One::add(One::add(sums[0], sums[1]), One::add(sums[2], get<Value<C>>(s.y))));
}

template <class C>
void dot(const MatrixVector& s) noexcept {
    constexpr auto size = static_cast<ptrdiff_t>(sizeof(Value<C>));
    constexpr ptrdiff_t long_row = ptrdiff_t{64} << 10;
    if (s.a_column != size || s.x_step != size) return dot_strided<C>(s);
    if (s.k < lanes<Value<C>>) return dot_any_short_rows<C>(s);
    if constexpr (!many_registers)
        if (s.k * size >= long_row) return dot_long<C>(s);
    dot_rows<C, 1, 4>(s, 0);
}

// The last rows, of which there are at most so many.
template <class C, int most, int chains>
RAPTORS_INLINE void dot_last_rows(const MatrixVector& s, ptrdiff_t row) {
    if constexpr (most > 0) {
        if (s.m - row == most)
            dot_rows<C, most, chains>(s, row);
        else
            dot_last_rows<C, most - 1, chains>(s, row);
    }
}

// As many rows at once as there are registers for sums: several streams come faster than one from
// memory, and where registers are few from L3, too (Zen 3).
template <class C>
void by_rows(const MatrixVector& given) noexcept {
    MatrixVector const s = given;  // our own, which no element of y can be part of
    if (s.k < lanes<Value<C>>) return dot_any_short_rows<C>(s);
    constexpr int together = many_registers ? 8 : 6, chains = many_registers ? 4 : 2;
    ptrdiff_t i = 0;
    for (; !(many_registers && s.singly) && i + together <= s.m; i += together)
        dot_rows<C, together, chains>(s, i);
    if constexpr (many_registers)
        for (; i < s.m; ++i) dot_rows<C, 1, chains>(s, i);
    else
        dot_last_rows<C, together - 1, chains>(s, i);
}

// y (n) = or += `columns` contiguous columns of A times x.
template <class C, int columns>
void add_columns(Value<C>* __restrict y, const char* __restrict a, ptrdiff_t a_column,
                 const char* x, ptrdiff_t x_step, ptrdiff_t n, bool first) {
    using L = Value<C>;
    using N = Lanes<C, vector_bytes>;
    using One = Lanes<C, sizeof(L)>;
    using V = typename N::V;
    constexpr auto size = static_cast<ptrdiff_t>(sizeof(L));
    L factor[columns];
    for (int p = 0; p < columns; ++p) factor[p] = scalar_of<C>(x + p * x_step);
    auto const added = [&](ptrdiff_t i, V sum) {
        RAPTORS_WHOLE
        for (int p = 0; p < columns; ++p) {
            V v = get<V>(a + p * a_column + i * size);
            if constexpr (std::is_same_v<C, boolean>) v = V((v != 0) & 1);
            sum = N::multiply_add(v, factor[p] - V{}, sum);
        }
        return sum;
    };
    auto const sum_at = [&](ptrdiff_t i) { return first ? V{} : get<V>(y + i); };
    ptrdiff_t i = 0;
    if (n >= lanes<L>) {  // the last vector ends with the column: what it has in common is the same
        V const last = added(n - lanes<L>, sum_at(n - lanes<L>));
        for (; i + lanes<L> <= n; i += lanes<L>) put(y + i, added(i, sum_at(i)));
        put(y + n - lanes<L>, last);
        return;
    }
    for (; i < n; ++i) {
        L sum = first ? L{0} : get<L>(y + i);
        for (int p = 0; p < columns; ++p)
            sum = One::multiply_add(scalar_of<C>(a + p * a_column + i * size), factor[p], sum);
        put(y + i, sum);
    }
}

// Columns of up to three vectors, the last of which ends with the column: sums stay in registers,
// as many as the latency of an addition asks for.
template <class C, int bytes, int vectors>
void add_short_columns(const MatrixVector& s, ptrdiff_t last) {
    using N = Lanes<C, bytes>;
    using V = typename N::V;
    constexpr int chains = vectors == 1 ? 8 : 4;
    auto const at = [last](int v) { return v < vectors - 1 ? v * bytes : last; };
    V acc[chains][vectors] = {};
    const char *a = s.a, *x = s.x;
    auto const add = [&](V(&sum)[vectors]) {
        C const factor = get<C>(x);
        RAPTORS_WHOLE
        for (int v = 0; v < vectors; ++v) {
            if constexpr (N::one)
                sum[v] = N::multiply_add(get<V>(a + at(v)), factor, sum[v]);
            else
                sum[v] = N::multiply_add(get<V>(a + at(v)), factor - V{}, sum[v]);
        }
        a += s.a_column;
        x += s.x_step;
    };
    for (ptrdiff_t left = s.k / chains; left > 0; --left) {
        RAPTORS_WHOLE
        for (int q = 0; q < chains; ++q) add(acc[q]);
    }
    for (ptrdiff_t left = s.k % chains; left > 0; --left) add(acc[0]);
    C y[vectors * N::n];
    RAPTORS_WHOLE
    for (int v = 0; v < vectors; ++v) {
        RAPTORS_WHOLE
        for (int q = 1; q < chains; ++q) acc[0][v] = N::add(acc[0][v], acc[q][v]);
        put(reinterpret_cast<char*>(y) + at(v), acc[0][v]);
    }
    for (ptrdiff_t i = 0; i < s.m; ++i) put(s.y + i * s.y_step, y[i]);
}

template <class C>
constexpr ptrdiff_t short_column = 3 * vector_bytes / ptrdiff_t{sizeof(C)};

template <class C>
void by_short_columns(const MatrixVector& s) {
    ptrdiff_t const length = s.m * static_cast<ptrdiff_t>(sizeof(C));
    auto const run = [&]<int bytes>(std::integral_constant<int, bytes>) {
        (length <= bytes       ? add_short_columns<C, bytes, 1>
         : length <= 2 * bytes ? add_short_columns<C, bytes, 2>
                               : add_short_columns<C, bytes, 3>)(s, length - bytes);
    };
    if constexpr (vector_bytes == 64)
        if (length >= 64) return run(std::integral_constant<int, 64>());
    if constexpr (vector_bytes >= 32)
        if (length >= 32) return run(std::integral_constant<int, 32>());
    if (length >= 16) return run(std::integral_constant<int, 16>());
    run(std::integral_constant<int, int{sizeof(C)}>());
}

template <class C>
void by_columns(const MatrixVector& s) noexcept {
    using L = Value<C>;
    constexpr auto size = static_cast<ptrdiff_t>(sizeof(L));
    if constexpr (size >= 4)
        if (s.a_row == size && s.m <= short_column<C>) return by_short_columns<C>(s);
    constexpr ptrdiff_t most = 8192 / size, together = 8;
    constexpr ptrdiff_t piece = 4096 / (together * size);
    alignas(64) L sums[most];
    alignas(64) L side[together * piece];
    bool const dense = s.a_row == size;
    for (ptrdiff_t i = 0; i < s.m; i += most) {
        ptrdiff_t const m = smaller(most, s.m - i);
        L* const y = s.y_step == size ? reinterpret_cast<L*>(s.y) + i : sums;
        for (ptrdiff_t p = 0; p < s.k;) {
            ptrdiff_t const left = s.k - p, some = left >= 8   ? 8
                                                   : left >= 4 ? 4
                                                   : left >= 2 ? 2
                                                               : 1;
            auto const add = some == 8   ? add_columns<C, 8>
                             : some == 4 ? add_columns<C, 4>
                             : some == 2 ? add_columns<C, 2>
                                         : add_columns<C, 1>;
            const char* const a = s.a + i * s.a_row + p * s.a_column;
            const char* const x = s.x + p * s.x_step;
            if (dense) {
                add(y, a, s.a_column, x, s.x_step, m, p == 0);
            } else {
                for (ptrdiff_t j = 0; j < m; j += piece) {
                    ptrdiff_t const n = smaller(piece, m - j);
                    for (ptrdiff_t q = 0; q < some; ++q)
                        for (ptrdiff_t t = 0; t < n; ++t)
                            side[q * piece + t] = get<L>(a + (j + t) * s.a_row + q * s.a_column);
                    add(y + j, reinterpret_cast<const char*>(side), piece * size, x, s.x_step, n,
                        p == 0);
                }
            }
            p += some;
        }
        if (y == sums)
            for (ptrdiff_t j = 0; j < m; ++j) put(s.y + (i + j) * s.y_step, sums[j]);
    }
}

}  // namespace
}  // namespace raptors::RAPTORS_ISA
