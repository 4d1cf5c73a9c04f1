// Products as the first terms of sums: what is added to 0.0 is never -0.0.
#include "api/elementwise.h"
#include "isa/loops.h"
#include "isa/table.h"

namespace raptors::RAPTORS_ISA {
namespace {

struct ProductPlusZero {
    template <class T>
    static RAPTORS_INLINE T apply(T x, T y) {
        return x * y + T{0};
    }
};

template <class T>
void fill(ElementwiseTable& table, DType t) {
    if constexpr (is_floating<T>)
        table.product[static_cast<int>(t)] = &BinaryKernel<ProductPlusZero, "TT->T", T>::run;
}

}  // namespace

void fill_terms(ElementwiseTable& table) noexcept {
#define DTYPE(id, type, ...) fill<type>(table, DType::id);
#include "tables/dtypes.def"
}

}  // namespace raptors::RAPTORS_ISA
