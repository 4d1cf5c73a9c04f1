#include "array/views.h"

#include <algorithm>

#include "api/table.h"
#include "array/free_lists.h"
#include "creation/copying.h"
#include "creation/shaping.h"

namespace raptors {
namespace {

Signature const diagonal_signature = {3, 3, {"offset", "axis1", "axis2"}, {}};
Signature const offset_signature = {1, 0, {"offset"}, {}};
Signature const axis_signature = {1, 1, {"axis"}, {}};
Signature const moveaxis_signature = {2, 2, {"source", "destination"}, {}};
Signature const swap_signature = {1, 1, {"inplace"}, {}};
Signature const field_signature = {2, 2, {"dtype", "offset"}, {}};
Signature const require_signature = {2, 2, {"dtype", "requirements"}, {}};
Signature const rot90_signature = {2, 2, {"k", "axes"}, {}};
Signature const trim_signature = {1, 1, {"trim"}, {}};
Signature const rollaxis_signature = {2, 2, {"axis", "start"}, {}};

View view_of(const Fields* f) {
    View v;
    v.data = f->data;
    v.nd = f->nd;
    std::copy(f->dimensions, f->dimensions + f->nd, v.dims);
    std::copy(f->strides, f->strides + f->nd, v.strides);
    return v;
}

PyObject* made(PyObject* self, const View& v) {
    return new_view(self, v.nd, v.dims, v.strides, v.data, fields(self)->descr);
}

// From the last place along an axis to the first.
void reverse(View& v, npy_intp axis) {
    if (v.dims[axis]) v.data += (v.dims[axis] - 1) * v.strides[axis];
    v.strides[axis] = -v.strides[axis];
}

// The axes in the order of `from`.
PyObject* permuted(PyObject* self, const npy_intp* from) {
    Fields const* const f = fields(self);
    View v = view_of(f);
    for (int d = 0; d < f->nd; ++d) {
        v.dims[d] = f->dimensions[from[d]];
        v.strides[d] = f->strides[from[d]];
    }
    return made(self, v);
}

// Two axes of `v` in each other's place.
PyObject* exchanged(PyObject* self, View& v, npy_intp a, npy_intp b) {
    std::swap(v.dims[a], v.dims[b]);
    std::swap(v.strides[a], v.strides[b]);
    return made(self, v);
}

void remove(npy_intp* values, int* n, npy_intp value) {
    *n = static_cast<int>(std::remove(values, values + *n, value) - values);
}
void insert(npy_intp* values, int* n, npy_intp at, npy_intp value) {
    std::copy_backward(values + at, values + *n, values + *n + 1);
    values[at] = value;
    ++*n;
}

DType part_of(DType t) { return t == DType::complex64 ? DType::float32 : DType::float64; }

PyObject* part(PyObject* self, DType t, int which) {
    Fields const* const f = fields(self);
    PyArray_Descr* const descr = descr_of(part_of(t));
    return new_view(self, f->nd, f->dimensions, f->strides,
                    f->data + which * PyDataType_ELSIZE(descr), descr);
}

}  // namespace

PyObject* diagonal_of(PyObject* self, npy_intp offset, npy_intp a, npy_intp b) {
    Fields const* const f = fields(self);
    npy_intp rows = f->dimensions[a], columns = f->dimensions[b];
    npy_intp const start = offset < 0 ? a : b;
    if (offset < -rows || offset > columns) return decline(Why::shape);
    npy_intp const skipped = offset < 0 ? -offset : offset;
    (offset < 0 ? rows : columns) -= skipped;
    npy_intp const n = std::min(rows, columns);
    View v;
    v.data = f->data + (n ? skipped * f->strides[start] : 0);
    v.nd = 0;
    for (int d = 0; d < f->nd; ++d) {
        if (d == a || d == b) continue;
        v.dims[v.nd] = f->dimensions[d];
        v.strides[v.nd++] = f->strides[d];
    }
    v.dims[v.nd] = n;
    if (__builtin_add_overflow(f->strides[a], f->strides[b], &v.strides[v.nd++]))
        return decline(Why::shape);
    PyObject* const out = made(self, v);
    if (out) fields(out)->flags &= ~NPY_ARRAY_WRITEABLE;
    return out;
}

PyObject* diagonal_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                          Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    bool const matrices = which == 1;
    const Signature& signature = matrices ? offset_signature : diagonal_signature;
    PyObject* slots[max_parameters] = {};
    if (!is_ours(self) || !signature.parse(args, nargs, kwnames, slots))
        return decline(Why::keyword);
    Fields const* const f = fields(self);
    npy_intp offset = 0, a = matrices ? f->nd - 2 : 0, b = matrices ? f->nd - 1 : 1;
    if (f->nd < 2 || (slots[0] && !parse_integer(slots[0], &offset)) ||
        (slots[1] && !parse_axis(slots[1], f->nd, &a)) ||
        (slots[2] && !parse_axis(slots[2], f->nd, &b)) || a == b)
        return decline(Why::shape);
    return counted(entry, diagonal_of(self, offset, a, b));
}

