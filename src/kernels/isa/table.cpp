#include "isa/table.h"

#include "api/table.h"

namespace raptors::RAPTORS_ISA {

void fill_table(Table& table) noexcept {
    fill_arithmetic(table);
    fill_elementwise(table);
    fill_math(table);
    fill_select(table);
    fill_cast(table);
    fill_arange(table);
    fill_compress(table);
    fill_take(table);
    fill_repeat(table);
    fill_float_sum(table);
    fill_integer_sum(table);
    fill_minmax(table);
    fill_truth(table);
    fill_argminmax(table);
    fill_scan(table);
    fill_search(table);
    fill_gemm(table);
    fill_solve(table);
    fill_terms(table);
    auto const row = [&table](Op op) { return table.elementwise[static_cast<int>(op)]; };
#define BOOLEAN(name, other)                          \
    row(Op::name)[static_cast<int>(DType::boolean)] = \
        row(Op::other)[static_cast<int>(DType::boolean)];
#include "tables/ops.def"
}

}  // namespace raptors::RAPTORS_ISA
