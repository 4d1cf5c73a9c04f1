// Elements from one array to another: copies, conversions, assignment.
#pragma once
#include "python/arguments.h"
#include "python/signature.h"

namespace raptors {

// Elements of one layout and dtype into another, same shape.
void copy_nest(const Table& table, int nd, const npy_intp* dims, char* from,
               const npy_intp* from_strides, DType from_t, char* to, const npy_intp* to_strides,
               DType to_t);
// Elements of `size` bytes as they are, whatever they mean; same shape.
void move_elements(int nd, const npy_intp* dims, char* from, const npy_intp* from_strides, char* to,
                   const npy_intp* to_strides, npy_intp size);
// The same of bytes that follow each other.
void move_bytes(char* to, const char* from, npy_intp bytes);
// The axes of an array by falling |stride|, ties in C order: what NumPy's copies (not its ufuncs)
// call order 'K'.
void stride_order(const Fields* f, int* perm);
void stride_order(int nd, const npy_intp* strides, int* perm);

// Whether every byte of an element belongs to a field. What lies between the fields of a view may
// be other fields.
bool has_no_holes(PyArray_Descr* descr);

// A copy of an exact array in its own dtype. nullptr without an error: declined.
PyObject* copied(PyObject* self, Order order);
// A new array with the elements of an exact array in dtype `descr`, both with kernels. Declines
// where the cast raises an event.
PyObject* converted(PyObject* self, PyArray_Descr* descr, Order order);
// A new C-ordered array with the elements of an exact array whose dtype has kernels.
PyObject* c_ordered(PyObject* self);
// An exact array as one whose elements can be moved to those of dtype `descr`: itself, or a copy
// that is converted without a floating-point event. nullptr without an error: declined.
PyObject* as_values(PyArray_Descr* descr, PyObject* from);
// Copies `from` into memory of the given shape and strides (same shape, after broadcasting `from`):
// an exact array whose elements can be moved, or converted without a floating-point event, or a
// scalar. 0 done, 1 declined, -1 error.
int assign(char* data, int nd, const npy_intp* dims, const npy_intp* strides, PyArray_Descr* descr,
           PyObject* from);

}  // namespace raptors
