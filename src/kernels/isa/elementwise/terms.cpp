// Products as the first terms of sums: what is added to 0.0 is never -0.0.
#include "api/elementwise.h"
#include "isa/loops.h"
#include "isa/table.h"

namespace raptors::RAPTORS_ISA {
namespace {

struct Term {
    template <class T>
    static RAPTORS_INLINE T apply(T x, T y) {
        return x * y + T{0};
    }
};

}  // namespace

void fill_terms(ElementwiseTable& table) noexcept {
#define DTYPE(id, type, kind, text)              \
    if constexpr (includes(FLOATING, DType::id)) \
        table.term[static_cast<int>(DType::id)] = &BinaryKernel<Term, "TT->T", type>::run;
#include "tables/dtypes.def"
}

}  // namespace raptors::RAPTORS_ISA
