#include "creation/joining.h"

#include <cstring>

#include "array/free_lists.h"
#include "creation/copying.h"
#include "frame/nest/axes.h"

namespace py = pybind11;

namespace raptors {
namespace {

constexpr Py_ssize_t most_arrays = 1024;  // NumPy copies as fast when there are more

Signature axis_signature = {2, 2, {"axis", "out"}, {}};

// An array seen with more axes, of length 1: one at `inserted` (-1: none), one behind all others.
struct Piece {
    const Fields* f;
    int inserted;
    bool appended = false;

    int nd() const { return f->nd + (inserted >= 0) + appended; }
    int own_axis(int d) const { return d - (inserted >= 0 && d > inserted); }
    bool is_new(int d) const { return d == inserted || (appended && d == nd() - 1); }
    npy_intp dim(int d) const { return is_new(d) ? 1 : f->dimensions[own_axis(d)]; }
    npy_intp stride(int d) const { return is_new(d) ? 0 : f->strides[own_axis(d)]; }
};

// NumPy's PyArray_CreateMultiSortedStridePerm: perm[0] is the outermost axis; axes go by falling
// stride, array by array where both are longer than 1, and C order wins a conflict.
void falling_strides(const Piece* pieces, Py_ssize_t n, int nd, int* perm) {
    for (int d = 0; d < nd; ++d) perm[d] = d;
    sort_axes(nd, perm, [&](int axis, int other) {
        Place place = Place::unknown;
        for (Py_ssize_t k = 0; k < n; ++k) {
            const Piece& p = pieces[k];
            if (p.dim(axis) == 1 || p.dim(other) == 1) continue;
            if (magnitude(p.stride(axis)) <= magnitude(p.stride(other)))
                place = Place::after;
            else if (place == Place::unknown)
                place = Place::before;
        }
        return place;
    });
}

// The dtype of the result; null: declined.
py::object common_dtype(const Piece* pieces, Py_ssize_t n) {
    PyArray_Descr* const first = pieces[0].f->descr;
    bool same = dtype_of(first) != no_dtype && descr_of_num[first->type_num] == first;
    for (Py_ssize_t k = 1; k < n; ++k) same = same && pieces[k].f->descr == first;
    if (same) return py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(first));
    PyArrayObject* arrays[NPY_MAXARGS];
    if (n > NPY_MAXARGS) return {};
    for (Py_ssize_t k = 0; k < n; ++k) {
        if (!is_movable(pieces[k].f->descr)) return {};
        arrays[k] = reinterpret_cast<PyArrayObject*>(const_cast<Fields*>(pieces[k].f));
    }
    py::object found = py::reinterpret_steal<py::object>(
        reinterpret_cast<PyObject*>(PyArray_ResultType(n, arrays, 0, nullptr)));
    if (!found) {
        PyErr_Clear();
        return {};
    }
    auto* const common = reinterpret_cast<PyArray_Descr*>(found.ptr());
    DType const t = dtype_of(common);
    for (Py_ssize_t k = 0; k < n; ++k) {
        DType const u = dtype_of(pieces[k].f->descr);
        bool const fits = t == no_dtype || u == no_dtype
                              ? is_movable(common) && PyArray_EquivTypes(pieces[k].f->descr, common)
                              : quiet_cast(u, t);
        if (!fits) return {};
    }
    return found;
}

PyObject* join(Entry* entry, const Piece* pieces, Py_ssize_t n, npy_intp axis) {
    const Table& table = *active().table;
    int const nd = pieces[0].nd();
    if (nd > NPY_MAXDIMS || !wrap_axes(nd, 1, &axis)) return decline(Why::shape);
    npy_intp dims[NPY_MAXDIMS];
    bool flat = true;  // every array is C-contiguous: then so is the result
    for (int d = 0; d < nd; ++d) dims[d] = d == axis ? 0 : pieces[0].dim(d);
    for (Py_ssize_t k = 0; k < n; ++k) {
        if (pieces[k].nd() != nd) return decline(Why::shape);
        for (int d = 0; d < nd; ++d) {
            if (d == axis) {
                if (__builtin_add_overflow(dims[d], pieces[k].dim(d), &dims[d]))
                    return decline(Why::shape);
            } else if (pieces[k].dim(d) != dims[d]) {
                return decline(Why::shape);
            }
        }
        flat = flat && (pieces[k].f->flags & NPY_ARRAY_C_CONTIGUOUS);
    }
    py::object const common = common_dtype(pieces, n);
    if (!common) return decline(Why::dtype);
    auto* const descr = reinterpret_cast<PyArray_Descr*>(common.ptr());
    DType const t = dtype_of(descr);
    npy_intp const size = PyDataType_ELSIZE(descr);
    PyObject* out;
    if (flat) {
        out = new_array(nd, dims, descr);
    } else {
        int perm[NPY_MAXDIMS];
        falling_strides(pieces, n, nd, perm);
        out = new_array_ordered(nd, dims, perm, descr);
    }
    if (!out) return nullptr;
    Fields const* o = fields(out);
    char* to = o->data;
    bool const one_run = axis == 0 && (o->flags & NPY_ARRAY_C_CONTIGUOUS);
    for (Py_ssize_t k = 0; k < n; ++k) {
        const Piece& p = pieces[k];
        DType const u = dtype_of(p.f->descr);
        if (one_run && u == t && (p.f->flags & NPY_ARRAY_C_CONTIGUOUS)) {
            npy_intp const bytes = count_of(p.f) * size;
            move_bytes(to, p.f->data, bytes);
            to += bytes;
            continue;
        }
        npy_intp part[NPY_MAXDIMS], strides[NPY_MAXDIMS];
        for (int d = 0; d < nd; ++d) {
            part[d] = p.dim(d);
            strides[d] = p.stride(d);
        }
        if (u == t)
            move_elements(nd, part, p.f->data, strides, to, o->strides, size);
        else
            copy_nest(table, nd, part, p.f->data, strides, u, to, o->strides, t);
        to += part[axis] * o->strides[axis];
    }
    count_native(entry, column_of(descr), flat ? Layout::contiguous : Layout::strided, nd, dims);
    return out;
}

// Calls body(pieces, n) for a list or tuple of exact arrays of at least one axis, none with an axis
// inserted.
template <class Body>
PyObject* with_pieces(PyObject* const* items, Py_ssize_t n, Body body) {
    if (!active().table) return decline(Why::disabled);
    if (n < 1 || n > most_arrays) return decline(Why::shape);
    Piece few[16];
    Piece* pieces = few;
    if (n > 16) {
        pieces = static_cast<Piece*>(PyMem_Malloc(static_cast<size_t>(n) * sizeof(Piece)));
        if (!pieces) return PyErr_NoMemory();
    }
    PyObject* out = nullptr;
    Py_ssize_t k = 0;
    while (k < n && is_exact(items[k])) {
        pieces[k] = {fields(items[k]), -1};
        ++k;
    }
    out = k == n ? body(pieces, n) : decline(Why::type);
    if (pieces != few) PyMem_Free(pieces);
    return out;
}

// The axis of concatenate and stack. False: NumPy judges.
bool parse_axis(PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames, npy_intp* axis) {
    *axis = 0;
    if (nargs < 1 || !is_sequence(args[0])) return false;
    PyObject* slots[max_parameters];
    return axis_signature.parse(args + 1, nargs - 1, kwnames, slots) && is_none(slots[1]) &&
           (!slots[0] || parse_integer(slots[0], axis));
}

}  // namespace

