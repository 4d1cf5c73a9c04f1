// The type of the module `raptors`.
#pragma once
#include "pybind.h"

namespace raptors {

void register_namespace(pybind11::module_& m);

}  // namespace raptors
