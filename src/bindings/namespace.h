// The type of the module `raptors`.
#pragma once
#include "pybind.h"

namespace raptors {

void init_namespace();

// Makes `module`, the package, one of the type.
void adopt_package(const pybind11::object& module);
// NumPy's word on a name that it does not have. Asked from C, so that its warnings point at the
// caller.
pybind11::object ask_numpy(const pybind11::object& name);

}  // namespace raptors
