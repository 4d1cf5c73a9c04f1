// The type of the module `raptors`.
#pragma once
#include "python/pybind.h"

namespace raptors {

void init_namespace();

// Makes `module`, the package, one of the type. `find_submodule` is asked for the submodules.
void adopt_package(const pybind11::object& module, const pybind11::frozenset& submodules,
                   const pybind11::object& find_submodule);
// A name that is not among the package's: a submodule that nobody used yet, or NumPy's word on it.
// Asked from C, so that NumPy's warnings point at the caller.
pybind11::object find_name(const pybind11::object& name);
// A name of the module `source`; where it has none, in its words an error of `own`, which stands
// for it.
pybind11::object ask(const pybind11::object& source, const pybind11::object& own,
                     const pybind11::object& name);
// What stands for what is found: translate(path of `own`, name, NumPy's value).
pybind11::object ask_and_translate(const pybind11::object& source, const pybind11::object& own,
                                   const pybind11::object& translate, const pybind11::object& name);

}  // namespace raptors
