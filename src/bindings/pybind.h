// The only file that includes pybind11, Python and NumPy; always first.
#pragma once
#define PY_SSIZE_T_CLEAN
#include <pybind11/pybind11.h>

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
