// Rows of math.def: strict flags, since their floating-point status is reported.
#include "api/elementwise.h"
#include "isa/table.h"
#include "isa/transform.h"
#include "isa/vec_math.h"

namespace raptors::RAPTORS_ISA {
namespace {

#define MATH1(name, types, ulp32, ulp64, low, high, quiet, formula, doc) \
    struct name##_function {                                             \
        static constexpr double filler = quiet;                          \
        template <class V>                                               \
        static RAPTORS_INLINE V apply(V x) {                             \
            return formula;                                              \
        }                                                                \
    };
#include "tables/ops.def"

template <class F, uint32_t types>
void fill_row(KernelFn* row) {
#define DTYPE(id, type, ...)                                              \
    if constexpr (includes(types, DType::id)) {                           \
        static_assert(is_floating<Computed<type>>);                       \
        row[static_cast<int>(DType::id)] = &UnaryTransform<F, type>::run; \
    }
#include "tables/dtypes.def"
}

}  // namespace

void fill_math(ElementwiseTable& table) noexcept {
#define MATH1(name, types, ulp32, ulp64, low, high, filler, formula, doc) \
    fill_row<name##_function, types>(table.elementwise[static_cast<int>(Op::name)]);
#include "tables/ops.def"
}

}  // namespace raptors::RAPTORS_ISA
