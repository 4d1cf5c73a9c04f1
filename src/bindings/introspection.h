// What this build is: the op table, compiler and flags.
#pragma once
#include "pybind.h"

namespace raptors {

void register_introspection(pybind11::module_& m);

}  // namespace raptors
