// What each file of isa/ adds to the table. These are the only symbols with external linkage.
#pragma once
#include "api/kernels.h"

namespace raptors::RAPTORS_ISA {

void fill_table(Table& table) noexcept;  // table.cpp: calls all of those below

void fill_arithmetic(Table& table) noexcept;   // arithmetic.cpp: elementwise rows that report
void fill_elementwise(Table& table) noexcept;  // elementwise.cpp: elementwise rows that do not
void fill_select(Table& table) noexcept;       // select.cpp
void fill_cast(Table& table) noexcept;         // cast_copy.cpp
void fill_ramp(Table& table) noexcept;         // arange.cpp
void fill_compress(Table& table) noexcept;     // compress.cpp
void fill_reduce(Table& table);                // reduce.cpp
void fill_gemm(Table& table) noexcept;         // gemm.cpp
void fill_lu(Table& table) noexcept;           // solve.cpp
void fill_terms(Table& table) noexcept;        // terms.cpp

}  // namespace raptors::RAPTORS_ISA
