// Python's and NumPy's objects; always first. Without pybind11.h, whose dispatch of calls each file
// that includes it compiles anew, in ten seconds: module.cpp alone has it.
#pragma once
#define PY_SSIZE_T_CLEAN
#include <pybind11/cast.h>

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define NPY_TARGET_VERSION NPY_2_0_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL raptors_array_api
#define PY_UFUNC_UNIQUE_SYMBOL raptors_ufunc_api
#ifndef RAPTORS_IMPORT_NUMPY  // module.cpp alone fills the API tables
#define NO_IMPORT_ARRAY
#define NO_IMPORT_UFUNC
#endif
#include <numpy/arrayobject.h>
#include <numpy/arrayscalars.h>
#include <numpy/ufuncobject.h>

namespace raptors {

inline pybind11::object import_module(const char* name) {
    PyObject* module = PyImport_ImportModule(name);
    if (!module) throw pybind11::error_already_set();
    return pybind11::reinterpret_steal<pybind11::object>(module);
}

}  // namespace raptors
