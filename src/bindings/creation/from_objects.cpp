#include "creation/from_objects.h"

#include <cstring>
#include <utility>

#include "api/table.h"
#include "array/free_lists.h"
#include "creation/copying.h"
#include "creation/joining.h"
#include "frame/fp/fpstatus.h"
#include "frame/nest/axes.h"
#include "frame/nest/overlap.h"
#include "frame/run/iterate.h"
#include "frame/run/move.h"
#include "ops/elementwise.h"
#include "python/operand.h"

namespace py = pybind11;

namespace raptors {
namespace {

Signature asarray_signature = {2, 2, {"dtype", "order"}, {}};
Signature array_signature = {5, 1, {"dtype", "copy", "order", "subok", "ndmin"}, {}};
Signature frombuffer_signature = {4, 4, {"buffer", "dtype", "count", "offset"}, {}};
Signature fromiter_signature = {3, 3, {"iter", "dtype", "count"}, {}};
Signature order_signature = {1, 1, {"order"}, {}};
Signature astype_signature = {5, 5, {"dtype", "order", "casting", "subok", "copy"}, {}};

// ---- nested lists of numbers
constexpr int deepest = 8;

// What array() finds in a list or tuple: a regular nest of Python's numbers and NumPy's float64,
// the types that it meets without asking any of them. No Python code runs here, so nothing changes
// meanwhile.
struct FoundNumbers {
    int nd = 0;
    npy_intp dims[deepest] = {};
    bool floats = false, integers = false, booleans = false;
};

// Looks into `sequence` at depth `level`. False: NumPy judges.
bool survey(PyObject* sequence, int level, FoundNumbers& found) {
    Py_ssize_t const n = PySequence_Fast_GET_SIZE(sequence);
    PyObject* const* const items = PySequence_Fast_ITEMS(sequence);
    if (n == 0 || level == deepest) return false;
    if (found.dims[level] == 0)
        found.dims[level] = n;
    else if (found.dims[level] != n)
        return false;
    if (is_sequence(items[0])) {
        for (Py_ssize_t i = 0; i < n; ++i)
            if (!is_sequence(items[i]) || !survey(items[i], level + 1, found)) return false;
        return true;
    }
    if (found.nd == 0)
        found.nd = level + 1;
    else if (found.nd != level + 1)
        return false;
    Py_ssize_t first = 0;
    while (first < n && PyFloat_CheckExact(items[first])) ++first;
    found.floats |= first > 0;
    for (Py_ssize_t i = first; i < n; ++i) {
        PyTypeObject* const type = Py_TYPE(items[i]);
        if (type == &PyFloat_Type || type == &PyDoubleArrType_Type)
            found.floats = true;
        else if (type == &PyLong_Type)
            found.integers = true;
        else if (type == &PyBool_Type)
            found.booleans = true;
        else
            return false;
    }
    return true;
}

bool is_number(PyObject* x) {
    return PyFloat_CheckExact(x) || PyLong_CheckExact(x) || PyBool_Check(x) ||
           Py_IS_TYPE(x, &PyDoubleArrType_Type);
}

// One number as an element. False: it does not fit, NumPy judges.
bool store_number(PyObject* x, DType t, char* to) {
    if (t == DType::float64) {
        double v;
        if (PyFloat_Check(x)) {  // NumPy's float64 is one, too
            v = PyFloat_AS_DOUBLE(x);
        } else {
            npy_intp whole;
            if (x == Py_True || x == Py_False)
                whole = x == Py_True;
            else if (!parse_integer(x, &whole))
                return false;
            v = static_cast<double>(whole);
        }
        std::memcpy(to, &v, sizeof v);
        return true;
    }
    if (npy_intp whole; t == DType::int64 && PyLong_CheckExact(x)) {
        if (!parse_integer(x, &whole)) return false;
        std::memcpy(to, &whole, sizeof whole);
        return true;
    }
    Element element;
    if (PyBool_Check(x)) {
        if (is_inexact(t)) return false;
        std::memset(element, 0, sizeof element.bytes);
        element[__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0 : item_size(t) - 1] = x == Py_True;
    } else if (!scalar_element(x, t, element)) {
        return false;
    }
    std::memcpy(to, element, static_cast<size_t>(item_size(t)));
    return true;
}

// What lies in front of the first item that is none of Python's floats: most lists are all floats.
Py_ssize_t store_floats(PyObject* const* items, Py_ssize_t n, char* to) {
    Py_ssize_t i = 0;
    for (; i < n && PyFloat_CheckExact(items[i]); ++i) {
        double const v = PyFloat_AS_DOUBLE(items[i]);
        std::memcpy(to + i * static_cast<Py_ssize_t>(sizeof v), &v, sizeof v);
    }
    return i;
}

bool store_numbers(PyObject* sequence, DType t, char*& to) {
    Py_ssize_t const n = PySequence_Fast_GET_SIZE(sequence);
    PyObject* const* const items = PySequence_Fast_ITEMS(sequence);
    Py_ssize_t i = 0;
    if (t == DType::float64) {
        i = store_floats(items, n, to);
        to += i * item_size(t);
    }
    for (; i < n; ++i) {
        if (is_sequence(items[i])) {
            if (!store_numbers(items[i], t, to)) return false;
        } else {
            if (!store_number(items[i], t, to)) return false;
            to += item_size(t);
        }
    }
    return true;
}

// A list or tuple as a new array; `descr` may be nullptr.
PyObject* from_sequence(Entry* entry, PyObject* sequence, PyArray_Descr* descr) {
    Py_ssize_t const n = PySequence_Fast_GET_SIZE(sequence);
    if (n && is_exact(PySequence_Fast_ITEMS(sequence)[0]))
        return descr ? decline(Why::type) : stacked(entry, PySequence_Fast_ITEMS(sequence), n);
    FoundNumbers found;
    if (!survey(sequence, 0, found)) return decline(Why::type);
    if (!descr)
        descr = descr_of(found.floats     ? DType::float64
                         : found.integers ? DType::int64
                                          : DType::boolean);
    DType const t = dtype_of(descr);
    if (t == DType::boolean && (found.floats || found.integers)) return decline(Why::value);
    PyObject* out = new_array(found.nd, found.dims, descr);
    if (!out) return nullptr;
    char* to = fields(out)->data;
    if (!store_numbers(sequence, t, to)) {
        Py_DECREF(out);
        return decline(Why::value);
    }
    count_native(entry, t, Layout::contiguous, found.nd, found.dims);
    return out;
}

// An exact array as ours without a copy, or itself where it is not ours to make.
PyObject* as_ours(PyObject* self) {
    Fields* const f = fields(self);
    return is_ours(self) || !is_adopted(f->descr, f->nd)
               ? new_ref(self)
               : new_view(self, f->nd, f->dimensions, f->strides, f->data, f->descr);
}

constexpr npy_intp no_strides[NPY_MAXDIMS] = {};

// Every element becomes `value`, as NumPy stores it. False: an error is set.
bool fill_bytes(Fields* f, PyObject* value) {
    auto const descr = py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(f->descr));
    auto const size = static_cast<size_t>(PyDataType_ELSIZE(f->descr));
    alignas(16) char small[64] = {};
    char* const element = size <= sizeof small ? small : static_cast<char*>(PyMem_Calloc(1, size));
    if (!element) {
        PyErr_NoMemory();
        return false;
    }
    bool done = PyArray_Pack(f->descr, element, value) == 0;
    if (done && f->descr != reinterpret_cast<PyArray_Descr*>(descr.ptr())) {
        PyErr_SetString(PyExc_RuntimeError, "reading the value changed the array's dtype");
        done = false;  // NumPy's own fill is no way out: it uses the old dtype after its end
    }
    if (done)
        move_elements(f->nd, f->dimensions, element, no_strides, f->data, f->strides,
                      static_cast<npy_intp>(size));
    if (element != small) PyMem_Free(element);
    return done;
}

// Whether the elements lie as asked for, in C or Fortran order.
bool is_in(Order order, const Fields* f) {
    return (order == Order::c && f->flags & NPY_ARRAY_C_CONTIGUOUS) ||
           (order == Order::fortran && f->flags & NPY_ARRAY_F_CONTIGUOUS);
}

}  // namespace

