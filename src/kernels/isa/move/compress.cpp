// a[mask] and a[mask] = values: the elements where a mask is true, in order.
#include <cstring>

#include "api/move.h"
#include "isa/move/element.h"
#include "isa/table.h"
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace raptors::RAPTORS_ISA {
namespace {

constexpr uint64_t all_ones = 0x0101010101010101;

ptrdiff_t count_true(const char* mask, ptrdiff_t n) noexcept {
    ptrdiff_t total = 0;
    for (ptrdiff_t begin = 0; begin < n; begin += 128) {  // counts that fit a byte
        ptrdiff_t const end = n - begin < 128 ? n : begin + 128;
        uint8_t part = 0;
        RAPTORS_INDEPENDENT
        for (ptrdiff_t i = begin; i < end; ++i)
            part = static_cast<uint8_t>(part + (mask[i] != 0 ? 1 : 0));
        total += part;
    }
    return total;
}

// Vectors are compressed in a register and stored whole, as long as there is room for all of one:
// compressing to memory is microcode on Zen 4, and 12 times as slow. Moves i and k.
#if defined(__AVX512BW__)
template <class U>
void compress_lines(const char* mask, const char* in, char* out, ptrdiff_t n, ptrdiff_t total,
                    ptrdiff_t& i, ptrdiff_t& k) {
    if constexpr (sizeof(U) == 4) {
        for (; i + 16 <= n && k + 16 <= total; i += 16) {
            __m128i const m = get<__m128i>(mask + i);
            __mmask16 const set = _mm_test_epi8_mask(m, m);
            __m512i const line = get<__m512i>(in + 4 * i);
            put(out + 4 * k, _mm512_maskz_compress_epi32(set, line));
            k += __builtin_popcount(set);
        }
    } else if constexpr (sizeof(U) == 8) {
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

// The set of 8 booleans.
RAPTORS_INLINE unsigned set_of(const char* mask) {
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

template <class U>
void compress_lines(const char* mask, const char* in, char* out, ptrdiff_t n, ptrdiff_t total,
                    ptrdiff_t& i, ptrdiff_t& k) {
    if constexpr (sizeof(U) == 4 || sizeof(U) == 8) {
        for (; i + 8 <= n && k + 8 <= total; i += 8) {
            unsigned const set = set_of(mask + i);
            if constexpr (sizeof(U) == 4) {
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
template <class U>
void compress_lines(const char*, const char*, char*, ptrdiff_t, ptrdiff_t, ptrdiff_t&, ptrdiff_t&) {
}
#endif

// Elements are moved without a branch on the mask: each is stored, and the next one over it unless
// it counts. `total` of them count: nothing is stored behind the last.
template <class U>
void compress_whole(const char* mask, const char* in, char* to, ptrdiff_t n, ptrdiff_t total) {
    auto const* const from = reinterpret_cast<const Unaligned<U>*>(in);
    auto* const out = reinterpret_cast<Unaligned<U>*>(to);
    ptrdiff_t i = 0, k = 0;
    compress_lines<U>(mask, in, to, n, total, i, k);
    for (; i + 8 <= n && k + 8 <= total; i += 8) {
        uint64_t eight;
        std::memcpy(&eight, mask + i, sizeof eight);
        if (!eight) continue;
        if (eight == all_ones) {
            std::memcpy(out + k, from + i, 8 * sizeof(U));
            k += 8;
            continue;
        }
        for (int j = 0; j < 8; ++j) {
            out[k] = from[i + j];
            k += mask[i + j] != 0;
        }
    }
    for (; k < total && i < n; ++i) {
        out[k] = from[i];
        k += mask[i] != 0;
    }
}

void compress(const char* mask, const char* in, char* to, ptrdiff_t n, ptrdiff_t total,
              ptrdiff_t size) noexcept {
    auto const whole = [&](auto tag) {
        compress_whole<typename decltype(tag)::type>(mask, in, to, n, total);
    };
    with_element(size, whole, [&](auto copy_one) {
        char* out = to;
        const char* const end = to + total * size;
        for (ptrdiff_t i = 0; i < n && out < end; ++i) {
            copy_one(out, in + i * size);
            out += mask[i] ? size : 0;
        }
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
#else
void nonzero_lines(const char*, int64_t*, ptrdiff_t, ptrdiff_t, ptrdiff_t&, ptrdiff_t&) {}
#endif

void nonzero(const char* mask, int64_t* positions, ptrdiff_t n, ptrdiff_t total) noexcept {
    ptrdiff_t i = 0, k = 0;
    nonzero_lines(mask, positions, n, total, i, k);
    for (; i + 8 <= n && k + 8 <= total; i += 8) {
        uint64_t eight;
        std::memcpy(&eight, mask + i, sizeof eight);
        if (!eight) continue;
        RAPTORS_WHOLE
        for (int j = 0; j < 8; ++j) {
            positions[k] = i + j;
            k += mask[i + j] != 0;
        }
    }
    for (; k < total && i < n; ++i) {
        positions[k] = i;
        k += mask[i] != 0;
    }
}

// Where an element is stored if its boolean is true, and where else: without a branch, which a
// random mask would make a processor guess at.
template <class U>
RAPTORS_INLINE Unaligned<U>* place_of(Unaligned<U>* element, bool selected, Unaligned<U>* nowhere) {
    auto const to = reinterpret_cast<uintptr_t>(element),
               off = reinterpret_cast<uintptr_t>(nowhere);
    return reinterpret_cast<Unaligned<U>*>(off + (-static_cast<uintptr_t>(selected) & (to - off)));
}

#if defined(__AVX512BW__)
// Stores under a mask, which write to nothing else. Returns how many elements are done.
template <class U, class Values>
ptrdiff_t copy_lines(const char* mask, const Values& values, char* out, ptrdiff_t n) {
    ptrdiff_t i = 0;
    if constexpr (sizeof(U) == 1) {
        for (; i + 64 <= n; i += 64) {
            __m512i const m = get<__m512i>(mask + i);
            _mm512_mask_storeu_epi8(out + i, _mm512_test_epi8_mask(m, m), values(i));
        }
    } else if constexpr (sizeof(U) == 2) {
        for (; i + 32 <= n; i += 32) {
            __m256i const m = get<__m256i>(mask + i);
            _mm512_mask_storeu_epi16(out + 2 * i, _mm256_test_epi8_mask(m, m), values(i));
        }
    } else if constexpr (sizeof(U) == 4) {
        for (; i + 16 <= n; i += 16) {
            __m128i const m = get<__m128i>(mask + i);
            _mm512_mask_storeu_epi32(out + 4 * i, _mm_test_epi8_mask(m, m), values(i));
        }
    } else if constexpr (sizeof(U) == 8) {
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

template <class U>
__m512i line_of(U value) {
    if constexpr (sizeof(U) == 1) return _mm512_set1_epi8(static_cast<char>(value));
    if constexpr (sizeof(U) == 2) return _mm512_set1_epi16(static_cast<short>(value));
    if constexpr (sizeof(U) == 4) return _mm512_set1_epi32(static_cast<int>(value));
    return _mm512_set1_epi64(static_cast<long long>(value));
}
template <class U>
ptrdiff_t copy_lines(const char* mask, const char* values, ptrdiff_t step, char* out, ptrdiff_t n) {
    if constexpr (sizeof(U) > 8)
        return 0;
    else if (step)
        return copy_lines<U>(
            mask, [=](ptrdiff_t i) { return get<__m512i>(values + i * ptrdiff_t{sizeof(U)}); }, out,
            n);
    else {
        __m512i const line = line_of(get<U>(values));
        return copy_lines<U>(mask, [=](ptrdiff_t) { return line; }, out, n);
    }
}

// Moves i and k: as long as there are values for a whole line.
template <class U>
void expand_lines(const char* mask, const char* values, char* out, ptrdiff_t n, ptrdiff_t total,
                  ptrdiff_t& i, ptrdiff_t& k) {
    if constexpr (sizeof(U) == 4) {
        for (; i + 16 <= n && k + 16 <= total; i += 16) {
            __m128i const m = get<__m128i>(mask + i);
            __mmask16 const set = _mm_test_epi8_mask(m, m);
            __m512i const line = get<__m512i>(values + 4 * k);
            _mm512_mask_storeu_epi32(out + 4 * i, set, _mm512_maskz_expand_epi32(set, line));
            k += __builtin_popcount(set);
        }
    } else if constexpr (sizeof(U) == 8) {
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
template <class U>
ptrdiff_t copy_lines(const char*, const char*, ptrdiff_t, char*, ptrdiff_t) {
    return 0;
}
template <class U>
void expand_lines(const char*, const char*, char*, ptrdiff_t, ptrdiff_t, ptrdiff_t&, ptrdiff_t&) {}
#endif

template <class U>
void copy_whole(const char* mask, const char* values, ptrdiff_t step, char* to, ptrdiff_t n) {
    auto* const out = reinterpret_cast<Unaligned<U>*>(to);
    Unaligned<U> nowhere;
    ptrdiff_t i = copy_lines<U>(mask, values, step, to, n);
    auto const copy_one = [&](ptrdiff_t at) {
        *place_of<U>(out + at, mask[at] != 0, &nowhere) = get<U>(values + at * step);
    };
    for (; i + 8 <= n; i += 8) {
        uint64_t eight;
        std::memcpy(&eight, mask + i, sizeof eight);
        if (!eight) continue;
        RAPTORS_WHOLE
        for (int j = 0; j < 8; ++j) copy_one(i + j);
    }
    for (; i < n; ++i) copy_one(i);
}

void copy_masked(const char* mask, const char* values, ptrdiff_t step, char* to, ptrdiff_t n,
                 ptrdiff_t size) noexcept {
    auto const whole = [&](auto tag) {
        using U = typename decltype(tag)::type;
        // One value is read once.
        step ? copy_whole<U>(mask, values, ptrdiff_t{sizeof(U)}, to, n)
             : copy_whole<U>(mask, values, 0, to, n);
    };
    with_element(size, whole, [&](auto copy_one) {
        for (ptrdiff_t i = 0; i < n; ++i)
            if (mask[i]) copy_one(to + i * size, values + i * step);
    });
}

template <class U>
void expand_whole(const char* mask, const char* values, char* to, ptrdiff_t n, ptrdiff_t total) {
    auto const* const from = reinterpret_cast<const Unaligned<U>*>(values);
    auto* const out = reinterpret_cast<Unaligned<U>*>(to);
    Unaligned<U> nowhere;
    ptrdiff_t i = 0, k = 0;
    expand_lines<U>(mask, values, to, n, total, i, k);
    for (; i < n && k < total; ++i) {
        bool const selected = mask[i] != 0;
        *place_of<U>(out + i, selected, &nowhere) = from[k];
        k += selected;
    }
}

void expand(const char* mask, const char* values, char* to, ptrdiff_t n, ptrdiff_t total,
            ptrdiff_t size) noexcept {
    auto const whole = [&](auto tag) {
        expand_whole<typename decltype(tag)::type>(mask, values, to, n, total);
    };
    with_element(size, whole, [&](auto copy_one) {
        const char* from = values;
        const char* const end = values + total * size;
        for (ptrdiff_t i = 0; i < n && from < end; ++i) {
            if (!mask[i]) continue;
            copy_one(to + i * size, from);
            from += size;
        }
    });
}

}  // namespace

void fill_compress(MoveTable& table) noexcept {
    table.count_true = &count_true;
    table.nonzero = &nonzero;
    table.compress = &compress;
    table.copy_masked = &copy_masked;
    table.expand = &expand;
}

}  // namespace raptors::RAPTORS_ISA
