// Matrix products: packing, the tile in registers, small products without packing, matrix x vector.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <type_traits>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "api/gemm.h"
#include "isa/fused.h"
#include "isa/move/pack.h"
#include "isa/table.h"

namespace raptors::RAPTORS_ISA {
namespace {

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr bool many_registers = true;  // 32
#else
constexpr bool many_registers = false;  // 16
#endif

// ---- What products are computed in: C, the elements' own type, or uint16_t for bytes, of which no
// ISA multiplies vectors. Signed and unsigned wrap alike.

template <class C>
using Lane = std::conditional_t<std::is_same_v<C, boolean>, uint8_t, C>;

// `bytes` of lanes, or one.
template <class C, int bytes>
struct Lanes {
    static constexpr bool one = bytes == sizeof(Lane<C>);
    using V = std::conditional_t<one, Lane<C>, Vec<Lane<C>, one ? 16 : bytes>>;
    static constexpr int n = bytes / int{sizeof(Lane<C>)};

    static RAPTORS_INLINE V add(V x, V y) {
        if constexpr (std::is_same_v<C, boolean>)
            return static_cast<V>(x | y);
        else
            return static_cast<V>(x + y);
    }
    static RAPTORS_INLINE V multiply_add(V x, V y, V z) {
        if constexpr (std::is_same_v<C, boolean>)
            return static_cast<V>(z | (x & y));
        else if constexpr (std::is_floating_point_v<C>)
            return fused(x, y, z);
        else if constexpr (one)
            return static_cast<V>(1U * x * y + z);  // not in int, which may overflow
        else
            return x * y + z;
    }
    // All lanes from an element of a packed A, where short ones fill 4 bytes: those are repeated
    // without a shuffle.
    static RAPTORS_INLINE V repeat(const char* p) {
        if constexpr (one)
            return get<V>(p);
        else if constexpr (sizeof(C) < 4)
            return reinterpret_cast<V>(get<uint32_t>(p) - Vec<uint32_t, bytes>{});
        else
            return get<C>(p) - V{};
    }
};
template <class C>
using Spread = std::conditional_t<(sizeof(C) < 4), uint32_t, C>;

// acc += A (rows, k) B (k, vectors of lanes); the last vector begins `last` bytes after the first.
template <class C, int bytes, int rows, int vectors>
RAPTORS_INLINE void accumulate(typename Lanes<C, bytes>::V (&acc)[rows][vectors], const char* a,
                               ptrdiff_t a_row, ptrdiff_t a_column, const char* b, ptrdiff_t b_row,
                               ptrdiff_t last, ptrdiff_t k) {
    using L = Lanes<C, bytes>;
    using V = typename L::V;
    for (; k > 0; --k, a += a_column, b += b_row) {
        V y[vectors];
        RAPTORS_WHOLE
        for (int v = 0; v < vectors; ++v) y[v] = get<V>(b + (v < vectors - 1 ? v * bytes : last));
        RAPTORS_WHOLE
        for (int r = 0; r < rows; ++r) {
            V const x = L::repeat(a + r * a_row);
            RAPTORS_WHOLE
            for (int v = 0; v < vectors; ++v) acc[r][v] = L::multiply_add(x, y[v], acc[r][v]);
        }
    }
}

// ---- Packed products

constexpr int tile_rows = many_registers ? 8 : 4;
constexpr int tile_vectors = 3;
template <class C>
constexpr int tile_columns = tile_vectors * lanes<Lane<C>>;

template <class To, class E>
RAPTORS_INLINE To packed_element(E x) {
    if constexpr (std::is_same_v<E, boolean>)
        return static_cast<To>((static_cast<uint8_t>(x) != 0 ? To{1} : To{0}) *
                               static_cast<To>(0x01010101));
    else if constexpr (sizeof(To) == 4 && sizeof(E) < 4)
        return To{x} * To{0x10001};
    else
        return static_cast<To>(x);
}

// to[p][i] = from[p * outer + i * inner] for p < k, i < width; those from n on repeat the last.
template <class E, class To, int width>
void pack_panel(char* to, const char* from, ptrdiff_t outer, ptrdiff_t inner, ptrdiff_t k,
                ptrdiff_t n) {
    constexpr auto size = static_cast<ptrdiff_t>(sizeof(E));
    constexpr ptrdiff_t step = width * static_cast<ptrdiff_t>(sizeof(To));
    constexpr bool as_it_is = sizeof(To) == sizeof(E) && !std::is_same_v<E, boolean>;
    auto const element = [](const char* p) { return packed_element<To>(E{get<E>(p)}); };
    auto const place = [&](ptrdiff_t p, ptrdiff_t i) {
        return to + p * step + i * static_cast<ptrdiff_t>(sizeof(To));
    };
    if (inner == size && n == width) {
        for (ptrdiff_t p = 0; p < k; ++p) {
            // Rows far apart are no stream that the processor would see.
            for (ptrdiff_t line = 0; line < width * size; line += 64)
                __builtin_prefetch(from + (p + 16 < k ? p + 16 : p) * outer + line);
            To row[width];
            if constexpr (as_it_is)
                memcpy(row, from + p * outer, sizeof row);
            else
                for (int i = 0; i < width; ++i) row[i] = element(from + p * outer + i * size);
            memcpy(to + p * step, row, sizeof row);
        }
        return;
    }
    if (as_it_is && outer == size) {
        using U = std::conditional_t<
            size == 8, uint64_t,
            std::conditional_t<size == 4, uint32_t,
                               std::conditional_t<size == 2, uint16_t, uint8_t>>>;
        transpose<U, (width * size < 32 ? 16 : 32)>(to, step, from, inner, n, k);
    } else {
        for (ptrdiff_t p = 0; p < k; ++p)
            for (ptrdiff_t i = 0; i < n; ++i)
                put(place(p, i), element(from + p * outer + i * inner));
    }
    for (ptrdiff_t p = 0; p < k; ++p)
        for (ptrdiff_t i = n; i < width; ++i) put(place(p, i), get<To>(place(p, n - 1)));
}

template <class E, class C>
void pack_a(const Panels& m) noexcept {
    constexpr auto size = static_cast<ptrdiff_t>(sizeof(Spread<C>));
    for (ptrdiff_t i = 0; i < m.rows; i += tile_rows)
        pack_panel<E, Spread<C>, tile_rows>(m.to + i * m.columns * size, m.from + i * m.row,
                                            m.column, m.row, m.columns,
                                            smaller(tile_rows, m.rows - i));
}

// Only whole vectors: the last panel may be narrower.
template <class E, class C>
void pack_b(const Panels& m) noexcept {
    constexpr int w = lanes<Lane<C>>;
    constexpr auto size = static_cast<ptrdiff_t>(sizeof(Lane<C>));
    for (ptrdiff_t j = 0; j < m.columns; j += 3 * w) {
        ptrdiff_t const n = smaller(3 * w, m.columns - j);
        auto const pack = n > 2 * w ? pack_panel<E, Lane<C>, 3 * w>
                          : n > w   ? pack_panel<E, Lane<C>, 2 * w>
                                    : pack_panel<E, Lane<C>, w>;
        pack(m.to + j * m.rows * size, m.from + j * m.column, m.row, m.column, m.rows, n);
    }
}

// ---- Complex numbers, by the 1m method (Van Zee, Implementing high-performance complex matrix
// multiplication via the 1m method, SIAM J. Sci. Comput. 42, 2020): re, im of an element of A times
// [[re, im], [-im, re]] of one of B.

template <class C>
void pack_pairs_a(const Panels& m) noexcept {
    constexpr auto size = static_cast<ptrdiff_t>(sizeof(C));
    if (m.column == 2 * size) return pack_a<C, C>({m.from, m.row, size, m.rows, m.columns, m.to});
    for (ptrdiff_t i = 0; i < m.rows; i += tile_rows) {
        char* to = m.to + i * m.columns * size;
        for (ptrdiff_t p = 0; p < m.columns; p += 2, to += 2 * tile_rows * size)
            for (ptrdiff_t r = 0; r < tile_rows; ++r) {
                ptrdiff_t const row = smaller(i + r, m.rows - 1);
                const char* const from = m.from + row * m.row + p / 2 * m.column;
                put(to + r * size, get<C>(from));
                put(to + (tile_rows + r) * size, get<C>(from + size));
            }
    }
}

// -im, re of each pair re, im.
template <class C, int... i>
RAPTORS_INLINE Vec<C> turned(Vec<C> v, std::integer_sequence<int, i...>) {
    return __builtin_shufflevector(v, -v, (i % 2 ? i - 1 : int{sizeof...(i)} + i + 1)...);
}

template <class C>
void pack_pairs_b(const Panels& m) noexcept {
    constexpr int w = lanes<C>;
    constexpr auto size = static_cast<ptrdiff_t>(sizeof(C));
    for (ptrdiff_t j = 0; j < m.columns; j += 3 * w) {
        ptrdiff_t const n = smaller(3 * w, m.columns - j), width = (n + w - 1) / w * w;
        char* to = m.to + j * m.rows * size;
        for (ptrdiff_t p = 0; p < m.rows; p += 2, to += 2 * width * size) {
            const char* const from = m.from + p / 2 * m.row + j / 2 * m.column;
            char* const below = to + width * size;
            if (n == width && m.column == 2 * size) {
                const char* const ahead = from + (p + 32 < m.rows ? 16 * m.row : 0);
                for (ptrdiff_t line = 0; line < width * size; line += 64)
                    __builtin_prefetch(ahead + line);
                for (ptrdiff_t at = 0; at < width * size; at += vector_bytes) {
                    Vec<C> const v = get<Vec<C>>(from + at);
                    put(to + at, v);
                    put(below + at, turned<C>(v, std::make_integer_sequence<int, w>()));
                }
                continue;
            }
            for (ptrdiff_t c = 0; c < width; c += 2) {  // those beyond repeat the last
                const char* const element = from + smaller(c, n - 2) / 2 * m.column;
                C const re = get<C>(element), im = get<C>(element + size);
                put(to + c * size, re);
                put(to + (c + 1) * size, im);
                put(below + c * size, -im);
                put(below + (c + 1) * size, re);
            }
        }
    }
}

// A tile of packed panels, stored or added to `c`.
template <class C, int vectors>
void packed_tile(const char* a, const char* b, ptrdiff_t k, char* c, ptrdiff_t c_row, bool add) {
    using L = Lanes<C, vector_bytes>;
    using V = typename L::V;
    constexpr auto size = static_cast<ptrdiff_t>(sizeof(Spread<C>));
    for (int r = 0; r < tile_rows; ++r)
        for (int v = 0; v < vectors; ++v) __builtin_prefetch(c + r * c_row + v * vector_bytes, 1);
    V acc[tile_rows][vectors] = {};
    accumulate<C, vector_bytes>(acc, a, size, tile_rows * size, b, vectors * vector_bytes,
                                (vectors - 1) * vector_bytes, k);
    RAPTORS_WHOLE
    for (int r = 0; r < tile_rows; ++r) {
        RAPTORS_WHOLE
        for (int v = 0; v < vectors; ++v) {
            char* const p = c + r * c_row + v * vector_bytes;
            put(p, add ? L::add(get<V>(p), acc[r][v]) : acc[r][v]);
        }
    }
}

template <class E, class C>
void packed(const PackedProduct& p) noexcept {
    using L = Lane<C>;
    constexpr int w = lanes<L>, columns = tile_vectors * w;
    constexpr bool as_it_is = sizeof(L) == sizeof(E);
    alignas(64) L edge[tile_rows * columns];
    for (ptrdiff_t i = 0; i < p.m; i += tile_rows) {
        ptrdiff_t const m = smaller(tile_rows, p.m - i);
        const char* const a = p.a + i * p.k * static_cast<ptrdiff_t>(sizeof(Spread<C>));
        for (ptrdiff_t j = 0; j < p.n; j += columns) {
            ptrdiff_t const n = smaller(columns, p.n - j);
            const char* const b = p.b + j * p.k * static_cast<ptrdiff_t>(sizeof(L));
            char* const c = p.c + i * p.c_row + j * p.c_column;
            bool const direct =
                as_it_is && m == tile_rows && n % w == 0 && p.c_column == ptrdiff_t{sizeof(E)};
            auto const tile = n > 2 * w ? packed_tile<C, 3>
                              : n > w   ? packed_tile<C, 2>
                                        : packed_tile<C, 1>;
            if (direct) {
                tile(a, b, p.k, c, p.c_row, p.add);
                continue;
            }
            tile(a, b, p.k, reinterpret_cast<char*>(edge), columns * ptrdiff_t{sizeof(L)}, false);
            for (ptrdiff_t r = 0; r < m; ++r) {
                for (ptrdiff_t q = 0; q < n; ++q) {
                    char* const to = c + r * p.c_row + q * p.c_column;
                    L x = edge[r * columns + q];
                    if (p.add) x = Lanes<C, sizeof(L)>::add(x, static_cast<L>(get<E>(to)));
                    put(to, static_cast<E>(x));
                }
            }
        }
    }
}

// ---- Small products. C is cut into strips of up to three vectors; the last vector of a row ends
// with it, and so may compute some elements again: there is no rest, and nothing is read or written
// beyond. A row shorter than a vector takes a shorter one.

template <int vectors>
constexpr int strip_rows = many_registers || vectors == 1 ? 8 : 4;

// Beginning `at` bytes after the first column; the last vector `last` bytes after that.
template <class C, int bytes, int vectors>
void strip(const Matrices& p, const Series& series, ptrdiff_t at, ptrdiff_t last) {
    using V = typename Lanes<C, bytes>::V;
    ptrdiff_t const k = p.k, a_row = p.a_row, a_column = p.a_column, b_row = p.b_row,
                    c_row = p.c_row;
    const char* product_a = p.a;
    const char* b = p.b + at;
    char* product_c = p.c + at;
    for (ptrdiff_t left = series.count; left > 0;
         --left, product_a += series.a, b += series.b, product_c += series.c) {
        const char* a = product_a;
        char* c = product_c;
        auto const some = [&]<int rows>(std::integral_constant<int, rows>) {
            V acc[rows][vectors] = {};
            accumulate<C, bytes>(acc, a, a_row, a_column, b, b_row, last, k);
            RAPTORS_WHOLE
            for (int r = 0; r < rows; ++r) {
                RAPTORS_WHOLE
                for (int v = 0; v < vectors; ++v)
                    put(c + r * c_row + (v < vectors - 1 ? v * bytes : last), acc[r][v]);
            }
            a += rows * a_row;
            c += rows * c_row;
        };
        constexpr int most = strip_rows<vectors>;
        for (ptrdiff_t i = p.m / most; i > 0; --i) some(std::integral_constant<int, most>());
        if (most > 4 && (p.m & 4)) some(std::integral_constant<int, 4>());
        if (p.m & 2) some(std::integral_constant<int, 2>());
        if (p.m & 1) some(std::integral_constant<int, 1>());
    }
}

template <class C, int bytes>
void strip_of(ptrdiff_t vectors, const Matrices& p, const Series& series, ptrdiff_t at,
              ptrdiff_t last) {
    (vectors == 1   ? strip<C, bytes, 1>
     : vectors == 2 ? strip<C, bytes, 2>
                    : strip<C, bytes, 3>)(p, series, at, last);
}

template <class C, int bytes>
void small_by(const Matrices& p, const Series& series) {
    ptrdiff_t const length = p.n * static_cast<ptrdiff_t>(sizeof(C));
    ptrdiff_t vectors = (length + bytes - 1) / bytes;
    if (vectors <= 3) return strip_of<C, bytes>(vectors, p, series, 0, length - bytes);
    // 64 bytes cost as much as 2 x 32 on many CPUs.
    bool const half = bytes == 64 && length % 64 > 0 && length % 64 <= 32;
    if (half) --vectors;
    Matrices one = p;
    constexpr Series once = {1, 0, 0, 0};
    for (ptrdiff_t z = 0; z < series.count; ++z) {
        ptrdiff_t at = 0;
        for (ptrdiff_t left = vectors; left > 0;) {
            ptrdiff_t const some = left == 4 ? 2 : smaller(left, 3);
            left -= some;
            ptrdiff_t const end = left || half ? at + some * bytes : length;
            strip_of<C, bytes>(some, one, once, at, end - bytes - at);
            at += some * bytes;
        }
        if constexpr (bytes == 64)
            if (half) strip<C, 32, 1>(one, once, length - 32, 0);
        one.a += series.a;
        one.b += series.b;
        one.c += series.c;
    }
}

template <class C>
void small(const Matrices& p, const Series& series) noexcept {
    ptrdiff_t const length = p.n * static_cast<ptrdiff_t>(sizeof(C));
    auto const vectors = [length](int bytes) { return (length + bytes - 1) / bytes; };
    if constexpr (vector_bytes == 64)
        if (length >= 64 && !(vectors(32) <= 3 && vectors(32) < 2 * vectors(64)))
            return small_by<C, 64>(p, series);
    if constexpr (vector_bytes >= 32)
        if (length >= 32) return small_by<C, 32>(p, series);
    if (length >= 16) return small_by<C, 16>(p, series);
    small_by<C, sizeof(C)>(p, series);
}

// ---- Matrix x vector

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
RAPTORS_INLINE Lane<C> total(Vec<Lane<C>, bytes> v, std::integer_sequence<int, i...>) {
    constexpr int half = sizeof...(i);
    if constexpr (half == 1) {
        return Lanes<C, sizeof(Lane<C>)>::add(v[0], v[1]);
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
    using L = Lane<C>;
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

// ---- Few rows times few columns, both contiguous and long: vectors of partial sums for a tile of
// C.

constexpr int few_rows = many_registers ? 4 : 3, few_columns = 4;

template <class C, int rows, int columns>
void few_tile(const Matrices& s, const char* a, const char* b, char* c) {
    using N = Lanes<C, vector_bytes>;
    using V = typename N::V;
    V acc[rows][columns] = {};
    auto const add = [&](auto load) {
        V y[columns];
        RAPTORS_WHOLE
        for (int q = 0; q < columns; ++q) y[q] = load(b + q * s.b_column);
        RAPTORS_WHOLE
        for (int r = 0; r < rows; ++r) {
            V const x = load(a + r * s.a_row);
            RAPTORS_WHOLE
            for (int q = 0; q < columns; ++q) acc[r][q] = N::multiply_add(x, y[q], acc[r][q]);
        }
    };
    ptrdiff_t const length = s.k * static_cast<ptrdiff_t>(sizeof(C));
    ptrdiff_t p = 0;
    for (; p + vector_bytes <= length; p += vector_bytes)
        add([p](const char* from) { return get<V>(from + p); });
    if (p < length) {
        Remainder<C> const remainder(p, length);
        add([&remainder](const char* from) { return remainder.of(from); });
    }
    RAPTORS_WHOLE
    for (int r = 0; r < rows; ++r) {
        RAPTORS_WHOLE
        for (int q = 0; q < columns; ++q)
            put(c + r * s.c_row + q * s.c_column,
                total<C, vector_bytes>(acc[r][q], std::make_integer_sequence<int, lanes<C> / 2>()));
    }
}

template <class C>
void few(const Matrices& s) noexcept {
    for (ptrdiff_t j = 0; j < s.n;) {
        bool const wide = s.n - j >= few_columns;
        const char* const b = s.b + j * s.b_column;
        for (ptrdiff_t i = 0; i < s.m;) {
            bool const high = s.m - i >= few_rows;
            auto const tile =
                high ? (wide ? few_tile<C, few_rows, few_columns> : few_tile<C, few_rows, 1>)
                     : (wide ? few_tile<C, 1, few_columns> : few_tile<C, 1, 1>);
            tile(s, s.a + i * s.a_row, b, s.c + i * s.c_row + j * s.c_column);
            i += high ? few_rows : 1;
        }
        j += wide ? few_columns : 1;
    }
}

template <class C>
RAPTORS_INLINE Lane<C> scalar_of(const char* p) {
    if constexpr (std::is_same_v<C, boolean>)
        return get<uint8_t>(p) != 0;
    else
        return get<C>(p);
}

// Rows of less than a vector. fixed: their length, if it is known.
template <class C, int fixed>
void dot_short_rows(const MatrixVector& s) {
    using L = Lane<C>;
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
    using L = Lane<C>;
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

// A long row as three, which are read at the same time: memory, and a third cache that others use,
// too, give more to several streams (Zen 3). Not 2^n apart: of pieces 128 KiB apart reading takes
// twice as long.
template <class C>
void dot_long(const MatrixVector& s) {
    constexpr ptrdiff_t page = 4096, beyond = 11 * 128;
    constexpr auto size = static_cast<ptrdiff_t>(sizeof(Lane<C>));
    using One = Lanes<C, sizeof(Lane<C>)>;
    ptrdiff_t const third = s.k * size / 3 / page * page - page + beyond;
    Lane<C> sums[3];
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
    put(s.y, One::add(One::add(sums[0], sums[1]), One::add(sums[2], get<Lane<C>>(s.y))));
}

template <class C>
void dot(const MatrixVector& s) noexcept {
    constexpr auto size = static_cast<ptrdiff_t>(sizeof(Lane<C>));
    constexpr ptrdiff_t long_row = ptrdiff_t{64} << 10;
    if (s.a_column != size || s.x_step != size) return dot_strided<C>(s);
    if (s.k < lanes<Lane<C>>) return dot_any_short_rows<C>(s);
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
// memory, and where registers are few from a third cache, too (Zen 3).
template <class C>
void by_rows(const MatrixVector& given) noexcept {
    MatrixVector const s = given;  // our own, which no element of y can be part of
    if (s.k < lanes<Lane<C>>) return dot_any_short_rows<C>(s);
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
void add_columns(Lane<C>* __restrict y, const char* __restrict a, ptrdiff_t a_column, const char* x,
                 ptrdiff_t x_step, ptrdiff_t n, bool first) {
    using L = Lane<C>;
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
    using L = Lane<C>;
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

// ---- The slots

template <class T>
struct Kernels {
    using E = typename std::conditional_t<std::is_integral_v<T>, std::make_unsigned<T>,
                                          std::type_identity<T>>::type;
    using C = std::conditional_t<std::is_same_v<E, uint8_t>, uint16_t, E>;
    static constexpr bool has_small = sizeof(E) >= 4;
    static constexpr int bits = 8 * int{sizeof(Lane<C>)};

    static constexpr Gemm make() {
        Gemm gemm{};
        gemm.rows = tile_rows;
        gemm.columns = tile_columns<C>;
        gemm.a_size = sizeof(Spread<C>);
        gemm.b_size = sizeof(Lane<C>);
        gemm.depth = sizeof(C) == 8 ? 384 : 512;
        // A vector a cycle of a third of a nanosecond; 64-bit integers take several instructions.
        gemm.ns = 0.33 / lanes<Lane<C>> * (std::is_same_v<C, uint64_t> ? 3 : 1) / 2;
        gemm.pack_a = pack_a<E, C>;
        gemm.pack_b = pack_b<E, C>;
        if constexpr (std::is_floating_point_v<E>) {
            gemm.pack_pairs_a = pack_pairs_a<C>;
            gemm.pack_pairs_b = pack_pairs_b<C>;
        }
        gemm.packed = packed<E, C>;
        if constexpr (has_small) {
            gemm.small = small<C>;
            gemm.few = few<C>;
        }
        gemm.dot = dot<E>;
        gemm.by_rows = by_rows<E>;
        gemm.by_columns = by_columns<E>;
        return gemm;
    }
    static constexpr Gemm value = make();
};

}  // namespace

void fill_gemm(GemmTable& table) noexcept {
#define DTYPE(id, type, ...) table.gemm[static_cast<int>(DType::id)] = &Kernels<type>::value;
#include "tables/dtypes.def"
}

}  // namespace raptors::RAPTORS_ISA