PyObject* array_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                       PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    bool const list = is_sequence(self);
    if (!list && !is_exact(self)) return decline(Why::type);
    PyObject* slots[max_parameters];
    if (!array_signature.parse(args, nargs, kwnames, slots)) return decline(Why::keyword);
    PyObject *const dtype = slots[0], *const copy = slots[1];
    Order order = Order::keep;
    bool subok;
    if (!is_none(slots[2]) && !parse_order(slots[2], &order)) return decline(Why::keyword);
    npy_intp ndmin = 0;
    if ((copy && copy != Py_True && copy != Py_None) || !parse_flag(slots[3], &subok) ||
        (slots[4] && (!parse_integer(slots[4], &ndmin) || ndmin > 1)))
        return decline(Why::keyword);
    PyArray_Descr* descr = nullptr;
    if (!parse_dtype(dtype, &descr)) return nullptr;
    if (list)
        return order == Order::fortran ? decline(Why::keyword) : from_sequence(entry, self, descr);
    Fields* const f = fields(self);
    if (f->nd < ndmin) return decline(Why::shape);
    bool const same = !descr || descr == f->descr;
    if (!same && dtype_of(descr) == dtype_of(f->descr))
        return decline(Why::dtype);  // equivalent, such as long and longlong: perhaps a view
    if (copy == Py_None && same)
        return order == Order::keep || is_in(order, f) ? counted(entry, as_ours(self))
                                                       : decline(Why::keyword);
    if (same) return counted(entry, copied(self, order));
    return dtype_of(f->descr) == no_dtype ? decline(Why::dtype)
                                          : counted(entry, converted(self, descr, order));
}

