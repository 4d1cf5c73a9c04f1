// What each file of isa/ adds to the table. These are the only symbols with external linkage.
#pragma once

namespace raptors {

struct Table;  // api/table.h, which only table.cpp sees whole
struct ElementwiseTable;
struct ReduceTable;
struct ScanTable;
struct MoveTable;
struct GemmTable;
struct SearchTable;
struct SolveTable;

}  // namespace raptors

namespace raptors::RAPTORS_ISA {

void fill_table(Table& table) noexcept;  // calls all of those below

void fill_arithmetic(ElementwiseTable& table) noexcept;   // rows that report
void fill_elementwise(ElementwiseTable& table) noexcept;  // rows that do not
void fill_math(ElementwiseTable& table) noexcept;         // rows of math.def
void fill_select(ElementwiseTable& table) noexcept;
void fill_terms(ElementwiseTable& table) noexcept;
void fill_float_sum(ReduceTable& table) noexcept;
void fill_integer_sum(ReduceTable& table) noexcept;
void fill_minmax(ReduceTable& table) noexcept;
void fill_truth(ReduceTable& table) noexcept;
void fill_argminmax(ReduceTable& table) noexcept;
void fill_scan(ScanTable& table) noexcept;
void fill_cast(MoveTable& table) noexcept;
void fill_arange(MoveTable& table) noexcept;
void fill_compress(MoveTable& table) noexcept;
void fill_take(MoveTable& table) noexcept;
void fill_repeat(MoveTable& table) noexcept;
void fill_search(SearchTable& table) noexcept;
void fill_gemm(GemmTable& table) noexcept;
void fill_solve(SolveTable& table) noexcept;

}  // namespace raptors::RAPTORS_ISA
