// Expands the UNARY and BINARY rows of one status. The including file defines RAPTORS_ROWS_REPORTS
// or RAPTORS_ROWS_QUIET as RAPTORS_ROW, the other one as nothing, and RAPTORS_FILL as the name of
// its function.
#pragma once
#include "api/elementwise.h"
#include "isa/loops.h"
#include "isa/table.h"

namespace raptors::RAPTORS_ISA {
namespace {

#define RAPTORS_FORMULA1(name, formula)         \
    struct name##_formula {                     \
        template <class T>                      \
        static RAPTORS_INLINE auto apply(T x) { \
            return formula;                     \
        }                                       \
    };
#define RAPTORS_FORMULA2(name, formula)              \
    struct name##_formula {                          \
        template <class T, class Y>                  \
        static RAPTORS_INLINE auto apply(T x, Y y) { \
            return formula;                          \
        }                                            \
    };

// clang-format off
#define RAPTORS_ROW(...) __VA_ARGS__
#define UNARY(name, types, signature, status, traits, accuracy, cost, formula, doc) \
    RAPTORS_ROWS_##status(RAPTORS_FORMULA1(name, formula))
#define BINARY(name, types, signature, status, traits, accuracy, cost, formula, doc) \
    RAPTORS_ROWS_##status(RAPTORS_FORMULA2(name, formula))
// clang-format on
#include "tables/ops.def"

template <template <class, RowSignature, class> class Kernel, class F, RowSignature signature,
          uint32_t types>
inline void fill_row(KernelFn* row) {
#define DTYPE(id, type, ...)                  \
    if constexpr (includes(types, DType::id)) \
        row[static_cast<int>(DType::id)] = &Kernel<F, signature, type>::run;
#include "tables/dtypes.def"
}

template <class F, class T>
void at(const AtBlock& block) noexcept {
    AtBlock const b = block;
    for (ptrdiff_t i = 0; i < b.n; ++i) {
        int64_t index = __atomic_load_n(b.indices + i, __ATOMIC_RELAXED);
        index += index < 0 ? b.length : 0;
        if (static_cast<uint64_t>(index) >= static_cast<uint64_t>(b.length)) [[unlikely]]
            continue;  // changed by another thread
        char* const element = b.array + index * b.step;
        Outputs<T>(&element).put(
            0, F::apply(One<T>(element)[0], One<T>(b.values + i * b.values_step)[0]));
    }
}

template <class F, RowSignature signature, uint32_t types>
inline void fill_at(AtFn* row) {
    constexpr bool closed = signature.outputs() == 1 && signature.letter(0) == 'T' &&
                            signature.letter(1) == 'T' && signature.letter(2) == 'T';
#define DTYPE(id, type, ...)                                       \
    if constexpr (closed && includes(types & COMPUTED, DType::id)) \
        row[static_cast<int>(DType::id)] = &at<F, type>;
#include "tables/dtypes.def"
}

}  // namespace

void RAPTORS_FILL(ElementwiseTable& table) noexcept {
    auto const row = [&table](Op op) { return table.elementwise[static_cast<int>(op)]; };
    auto const at_row = [&table](Op op) { return table.at[static_cast<int>(op)]; };
    // clang-format off
#define UNARY(name, types, signature, status, traits, accuracy, cost, formula, doc) \
    RAPTORS_ROWS_##status((fill_row<UnaryKernel, name##_formula, signature, types>(row(Op::name)));)
#define BINARY(name, types, signature, status, traits, accuracy, cost, formula, doc) \
    RAPTORS_ROWS_##status((fill_row<BinaryKernel, name##_formula, signature, types>(row(Op::name)), \
                           fill_at<name##_formula, signature, types>(at_row(Op::name)));)
// clang-format on
#include "tables/ops.def"
}

}  // namespace raptors::RAPTORS_ISA
