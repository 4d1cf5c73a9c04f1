#include "creation/from_objects.h"

#include <cstring>
#include <utility>

#include "api/table.h"
#include "array/free_lists.h"
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

// Two operands of one shape.
Nest pair(int nd, const npy_intp* dims, char* from, const npy_intp* from_strides, char* to,
          const npy_intp* to_strides) {
    Nest nest;
    nest.ndim = nd;
    nest.operands = 2;
    nest.data[0] = from;
    nest.data[1] = to;
    for (int d = 0; d < nd; ++d) {
        nest.shape[d] = dims[d];
        nest.strides[0][d] = from_strides[d];
        nest.strides[1][d] = to_strides[d];
    }
    return nest;
}

// Elements of `size` bytes as they are.
void move_nest(Nest& nest, ptrdiff_t size) {
    const Table& table = *active().table;
    simplify(nest);
    move(table, nest, size);
}

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

enum class Order { c, fortran, keep };

// A copy of an exact array in its own dtype.
PyObject* copied(PyObject* self, Order order) {
    Fields* const f = fields(self);
    if (!is_movable(f->descr)) return decline(Why::dtype);
    bool const flat = f->flags & NPY_ARRAY_C_CONTIGUOUS && order != Order::fortran;
    int perm[NPY_MAXDIMS];
    for (int d = 0; d < f->nd; ++d) perm[d] = order == Order::fortran ? f->nd - 1 - d : d;
    if (order == Order::keep && !flat) stride_order(f, perm);
    PyObject* const out = new_array_ordered(f->nd, f->dimensions, perm, f->descr);
    if (!out) return nullptr;
    npy_intp const size = PyDataType_ELSIZE(f->descr);
    if (flat)
        std::memcpy(fields(out)->data, f->data, static_cast<size_t>(count_of(f) * size));
    else
        move_elements(f->nd, f->dimensions, f->data, f->strides, fields(out)->data,
                      fields(out)->strides, size);
    return out;
}

// An exact array as ours without a copy, or itself where it is not ours to make.
PyObject* as_ours(PyObject* self) {
    Fields* const f = fields(self);
    return is_ours(self) || !is_adopted(f->descr, f->nd)
               ? new_ref(self)
               : new_view(self, f->nd, f->dimensions, f->strides, f->data, f->descr);
}

// Whether every byte of an element belongs to a field. What lies between the fields of a view
// may be other fields.
bool has_no_holes(PyArray_Descr* descr) {
    if (PyDataType_HASSUBARRAY(descr)) return has_no_holes(PyDataType_SUBARRAY(descr)->base);
    if (!PyDataType_HASFIELDS(descr)) return true;
    PyObject *fields = PyDataType_FIELDS(descr), *names = PyDataType_NAMES(descr);
    npy_intp end = 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); ++i) {
        PyObject* const field = PyDict_GetItem(fields, PyTuple_GET_ITEM(names, i));
        auto* const own = reinterpret_cast<PyArray_Descr*>(PyTuple_GET_ITEM(field, 0));
        if (PyLong_AsLongLong(PyTuple_GET_ITEM(field, 1)) != end || !has_no_holes(own))
            return false;
        end += PyDataType_ELSIZE(own);
    }
    return end == PyDataType_ELSIZE(descr);
}

// Whether elements can be moved to where those of `descr` are, all bytes of them.
bool moves_to(PyArray_Descr* descr, PyArray_Descr* from) {
    DType const t = dtype_of(descr);
    if (t != no_dtype) return dtype_of(from) == t;
    return is_movable(descr) && PyArray_EquivTypes(from, descr) && has_no_holes(descr);
}
bool converts_to(DType t, DType from) {
    return t != no_dtype && from != no_dtype && quiet_cast(from, t);
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

}  // namespace

void copy_nest(const Table& table, int nd, const npy_intp* dims, char* from,
               const npy_intp* from_strides, DType from_t, char* to, const npy_intp* to_strides,
               DType to_t) {
    Nest nest = pair(nd, dims, from, from_strides, to, to_strides);
    simplify(nest);
    run({table.cast[index(from_t)][index(to_t)]}, nest);
}

void move_elements(int nd, const npy_intp* dims, char* from, const npy_intp* from_strides, char* to,
                   const npy_intp* to_strides, npy_intp size) {
    Nest nest = pair(nd, dims, from, from_strides, to, to_strides);
    move_nest(nest, size);
}

