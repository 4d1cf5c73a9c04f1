// Which family of kernels does long calls over contiguous elements: that of the instruction set in
// use, that of another one, or NumPy's own loop. What calibration found faster; without it, the
// first.
#pragma once
#include "api/elementwise.h"
#include "python/pybind.h"

namespace raptors {

struct Table;

struct Choice {
    Kernel kernel;
    bool is_numpy = false;
};
// For a call over one row of at least `long_from` elements.
Choice choose_kernel(const Table& table, Op op, DType t, const Block& row);

// {op: {dtype: [family of calls within the caches, of longer ones]}}: "" is the usual one, "numpy"
// NumPy's loop. Only of those that have another one.
pybind11::dict measure_families();
// Uses them from now on, and no others. ValueError: no such op, dtype or family.
void set_families(const pybind11::dict& families);

}  // namespace raptors
