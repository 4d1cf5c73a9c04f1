// Views by their axes, and what an array says of itself: diagonal, flip, moveaxis, atleast_1d,
// shape, real ...
#pragma once
#include "python/signature.h"

namespace raptors {

// Where the elements of a view lie.
struct View {
    char* data;
    int nd;
    npy_intp dims[NPY_MAXDIMS];
    npy_intp strides[NPY_MAXDIMS];
};

enum class Flip { any, rows, columns };  // flip, flipud, fliplr
enum class Fact { shape, ndim, size, is_complex, is_real, is_scalar };

RAPTORS_NATIVE(diagonal_native);  // which 1: of the last two axes, offset= alone (linalg.diagonal)
RAPTORS_NATIVE(flip_native);      // which: a Flip
RAPTORS_NATIVE(rot90_native);
RAPTORS_NATIVE(from_dlpack_native);
RAPTORS_NATIVE(trim_zeros_native);  // of one axis
RAPTORS_NATIVE(transpose_native);   // which 0: the method, 1: the function
RAPTORS_NATIVE(swapaxes_native);
RAPTORS_NATIVE(moveaxis_native);
RAPTORS_NATIVE(rollaxis_native);
RAPTORS_NATIVE(matrix_transpose_native);
RAPTORS_NATIVE(squeeze_native);
RAPTORS_NATIVE(expand_dims_native);
RAPTORS_NATIVE(require_native);   // of an array that is as it is to be
RAPTORS_NATIVE(at_least_native);  // which: the least number of axes
RAPTORS_NATIVE(fact_native);      // which: a Fact
RAPTORS_NATIVE(whole_native);     // the array itself: __array__()
RAPTORS_NATIVE(byteswap_native);  // NumPy's C functions, counted as NumPy's
RAPTORS_NATIVE(getfield_native);

// The diagonals of two axes, offset by that many columns, which is within the array. nullptr
// without an error: declined.
PyObject* diagonal_of(PyObject* self, npy_intp offset, npy_intp rows_axis, npy_intp columns_axis);

// a.T
PyObject* reversed_axes(PyObject* self);
// Its two last axes exchanged; nullptr without an error: it has fewer.
PyObject* matrix_transposed(PyObject* self);
// Of complex numbers a view of their real (or imaginary) parts, of other numbers themselves (real
// only). nullptr without an error: NumPy judges.
PyObject* real_part(PyObject* self);
PyObject* imaginary_part(PyObject* self);

}  // namespace raptors