PyObject* concatenate_native(int, Entry* entry, PyObject*, PyObject* const* args, Py_ssize_t nargs,
                             PyObject* kwnames) {
    npy_intp axis;
    if (!parse_axis(args, nargs, kwnames, &axis)) return decline(Why::keyword);
    return with_pieces(PySequence_Fast_ITEMS(args[0]), PySequence_Fast_GET_SIZE(args[0]),
                       [&](Piece* pieces, Py_ssize_t n) -> PyObject* {
                           if (pieces[0].f->nd == 0) return decline(Why::shape);
                           return join(entry, pieces, n, axis);
                       });
}

PyObject* stack_native(int, Entry* entry, PyObject*, PyObject* const* args, Py_ssize_t nargs,
                       PyObject* kwnames) {
    npy_intp axis;
    if (!parse_axis(args, nargs, kwnames, &axis)) return decline(Why::keyword);
    return with_pieces(PySequence_Fast_ITEMS(args[0]), PySequence_Fast_GET_SIZE(args[0]),
                       [&](Piece* pieces, Py_ssize_t n) -> PyObject* {
                           int const nd = pieces[0].f->nd + 1;
                           if (nd > NPY_MAXDIMS || !wrap_axes(nd, 1, &axis))
                               return decline(Why::shape);
                           for (Py_ssize_t k = 0; k < n; ++k) {
                               pieces[k].inserted = static_cast<int>(axis);
                               // join() allows other lengths along its axis only, and that one is
                               // new.
                               if (pieces[k].f->nd != nd - 1) return decline(Why::shape);
                           }
                           return join(entry, pieces, n, axis);
                       });
}