PyObject* byteswap_native(int, Entry* entry, PyObject* self, PyObject* const* args,
                          Py_ssize_t nargs, PyObject* kwnames) {
    PyObject* slots[max_parameters];
    bool in_itself = false;
    if (!active().table) return decline(Why::disabled);
    if (!is_ours(self) || !swap_signature.parse(args, nargs, kwnames, slots) ||
        !parse_flag(slots[0], &in_itself))
        return decline(Why::borrowed);
    count_numpy(entry, Why::borrowed, self);
    if (in_itself || !(fields(self)->flags & NPY_ARRAY_C_CONTIGUOUS))
        return PyArray_Byteswap(as_array(self), in_itself);
    PyObject* const copy = c_ordered(self);
    if (!copy) return PyErr_Occurred() ? nullptr : PyArray_Byteswap(as_array(self), false);
    PyObject* const out = PyArray_Byteswap(as_array(copy), true);
    Py_DECREF(copy);
    return out;
}

PyObject* getfield_native(int, Entry* entry, PyObject* self, PyObject* const* args,
                          Py_ssize_t nargs, PyObject* kwnames) {
    PyObject* slots[max_parameters];
    npy_intp offset = 0;
    if (!active().table) return decline(Why::disabled);
    if (!is_ours(self) || !field_signature.parse(args, nargs, kwnames, slots) || !slots[0] ||
        (slots[1] && !parse_integer(slots[1], &offset)) || offset < 0 || offset > NPY_MAX_INT)
        return decline(Why::borrowed);
    PyArray_Descr* dtype = nullptr;
    if (!PyArray_DescrConverter(slots[0], &dtype)) return nullptr;
    count_numpy(entry, Why::borrowed, self);
    return PyArray_GetField(as_array(self), dtype, static_cast<int>(offset));
}

PyObject* flip_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                      Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters] = {};
    auto const kind = static_cast<Flip>(which);
    if (!is_ours(self) ||
        (kind == Flip::any ? !axis_signature.parse(args, nargs, kwnames, slots) : nargs || kwnames))
        return decline(Why::keyword);
    Fields const* const f = fields(self);
    bool flipped[NPY_MAXDIMS] = {};
    int const only = kind == Flip::columns;
    if (kind == Flip::any ? !parse_axes(slots[0], f->nd, flipped) : f->nd <= only)
        return decline(Why::shape);
    if (kind != Flip::any) flipped[only] = true;
    View v = view_of(f);
    for (int d = 0; d < v.nd; ++d)
        if (flipped[d]) reverse(v, d);
    return counted(entry, made(self, v));
}

PyObject* rot90_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                       PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    npy_intp k = 1, axes[NPY_MAXDIMS] = {0, 1};
    int n = 2;
    if (!is_ours(self) || !rot90_signature.parse(args, nargs, kwnames, slots) ||
        (slots[0] && !parse_integer(slots[0], &k)))
        return decline(Why::keyword);
    View v = view_of(fields(self));
    if (v.nd < 2 ||
        (slots[1] && (!is_sequence(slots[1]) || !parse_axes(slots[1], v.nd, &n, axes))) || n != 2)
        return decline(Why::shape);
    k &= 3;
    if (k == 2) reverse(v, axes[0]);
    if (k == 1 || k == 2) reverse(v, axes[1]);
    if (k % 2) {
        std::swap(v.dims[axes[0]], v.dims[axes[1]]);
        std::swap(v.strides[axes[0]], v.strides[axes[1]]);
    }
    if (k == 3) reverse(v, axes[1]);
    return counted(entry, made(self, v));
}

