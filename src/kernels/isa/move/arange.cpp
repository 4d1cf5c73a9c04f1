// arange and linspace: first + i * step.
#include "api/move.h"
#include "isa/loops.h"
#include "isa/table.h"

namespace raptors::RAPTORS_ISA {
namespace {

// Pieces in which the index is exact in 32 bits.
constexpr ptrdiff_t piece = 1 << 16;

// Two roundings, as NumPy: the product, then the sum. Integers wrap.
template <class T>
void arange(const void* first_element, const void* step_element, void* to, ptrdiff_t n) noexcept {
    T const first = *static_cast<const Unaligned<T>*>(first_element);
    T const step = *static_cast<const Unaligned<T>*>(step_element);
    auto* const out = static_cast<Unaligned<T>*>(to);
    for (ptrdiff_t begin = 0; begin < n; begin += piece) {
        auto const count = static_cast<int32_t>(n - begin < piece ? n - begin : piece);
        if constexpr (is_floating<T>) {
            auto const base = static_cast<double>(begin);  // exact, and so is base + i
            RAPTORS_INDEPENDENT
            for (int32_t i = 0; i < count; ++i)
                out[begin + i] = first + static_cast<T>(base + static_cast<double>(i)) * step;
        } else {
            using U = Wide<T>;
            auto const base = static_cast<U>(begin);
            auto const start = U{static_cast<Unsigned<T>>(first)};
            auto const by = U{static_cast<Unsigned<T>>(step)};
            RAPTORS_INDEPENDENT
            for (int32_t i = 0; i < count; ++i)
                out[begin + i] = static_cast<T>(start + (base + static_cast<U>(i)) * by);
        }
    }
}

template <class T>
void fill(MoveTable& table, DType t) {
    if constexpr (is_elementary<T> && !std::is_same_v<T, boolean>)
        table.arange[static_cast<int>(t)] = &arange<T>;
}

}  // namespace

void fill_arange(MoveTable& table) noexcept {
#define DTYPE(id, type, ...) fill<type>(table, DType::id);
#include "tables/dtypes.def"
}

}  // namespace raptors::RAPTORS_ISA
