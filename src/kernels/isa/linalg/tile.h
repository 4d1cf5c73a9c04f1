// Packed products: a tile of C in registers, around panels of A and B.
#pragma once
#include "isa/linalg/lanes.h"

namespace raptors::RAPTORS_ISA {
namespace {

constexpr int tile_rows = many_registers ? 8 : 4;
constexpr int tile_vectors = 3;
template <class C>
constexpr int tile_columns = tile_vectors * lanes<Value<C>>;

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
    constexpr int w = lanes<Value<C>>;
    constexpr auto size = static_cast<ptrdiff_t>(sizeof(Value<C>));
    for (ptrdiff_t j = 0; j < m.columns; j += 3 * w) {
        ptrdiff_t const n = smaller(3 * w, m.columns - j);
        auto const pack = n > 2 * w ? pack_panel<E, Value<C>, 3 * w>
                          : n > w   ? pack_panel<E, Value<C>, 2 * w>
                                    : pack_panel<E, Value<C>, w>;
        pack(m.to + j * m.rows * size, m.from + j * m.column, m.row, m.column, m.rows, n);
    }
}

// Complex numbers, by the 1m method (Van Zee, Implementing high-performance complex matrix
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
RAPTORS_INLINE Vec<C> transposed_lanes(Vec<C> v, std::integer_sequence<int, i...>) {
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
                    put(below + at, transposed_lanes<C>(v, std::make_integer_sequence<int, w>()));
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
    using L = Value<C>;
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

}  // namespace
}  // namespace raptors::RAPTORS_ISA
