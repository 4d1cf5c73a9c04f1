#include "array/choosing.h"

#include <algorithm>

#include "array/free_lists.h"
#include "array/index_key.h"
#include "array/masked.h"
#include "creation/from_shape.h"
#include "ops/elementwise.h"
#include "python/operand.h"

namespace py = pybind11;

namespace raptors {
namespace {

Signature const choose_signature = {3, 3, {"choices", "out", "mode"}, {}};
Signature const select_signature = {3, 3, {"condlist", "choicelist", "default"}, {}};
constexpr Py_ssize_t max_choices = 16;  // each is one pass over the result
constexpr int most_dims = 32;           // from there on NumPy refuses

// Arrays of one dtype, in a list or tuple. False: declined.
bool are_alike(PyObject* choices, BroadcastShape& shape) {
    if (!is_sequence(choices)) return refuse(Why::type);
    Py_ssize_t const n = PySequence_Fast_GET_SIZE(choices);
    PyObject** const items = PySequence_Fast_ITEMS(choices);
    if (!n || n > max_choices) return refuse(Why::shape);
    for (Py_ssize_t i = 0; i < n; ++i) {
        if (!is_exact(items[i])) return refuse(Why::type);
        Fields const* const f = fields(items[i]);
        if (dtype_of(f->descr) == no_dtype || f->descr != fields(items[0])->descr)
            return refuse(Why::dtype);
        if (!shape.add(f)) return refuse(Why::shape);
    }
    return true;
}

}  // namespace

// A pass for each choice, over those elements that are its number.
PyObject* choose_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                        PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    if (!choose_signature.parse(args, nargs, kwnames, slots) || !slots[0] || !is_none(slots[1]) ||
        (slots[2] && !is_text(slots[2], "raise")))
        return decline(Why::keyword);
    if (!is_exact(self) || !fields(self)->nd) return decline(Why::type);
    Fields const* const f = fields(self);
    DType const t = dtype_of(f->descr);
    if (t == no_dtype || (kind_of(t) != 'I' && kind_of(t) != 'U')) return decline(Why::dtype);
    BroadcastShape shape;
    if (!shape.add(f) || !are_alike(slots[0], shape)) return nullptr;
    if (shape.nd > most_dims) return decline(Why::shape);
    PyObject* const choices = slots[0];
    Py_ssize_t const n = PySequence_Fast_GET_SIZE(choices);
    auto out = py::reinterpret_steal<py::object>(
        new_array(shape.nd, shape.dims, fields(PySequence_Fast_GET_ITEM(choices, 0))->descr));
    if (!out) return nullptr;
    npy_intp chosen = 0;
    for (Py_ssize_t i = 0; i < n; ++i) {
        auto const number = py::reinterpret_steal<py::object>(PyLong_FromSsize_t(i));
        auto const mask = py::reinterpret_steal<py::object>(
            number ? binary(Op::equal, self, number.ptr()) : nullptr);
        if (!mask || !is_mask(mask.ptr())) return nullptr;
        chosen += count_true(fields(mask.ptr()));
        if (!copy_where(fields(out.ptr()), fields(mask.ptr()),
                        fields(PySequence_Fast_GET_ITEM(choices, i))))
            return nullptr;
    }
    if (chosen != count_of(f)) return decline(Why::index);  // a number that is no choice's
    return counted(entry, out.release().ptr());
}

// From the last choice to the first, as NumPy: what an earlier one is chosen for stays.
PyObject* select_native(int, Entry* entry, PyObject*, PyObject* const* args, Py_ssize_t nargs,
                        PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    if (!select_signature.parse(args, nargs, kwnames, slots) || !slots[0] || !slots[1])
        return decline(Why::keyword);
    PyObject *const conditions = slots[0], *const choices = slots[1];
    BroadcastShape shape;
    if (!are_alike(conditions, shape) || !are_alike(choices, shape)) return nullptr;
    Py_ssize_t const n = PySequence_Fast_GET_SIZE(choices);
    if (n != PySequence_Fast_GET_SIZE(conditions) || !shape.nd) return decline(Why::shape);
    if (fields(PySequence_Fast_GET_ITEM(conditions, 0))->descr->type_num != NPY_BOOL)
        return decline(Why::dtype);
    PyArray_Descr* const descr = fields(PySequence_Fast_GET_ITEM(choices, 0))->descr;
    DType const t = dtype_of(descr);
    Element value{};
    // A number of a higher kind, as 0 is to booleans, makes the result another dtype.
    if (slots[2] ? !is_of_kind(slots[2], t) || !scalar_element(slots[2], t, value)
                 : t == DType::boolean)
        return decline(Why::value);
    auto out =
        py::reinterpret_steal<py::object>(filled(new_array(shape.nd, shape.dims, descr), value));
    if (!out) return nullptr;
    Fields const* const o = fields(out.ptr());
    for (Py_ssize_t i = n - 1; i >= 0; --i)
        if (!copy_where(o, fields(PySequence_Fast_GET_ITEM(conditions, i)),
                        fields(PySequence_Fast_GET_ITEM(choices, i))))
            return nullptr;
    return counted(entry, out.release().ptr());
}

}  // namespace raptors
