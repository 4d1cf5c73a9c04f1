// a[mask] and a[mask] = values: the elements where a mask is true, in order.
#include "api/move.h"
#include "isa/move/element.h"
#include "isa/reduce/integer_sum.h"
#include "isa/table.h"
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace raptors::RAPTORS_ISA {
namespace {

// A mask is looked at in pieces, whose true elements are found without a branch on each: a random
// mask would make a processor guess. Positions in a piece are bytes.
constexpr ptrdiff_t piece = 256, most_at_once = 8;

#if defined(__AVX2__)
// For each set of 8 lanes their numbers, in order, a byte each.
struct LanesOfSets {
    uint64_t of[256]{};
    constexpr LanesOfSets() {
        for (unsigned set = 0; set < 256; ++set)
            for (unsigned lane = 0, at = 0; lane < 8; ++lane)
                if (set >> lane & 1U) of[set] |= uint64_t{lane} << 8 * at++;
    }
};
constexpr LanesOfSets lanes_of_sets;

// The set of 32 booleans.
RAPTORS_INLINE uint32_t set_of(const char* mask) {
    __m256i const clear = _mm256_cmpeq_epi8(get<__m256i>(mask), _mm256_setzero_si256());
    return ~static_cast<uint32_t>(_mm256_movemask_epi8(clear));
}
// Moves i; returns how many positions are found.
RAPTORS_INLINE ptrdiff_t find_by_sets(const char* mask, ptrdiff_t n, uint8_t* position,
                                      ptrdiff_t& i) {
    constexpr uint64_t each = 0x0101010101010101;
    ptrdiff_t k = 0;
    for (; i + 32 <= n; i += 32) {
        uint32_t set = set_of(mask + i);
        RAPTORS_WHOLE
        for (int j = 0; j < 32; j += most_at_once, set >>= most_at_once) {
            put(position + k, lanes_of_sets.of[set & 255U] + static_cast<uint64_t>(i + j) * each);
            k += __builtin_popcount(set & 255U);
        }
    }
    return k;
}
#else
RAPTORS_INLINE ptrdiff_t find_by_sets(const char*, ptrdiff_t, uint8_t*, ptrdiff_t&) { return 0; }
#endif

struct Found {
    ptrdiff_t begin, length, count;  // of the piece, and how many of it are true
    uint8_t position[piece + most_at_once];
    bool all() const { return count == length; }
};

// Whether nothing of a whole piece is true.
RAPTORS_INLINE bool is_clear(const char* mask) {
    Vec<uint64_t> seen{};
    RAPTORS_WHOLE
    for (int i = 0; i < piece; i += vector_bytes) seen |= load<uint64_t>(mask + i);
    uint64_t any = 0;
    for (int i = 0; i < lanes<uint64_t>; ++i) any |= seen[i];
    return any == 0;
}

// body(found) for each piece from `begin` on that has true elements, until it returns false.
template <class Body>
RAPTORS_INLINE void by_pieces(const char* mask, ptrdiff_t begin, ptrdiff_t n, const Body& body) {
    Found found;
    for (; begin < n; begin += piece) {
        found.begin = begin;
        found.length = smaller(piece, n - begin);
        const char* const at = mask + begin;
        if (found.length == piece && is_clear(at)) continue;
        ptrdiff_t i = 0, k = find_by_sets(at, found.length, found.position, i);
        for (; i < found.length; ++i) {
            found.position[k] = static_cast<uint8_t>(i);
            k += at[i] != 0;
        }
        found.count = k;
        if (k && !body(found)) return;
    }
}

// body(at, j) for the first `count` found elements, where the j-th lies at `at` in the piece.
template <class Body>
RAPTORS_INLINE void for_each_found(const Found& found, ptrdiff_t count, const Body& body) {
    if (found.all()) {
        for (ptrdiff_t j = 0; j < count; ++j) body(j, j);
    } else {
        RAPTORS_UNROLL
        for (ptrdiff_t j = 0; j < count; ++j) body(ptrdiff_t{found.position[j]}, j);
    }
}

ptrdiff_t count(const char* mask, ptrdiff_t n) noexcept { return count_true(mask, n); }

// Whether so many of n are true that all of them are worth reading.
constexpr bool is_dense(ptrdiff_t total, ptrdiff_t n) { return total > n / 16; }

// Vectors are compressed in a register and stored whole, as long as there is room for all of one:
// compressing to memory is microcode on Zen 4, and 12 times as slow. Moves i and k.
#if defined(__AVX512BW__)
template <int size>
void compress_lines(const char* mask, const char* in, char* out, ptrdiff_t n, ptrdiff_t total,
                    ptrdiff_t& i, ptrdiff_t& k) {
    if constexpr (size == 4) {
        for (; i + 16 <= n && k + 16 <= total; i += 16) {
            __m128i const m = get<__m128i>(mask + i);
            __mmask16 const set = _mm_test_epi8_mask(m, m);
            __m512i const line = get<__m512i>(in + 4 * i);
            put(out + 4 * k, _mm512_maskz_compress_epi32(set, line));
            k += __builtin_popcount(set);
        }
    } else if constexpr (size == 8) {
        for (; i + 8 <= n && k + 8 <= total; i += 8) {
            __m128i const m = _mm_cvtsi64_si128(get<long long>(mask + i));
            auto const set = static_cast<__mmask8>(_mm_test_epi8_mask(m, m));
            __m512i const line = get<__m512i>(in + 8 * i);
            put(out + 8 * k, _mm512_maskz_compress_epi64(set, line));
            k += __builtin_popcount(set);
        }
    }
}
#elif defined(__AVX2__)
RAPTORS_INLINE unsigned set_of_eight(const char* mask) {
    __m128i const m = _mm_cvtsi64_si128(get<long long>(mask));
    __m128i const clear = _mm_cmpeq_epi8(m, _mm_setzero_si128());
    return ~static_cast<unsigned>(_mm_movemask_epi8(clear)) & 255U;
}
// `set`: of lanes of 4 bytes.
RAPTORS_INLINE __m256i compressed(__m256i line, unsigned set) {
    __m128i const from = _mm_cvtsi64_si128(static_cast<long long>(lanes_of_sets.of[set]));
    return _mm256_permutevar8x32_epi32(line, _mm256_cvtepu8_epi32(from));
}
// Four bits, each twice.
RAPTORS_INLINE unsigned doubled(unsigned four) {
    constexpr uint8_t all[] = {0x00, 0x03, 0x0c, 0x0f, 0x30, 0x33, 0x3c, 0x3f,
                               0xc0, 0xc3, 0xcc, 0xcf, 0xf0, 0xf3, 0xfc, 0xff};
    return all[four];
}

template <int size>
void compress_lines(const char* mask, const char* in, char* out, ptrdiff_t n, ptrdiff_t total,
                    ptrdiff_t& i, ptrdiff_t& k) {
    if constexpr (size == 4 || size == 8) {
        for (; i + 8 <= n && k + 8 <= total; i += 8) {
            unsigned const set = set_of_eight(mask + i);
            if constexpr (size == 4) {
                put(out + 4 * k, compressed(get<__m256i>(in + 4 * i), set));
                k += __builtin_popcount(set);
            } else {
                put(out + 8 * k, compressed(get<__m256i>(in + 8 * i), doubled(set & 15U)));
                k += __builtin_popcount(set & 15U);
                put(out + 8 * k, compressed(get<__m256i>(in + 8 * i + 32), doubled(set >> 4)));
                k += __builtin_popcount(set >> 4);
            }
        }
    }
}
#else
template <int size>
void compress_lines(const char*, const char*, char*, ptrdiff_t, ptrdiff_t, ptrdiff_t&, ptrdiff_t&) {
}
#endif

#if defined(__AVX512BW__)
// Stores under a mask, which write to nothing else. Returns how many elements are done.
template <int size, class Values>
ptrdiff_t copy_lines(const char* mask, const Values& values, char* out, ptrdiff_t n) {
    ptrdiff_t i = 0;
    if constexpr (size == 1) {
        for (; i + 64 <= n; i += 64) {
            __m512i const m = get<__m512i>(mask + i);
            _mm512_mask_storeu_epi8(out + i, _mm512_test_epi8_mask(m, m), values(i));
        }
    } else if constexpr (size == 2) {
        for (; i + 32 <= n; i += 32) {
            __m256i const m = get<__m256i>(mask + i);
            _mm512_mask_storeu_epi16(out + 2 * i, _mm256_test_epi8_mask(m, m), values(i));
        }
    } else if constexpr (size == 4) {
        for (; i + 16 <= n; i += 16) {
            __m128i const m = get<__m128i>(mask + i);
            _mm512_mask_storeu_epi32(out + 4 * i, _mm_test_epi8_mask(m, m), values(i));
        }
    } else if constexpr (size == 8) {
        for (; i + 16 <= n; i += 16) {
            __m128i const m = get<__m128i>(mask + i);
            __mmask16 const set = _mm_test_epi8_mask(m, m);
            _mm512_mask_storeu_epi64(out + 8 * i, static_cast<__mmask8>(set), values(i));
            _mm512_mask_storeu_epi64(out + 8 * i + 64, static_cast<__mmask8>(set >> 8),
                                     values(i + 8));
        }
    }
    return i;
}

template <int size>
__m512i line_of(const char* value) {
    if constexpr (size == 1) return _mm512_set1_epi8(get<char>(value));
    if constexpr (size == 2) return _mm512_set1_epi16(get<short>(value));
    if constexpr (size == 4) return _mm512_set1_epi32(get<int>(value));
    return _mm512_set1_epi64(get<long long>(value));
}
template <int size>
ptrdiff_t copy_lines(const char* mask, const char* values, ptrdiff_t step, char* out, ptrdiff_t n) {
    if constexpr (size == 0 || size > 8)
        return 0;
    else if (step)
        return copy_lines<size>(
            mask, [=](ptrdiff_t i) { return get<__m512i>(values + i * size); }, out, n);
    else {
        __m512i const line = line_of<size>(values);
        return copy_lines<size>(mask, [=](ptrdiff_t) { return line; }, out, n);
    }
}

// Moves i and k: as long as there are values for a whole line.
template <int size>
void expand_lines(const char* mask, const char* values, char* out, ptrdiff_t n, ptrdiff_t total,
                  ptrdiff_t& i, ptrdiff_t& k) {
    if constexpr (size == 4) {
        for (; i + 16 <= n && k + 16 <= total; i += 16) {
            __m128i const m = get<__m128i>(mask + i);
            __mmask16 const set = _mm_test_epi8_mask(m, m);
            __m512i const line = get<__m512i>(values + 4 * k);
            _mm512_mask_storeu_epi32(out + 4 * i, set, _mm512_maskz_expand_epi32(set, line));
            k += __builtin_popcount(set);
        }
    } else if constexpr (size == 8) {
        for (; i + 8 <= n && k + 8 <= total; i += 8) {
            __m128i const m = _mm_cvtsi64_si128(get<long long>(mask + i));
            auto const set = static_cast<__mmask8>(_mm_test_epi8_mask(m, m));
            __m512i const line = get<__m512i>(values + 8 * k);
            _mm512_mask_storeu_epi64(out + 8 * i, set, _mm512_maskz_expand_epi64(set, line));
            k += __builtin_popcount(set);
        }
    }
}
#else
template <int size>
ptrdiff_t copy_lines(const char*, const char*, ptrdiff_t, char*, ptrdiff_t) {
    return 0;
}
template <int size>
void expand_lines(const char*, const char*, char*, ptrdiff_t, ptrdiff_t, ptrdiff_t&, ptrdiff_t&) {}
#endif

void compress(const char* mask, const char* in, char* to, ptrdiff_t n, ptrdiff_t total,
              ptrdiff_t size) noexcept {
    if (!total) return;
    with_copy(size, [=](auto copy) {
        ptrdiff_t i = 0, k = 0;
        if (is_dense(total, n)) compress_lines<copy.whole>(mask, in, to, n, total, i, k);
        by_pieces(mask, i, n, [&](const Found& found) {
            ptrdiff_t const count = smaller(found.count, total - k);
            char* const out = to + k * copy.size;
            const char* const from = in + found.begin * copy.size;
            for_each_found(found, count, [=](ptrdiff_t at, ptrdiff_t j) {
                copy(out + j * copy.size, from + at * copy.size);
            });
            k += count;
            return k < total;
        });
    });
}

#if defined(__AVX512BW__)
// The positions from i on, 64 booleans at a time, as long as there is room for as many. Moves i and
// k.
void nonzero_lines(const char* mask, int64_t* positions, ptrdiff_t n, ptrdiff_t total, ptrdiff_t& i,
                   ptrdiff_t& k) {
    __m512i const first = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
    for (; i + 64 <= n && k + 64 <= total; i += 64) {
        __m512i const m = get<__m512i>(mask + i);
        uint64_t set = _mm512_test_epi8_mask(m, m);
        for (ptrdiff_t at = i; set; at += 8, set >>= 8) {
            auto const eight = static_cast<__mmask8>(set);
            __m512i const found =
                _mm512_maskz_compress_epi64(eight, _mm512_add_epi64(_mm512_set1_epi64(at), first));
            _mm512_storeu_si512(positions + k, found);
            k += __builtin_popcount(eight);
        }
    }
}
#elif defined(__AVX2__)
// The same, 32 booleans at a time.
void nonzero_lines(const char* mask, int64_t* positions, ptrdiff_t n, ptrdiff_t total, ptrdiff_t& i,
                   ptrdiff_t& k) {
    for (; i + 32 <= n && k + 32 <= total; i += 32) {
        uint32_t set = set_of(mask + i);
        RAPTORS_WHOLE
        for (int j = 0; j < 32; j += most_at_once, set >>= most_at_once) {
            __m128i const lane =
                _mm_cvtsi64_si128(static_cast<long long>(lanes_of_sets.of[set & 255U]));
            __m256i const first = _mm256_set1_epi64x(i + j);
            put(positions + k, _mm256_add_epi64(_mm256_cvtepu8_epi64(lane), first));
            put(positions + k + 4,
                _mm256_add_epi64(_mm256_cvtepu8_epi64(_mm_srli_epi64(lane, 32)), first));
            k += __builtin_popcount(set & 255U);
        }
    }
}
#else
void nonzero_lines(const char*, int64_t*, ptrdiff_t, ptrdiff_t, ptrdiff_t&, ptrdiff_t&) {}
#endif

void nonzero(const char* mask, int64_t* positions, ptrdiff_t n, ptrdiff_t total) noexcept {
    if (!total) return;
    ptrdiff_t i = 0, k = 0;
    nonzero_lines(mask, positions, n, total, i, k);
    by_pieces(mask, i, n, [&](const Found& found) {
        ptrdiff_t const count = smaller(found.count, total - k);
        int64_t* const out = positions + k;
        for_each_found(found, count, [=, begin = found.begin](ptrdiff_t at, ptrdiff_t j) {
            out[j] = begin + at;
        });
        k += count;
        return k < total;
    });
}

void copy_masked(const char* mask, const char* values, ptrdiff_t step, char* to, ptrdiff_t n,
                 ptrdiff_t size) noexcept {
    if (n <= 0) return;
    with_copy(size, [=](auto copy) {
        ptrdiff_t const done = copy_lines<copy.whole>(mask, values, step, to, n);
        auto const value = copy.read(values);
        by_pieces(mask, done, n, [&](const Found& found) {
            char* const out = to + found.begin * copy.size;
            const char* const from = values + found.begin * step;
            if (step)
                for_each_found(found, found.count, [=](ptrdiff_t at, ptrdiff_t) {
                    copy(out + at * copy.size, from + at * copy.size);
                });
            else
                for_each_found(found, found.count, [=](ptrdiff_t at, ptrdiff_t) {
                    copy.write(out + at * copy.size, value);
                });
            return true;
        });
    });
}

void expand(const char* mask, const char* values, char* to, ptrdiff_t n, ptrdiff_t total,
            ptrdiff_t size) noexcept {
    if (!total) return;
    with_copy(size, [=](auto copy) {
        ptrdiff_t i = 0, k = 0;
        if (is_dense(total, n)) expand_lines<copy.whole>(mask, values, to, n, total, i, k);
        by_pieces(mask, i, n, [&](const Found& found) {
            ptrdiff_t const count = smaller(found.count, total - k);
            char* const out = to + found.begin * copy.size;
            const char* const from = values + k * copy.size;
            for_each_found(found, count, [=](ptrdiff_t at, ptrdiff_t j) {
                copy(out + at * copy.size, from + j * copy.size);
            });
            k += count;
            return k < total;
        });
    });
}

}  // namespace

void fill_compress(MoveTable& table) noexcept {
    table.count_true = &count;
    table.nonzero = &nonzero;
    table.compress = &compress;
    table.copy_masked = &copy_masked;
    table.expand = &expand;
}

}  // namespace raptors::RAPTORS_ISA
