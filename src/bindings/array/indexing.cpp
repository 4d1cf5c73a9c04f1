#include "array/indexing.h"

#include <algorithm>
#include <cstring>

#include "api/table.h"
#include "array/free_lists.h"
#include "array/selection.h"
#include "creation/from_objects.h"
#include "ops/elementwise.h"
#include "python/operand.h"
#include "runtime/threads.h"

namespace py = pybind11;

namespace raptors {

Entry *getitem_entry, *setitem_entry;

namespace {

constexpr double masked_cost = 0.1;  // nanoseconds for an element

enum class Parsed { yes, no, error };

bool is_index(PyObject* x) { return PyLong_CheckExact(x); }
// Of integers; booleans are masks.
bool is_index_array(PyObject* x) {
    return is_exact(x) && PyTypeNum_ISINTEGER(fields(x)->descr->type_num) && fields(x)->nd;
}

// 0 <= i < n after wrapping; false: NumPy raises.
bool wrap_index(PyObject* x, npy_intp n, npy_intp* i) {
    int overflow = 0;
    long long v = PyLong_AsLongLongAndOverflow(x, &overflow);
    if (overflow) return false;
    if (v < 0) v += n;
    *i = v;
    return v >= 0 && v < n;
}

// The element that an integer for each axis selects. nullptr: the key is no such one, or out of
// range.
char* locate(const Fields* f, PyObject* key) {
    npy_intp at;
    if (is_index(key))
        return f->nd == 1 && wrap_index(key, f->dimensions[0], &at) ? f->data + at * f->strides[0]
                                                                    : nullptr;
    if (!PyTuple_CheckExact(key) || PyTuple_GET_SIZE(key) != f->nd) return nullptr;
    char* data = f->data;
    for (int d = 0; d < f->nd; ++d) {
        PyObject* const x = PyTuple_GET_ITEM(key, d);
        if (!is_index(x) || !wrap_index(x, f->dimensions[d], &at)) return nullptr;
        data += at * f->strides[d];
    }
    return data;
}

Parsed parse(const Fields* f, PyObject* key, Selection& part) {
    PyObject* const* items = &key;
    Py_ssize_t n = 1;
    if (PyTuple_CheckExact(key)) {
        items = reinterpret_cast<PyTupleObject*>(key)->ob_item;
        n = PyTuple_GET_SIZE(key);
        if (n > NPY_MAXDIMS) return Parsed::no;
    }
    int used = 0, made = 0;
    bool ellipsis = false;
    part.indices = nullptr;
    Py_ssize_t first = n, last = -1, arrays = 0;  // among integers and arrays of integers
    for (Py_ssize_t i = 0; i < n; ++i) {
        PyObject* x = items[i];
        bool const is_array = is_index_array(x);
        if (is_index(x) || is_array) {
            ++used;
            first = std::min(first, i);
            last = i;
            arrays += is_array;
        } else if (PySlice_Check(x)) {
            ++used;
        } else if (x == Py_None)
            ++made;
        else if (x == Py_Ellipsis && !ellipsis)
            ellipsis = true;
        else
            return Parsed::no;
    }
    if (used > f->nd || f->nd - used + made > NPY_MAXDIMS) return Parsed::no;
    auto const indices = static_cast<int>(last + 1 - first);
    // Beside arrays integers are arrays, too, and where others lie between NumPy puts their axes
    // first.
    for (Py_ssize_t i = first; arrays && i < last; ++i)
        if (!is_index(items[i]) && !is_index_array(items[i])) return Parsed::no;
    part.data = f->data;
    part.nd = 0;
    bool only_integers = !ellipsis && !made && used == f->nd;
    int axis = 0;
    auto keep = [&](npy_intp dim, npy_intp stride) {
        part.dims[part.nd] = dim;
        part.strides[part.nd++] = stride;
    };
    for (Py_ssize_t i = 0; i < n; ++i) {
        PyObject* x = items[i];
        if (x == Py_None) {
            keep(1, 0);
        } else if (x == Py_Ellipsis) {
            for (int skip = f->nd - used; skip > 0; --skip, ++axis)
                keep(f->dimensions[axis], f->strides[axis]);
        } else if (PySlice_Check(x)) {
            Py_ssize_t start, stop, step;
            if (PySlice_Unpack(x, &start, &stop, &step) < 0) return Parsed::error;
            Py_ssize_t const len = PySlice_AdjustIndices(f->dimensions[axis], &start, &stop, step);
            if (len > 0) part.data += start * f->strides[axis];
            npy_intp stride;
            if (__builtin_mul_overflow(f->strides[axis], step, &stride)) return Parsed::no;
            // NumPy leaves the stride of a slice of length 0 or 1 as the product, too.
            keep(len, stride);
            only_integers = false;
            ++axis;
        } else if (arrays) {
            if (i == first) part.indexed = part.nd;
            keep(f->dimensions[axis], f->strides[axis]);
            only_integers = false;
            ++axis;
        } else {
            npy_intp at;
            if (!wrap_index(x, f->dimensions[axis], &at)) return Parsed::no;
            part.data += at * f->strides[axis];
            ++axis;
        }
    }
    for (; axis < f->nd; ++axis) keep(f->dimensions[axis], f->strides[axis]);
    part.element = only_integers;
    if (arrays && indices == 1) part.indices = items[first];
    if (arrays && indices > 1 && !combine_indices(items + first, part.indexed, indices, part))
        return PyErr_Occurred() ? Parsed::error : Parsed::no;
    return Parsed::yes;
}

// NumPy's scalar; one of a structure is a view of the very array.
PyObject* element(PyObject* self, DType t, char* data) {
    if (t == DType::float64) {
        PyObject* s = PyArrayScalar_New(Double);
        if (s) std::memcpy(&PyArrayScalar_VAL(s, Double), data, sizeof(double));
        return s;
    }
    return PyArray_Scalar(data, fields(self)->descr, t == no_dtype ? self : nullptr);
}

bool is_mask(PyObject* key) {
    return is_exact(key) && fields(key)->descr == descr_of(DType::boolean);
}

// A mask of the array's own shape, both without gaps, of elements that are bytes.
bool takes_mask(const Fields* f, const Fields* mask) {
    declined = Why::dtype;
    if (!is_movable(f->descr)) return false;
    declined = Why::index;
    return f->nd && f->flags & mask->flags & NPY_ARRAY_C_CONTIGUOUS && same_shape(f, mask);
}

// a[mask]
PyObject* compressed(const Table& table, Entry* entry, const Fields* f, PyObject* key) {
    Fields const* const mask = fields(key);
    if (!takes_mask(f, mask)) return nullptr;
    npy_intp const n = count_of(f);
    npy_intp const total = table.count_true(mask->data, n);
    PyObject* const out = new_array(1, &total, f->descr);
    if (!out) return nullptr;
    table.compress(mask->data, f->data, fields(out)->data, n, total, PyDataType_ELSIZE(f->descr));
    count_native(entry, column_of(f->descr), Layout::contiguous, f->nd, f->dimensions);
    return out;
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

// a[mask] = value, of one element.
void fill_masked(const Table& table, const Fields* f, const Fields* mask, const char* value) {
    Nest nest;
    nest.ndim = 1;
    nest.operands = 2;
    nest.shape[0] = count_of(f);
    nest.data[0] = mask->data;
    nest.data[1] = f->data;
    nest.strides[0][0] = 1;
    nest.strides[1][0] = PyDataType_ELSIZE(f->descr);
    run_long(nest.shape[0], masked_cost, [&](WorkSplit split) {
        for_parts(nest, split, [&](const Nest& part) {
            table.fill_masked(part.data[0], value, part.data[1], part.shape[0], part.strides[1][0]);
            return true;
        });
    });
}

// a[mask] = value, as set_item.
int assign_masked(const Table& table, const Fields* f, PyObject* key, PyObject* value) {
    Fields const* const mask = fields(key);
    if (!takes_mask(f, mask) || !disjoint(mask, f)) return 1;
    if (!is_exact(value)) {
        DType const t = dtype_of(f->descr);
        Element element;
        declined = Why::value;
        if (t == no_dtype || !scalar_element(value, t, element)) return 1;
        fill_masked(table, f, mask, element);
        return 0;
    }
    if (fields(value)->nd > 1 || !disjoint(fields(value), f)) return 1;
    auto values = py::reinterpret_steal<py::object>(as_values(f->descr, value));
    if (values && !(fields(values.ptr())->flags & NPY_ARRAY_C_CONTIGUOUS))
        values = py::reinterpret_steal<py::object>(c_ordered(values.ptr()));
    if (!values) return PyErr_Occurred() ? -1 : 1;
    Fields const* const v = fields(values.ptr());
    npy_intp const n = count_of(f), total = table.count_true(mask->data, n),
                   size = PyDataType_ELSIZE(f->descr);
    if (count_of(v) == 1) {
        fill_masked(table, f, mask, v->data);
        return 0;
    }
    declined = Why::shape;
    if (v->nd != 1 || v->dimensions[0] != total) return 1;
    run_long(n, masked_cost,
             [&](WorkSplit) { table.expand(mask->data, v->data, f->data, n, total, size); });
    return 0;
}

bool has_lists(PyObject* key) {
    if (PyList_CheckExact(key)) return true;
    if (!PyTuple_CheckExact(key)) return false;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(key); ++i)
        if (PyList_CheckExact(PyTuple_GET_ITEM(key, i))) return true;
    return false;
}

// The key with arrays of integers for lists. Null: declined, or an error is set.
py::object without_lists(PyObject* key) {
    if (PyList_CheckExact(key)) return index_list(key);
    Py_ssize_t const n = PyTuple_GET_SIZE(key);
    auto copy = py::reinterpret_steal<py::object>(PyTuple_New(n));
    for (Py_ssize_t i = 0; copy && i < n; ++i) {
        PyObject* const x = PyTuple_GET_ITEM(key, i);
        PyObject* const item = PyList_CheckExact(x) ? index_list(x).release().ptr() : new_ref(x);
        if (!item) return {};
        PyTuple_SET_ITEM(copy.ptr(), i, item);
    }
    return copy;
}

// The rest of get_item and set_item, apart from them: a single element is not to pay for it.
__attribute__((noinline)) PyObject* get_part(PyObject* self, DType t, PyObject* key) {
    Fields* const f = fields(self);
    if (is_mask(key)) return compressed(*active().table, getitem_entry, f, key);
    if (PyUnicode_CheckExact(key)) return field(self, key);
    py::object lists;
    if (has_lists(key)) {
        lists = without_lists(key);
        if (!lists) return PyErr_Occurred() ? nullptr : decline(Why::index);
        key = lists.ptr();
    }
    Selection part;
    switch (parse(f, key, part)) {
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
    if (is_mask(key)) {
        int const done = assign_masked(*active().table, f, key, value);
        if (done == 0)
            count_native(setitem_entry, column_of(f->descr), Layout::contiguous, f->nd,
                         f->dimensions);
        return done;
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
    switch (parse(f, key, part)) {
        case Parsed::error:
            return -1;
        case Parsed::no:
            return refuse_item(Why::index);
        case Parsed::yes:
            break;
    }
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
    if (char* const data = t != no_dtype ? locate(f, key) : nullptr) {
        count_native(getitem_entry, t, Layout::scalar, f->nd, f->dimensions);
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
            return refuse_item(Why::value);
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

PyObject* copyto_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                        PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (nargs != 1 || kwnames) return decline(Why::keyword);
    PyObject* const from = args[0];
    if (!is_exact(self) || !is_exact(from)) return decline(Why::type);
    Fields const* const f = fields(self);
    if (!(f->flags & NPY_ARRAY_WRITEABLE) || (f->flags & warn_on_write)) return decline(Why::value);
    if (!PyArray_CanCastTypeTo(fields(from)->descr, f->descr, NPY_SAME_KIND_CASTING))
        return decline(Why::dtype);
    int const done = assign(f->data, f->nd, f->dimensions, f->strides, f->descr, from);
    if (done) return done < 0 ? nullptr : decline(Why::value);
    count_native(entry, column_of(f->descr), layout_of(f), f->nd, f->dimensions);
    Py_RETURN_NONE;
}

PyObject* compress_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                          Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (kwnames || nargs != (self ? 1 : 2)) return decline(Why::keyword);
    PyObject *const mask = args[0], *const array = self ? self : args[1];
    if (!is_ours(array) || !is_mask(mask)) return decline(Why::type);
    Fields const* const f = fields(array);
    if (which == 0 && f->nd != 1) return decline(Why::shape);
    return compressed(*active().table, entry, f, mask);
}

void init_indexing() {
    getitem_entry = new_entry("__getitem__");
    setitem_entry = new_entry("__setitem__");
}

}  // namespace raptors
