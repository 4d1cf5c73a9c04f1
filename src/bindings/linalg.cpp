#include "linalg.h"

#include <cmath>
#include <cstring>

#include "conversion.h"
#include "frame/fpstatus.h"
#include "operand.h"
#include "products.h"
#include "threads.h"

namespace py = pybind11;

namespace raptors {
namespace {

Signature const dot_signature = {2, 2, {"b", "out"}, {}};
Signature const norm_signature = {3, 3, {"ord", "axis", "keepdims"}, {}};
constexpr npy_intp longest_locked = 500;  // products; NumPy, too, releases the GIL

// A vector that NumPy hands to its dot function as it is.
struct Vector {
    char* data;
    npy_intp stride;
};

// Their product as an element. False: an event of which NumPy (the newer ones) tells.
bool dot(PyArray_Descr* descr, const Vector& x, const Vector& y, npy_intp n, char* element) {
    PyArray_DotFunc* const function = PyDataType_GetArrFuncs(descr)->dotfunc;
    clear_any_fp_status();
    PyThreadState* const state = n > longest_locked ? PyEval_SaveThread() : nullptr;
    function(x.data, x.stride, y.data, y.stride, element, n, nullptr);
    if (state) take_gil(state);
    if (!any_fp_status()) return true;
    clear_fp_status();
    declined = Why::value;
    return false;
}

// Whether NumPy goes through the elements where they lie, and in steps that its BLAS takes.
bool is_vector(const Fields* f) {
    npy_intp const size = PyDataType_ELSIZE(f->descr);
    return f->nd == 1 && (f->flags & NPY_ARRAY_ALIGNED) && f->strides[0] > 0 &&
           f->strides[0] % size == 0;
}

template <class T>
void root(char* element) {
    T value;
    std::memcpy(&value, element, sizeof value);
    value = std::sqrt(value);
    std::memcpy(element, &value, sizeof value);
}

}  // namespace

PyObject* dot_of_vectors(Entry* entry, PyObject* a, PyObject* b) {
    Fields const *const f = fields(a), *const g = fields(b);
    int const num = f->descr->type_num;
    if (dtype_of(f->descr) == no_dtype || f->descr != g->descr || f->descr != descr_of_num[num])
        return decline(Why::dtype);
    // One element: NumPy multiplies, which differs in the sign of zero.
    if (!is_vector(f) || !is_vector(g) || f->dimensions[0] != g->dimensions[0] ||
        f->dimensions[0] < 2)
        return decline(Why::shape);
    alignas(8) char element[8];
    if (!dot(f->descr, {f->data, f->strides[0]}, {g->data, g->strides[0]}, f->dimensions[0],
             element))
        return nullptr;
    count_numpy(entry, Why::loop, a);
    return as_scalar(element, dtype_of(f->descr), num);
}

PyObject* dot_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                     Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    auto const what = static_cast<Dot>(which);
    PyObject* slots[max_parameters];
    if (!dot_signature.parse(args, nargs, kwnames, slots) || !slots[0] ||
        (what != Dot::dot && (kwnames || nargs != 1)))
        return decline(Why::keyword);
    PyObject* const out = is_none(slots[1]) ? nullptr : slots[1];
    PyObject* const other = slots[0];
    if (!is_exact(self) || !is_exact(other)) return decline(Why::type);
    Fields const *const f = fields(self), *const g = fields(other);
    if (what != Dot::vdot && (f->nd > 1 || g->nd > 1))
        return product(what == Dot::dot ? Contraction::dot : Contraction::inner, entry, self, other,
                       out);
    if (out) return decline(Why::keyword);
    // vdot copies what is not contiguous.
    if (what == Dot::vdot && !(f->flags & g->flags & NPY_ARRAY_C_CONTIGUOUS))
        return decline(Why::shape);
    return dot_of_vectors(entry, self, other);
}

// numpy.linalg.norm of all elements: the root of their product with themselves, in memory order.
PyObject* norm_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                      PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (!is_exact(self)) return decline(Why::type);
    PyObject* slots[max_parameters];
    bool keepdims;
    if (!norm_signature.parse(args, nargs, kwnames, slots) || !is_none(slots[1]) ||
        !parse_flag(slots[2], &keepdims) || keepdims)
        return decline(Why::keyword);
    Fields const* f = fields(self);
    npy_intp order;
    if (!is_none(slots[0]) && !(f->nd == 1 && parse_integer(slots[0], &order) && order == 2) &&
        !(f->nd == 2 && PyUnicode_CheckExact(slots[0]) &&
          (PyUnicode_CompareWithASCIIString(slots[0], "fro") == 0 ||
           PyUnicode_CompareWithASCIIString(slots[0], "f") == 0)))
        return decline(Why::keyword);
    DType t = dtype_of(f->descr);
    if (t == no_dtype) return decline(Why::dtype);
    constexpr int one_run = NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_F_CONTIGUOUS;
    npy_intp const n = size_of(f);
    if (!(f->flags & one_run) || !(f->flags & NPY_ARRAY_ALIGNED) || n < 2)
        return decline(Why::shape);
    py::object floats;
    if (!is_floating(t)) {
        t = DType::float64;
        floats = py::reinterpret_steal<py::object>(converted(self, descr_of(t), true));
        if (!floats) return nullptr;
        f = fields(floats.ptr());
    }
    PyArray_Descr* const descr = descr_of(t);
    Vector const x = {f->data, size_of(t)};
    alignas(8) char element[8];
    if (!dot(descr, x, x, n, element)) return nullptr;
    if (t == DType::float64)
        root<double>(element);
    else
        root<float>(element);
    count_numpy(entry, Why::loop, self);
    return as_scalar(element, t, num_of_dtype[index(t)]);
}

}  // namespace raptors