PyObject* from_dlpack_native(int, Entry* entry, PyObject* self, PyObject* const*, Py_ssize_t nargs,
                             PyObject* kwnames) {
    // Before 2.1 they never were, and nothing that is read-only was exported.
    static bool const writeable = [] {
        auto const numpy = import_module("numpy");
        pybind11::object const made = numpy.attr("from_dlpack")(numpy.attr("zeros")(2));
        return (fields(made.ptr())->flags & NPY_ARRAY_WRITEABLE) != 0;
    }();
    if (!active().table) return decline(Why::disabled);
    if (!is_ours(self) || nargs || kwnames) return decline(Why::keyword);
    if (dtype_of(fields(self)->descr) == no_dtype) return decline(Why::dtype);
    if (!writeable && !(fields(self)->flags & NPY_ARRAY_WRITEABLE)) return decline(Why::value);
    // DLPack counts steps in elements.
    Fields const* const f = fields(self);
    for (int d = 0; d < f->nd; ++d)
        if (f->strides[d] % PyDataType_ELSIZE(f->descr)) return decline(Why::shape);
    PyObject* const out = made(self, view_of(fields(self)));
    if (out && !writeable) fields(out)->flags &= ~NPY_ARRAY_WRITEABLE;
    return counted(entry, out);
}

PyObject* trim_zeros_native(int, Entry* entry, PyObject* self, PyObject* const* args,
                            Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    if (!is_ours(self) || !trim_signature.parse(args, nargs, kwnames, slots))
        return decline(Why::keyword);
    bool const both = !slots[0] || is_text(slots[0], "fb") || is_text(slots[0], "bf");
    bool const front = both || is_text(slots[0], "f"), back = both || is_text(slots[0], "b");
    Fields const* const f = fields(self);
    DType const t = dtype_of(f->descr);
    if (!front && !back) return decline(Why::keyword);
    if (t == no_dtype || f->nd != 1) return decline(Why::shape);
    // Some truths at a time, from either end: what lies between is not read.
    constexpr npy_intp at_once = 256;
    boolean truths[at_once];
    npy_intp first = 0, end = f->dimensions[0];
    auto const read = [&](npy_intp from, npy_intp n) {
        Block some{};
        some.data[0] = f->data + from * f->strides[0];
        some.data[1] = reinterpret_cast<char*>(truths);
        some.inner[0] = f->strides[0];
        some.inner[1] = 1;
        some.n = n;
        some.rows = 1;
        active().table->cast[index(t)][index(DType::boolean)](some, nullptr);
    };
    constexpr auto truth = static_cast<boolean>(1);
    for (bool zeros = front; zeros && first < end;) {
        npy_intp const n = std::min(at_once, end - first);
        read(first, n);
        npy_intp const found = std::find(truths, truths + n, truth) - truths;
        first += found;
        zeros = found == n;
    }
    for (bool zeros = back; zeros && first < end;) {
        npy_intp const n = std::min(at_once, end - first);
        read(end - n, n);
        npy_intp found = n;
        while (found && truths[found - 1] != truth) --found;
        end -= n - found;
        zeros = found == 0;
    }
    // Nothing is left: NumPy's slices of this case depend on its version.
    if (first == end) return decline(Why::shape);
    View v = view_of(f);
    v.data += first * f->strides[0];
    v.dims[0] = end - first;
    return counted(entry, made(self, v));
}

PyObject* reversed_axes(PyObject* self) {
    View v = view_of(fields(self));
    std::reverse(v.dims, v.dims + v.nd);
    std::reverse(v.strides, v.strides + v.nd);
    return made(self, v);
}

PyObject* transpose_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                           Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    bool const is_function = which == 1;  // which takes one sequence, no integers
    if (kwnames || !is_ours(self) || (is_function && nargs > 1)) return decline(Why::keyword);
    if (nargs == 0 || (nargs == 1 && args[0] == Py_None))
        return counted(entry, reversed_axes(self));
    npy_intp axes[NPY_MAXDIMS];
    int n = 0;
    if ((is_function && PyLong_CheckExact(args[0])) || !parse_shape(args, nargs, &n, axes) ||
        n != fields(self)->nd || !wrap_axes(n, n, axes))
        return decline(Why::shape);
    return counted(entry, permuted(self, axes));
}