PyObject* asarray_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                         Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    bool const list = is_sequence(self);
    if (!list && !is_exact(self)) return decline(Why::type);
    PyObject* slots[max_parameters];
    if (!asarray_signature.parse(args, nargs, kwnames, slots)) return decline(Why::keyword);
    // The others have no order=, and of lists one makes arrays in Fortran order.
    if (which && (slots[1] || (list && which == 2))) return decline(Why::keyword);
    constexpr Order of_function[] = {Order::keep, Order::c, Order::fortran};
    Order order = of_function[which];
    if (!is_none(slots[1]) && !parse_order(slots[1], &order)) return decline(Why::keyword);
    if (order == Order::any || (list && order == Order::fortran)) return decline(Why::keyword);
    PyObject* const dtype = slots[0];
    PyArray_Descr* descr = nullptr;
    if ((list || dtype != reinterpret_cast<PyObject*>(fields(self)->descr)) &&
        !parse_dtype(dtype, &descr))
        return nullptr;
    if (list) return from_sequence(entry, self, descr);
    Fields* const f = fields(self);
    if (which && f->nd == 0) return decline(Why::shape);
    bool const same = !descr || descr == f->descr;
    if (!same && dtype_of(descr) == dtype_of(f->descr)) return decline(Why::dtype);
    if (same && (order == Order::keep || is_in(order, f))) return counted(entry, as_ours(self));
    if (same) return counted(entry, copied(self, order));
    return dtype_of(f->descr) == no_dtype ? decline(Why::dtype)
                                          : counted(entry, converted(self, descr, order));
}

PyObject* copy_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                      Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (!is_exact(self)) return decline(Why::type);
    PyObject* slots[max_parameters];
    if (!order_signature.parse(args, nargs, kwnames, slots)) return decline(Why::keyword);
    Order order = which == 1 ? Order::keep : Order::c;
    if (!parse_order(slots[0], &order)) return decline(Why::keyword);
    PyObject* out = copied(self, order);
    Fields* const f = fields(self);
    if (out) count_native(entry, f);
    return out;
}

PyObject* astype_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                        PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (!is_exact(self)) return decline(Why::type);
    PyObject* slots[max_parameters];
    if (!astype_signature.parse(args, nargs, kwnames, slots) || !slots[0] || slots[3])
        return decline(Why::keyword);
    Order order = Order::keep;
    if (!parse_order(slots[1], &order)) return decline(Why::keyword);
    if (slots[2] && !is_text(slots[2], "unsafe")) return decline(Why::keyword);
    if (slots[4] && slots[4] != Py_True && slots[4] != Py_False) return decline(Why::keyword);
    Fields* const f = fields(self);
    DType const t = dtype_of(f->descr);
    if (t == no_dtype) return decline(Why::dtype);
    if (slots[0] == Py_None) return decline(Why::keyword);
    PyArray_Descr* descr = parse_dtype(slots[0]);
    if (!descr) return nullptr;
    if (slots[4] == Py_False && descr == f->descr)
        return decline(Why::keyword);  // perhaps itself: NumPy's rules
    PyObject* out = converted(self, descr, order);
    if (out) count_native(entry, t, layout_of(f), f->nd, f->dimensions);
    return out;
}