void stride_order(int nd, const npy_intp* strides, int* perm) {
    for (int d = 0; d < nd; ++d) perm[d] = d;
    sort_axes_by(
        nd, [&](int i) { return magnitude(strides[perm[i]]); },
        [&](int place, int i) { rotate_to(perm, place, i); });
}

void stride_order(const Fields* f, int* perm) {
    for (int d = 0; d < f->nd; ++d) perm[d] = d;
    // Whatever the strides of axes of one element are.
    if (!(f->flags & NPY_ARRAY_C_CONTIGUOUS)) stride_order(f->nd, f->strides, perm);
}

PyObject* converted(PyObject* self, PyArray_Descr* descr, bool keep) {
    const Active& act = active();
    Fields* const f = fields(self);
    DType const t = dtype_of(f->descr), u = dtype_of(descr);
    // Which of these casts raise an event depends on the compiler, in NumPy, too.
    if (is_floating(t) && u == DType::uint32) return decline(Why::value);
    // NumPy warns of imaginary parts that are lost.
    if (is_complex(t) && !quiet_cast(t, u)) return decline(Why::value);
    int perm[max_dims];
    if (keep)
        stride_order(f, perm);
    else
        for (int d = 0; d < f->nd; ++d) perm[d] = d;
    PyObject* out = new_array_ordered(f->nd, f->dimensions, perm, descr);
    if (!out) return nullptr;
    bool const quiet = quiet_cast(t, u);
    if (!quiet) clear_fp_status();
    copy_nest(*act.table, f->nd, f->dimensions, f->data, f->strides, t, fields(out)->data,
              fields(out)->strides, u);
    if (!quiet && fp_status()) {  // NumPy does it again, with its own values and warnings
        clear_fp_status();
        Py_DECREF(out);
        return decline(Why::value);
    }
    return out;
}

PyObject* c_ordered(PyObject* self) { return copied(self, Order::c); }
PyObject* copied_in_order(PyObject* self) { return copied(self, Order::keep); }

PyObject* array_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                       PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    bool const list = is_sequence(self);
    if (!list && !is_exact(self)) return decline(Why::type);
    PyObject* slots[max_parameters];
    if (!array_signature.parse(args, nargs, kwnames, slots)) return decline(Why::keyword);
    PyObject *const dtype = slots[0], *const copy = slots[1];
    bool keep = true, subok;
    if (!is_none(slots[2]) && !parse_order(slots[2], &keep)) return decline(Why::keyword);
    npy_intp ndmin = 0;
    if ((copy && copy != Py_True && copy != Py_None) || !parse_flag(slots[3], &subok) ||
        (slots[4] && (!parse_integer(slots[4], &ndmin) || ndmin > 1)))
        return decline(Why::keyword);
    PyArray_Descr* descr = nullptr;
    if (!parse_dtype(dtype, &descr)) return nullptr;
    if (list) return from_sequence(entry, self, descr);
    Fields* const f = fields(self);
    if (f->nd < ndmin) return decline(Why::shape);
    bool const same = !descr || descr == f->descr;
    if (!same && dtype_of(descr) == dtype_of(f->descr))
        return decline(Why::dtype);  // equivalent, such as long and longlong: perhaps a view
    if (copy == Py_None && same)
        return keep || f->flags & NPY_ARRAY_C_CONTIGUOUS ? counted(entry, as_ours(self))
                                                         : decline(Why::keyword);
    if (same) return counted(entry, copied(self, keep ? Order::keep : Order::c));
    return dtype_of(f->descr) == no_dtype ? decline(Why::dtype)
                                          : counted(entry, converted(self, descr, keep));
}

