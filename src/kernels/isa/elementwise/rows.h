// Expands the UNARY and BINARY rows of one status. The including file defines RAPTORS_ROWS_REPORTS
// or RAPTORS_ROWS_QUIET as RAPTORS_ROW, the other one as nothing, and RAPTORS_FILL as the name of
// its function.
#pragma once
#include "api/elementwise.h"
#include "isa/loops.h"
#include "isa/table.h"

namespace raptors::RAPTORS_ISA {
namespace {

#define RAPTORS_FORMULA1(name, types, result, formula) \
    struct name##_formula {                            \
        template <class T>                             \
        static RAPTORS_INLINE auto apply(T x) {        \
            return formula;                            \
        }                                              \
    };
#define RAPTORS_FORMULA2(name, types, result, formula) \
    struct name##_formula {                            \
        template <class T>                             \
        static RAPTORS_INLINE auto apply(T x, T y) {   \
            return formula;                            \
        }                                              \
    };

// clang-format off
#define RAPTORS_ROW(...) __VA_ARGS__
#define UNARY(name, types, result, status, formula, doc) \
    RAPTORS_ROWS_##status(RAPTORS_FORMULA1(name, types, result, formula))
#define BINARY(name, types, result, status, formula, doc) \
    RAPTORS_ROWS_##status(RAPTORS_FORMULA2(name, types, result, formula))
// clang-format on
#include "tables/ops.def"

template <template <class, class, class> class Kernel, class F, class Stored, uint32_t types>
inline void fill_row(BlockFn* row) {
#define DTYPE(id, type, kind, text)           \
    if constexpr (includes(types, DType::id)) \
        row[static_cast<int>(DType::id)] =    \
            &Kernel<F, typename Stored::template of<type>, type>::run;
#include "tables/dtypes.def"
}

}  // namespace

void RAPTORS_FILL(ElementwiseTable& table) noexcept {
    auto const row = [&table](Op op) { return table.elementwise[static_cast<int>(op)]; };
#define UNARY(name, types, result, status, formula, doc) \
    RAPTORS_ROWS_##status((fill_row<UnaryKernel, name##_formula, result, types>(row(Op::name)));)
#define BINARY(name, types, result, status, formula, doc) \
    RAPTORS_ROWS_##status((fill_row<BinaryKernel, name##_formula, result, types>(row(Op::name)));)
#include "tables/ops.def"
}

}  // namespace raptors::RAPTORS_ISA
