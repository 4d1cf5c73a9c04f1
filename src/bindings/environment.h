// Settings that the process starts with.
#pragma once
#include "pybind.h"

#include <optional>

namespace raptors {

// Whether the variable has a value other than "" and "0".
bool is_set(const char* name);

// Its number; none if it is not set. Raises ValueError("<name> must be <what>") for anything else.
std::optional<unsigned long long> number_set(const char* name, const char* what);

}  // namespace raptors