PyObject* asarray_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                         Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    bool contiguous = which == 1;
    bool const list = is_sequence(self);
    if (!list && !is_exact(self)) return decline(Why::type);
    PyObject* slots[max_parameters];
    if (!asarray_signature.parse(args, nargs, kwnames, slots)) return decline(Why::keyword);
    // The others have no order=, and of lists one makes arrays in Fortran order.
    if (which && (slots[1] || (list && which == 2))) return decline(Why::keyword);
    bool keep = true;
    if (!is_none(slots[1]) && !parse_order(slots[1], &keep)) return decline(Why::keyword);
    contiguous = contiguous || !keep;
    PyObject* const dtype = slots[0];
    PyArray_Descr* descr = nullptr;
    if ((list || dtype != reinterpret_cast<PyObject*>(fields(self)->descr)) &&
        !parse_dtype(dtype, &descr))
        return nullptr;
    if (list) return from_sequence(entry, self, descr);
    Fields* const f = fields(self);
    if (which && f->nd == 0) return decline(Why::shape);
    bool const same = !descr || descr == f->descr;
    if (which == 2) {
        if (!same) return decline(Why::keyword);
        return counted(entry, f->flags & NPY_ARRAY_F_CONTIGUOUS ? as_ours(self)
                                                                : copied(self, Order::fortran));
    }
    if (!same && dtype_of(descr) == dtype_of(f->descr)) return decline(Why::dtype);
    if (same && (!contiguous || f->flags & NPY_ARRAY_C_CONTIGUOUS))
        return counted(entry, as_ours(self));
    if (same) return counted(entry, copied(self, Order::c));
    return dtype_of(f->descr) == no_dtype ? decline(Why::dtype)
                                          : counted(entry, converted(self, descr, !contiguous));
}

PyObject* copy_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                      Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (!is_exact(self)) return decline(Why::type);
    PyObject* slots[max_parameters];
    if (!order_signature.parse(args, nargs, kwnames, slots)) return decline(Why::keyword);
    bool keep = which == 1;
    if (!parse_order(slots[0], &keep)) return decline(Why::keyword);
    PyObject* out = copied(self, keep ? Order::keep : Order::c);
    Fields* const f = fields(self);
    if (out) count_native(entry, column_of(f->descr), layout_of(f), f->nd, f->dimensions);
    return out;
}

PyObject* astype_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                        PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (!is_exact(self)) return decline(Why::type);
    PyObject* slots[max_parameters];
    if (!astype_signature.parse(args, nargs, kwnames, slots) || !slots[0] || slots[3])
        return decline(Why::keyword);
    bool keep = true;
    if (!parse_order(slots[1], &keep)) return decline(Why::keyword);
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
    PyObject* out = converted(self, descr, keep);
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
    count_native(entry, column_of(f->descr), layout_of(f), f->nd, f->dimensions);
    Py_RETURN_NONE;
}

PyObject* as_values(PyArray_Descr* descr, PyObject* from) {
    PyArray_Descr* const own = fields(from)->descr;
    if (moves_to(descr, own)) return new_ref(from);
    DType const t = dtype_of(descr);
    return converts_to(t, dtype_of(own)) ? converted(from, descr_of(t), true) : decline(Why::dtype);
}

int assign(char* data, int nd, const npy_intp* dims, const npy_intp* strides, PyArray_Descr* descr,
           PyObject* from) {
    const Active& act = active();
    if (!act.table) return 1;
    DType const t = dtype_of(descr);
    npy_intp from_strides[NPY_MAXDIMS] = {};
    if (!is_exact(from)) {
        Element element;
        if (t == no_dtype || !scalar_element(from, t, element)) return 1;
        copy_nest(*act.table, nd, dims, element, from_strides, t, data, strides, t);
        return 0;
    }
    Fields* const f = fields(from);
    DType const u = dtype_of(f->descr);
    bool const moves = moves_to(descr, f->descr);
    if (f->nd > nd || !(moves || converts_to(t, u))) return 1;
    int const first = nd - f->nd;
    bool same = moves && f->data == data && f->nd == nd;
    for (int d = 0; d < f->nd; ++d) {
        if (f->dimensions[d] == 1) {
            same = same && dims[d] == 1;
            continue;
        }
        if (f->dimensions[d] != dims[first + d]) return 1;  // NumPy's error
        from_strides[first + d] = f->strides[d];
        same = same && f->strides[d] == strides[first + d];
    }
    if (same) return 0;  // `a[s] += b` ends in a[s] = a[s]
    Nest nest = pair(nd, dims, f->data, from_strides, data, strides);
    int const size = static_cast<int>(PyDataType_ELSIZE(descr));
    if (overlaps(nest, 0, static_cast<int>(PyDataType_ELSIZE(f->descr)), 1, size)) return 1;
    if (moves) {
        move_nest(nest, size);
    } else {
        simplify(nest);
        run({act.table->cast[index(u)][index(t)]}, nest);
    }
    return 0;
}

}  // namespace raptors
