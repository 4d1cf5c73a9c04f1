#include "creation/triangles.h"

#include <algorithm>
#include <cstring>

#include "api/table.h"
#include "array/free_lists.h"
#include "array/views.h"
#include "creation/copying.h"
#include "creation/shaping.h"
#include "python/operand.h"

namespace py = pybind11;

namespace raptors {
namespace {

Signature const k_signature = {1, 1, {"k"}, {}};
Signature const tri_signature = {4, 4, {"N", "M", "k", "dtype"}, {}};
Signature const fill_signature = {2, 2, {"val", "wrap"}, {}};
Signature const sides_signature = {3, 3, {"n", "k", "m"}, {}};
Signature const indices_signature = {2, 2, {"n", "ndim"}, {}};

// The number of a diagonal. False: NumPy judges, also of those so far out that it overflows.
bool parse_diagonal(PyObject* x, npy_intp* k) {
    constexpr npy_intp far = npy_intp{1} << 40;
    *k = 0;
    return !x || (parse_integer(x, k) && *k >= -far && *k <= far);
}

// The same of functions of ours that take nothing else. False: declined.
bool parse_only_diagonal(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames,
                         npy_intp* k) {
    PyObject* slots[max_parameters];
    return (active().table || refuse(Why::disabled)) &&
           ((is_ours(self) && k_signature.parse(args, nargs, kwnames, slots) &&
             parse_diagonal(slots[0], k)) ||
            refuse(Why::keyword));
}

// How many elements of row `r` are on diagonal k or to the left of it.
npy_intp up_to_diagonal(npy_intp r, npy_intp k, npy_intp columns) {
    return std::clamp<npy_intp>(r + k + 1, 0, columns);
}

}  // namespace

PyObject* diag_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                      Py_ssize_t nargs, PyObject* kwnames) {
    npy_intp k;
    if (!parse_only_diagonal(self, args, nargs, kwnames, &k)) return nullptr;
    Fields const* const f = fields(self);
    bool const flat = which == 1;
    if (!flat && f->nd == 2) return counted(entry, diagonal_of(self, k, 0, 1));
    if (!is_movable(f->descr)) return decline(Why::dtype);
    if (f->nd != 1 && (!flat || !f->nd || !count_of(f))) return decline(Why::shape);
    auto const given =
        py::reinterpret_steal<py::object>(f->nd == 1 ? new_ref(self) : raveled(self));
    if (!given) return nullptr;
    Fields const* const v = fields(given.ptr());
    npy_intp const across = std::max<npy_intp>(k, 0), down = k < 0 ? -k : 0;
    npy_intp const n = v->dimensions[0] + across + down;
    npy_intp const dims[2] = {n, n};
    PyObject* const out = new_zeroed(2, dims, f->descr);
    if (!out) return nullptr;
    npy_intp const size = PyDataType_ELSIZE(f->descr), step = (n + 1) * size;
    if (v->dimensions[0])
        move_elements(1, v->dimensions, v->data, v->strides,
                      fields(out)->data + (down * n + across) * size, &step, size);
    return counted(entry, out);
}

PyObject* tri_native(int, Entry* entry, PyObject*, PyObject* const* args, Py_ssize_t nargs,
                     PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    npy_intp dims[2], k;
    if (!tri_signature.parse(args, nargs, kwnames, slots)) return decline(Why::keyword);
    if (!slots[0] || !parse_integer(slots[0], dims)) return decline(Why::shape);
    dims[1] = dims[0];
    if ((!is_none(slots[1]) && !parse_integer(slots[1], dims + 1)) ||
        !parse_diagonal(slots[2], &k) || dims[0] < 0 || dims[1] < 0)
        return decline(Why::shape);
    PyArray_Descr* const descr = parse_dtype(slots[3]);
    if (!descr) return nullptr;
    PyObject* const out = new_zeroed(2, dims, descr);
    if (!out) return nullptr;
    DType const t = dtype_of(descr);
    npy_intp const size = item_size(t);
    auto one = static_cast<boolean>(1);
    Block row{};
    row.data[0] = reinterpret_cast<char*>(&one);
    row.inner[1] = size;
    row.rows = 1;
    for (npy_intp r = 0; r < dims[0]; ++r) {
        row.n = up_to_diagonal(r, k, dims[1]);
        row.data[1] = fields(out)->data + r * dims[1] * size;
        if (row.n) active().table->cast[index(DType::boolean)][index(t)](row, nullptr);
    }
    return counted(entry, out);
}

PyObject* triangle_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                          Py_ssize_t nargs, PyObject* kwnames) {
    npy_intp k;
    if (!parse_only_diagonal(self, args, nargs, kwnames, &k)) return nullptr;
    Fields const* const f = fields(self);
    // Other orders in memory, and those of the mask, are NumPy's to weigh.
    if (f->nd < 2 || !(f->flags & NPY_ARRAY_C_CONTIGUOUS)) return decline(Why::shape);
    if (dtype_of(f->descr) == no_dtype) return decline(Why::dtype);
    PyObject* const out = new_array(f->nd, f->dimensions, f->descr);
    if (!out) return nullptr;
    bool const upper = which == 1;
    if (upper) --k;
    npy_intp const rows = f->dimensions[f->nd - 2], columns = f->dimensions[f->nd - 1];
    npy_intp const row = columns * PyDataType_ELSIZE(f->descr);
    const char* from = f->data;
    char* to = fields(out)->data;
    for (npy_intp left = row ? count_of(f) / columns : 0, r = 0; left > 0; --left) {
        npy_intp const lower = up_to_diagonal(r, k, columns) * PyDataType_ELSIZE(f->descr);
        npy_intp const kept = upper ? lower : 0, zeros = upper ? 0 : lower;
        npy_intp const n_kept = upper ? row - lower : lower;
        std::memset(to + zeros, 0, static_cast<size_t>(row - n_kept));
        std::memcpy(to + kept, from + kept, static_cast<size_t>(n_kept));
        from += row;
        to += row;
        r = r + 1 == rows ? 0 : r + 1;
    }
    return counted(entry, out);
}