PyObject* swapaxes_native(int, Entry* entry, PyObject* self, PyObject* const* args,
                          Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (kwnames || nargs != 2 || !is_ours(self)) return decline(Why::keyword);
    View v = view_of(fields(self));
    npy_intp a, b;
    if (!parse_axis(args[0], v.nd, &a) || !parse_axis(args[1], v.nd, &b))
        return decline(Why::shape);
    return counted(entry, exchanged(self, v, a, b));
}

PyObject* moveaxis_native(int, Entry* entry, PyObject* self, PyObject* const* args,
                          Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    if (!is_ours(self) || !moveaxis_signature.parse(args, nargs, kwnames, slots) || !slots[0] ||
        !slots[1])
        return decline(Why::keyword);
    int const nd = fields(self)->nd;
    int n, moved, left = 0;
    npy_intp from[NPY_MAXDIMS], to[NPY_MAXDIMS], order[NPY_MAXDIMS];
    if (!parse_axes(slots[0], nd, &n, from) || !parse_axes(slots[1], nd, &moved, to) || n != moved)
        return decline(Why::shape);
    for (int d = 0; d < nd; ++d) order[left++] = d;
    for (int i = 0; i < n; ++i) remove(order, &left, from[i]);
    for (npy_intp d = 0; d < nd; ++d) {  // those that move, by their new places
        auto const i = std::find(to, to + n, d) - to;
        if (i < n) insert(order, &left, d, from[i]);
    }
    return counted(entry, permuted(self, order));
}

PyObject* rollaxis_native(int, Entry* entry, PyObject* self, PyObject* const* args,
                          Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    if (!is_ours(self) || !rollaxis_signature.parse(args, nargs, kwnames, slots))
        return decline(Why::keyword);
    int const nd = fields(self)->nd;
    npy_intp axis, start = 0, order[NPY_MAXDIMS];
    if (!slots[0] || !parse_axis(slots[0], nd, &axis) ||
        (slots[1] && !parse_integer(slots[1], &start)))
        return decline(Why::shape);
    if (start < 0) start += nd;
    if (start < 0 || start > nd) return decline(Why::shape);
    if (axis < start) --start;
    int left = 0;
    for (int d = 0; d < nd; ++d) order[left++] = d;
    remove(order, &left, axis);
    insert(order, &left, start, axis);
    return counted(entry, permuted(self, order));
}

PyObject* matrix_transposed(PyObject* self) {
    View v = view_of(fields(self));
    return v.nd < 2 ? nullptr : exchanged(self, v, v.nd - 2, v.nd - 1);
}

PyObject* matrix_transpose_native(int, Entry* entry, PyObject* self, PyObject* const*,
                                  Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (!is_ours(self) || nargs || kwnames) return decline(Why::keyword);
    declined = Why::shape;
    return counted(entry, matrix_transposed(self));
}

PyObject* squeeze_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                         PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    if (!is_ours(self) || !axis_signature.parse(args, nargs, kwnames, slots))
        return decline(Why::keyword);
    Fields* const f = fields(self);
    npy_intp only = -1;
    if (!is_none(slots[0]) && (!parse_axis(slots[0], f->nd, &only) || f->dimensions[only] != 1))
        return decline(Why::shape);
    npy_intp dims[NPY_MAXDIMS], strides[NPY_MAXDIMS];
    int nd = 0;
    for (int d = 0; d < f->nd; ++d) {
        if (f->dimensions[d] == 1 && (only < 0 || only == d)) continue;
        dims[nd] = f->dimensions[d];
        strides[nd++] = f->strides[d];
    }
    if (nd == f->nd) return counted(entry, new_ref(self));  // nothing to squeeze: itself
    return counted(entry, new_view(self, nd, dims, strides, f->data, f->descr));
}

PyObject* expand_dims_native(int, Entry* entry, PyObject* self, PyObject* const* args,
                             Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    if (!is_ours(self) || !axis_signature.parse(args, nargs, kwnames, slots) || !slots[0])
        return decline(Why::keyword);
    Fields* const f = fields(self);
    npy_intp axis;
    if (f->nd == NPY_MAXDIMS || !parse_axis(slots[0], f->nd + 1, &axis) || !count_of(f))
        return decline(Why::shape);
    npy_intp dims[NPY_MAXDIMS];
    for (int d = 0, from = 0; d <= f->nd; ++d) dims[d] = d == axis ? 1 : f->dimensions[from++];
    return counted(entry, in_shape(self, f->nd + 1, dims));
}

