// astype, copy, fill.
#include "pack.h"
#include "table.h"

namespace raptors::RAPTORS_ISA {
namespace {

// C's conversions, which are NumPy's. A floating value that no integer of the type can hold raises
// FE_INVALID wherever our result could differ from NumPy's: callers leave those casts to NumPy.
// Small integers go through int32_t, as NumPy's do.
template <class To, class From>
struct Convert {
    static RAPTORS_INLINE Value<To> apply(Value<From> x) {
        if constexpr (std::is_same_v<To, boolean>) {
            return truth(x);
        } else if constexpr (std::is_same_v<From, boolean> && is_floating<To>) {
            return pick(x != 0, To{1}, To{0});
        } else if constexpr (is_floating<From> && !is_floating<To> && sizeof(To) < 4) {
            return static_cast<To>(static_cast<int32_t>(x));
#if defined(__AVX2__) && !defined(__AVX512DQ__)
        } else if constexpr (std::is_same_v<From, int64_t> && std::is_same_v<To, double>) {
            // No such instruction: both halves become mantissas of 2^84 and 2^52, only the last sum
            // rounds.
            auto const half = static_cast<uint64_t>(x);
            auto const high =
                __builtin_bit_cast(double, ((half >> 32) ^ 0x80000000U) | 0x4530000000000000U);
            auto const low = __builtin_bit_cast(double, (half & 0xffffffffU) | 0x4330000000000000U);
            return (high - 0x1.00000801p84) + low;
#endif
        } else {
            return static_cast<To>(x);
        }
    }
};

// Raw bytes.
template <class U>
void copy(const Block& b) noexcept {
    constexpr auto size = static_cast<ptrdiff_t>(sizeof(U));
    if (b.n <= 0 || b.rows <= 0) return;
    char* to = b.data[1];
    const char* from = b.data[0];
    bool const packed_output = b.inner[1] == size && (b.rows == 1 || b.outer[1] == b.n * size);
    bool const packed_input = b.inner[0] == size && (b.rows == 1 || b.outer[0] == b.n * size);
    if (packed_input && packed_output) {
        if (to != from) memcpy(to, from, static_cast<size_t>(b.rows * b.n * size));
        return;
    }
    // Tiles, so that lines of a transposed side are used whole.
    bool const columns =
        is_column_like(b.outer[0], b.inner[0]) != is_column_like(b.outer[1], b.inner[1]);
    ptrdiff_t const tile = columns ? 128 / size : b.n;
    ptrdiff_t const band = columns ? 128 / size : 1;
    alignas(64) char buffer[128 * 128 / size];
    for (ptrdiff_t r = 0; r < b.rows; r += band) {
        ptrdiff_t const rows = b.rows - r < band ? b.rows - r : band;
        for (ptrdiff_t c = 0; c < b.n; c += tile) {
            ptrdiff_t const n = b.n - c < tile ? b.n - c : tile;
            const char* const source = from + r * b.outer[0] + c * b.inner[0];
            char* const target = to + r * b.outer[1] + c * b.inner[1];
            if (columns) {
                pack<U>(buffer, source, {rows, n, b.outer[0], b.inner[0]});
                unpack<U>(target, buffer, {rows, n, b.outer[1], b.inner[1]});
            } else if (b.inner[1] == size) {
                gather<U>(target, source, n, b.inner[0]);
            } else if (b.inner[0] == size) {
                scatter<U>(target, source, n, b.inner[1]);
            } else {
                for (ptrdiff_t i = 0; i < n; ++i)
                    *reinterpret_cast<Unaligned<U>*>(target + i * b.inner[1]) =
                        *reinterpret_cast<const Unaligned<U>*>(source + i * b.inner[0]);
            }
        }
    }
}

template <class From, class To>
constexpr CastFn cast() {
    if constexpr (std::is_same_v<From, To>)
        return &copy<Unsigned<From>>;
    else
        return &UnaryKernel<Convert<To, From>, Value<To>, From>::run;
}

template <class From>
void fill_from(CastFn* row) {
#define DTYPE(id, type, kind, text) row[static_cast<int>(DType::id)] = cast<From, type>();
#include "../dtypes.def"
}

}  // namespace

void fill_cast(Table& table) noexcept {
#define DTYPE(id, type, kind, text) fill_from<type>(table.cast[static_cast<int>(DType::id)]);
#include "../dtypes.def"
}

}  // namespace raptors::RAPTORS_ISA