PyObject* frombuffer_native(int, Entry* entry, PyObject*, PyObject* const* args, Py_ssize_t nargs,
                            PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    npy_intp count = -1, offset = 0;
    if (!frombuffer_signature.parse(args, nargs, kwnames, slots) || !slots[0] ||
        (slots[2] && !parse_integer(slots[2], &count)) ||
        (slots[3] && !parse_integer(slots[3], &offset)))
        return decline(Why::keyword);
    PyBufferProcs const* const procs = Py_TYPE(slots[0])->tp_as_buffer;
    if (!procs || !procs->bf_getbuffer || PyArray_Check(slots[0])) return decline(Why::type);
    PyArray_Descr* const descr = parse_dtype(slots[1]);
    if (!descr) return nullptr;
    // Where a buffer has to be released, a memoryview holds it (PyArray_FromBuffer in ctors.c).
    auto owner = py::reinterpret_steal<py::object>(
        procs->bf_releasebuffer ? PyMemoryView_FromObject(slots[0]) : new_ref(slots[0]));
    if (!owner) return nullptr;
    Py_buffer view;
    int flags = NPY_ARRAY_WRITEABLE;
    if (PyObject_GetBuffer(owner.ptr(), &view, PyBUF_WRITABLE | PyBUF_SIMPLE) < 0) {
        flags = 0;
        PyErr_Clear();
        if (PyObject_GetBuffer(owner.ptr(), &view, PyBUF_SIMPLE) < 0) return nullptr;
    }
    char* const data = static_cast<char*>(view.buf);
    npy_intp const bytes = view.len;
    PyBuffer_Release(&view);
    DType const t = dtype_of(descr);
    npy_intp const size = item_size(t);
    if (offset < 0 || offset > bytes) return decline(Why::value);
    npy_intp const there = (bytes - offset) / size;
    if (count < 0 ? (bytes - offset) % size != 0 : count > there) return decline(Why::value);
    npy_intp const n = count < 0 ? there : count;
    if (!n) return decline(Why::shape);
    return counted(entry,
                   new_view_of_memory(owner.ptr(), flags, 1, &n, &size, data + offset, descr));
}

PyObject* fromiter_native(int, Entry* entry, PyObject*, PyObject* const* args, Py_ssize_t nargs,
                          PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    npy_intp count = -1;
    if (!fromiter_signature.parse(args, nargs, kwnames, slots) || !slots[0] || !slots[1] ||
        (slots[2] && !parse_integer(slots[2], &count)) || count < -1)
        return decline(Why::keyword);
    PyArray_Descr* const descr = parse_dtype(slots[1]);
    if (!descr) return nullptr;
    constexpr npy_intp too_many = npy_intp{1} << 48;
    npy_intp room = count < 0 ? PyObject_LengthHint(slots[0], 0) : count;
    if (room < 0) return nullptr;
    if (room > too_many) return decline(Why::shape);
    auto iterator = py::reinterpret_steal<py::object>(PyObject_GetIter(slots[0]));
    if (!iterator) return nullptr;
    DType const t = dtype_of(descr);
    npy_intp const size = item_size(t);
    // The iterator may run any code; nobody else sees `out` before it is full.
    auto out = py::reinterpret_steal<py::object>(new_array(1, &room, descr));
    // A new array with `length` elements and as many of the old as fit.
    auto move = [&](npy_intp length, npy_intp used) {
        auto next = py::reinterpret_steal<py::object>(new_array(1, &length, descr));
        if (next)
            std::memcpy(fields(next.ptr())->data, fields(out.ptr())->data,
                        static_cast<size_t>(used * size));
        out = std::move(next);
    };
    npy_intp i = 0;
    for (; out && (count < 0 || i < count); ++i) {
        auto item = py::reinterpret_steal<py::object>(PyIter_Next(iterator.ptr()));
        if (!item) break;
        if (i == room) {
            room += (room >> 1) + 8;
            move(room, i);
            if (!out) break;
        }
        char* const to = fields(out.ptr())->data + i * size;
        if (!(is_number(item.ptr()) && store_number(item.ptr(), t, to)) &&
            PyArray_Pack(descr, to, item.ptr()) < 0)
            return nullptr;
    }
    if (!out || PyErr_Occurred()) return nullptr;
    if (i < count) {
        PyErr_Format(PyExc_ValueError,
                     "iterator too short: Expected %zd but iterator had only %zd items.", count, i);
        return nullptr;
    }
    if (i < room) move(i, i);
    return counted(entry, out.release().ptr());
}

PyObject* fill_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                      PyObject* kwnames) {
    const Active& act = active();
    if (!act.table) return decline(Why::disabled);
    if (nargs != 1 || kwnames) return decline(Why::keyword);
    Fields* const f = fields(self);
    DType const t = dtype_of(f->descr);
    if (!(f->flags & NPY_ARRAY_WRITEABLE) || (f->flags & warn_on_write)) return decline(Why::value);
    if (t == no_dtype) {
        if (!is_movable(f->descr) || !has_no_holes(f->descr)) return decline(Why::dtype);
        if (!fill_bytes(f, args[0])) return nullptr;
    } else {
        Element element;
        if (!scalar_element(args[0], t, element)) return decline(Why::value);
        copy_nest(*act.table, f->nd, f->dimensions, element, no_strides, t, f->data, f->strides, t);
    }
    count_native(entry, f);
    Py_RETURN_NONE;
}

}  // namespace raptors