PyObject* fill_diagonal_native(int, Entry* entry, PyObject* self, PyObject* const* args,
                               Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    if (!is_ours(self) || !fill_signature.parse(args, nargs, kwnames, slots) || !slots[0] ||
        (slots[1] && slots[1] != Py_False))
        return decline(Why::keyword);
    Fields const* const f = fields(self);
    DType const t = dtype_of(f->descr);
    if (f->nd < 2 || !(f->flags & NPY_ARRAY_WRITEABLE) || f->flags & warn_on_write)
        return decline(Why::shape);
    npy_intp n = f->dimensions[0], step = 0;
    for (int d = 0; d < f->nd; ++d) {
        if (f->nd > 2 && f->dimensions[d] != n) return decline(Why::shape);
        step += f->strides[d];
    }
    if (f->nd == 2) n = std::min(n, f->dimensions[1]);
    Element value;
    // Values of an array begin anew after the last one: NumPy's.
    if (t == no_dtype || is_exact(slots[0]) || !scalar_element(slots[0], t, value))
        return decline(Why::value);
    Block block{};
    block.data[0] = value;
    block.data[1] = f->data;
    block.inner[1] = step;
    block.n = n;
    block.rows = 1;
    if (n) active().table->cast[index(t)][index(t)](block, nullptr);
    count_native(entry, t, layout_of(f), f->nd, f->dimensions);
    Py_RETURN_NONE;
}

PyObject* diag_indices_native(int, Entry* entry, PyObject* self, PyObject* const* args,
                              Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    npy_intp n, nd = 2;
    if (self) {
        if (!is_exact(self) || nargs || kwnames) return decline(Why::keyword);
        Fields const* const f = fields(self);
        nd = f->nd;
        for (int d = 0; d < nd; ++d)
            if (nd < 2 || f->dimensions[d] != f->dimensions[0]) return decline(Why::shape);
        n = nd ? f->dimensions[0] : 0;
    } else {
        if (!indices_signature.parse(args, nargs, kwnames, slots)) return decline(Why::keyword);
        if (!slots[0] || !parse_integer(slots[0], &n) ||
            (slots[1] && !parse_integer(slots[1], &nd)))
            return decline(Why::shape);
    }
    if (nd < 1 || nd > NPY_MAXDIMS) return decline(Why::shape);
    n = std::max<npy_intp>(n, 0);
    PyObject* const indices = new_array(1, &n, descr_of_num[NPY_INTP]);
    PyObject* const out = indices ? PyTuple_New(nd) : nullptr;
    if (out) {
        npy_intp const first = 0, step = 1;
        active().table->arange[index(DType::int64)](&first, &step, fields(indices)->data, n);
        for (npy_intp i = 0; i < nd; ++i) PyTuple_SET_ITEM(out, i, new_ref(indices));
        count_native(entry, DType::int64, Layout::contiguous, 1, &n);
    }
    Py_XDECREF(indices);
    return out;
}

PyObject* triangle_indices_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                                  Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters] = {};
    npy_intp rows, columns, k;
    if (!(self ? k_signature : sides_signature).parse(args, nargs, kwnames, slots))
        return decline(Why::keyword);
    if (self) {
        if (!is_exact(self) || fields(self)->nd != 2) return decline(Why::shape);
        rows = fields(self)->dimensions[0];
        columns = fields(self)->dimensions[1];
    } else {
        if (!slots[0] || !parse_integer(slots[0], &rows)) return decline(Why::shape);
        columns = rows;
        if (!is_none(slots[2]) && !parse_integer(slots[2], &columns)) return decline(Why::shape);
    }
    if (!parse_diagonal(slots[self ? 0 : 1], &k) || rows < 0 || columns < 0)
        return decline(Why::shape);
    bool const upper = which == 1;
    if (upper) --k;
    npy_intp n = 0;
    for (npy_intp r = 0; r < rows; ++r) {
        npy_intp const lower = up_to_diagonal(r, k, columns);
        if (__builtin_add_overflow(n, upper ? columns - lower : lower, &n))
            return decline(Why::shape);
    }
    auto const i = py::reinterpret_steal<py::object>(new_array(1, &n, descr_of_num[NPY_INTP]));
    auto const j = py::reinterpret_steal<py::object>(new_array(1, &n, descr_of_num[NPY_INTP]));
    if (!i || !j) return nullptr;
    auto* row = reinterpret_cast<npy_intp*>(fields(i.ptr())->data);
    auto* column = reinterpret_cast<npy_intp*>(fields(j.ptr())->data);
    for (npy_intp r = 0; r < rows; ++r) {
        npy_intp const lower = up_to_diagonal(r, k, columns);
        npy_intp const end = upper ? columns : lower;
        for (npy_intp c = upper ? lower : 0; c < end; ++c) {
            *row++ = r;
            *column++ = c;
        }
    }
    count_native(entry, DType::int64, Layout::contiguous, 1, &n);
    return PyTuple_Pack(2, i.ptr(), j.ptr());
}

}  // namespace raptors
