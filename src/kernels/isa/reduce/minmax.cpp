// Extremes.
#include "isa/reduce/extreme.h"
#include "isa/reduce/truth.h"

namespace raptors::RAPTORS_ISA {
namespace {

// Of booleans the smallest is whether all are true.
template <class T, bool largest>
using Kernel =
    std::conditional_t<std::is_same_v<T, boolean>, Truth<boolean, !largest>, Extreme<T, largest>>;

template <class T>
void fill(ReduceTable& table, DType t) {
    if constexpr (is_elementary<T>) {
        int const column = static_cast<int>(t);
        table.reduce[static_cast<int>(Fold::min)][column] = fold_all<Kernel<T, false>>;
        table.reduce[static_cast<int>(Fold::max)][column] = fold_all<Kernel<T, true>>;
    }
}

}  // namespace

void fill_minmax(ReduceTable& table) noexcept {
#define DTYPE(id, type, ...) fill<type>(table, DType::id);
#include "tables/dtypes.def"
}

}  // namespace raptors::RAPTORS_ISA
