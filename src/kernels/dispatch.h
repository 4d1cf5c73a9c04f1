// Which kernels run: one table per ISA, scalar entries first, overwritten by what the ISA does
// better.
#pragma once
#include "api/types.h"

namespace raptors {

struct Table;  // api/table.h

// The table of one ISA; nullptr if this build or this CPU does not have it.
const Table* table(Isa isa) noexcept;

// Best ISA of this build that this CPU and operating system support.
Isa best_isa() noexcept;

const char* isa_name(Isa isa) noexcept;

// "scalar", "avx2", ...: true and the ISA; false for any other text ("auto" included).
bool parse_isa(const char* text, Isa* isa) noexcept;

// Was the ISA compiled into this library (whether or not this CPU has it)?
bool isa_compiled(Isa isa) noexcept;

}  // namespace raptors
