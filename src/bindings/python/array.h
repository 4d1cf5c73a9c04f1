// What every file of the bindings says about arrays: fields, type tests, dtypes.
#pragma once
#include "python/pybind.h"

#include "api/types.h"

namespace raptors {

extern PyTypeObject* array_type;  // raptors.ndarray

using Fields = PyArrayObject_fields;
inline Fields* fields(PyObject* o) { return reinterpret_cast<Fields*>(o); }
inline PyArrayObject* as_array(PyObject* o) { return reinterpret_cast<PyArrayObject*>(o); }
inline bool is_ours(PyObject* o) { return Py_TYPE(o) == array_type; }
inline bool is_plain(PyObject* o) { return Py_IS_TYPE(o, &PyArray_Type); }
inline bool is_exact(PyObject* o) { return is_ours(o) || is_plain(o); }

// Whether an array is ours to make. One without axes, or of Python objects, stays numpy.ndarray's:
// C code of libraries unboxes the first, and libraries convert the second, by the exact class
// alone.
inline bool is_adopted(const PyArray_Descr* descr, int nd) {
    return nd > 0 && descr->type_num != NPY_OBJECT;
}

inline PyObject* new_ref(PyObject* o) {
    Py_INCREF(o);
    return o;
}

inline npy_intp count_of(const Fields* f) {
    npy_intp n = 1;
    for (int i = 0; i < f->nd; ++i) n *= f->dimensions[i];
    return n;
}

// Private to NumPy: arrays made by broadcast_to and the like warn when written through.
constexpr int warn_on_write = static_cast<int>(0x80000000U);

// ---- dtypes: NumPy type numbers <-> DType. Several type numbers may share a DType (long and
// longlong).
constexpr int n_type_nums = 24;          // NumPy's legacy type numbers
constexpr auto no_dtype = DType::count;  // a dtype without kernels
extern DType dtype_of_num[n_type_nums];  // by type number
extern PyArray_Descr*
    descr_of_num[n_type_nums];  // NumPy's own (native byte order) instances; null without kernels
extern int num_of_dtype[n_dtypes];  // the type number that NumPy prefers for a DType

DType dtype_of_slow(PyArray_Descr* descr);  // native, but not NumPy's own instance (unpickled, say)
inline DType dtype_of(PyArray_Descr* descr) {
    auto const num = static_cast<unsigned>(descr->type_num);
    if (num >= n_type_nums) return no_dtype;
    if (descr_of_num[num] == descr) [[likely]]
        return dtype_of_num[num];
    return dtype_of_slow(descr);
}
// Numbers and booleans that the processor computes with: neither complex nor half precision.
inline bool is_elementary(DType t) { return t != no_dtype && !is_complex(t) && computed(t) == t; }
// A cast that can neither raise a floating-point event nor lose an imaginary part.
bool quiet_cast(DType from, DType to);
inline PyArray_Descr* descr_of(DType t) { return descr_of_num[num_of_dtype[static_cast<int>(t)]]; }
template <class E>
inline size_t index(E t)
    requires std::is_enum_v<E>
{
    return static_cast<size_t>(t);
}

void init_dtypes();  // needs NumPy's API

// Whether elements are bytes that may simply be copied: neither references nor memory of their own.
inline bool is_movable(PyArray_Descr* descr) {
    return descr->type_num < n_type_nums && !PyDataType_REFCHK(descr) &&
           PyDataType_ELSIZE(descr) > 0;
}

inline bool same_shape(const Fields* f, const Fields* g) {
    if (f->nd != g->nd) return false;
    for (int d = 0; d < f->nd; ++d)
        if (f->dimensions[d] != g->dimensions[d]) return false;
    return true;
}

// The shape of arrays that are broadcast together.
struct BroadcastShape {
    int nd = 0;
    npy_intp dims[NPY_MAXDIMS];

    // False: it does not go with the others.
    bool add(const Fields* f);
};
// The strides of `f` broadcast to a shape. False: its shape does not go with it.
bool broadcast_strides(const Fields* f, int nd, const npy_intp* dims, npy_intp* strides);

// Whether the elements follow each other in C order, each where the processor wants it.
inline bool is_run(const Fields* f) {
    constexpr int needed = NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED;
    return (f->flags & needed) == needed;
}
// Whether the extents of two arrays in memory do not meet.
bool disjoint(const Fields* f, const Fields* g);
// Whether no byte belongs to two elements. False may be wrong.
bool is_injective(const Fields* f);

}  // namespace raptors
