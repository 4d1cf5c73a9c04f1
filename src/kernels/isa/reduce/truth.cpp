// any and all.
#include "isa/reduce/truth.h"

namespace raptors::RAPTORS_ISA {
namespace {

template <class T>
void fill(ReduceTable& table, DType t) {
    if constexpr (is_elementary<T>) {
        int const column = static_cast<int>(t);
        table.reduce[static_cast<int>(Combine::logical_or)][column] = reduce_all<Truth<T, false>>;
        table.reduce[static_cast<int>(Combine::logical_and)][column] = reduce_all<Truth<T, true>>;
    }
}

}  // namespace

void fill_truth(ReduceTable& table) noexcept {
#define DTYPE(id, type, ...) fill<type>(table, DType::id);
#include "tables/dtypes.def"
}

}  // namespace raptors::RAPTORS_ISA
