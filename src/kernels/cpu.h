// What this CPU and its operating system support. Asks the CPU; runs no instruction that could be
// missing.
#pragma once
#include "api/types.h"

namespace raptors {

bool cpu_supports(Isa isa) noexcept;

}  // namespace raptors