PyObject* require_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                         PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    if (!is_ours(self) || !require_signature.parse(args, nargs, kwnames, slots))
        return decline(Why::keyword);
    Fields const* const f = fields(self);
    PyArray_Descr* descr = f->descr;
    if (dtype_of(descr) == no_dtype || !parse_dtype(slots[0], &descr)) return nullptr;
    if (descr != f->descr) return decline(Why::dtype);
    auto const is_so = [f](PyObject* x) {
        return (is_text(x, "C") && f->flags & NPY_ARRAY_C_CONTIGUOUS) ||
               (is_text(x, "F") && f->flags & NPY_ARRAY_F_CONTIGUOUS) ||
               (is_text(x, "A") && f->flags & NPY_ARRAY_ALIGNED) ||
               (is_text(x, "W") && f->flags & NPY_ARRAY_WRITEABLE) ||
               (is_text(x, "O") && f->flags & NPY_ARRAY_OWNDATA) || is_text(x, "E") ||
               is_text(x, "ENSUREARRAY");
    };
    bool all = is_none(slots[1]) || is_so(slots[1]);
    if (!all && is_sequence(slots[1])) {
        all = true;
        bool c = false, fortran = false;
        for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(slots[1]); ++i) {
            PyObject* const one = PySequence_Fast_GET_ITEM(slots[1], i);
            c |= is_text(one, "C");
            fortran |= is_text(one, "F");
            all = all && is_so(one);
        }
        all = all && !(c && fortran);  // an error, whatever the array is
    }
    return all ? counted(entry, new_ref(self)) : decline(Why::keyword);
}

PyObject* at_least_native(int which, Entry* entry, PyObject* self, PyObject* const*,
                          Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (!is_ours(self) || nargs || kwnames) return decline(Why::keyword);
    View v = view_of(fields(self));
    if (v.nd == 0) return decline(Why::shape);
    if (v.nd >= which) return counted(entry, new_ref(self));
    bool const inserts_first = v.nd == 1;
    if (inserts_first) {
        v.dims[1] = v.dims[0];
        v.strides[1] = v.strides[0];
        v.dims[0] = 1;
        v.strides[0] = 0;
        v.nd = 2;
    }
    if (which == 3) {
        v.dims[2] = 1;
        v.strides[2] = 0;
        v.nd = 3;
    }
    return counted(entry, made(self, v));
}

PyObject* fact_native(int which, Entry* entry, PyObject* self, PyObject* const*, Py_ssize_t nargs,
                      PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (!is_ours(self) || nargs || kwnames) return decline(Why::keyword);
    Fields const* const f = fields(self);
    if (f->descr->type_num >= n_type_nums) return decline(Why::dtype);  // of another package
    count_native(entry, f);
    switch (static_cast<Fact>(which)) {
        case Fact::shape:
            return PyArray_IntTupleFromIntp(f->nd, f->dimensions);
        case Fact::ndim:
            return PyLong_FromLong(f->nd);
        case Fact::size:
            return PyLong_FromSsize_t(count_of(f));
        case Fact::is_complex:
            return PyBool_FromLong(PyTypeNum_ISCOMPLEX(f->descr->type_num));
        case Fact::is_scalar:
            Py_RETURN_FALSE;
        default:
            return PyBool_FromLong(!PyTypeNum_ISCOMPLEX(f->descr->type_num));
    }
}

PyObject* whole_native(int, Entry* entry, PyObject* self, PyObject* const*, Py_ssize_t nargs,
                       PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (!is_ours(self) || nargs || kwnames) return decline(Why::keyword);
    return counted(entry, new_ref(self));
}

PyObject* real_part(PyObject* self) {
    DType const t = dtype_of(fields(self)->descr);
    if (t == no_dtype) return nullptr;
    return is_complex(t) ? part(self, t, 0) : new_ref(self);
}

PyObject* imaginary_part(PyObject* self) {
    DType const t = dtype_of(fields(self)->descr);
    return t != no_dtype && is_complex(t) ? part(self, t, 1) : nullptr;
}

}  // namespace raptors
