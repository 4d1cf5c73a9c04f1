// Where array objects come from: free lists of whole dead arrays with their data block, of our
// views, and of the base-class views handed to NumPy. All state is guarded by the GIL.
#pragma once
#include "python/array.h"

namespace raptors {

// All of these make arrays of the class that is_adopted() tells.

// A new C-ordered array that owns uninitialised data. nullptr and MemoryError /
// ValueError when it cannot be. descr: one of descr_of_num (borrowed).
PyObject* new_array(int nd, const npy_intp* dims, PyArray_Descr* descr);
// The same filled with zero bytes; O(1) for big arrays.
PyObject* new_zeroed(int nd, const npy_intp* dims, PyArray_Descr* descr);
// The same with the strides of axis order `perm` (perm[0] outermost).
PyObject* new_array_ordered(int nd, const npy_intp* dims, const int* perm, PyArray_Descr* descr);

// A view of an exact array. `base` (borrowed) is collapsed as NumPy does.
// Writeable and warn-on-write flags follow `like`; contiguity and alignment are computed.
PyObject* new_view(PyObject* base, int nd, const npy_intp* dims, const npy_intp* strides,
                   char* data, PyArray_Descr* descr);
// An array on memory that `owner`, which is no array, keeps alive. flags: whether it may
// be written; the others are computed.
PyObject* new_view_of_memory(PyObject* owner, int flags, int nd, const npy_intp* dims,
                             const npy_intp* strides, char* data, PyArray_Descr* descr);

// A view of `a` of exact type numpy.ndarray; its base is `a`.
PyObject* new_base_view(PyObject* a);
// Gives it back: the shell is kept if nobody else holds it.
void release_base_view(PyObject* view, PyObject* a);

// An exact numpy.ndarray that only the caller holds takes the class that is_adopted() tells, in
// place.
inline void retype(PyObject* a) {
    if (!is_adopted(fields(a)->descr, fields(a)->nd)) return;
    Py_INCREF(array_type);
    Py_SET_TYPE(a, array_type);
}

void array_dealloc(PyObject* o);  // tp_dealloc of raptors.ndarray

void init_object_cache();  // after NumPy's API; reads RAPTORS_CACHE_MAX_BYTES, RAPTORS_OBJECT_CACHE

pybind11::dict memory_stats();
void trim();                     // gives back all that is kept
void limit_cache(size_t bytes);  // trims
// NumPy's own temporaries and results come from our blocks, too. A handler is a context variable:
// new threads start with NumPy's, which only means that their arrays are not reused.
void use_handler();

}  // namespace raptors
