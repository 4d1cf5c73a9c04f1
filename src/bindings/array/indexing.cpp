#include "array/indexing.h"

#include <algorithm>
#include <cstring>

#include "api/table.h"
#include "array/free_lists.h"
#include "array/masked.h"
#include "array/selection.h"
#include "creation/copying.h"
#include "ops/elementwise.h"
#include "python/operand.h"
#include "runtime/threads.h"

namespace py = pybind11;

namespace raptors {

Entry *getitem_entry, *setitem_entry;

namespace {

// NumPy's scalar; one of a structure is a view of the very array.
PyObject* element(PyObject* self, DType t, char* data) {
    if (t == DType::float64) {
        PyObject* s = PyArrayScalar_New(Double);
        if (s) std::memcpy(&PyArrayScalar_VAL(s, Double), data, sizeof(double));
        return s;
    }
    return PyArray_Scalar(data, fields(self)->descr, t == no_dtype ? self : nullptr);
}

// a['name']: a view of a field, which is no array itself. nullptr without an error: NumPy judges.
PyObject* field(PyObject* self, PyObject* name) {
    Fields* const f = fields(self);
    if (!PyDataType_HASFIELDS(f->descr)) return decline(Why::index);
    PyObject* const found = PyDict_GetItemWithError(PyDataType_FIELDS(f->descr), name);
    if (!found) return PyErr_Occurred() ? nullptr : decline(Why::index);
    auto* const descr = reinterpret_cast<PyArray_Descr*>(PyTuple_GET_ITEM(found, 0));
    npy_intp const offset = PyLong_AsSsize_t(PyTuple_GET_ITEM(found, 1));
    if (PyDataType_HASSUBARRAY(descr) || !PyDataType_ELSIZE(descr)) return decline(Why::dtype);
    PyObject* const view =
        new_view(self, f->nd, f->dimensions, f->strides, f->data + offset, descr);
    if (view)
        count_native(getitem_entry, column_of(f->descr), Layout::strided, f->nd, f->dimensions);
    return view;
}

// The rest of get_item and set_item, apart from them: a single element is not to pay for it.
__attribute__((noinline)) PyObject* get_part(PyObject* self, DType t, PyObject* key) {
    Fields* const f = fields(self);
    if (is_mask(key))
        if (PyObject* const out = compressed(getitem_entry, self, key); out || PyErr_Occurred())
            return out;
    if (PyUnicode_CheckExact(key)) return field(self, key);
    py::object lists;
    if (has_lists(key)) {
        lists = without_lists(key);
        if (!lists) return PyErr_Occurred() ? nullptr : decline(Why::index);
        key = lists.ptr();
    }
    Selection part;
    switch (parse_key(f, key, true, part)) {
        case Parsed::error:
            return nullptr;
        case Parsed::no:
            return decline(Why::index);
        case Parsed::yes:
            break;
    }
    if (part.indices) {
        PyObject* const out = selected(self, part);
        if (out)
            count_native(getitem_entry, column_of(f->descr), Layout::strided, f->nd, f->dimensions);
        return out;
    }
    if (part.element) {
        count_native(getitem_entry, column_of(f->descr), Layout::scalar, f->nd, f->dimensions);
        return element(self, t, part.data);
    }
    PyObject* view = new_view(self, part.nd, part.dims, part.strides, part.data, f->descr);
    if (view)
        count_native(getitem_entry, column_of(f->descr), Layout::strided, f->nd, f->dimensions);
    return view;
}

__attribute__((noinline)) int set_part(PyObject* self, DType t, PyObject* key, PyObject* value) {
    Fields* const f = fields(self);
    if (is_mask(key) && fields(key)->nd == f->nd) {
        int const done = assign_masked(f, key, value);
        if (done == 0) count_native(setitem_entry, f);
        if (done <= 0) return done;
    }
    py::object lists;
    if (has_lists(key)) {
        lists = without_lists(key);
        if (!lists && PyErr_Occurred()) return -1;
        // Items of a list may have run any code.
        if (!lists || !(f->flags & NPY_ARRAY_WRITEABLE) || dtype_of(f->descr) != t)
            return refuse_item(Why::index);
        key = lists.ptr();
    }
    Selection part;
    switch (parse_key(f, key, false, part)) {
        case Parsed::error:
            return -1;
        case Parsed::no:
            return refuse_item(Why::index);
        case Parsed::yes:
            break;
    }
    // Numbers of slices may have run any code, too.
    if (!(f->flags & NPY_ARRAY_WRITEABLE)) return refuse_item(Why::value);
    int const done = part.indices
                         ? put_selected(self, part, value)
                         : assign(part.data, part.nd, part.dims, part.strides, f->descr, value);
    if (done == 0)
        count_native(setitem_entry, column_of(f->descr),
                     part.element ? Layout::scalar : Layout::strided, f->nd, f->dimensions);
    return done == 1 && !part.indices ? refuse_item(Why::value) : done;
}

}  // namespace

PyObject* get_item(PyObject* self, PyObject* key) {
    Fields* const f = fields(self);
    DType const t = dtype_of(f->descr);
    if (!active().table) return decline(Why::disabled);
    if (char* const data = locate(f, key)) {
        Column const column =
            t != no_dtype ? static_cast<Column>(t) : column_without_kernels(f->descr);
        count_native(getitem_entry, column, Layout::scalar, f->nd, f->dimensions);
        return element(self, t, data);
    }
    return get_part(self, t, key);
}

int set_item(PyObject* self, PyObject* key, PyObject* value) {
    Fields* const f = fields(self);
    DType const t = dtype_of(f->descr);
    if (!active().table) return refuse_item(Why::disabled);
    if (!(f->flags & NPY_ARRAY_WRITEABLE) || (f->flags & warn_on_write) ||
        (t == no_dtype && !is_exact(value)))
        return refuse_item(Why::dtype);
    if (char* const data = t != no_dtype ? locate(f, key) : nullptr) {
        Element bytes;
        if (t == DType::float64 && PyFloat_Check(value)) {
            double const v = PyFloat_AS_DOUBLE(value);
            std::memcpy(data, &v, sizeof v);
        } else if (scalar_element(value, t, bytes)) {
            std::memcpy(data, bytes, static_cast<size_t>(item_size(t)));
        } else {
            return is_exact(value) ? set_part(self, t, key, value) : refuse_item(Why::value);
        }
        count_native(setitem_entry, t, Layout::scalar, f->nd, f->dimensions);
        return 0;
    }
    return set_part(self, t, key, value);
}

PyObject* get_sequence_item(PyObject* self, Py_ssize_t at) {
    Fields* const f = fields(self);
    if (!active().table) return decline(Why::disabled);
    // Who counts from the end has added the length.
    if (!f->nd || at < 0 || at >= f->dimensions[0]) return decline(Why::index);
    char* const data = f->data + at * f->strides[0];
    if (f->nd > 1)
        return new_view(self, f->nd - 1, f->dimensions + 1, f->strides + 1, data, f->descr);
    return element(self, dtype_of(f->descr), data);
}

void init_indexing() {
    getitem_entry = new_entry("__getitem__");
    setitem_entry = new_entry("__setitem__");
}

}  // namespace raptors
