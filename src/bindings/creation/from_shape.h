// Arrays from nothing but a shape or a range.
#pragma once
#include "python/signature.h"

namespace raptors {

// Fills a new array, whose elements lie without gaps, with an element of its dtype, which has
// kernels. nullptr stays nullptr.
PyObject* filled(PyObject* out, const char* element);
// An empty array of another shape: in Fortran order if `f` is in that alone, else in C order.
PyObject* new_array_as(const Fields* f, const npy_intp* dims);

RAPTORS_NATIVE(empty_native);
RAPTORS_NATIVE(zeros_native);
RAPTORS_NATIVE(ones_native);
RAPTORS_NATIVE(full_native);
enum class Filling : int { nothing, zeros, ones, value };
RAPTORS_NATIVE(like_native);  // which: a Filling; value: full_like
RAPTORS_NATIVE(eye_native);   // which 0: eye, 1: identity
RAPTORS_NATIVE(arange_native);
RAPTORS_NATIVE(linspace_native);

}  // namespace raptors
