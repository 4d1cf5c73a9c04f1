#include "linalg/norm.h"

#include <cmath>
#include <cstring>

#include "creation/from_objects.h"
#include "frame/fp/fpstatus.h"
#include "linalg/product.h"
#include "python/operand.h"
#include "runtime/threads.h"

namespace py = pybind11;

namespace raptors {
namespace {

Signature const dot_signature = {2, 2, {"b", "out"}, {}};
Signature const norm_signature = {3, 3, {"ord", "axis", "keepdims"}, {}};
constexpr npy_intp longest_locked = 500;  // products; NumPy, too, releases the GIL

// The product of n contiguous elements with themselves. False: an event of which NumPy (the newer
// ones) tells.
bool dot_with_itself(PyArray_Descr* descr, char* data, npy_intp n, char* element) {
    npy_intp const step = PyDataType_ELSIZE(descr);
    PyArray_DotFunc* const function = PyDataType_GetArrFuncs(descr)->dotfunc;
    clear_any_fp_status();
    PyThreadState* const state = n > longest_locked ? PyEval_SaveThread() : nullptr;
    function(data, step, data, step, element, n, nullptr);
    if (state) take_gil(state);
    if (!any_fp_status()) return true;
    clear_fp_status();
    declined = Why::value;
    return false;
}

template <class T>
void root(char* element) {
    T value;
    std::memcpy(&value, element, sizeof value);
    value = std::sqrt(value);
    std::memcpy(element, &value, sizeof value);
}

}  // namespace

PyObject* dot_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                     Py_ssize_t nargs, PyObject* kwnames) {
    auto const what = static_cast<Contraction>(which);
    PyObject* slots[max_parameters];
    if (!dot_signature.parse(args, nargs, kwnames, slots) || !slots[0] ||
        (what != Contraction::dot && (kwnames || nargs != 1)))
        return decline(Why::keyword);
    return product(what, entry, self, slots[0], is_none(slots[1]) ? nullptr : slots[1]);
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
        !(f->nd == 2 && (is_text(slots[0], "fro") || is_text(slots[0], "f"))))
        return decline(Why::keyword);
    DType t = dtype_of(f->descr);
    if (!is_elementary(t)) return decline(Why::dtype);
    constexpr int one_run = NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_F_CONTIGUOUS;
    npy_intp const n = count_of(f);
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
    Element element;
    if (!dot_with_itself(descr, f->data, n, element)) return nullptr;
    if (t == DType::float64)
        root<double>(element);
    else
        root<float>(element);
    count_numpy(entry, Why::loop, self);
    return as_scalar(element, t, num_of_dtype[index(t)]);
}

}  // namespace raptors