PyObject* stack_axis_native(int which, Entry* entry, PyObject*, PyObject* const* args,
                            Py_ssize_t nargs, PyObject* kwnames) {
    if (nargs != 1 || kwnames || !is_sequence(args[0])) return decline(Why::keyword);
    return with_pieces(PySequence_Fast_ITEMS(args[0]), PySequence_Fast_GET_SIZE(args[0]),
                       [&](Piece* pieces, Py_ssize_t n) -> PyObject* {
                           bool const rows = which == 0;
                           for (Py_ssize_t k = 0; k < n; ++k) {
                               if (pieces[k].f->nd == 0) return decline(Why::shape);
                               if (rows && pieces[k].f->nd == 1) pieces[k].inserted = 0;
                           }
                           return join(entry, pieces, n, rows || pieces[0].f->nd == 1 ? 0 : 1);
                       });
}

PyObject* deep_stack_native(int which, Entry* entry, PyObject*, PyObject* const* args,
                            Py_ssize_t nargs, PyObject* kwnames) {
    if (nargs != 1 || kwnames || !is_sequence(args[0])) return decline(Why::keyword);
    bool const columns = which == 0;
    return with_pieces(PySequence_Fast_ITEMS(args[0]), PySequence_Fast_GET_SIZE(args[0]),
                       [&](Piece* pieces, Py_ssize_t n) -> PyObject* {
                           for (Py_ssize_t k = 0; k < n; ++k) {
                               int const nd = pieces[k].f->nd;
                               if (nd == 0) return decline(Why::shape);
                               if (nd == 1) pieces[k].inserted = columns ? 1 : 0;
                               pieces[k].appended = !columns && nd < 3;
                           }
                           return join(entry, pieces, n, columns ? 1 : 2);
                       });
}

PyObject* append_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                        PyObject* kwnames) {
    if (nargs != 1 || kwnames) return decline(Why::keyword);
    PyObject* const both[] = {self, args[0]};
    return with_pieces(both, 2, [&](Piece* pieces, Py_ssize_t n) -> PyObject* {
        for (Py_ssize_t k = 0; k < n; ++k)
            if (pieces[k].f->nd != 1) return decline(Why::shape);  // raveled first
        return join(entry, pieces, n, 0);
    });
}

PyObject* stacked(Entry* entry, PyObject* const* arrays, Py_ssize_t n) {
    return with_pieces(arrays, n, [&](Piece* pieces, Py_ssize_t count) -> PyObject* {
        for (Py_ssize_t k = 0; k < count; ++k) {
            if (!(pieces[k].f->flags & NPY_ARRAY_C_CONTIGUOUS)) return decline(Why::shape);
            pieces[k].inserted = 0;
        }
        return join(entry, pieces, count, 0);
    });
}

}  // namespace raptors
