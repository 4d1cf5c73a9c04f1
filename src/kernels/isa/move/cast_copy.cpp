// astype, copy, fill.
#include "api/move.h"
#include "isa/move/element.h"
#include "isa/move/pack.h"
#include "isa/table.h"

namespace raptors::RAPTORS_ISA {
namespace {

// C's conversions, which are NumPy's. A floating value that no integer of the type can hold raises
// FE_INVALID wherever our result could differ from NumPy's: callers leave those casts to NumPy.
// Small integers go through int32_t, as NumPy's do. Values of half precision come and go as floats.
template <class To, class From>
struct Convert {
    template <Vector V>
    static RAPTORS_INLINE auto apply(V x)
        requires std::is_same_v<To, boolean>
    {
        return truth(x);
    }
    static RAPTORS_INLINE Value<Computed<To>> apply(Value<Computed<From>> x) {
        if constexpr (is_complex<To> && is_complex<From>) {
            return {Convert<Real<To>, Real<From>>::apply(x.re),
                    Convert<Real<To>, Real<From>>::apply(x.im)};
        } else if constexpr (is_complex<To>) {
            return {Convert<Real<To>, From>::apply(x), 0};
        } else if constexpr (is_complex<From> && std::is_same_v<To, boolean>) {
            return (x.re != 0) | (x.im != 0);
        } else if constexpr (is_complex<From>) {
            return Convert<To, Real<From>>::apply(x.re);
        } else if constexpr (std::is_same_v<To, boolean>) {
            return truth(x);
        } else if constexpr (is_converted<To> && std::is_same_v<From, double>) {
            return round_to_odd(x);
        } else if constexpr (std::is_same_v<From, boolean> && is_floating<Computed<To>>) {
            return pick(x != 0, Computed<To>{1}, Computed<To>{0});
        } else if constexpr (is_floating<Computed<From>> && !is_floating<Computed<To>> &&
                             sizeof(To) < 4) {
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
            return static_cast<Computed<To>>(x);
        }
    }
};

// Between a row-like and a column-like side: those that cannot be transposed by whole lines by
// tiles of two cache lines square through a buffer.
template <class U>
void copy_transposed(char* to, const char* from, Block b) noexcept {
    constexpr ptrdiff_t size = sizeof(U), side = 128 / size;
    if (is_column_like(b.outer[1], b.inner[1])) {  // whichever axis is the inner one: to rows
        std::swap(b.rows, b.n);
        std::swap(b.inner, b.outer);
    }
    if (b.outer[0] == size && b.inner[1] == size) {
        constexpr ptrdiff_t two_cache_lines = 128 / size, buffered = 256 / size;
        ptrdiff_t const least = b.rows <= buffered ? TileRow<U, 32>::n : two_cache_lines;
        return transpose<U>(to, b.outer[1], from, b.inner[0], b.n, b.rows, least);
    }
    alignas(64) char buffer[side * side * size];
    // Down the lines of a column-like source, where the prefetcher follows.
    for (ptrdiff_t c = 0; c < b.n; c += side) {
        ptrdiff_t const n = smaller(side, b.n - c);
        for (ptrdiff_t r = 0; r < b.rows; r += side) {
            ptrdiff_t const rows = smaller(side, b.rows - r);
            pack<U>(buffer, from + r * b.outer[0] + c * b.inner[0],
                    {rows, n, b.outer[0], b.inner[0]});
            unpack<U>(to + r * b.outer[1] + c * b.inner[1], buffer,
                      {rows, n, b.outer[1], b.inner[1]});
        }
    }
}

// Raw bytes.
template <class U>
void copy(const Block& b, const void*) noexcept {
    constexpr ptrdiff_t size = sizeof(U);
    if (b.n <= 0 || b.rows <= 0) return;
    char* const to = b.data[1];
    const char* const from = b.data[0];
    bool const packed_output = b.inner[1] == size && (b.rows == 1 || b.outer[1] == b.n * size);
    bool const packed_input = b.inner[0] == size && (b.rows == 1 || b.outer[0] == b.n * size);
    if (packed_input && packed_output) {
        if (to != from) memcpy(to, from, static_cast<size_t>(b.rows * b.n * size));
        return;
    }
    if (b.rows > 1 &&
        is_column_like(b.outer[0], b.inner[0]) != is_column_like(b.outer[1], b.inner[1]))
        return copy_transposed<U>(to, from, b);
    for (ptrdiff_t r = 0; r < b.rows; ++r) {
        char* const target = to + r * b.outer[1];
        const char* const source = from + r * b.outer[0];
        if (b.inner[1] == size) {
            gather<U>(target, source, b.n, b.inner[0]);
        } else if (b.inner[0] == size) {
            scatter<U>(target, source, b.n, b.inner[1]);
        } else {
            for (ptrdiff_t i = 0; i < b.n; ++i)
                *reinterpret_cast<Unaligned<U>*>(target + i * b.inner[1]) =
                    *reinterpret_cast<const Unaligned<U>*>(source + i * b.inner[0]);
        }
    }
}

void copy_sized(const Block& b, const void* context) noexcept {
    ptrdiff_t const size = *static_cast<const ptrdiff_t*>(context);
    auto const packed = [&](int i) {
        return b.inner[i] == size && (b.rows == 1 || b.outer[i] == b.n * size);
    };
    if (packed(0) && packed(1)) {
        memcpy(b.data[1], b.data[0], static_cast<size_t>(b.rows * b.n * size));
        return;
    }
    if (b.inner[0] == size && b.inner[1] == size && b.n * size >= 64) {
        for (ptrdiff_t r = 0; r < b.rows; ++r)
            memcpy(b.data[1] + r * b.outer[1], b.data[0] + r * b.outer[0],
                   static_cast<size_t>(b.n * size));
        return;
    }
    with_odd_copy(size, [&b](auto copy_one) {
        for (ptrdiff_t r = 0; r < b.rows; ++r) {
            char* const to = b.data[1] + r * b.outer[1];
            const char* const from = b.data[0] + r * b.outer[0];
            for (ptrdiff_t i = 0; i < b.n; ++i)
                copy_one(to + i * b.inner[1], from + i * b.inner[0]);
        }
    });
}

template <class From, class To>
constexpr KernelFn cast() {
    if constexpr (std::is_same_v<From, To>)
        return &copy<Unsigned<From>>;
    else
        return &CastKernel<Convert<To, From>, To, From>::run;
}

template <class From>
void fill_from(KernelFn* row) {
#define DTYPE(id, type, ...) row[static_cast<int>(DType::id)] = cast<From, type>();
#include "tables/dtypes.def"
}

}  // namespace

void fill_cast(MoveTable& table) noexcept {
#define DTYPE(id, type, ...) fill_from<type>(table.cast[static_cast<int>(DType::id)]);
#include "tables/dtypes.def"
    table.copy_sized = &copy_sized;
    table.copy[0] = &copy<uint8_t>;
    table.copy[1] = &copy<uint16_t>;
    table.copy[2] = &copy<uint32_t>;
    table.copy[3] = &copy<uint64_t>;
    table.copy[4] = &copy<UnsignedOf<16>::type>;
}

}  // namespace raptors::RAPTORS_ISA
