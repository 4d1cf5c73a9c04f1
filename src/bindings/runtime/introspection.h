// What this build is: the op table, compiler and flags.
#pragma once
#include "python/pybind.h"

namespace raptors {

pybind11::list op_table();
pybind11::dict build_info();

}  // namespace raptors
