// Extremes.
#include "isa/reduce/extreme.h"
#include "isa/reduce/truth.h"

namespace raptors::RAPTORS_ISA {
namespace {

// Of booleans the smallest is whether all are true.
template <class T, bool largest, bool ignores_nans>
using Kernel = std::conditional_t<std::is_same_v<T, boolean>, Truth<boolean, !largest>,
                                  Extreme<T, largest, ignores_nans && floating<T>>>;

template <class T>
void fill(ReduceTable& table, DType t) {
    if constexpr (is_elementary<T>) {
        int const column = static_cast<int>(t);
        auto const row = [&](Combine combine) -> ReduceFn& {
            return table.reduce[static_cast<int>(combine)][column];
        };
        row(Combine::minimum) = reduce_all<Kernel<T, false, false>>;
        row(Combine::maximum) = reduce_all<Kernel<T, true, false>>;
        row(Combine::fmin) = reduce_all<Kernel<T, false, true>>;
        row(Combine::fmax) = reduce_all<Kernel<T, true, true>>;
    }
}

}  // namespace

void fill_minmax(ReduceTable& table) noexcept {
#define DTYPE(id, type, ...) fill<type>(table, DType::id);
#include "tables/dtypes.def"
}

}  // namespace raptors::RAPTORS_ISA
