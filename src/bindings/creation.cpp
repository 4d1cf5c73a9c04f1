#include "creation.h"

#include <cstring>
#include <utility>

#include "elementwise.h"
#include "frame/fpstatus.h"
#include "frame/iterate.h"
#include "object_cache.h"

namespace raptors {
namespace {

Signature shape_signature = {3, 3, {"shape", "dtype", "order"}, {}};
Signature asarray_signature = {1, 1, {"dtype"}, {}};
Signature order_signature = {1, 1, {"order"}, {}};
Signature astype_signature = {5, 5, {"dtype", "order", "casting", "subok", "copy"}, {}};
Signature clip_signature = {5, 3, {"a_min", "a_max", "out", "min", "max"}, {}};

void intern_all() {
    static bool done;
    if (done) return;
    done = true;
    for (Signature* s : {&shape_signature, &asarray_signature, &order_signature, &astype_signature,
                         &clip_signature})
        s->intern();
}

// A shape as an int or a tuple or list of ints. False: NumPy judges.
bool parse_shape(PyObject* shape, int* nd, npy_intp* dims) {
    auto one = [](PyObject* x, npy_intp* value) {
        if (!PyLong_CheckExact(x)) return false;
        int overflow = 0;
        long long const v = PyLong_AsLongLongAndOverflow(x, &overflow);
        *value = v;
        return !overflow;
    };
    if (PyLong_CheckExact(shape)) {
        *nd = 1;
        return one(shape, dims);
    }
    if (!PyTuple_CheckExact(shape) && !PyList_CheckExact(shape)) return false;
    Py_ssize_t const n = PySequence_Fast_GET_SIZE(shape);
    if (n > NPY_MAXDIMS) return false;
    *nd = static_cast<int>(n);
    for (Py_ssize_t i = 0; i < n; ++i)
        if (!one(PySequence_Fast_ITEMS(shape)[i], dims + i)) return false;
    return true;
}

// The instance of a dtype that has kernels, borrowed; nullptr: declined, or an error is set.
PyArray_Descr* parse_dtype(PyObject* dtype) {
    if (is_none(dtype) || dtype == reinterpret_cast<PyObject*>(&PyFloat_Type))
        return descr_of(DType::float64);
    PyArray_Descr* d = nullptr;
    if (!PyArray_DescrConverter(dtype, &d)) return nullptr;
    int const num = d->type_num;
    bool const ok = dtype_of(d) != no_dtype;
    Py_DECREF(d);
    if (ok) return descr_of_num[num];
    declined = Why::dtype;
    return nullptr;
}

bool is_c_order(PyObject* order) {
    return is_none(order) ||
           (PyUnicode_CheckExact(order) && PyUnicode_CompareWithASCIIString(order, "C") == 0);
}

// 'K' (keep) or 'C'. False: another order.
bool parse_order(PyObject* order, bool* keep) {
    if (!PyUnicode_CheckExact(order) || PyUnicode_GET_LENGTH(order) != 1) return false;
    Py_UCS4 const c = PyUnicode_READ_CHAR(order, 0);
    *keep = c == 'K';
    return c == 'K' || c == 'C';
}

using Maker = PyObject* (*)(int, const npy_intp*, PyArray_Descr*);
PyObject* make(Maker maker, Entry* entry, PyObject* const* args, Py_ssize_t nargs,
               PyObject* kwnames) {
    intern_all();
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    if (!shape_signature.parse(args, nargs, kwnames, slots) || !slots[0] || !is_c_order(slots[2]))
        return decline(Why::keyword);
    int nd;
    npy_intp dims[NPY_MAXDIMS];
    if (!parse_shape(slots[0], &nd, dims)) return decline(Why::shape);
    for (int i = 0; i < nd; ++i)
        if (dims[i] < 0) return decline(Why::shape);
    PyArray_Descr* descr = parse_dtype(slots[1]);
    if (!descr) return nullptr;
    PyObject* out = maker(nd, dims, descr);
    if (out) count_native(entry, dtype_of(descr), Layout::contiguous, nd, dims);
    return out;
}

// A nest of two operands: `from` (strides given) -> `to`.
void copy_nest(const Table& table, int nd, const npy_intp* dims, char* from,
               const npy_intp* from_strides, DType from_t, char* to, const npy_intp* to_strides,
               DType to_t) {
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
    simplify(nest);
    run(reinterpret_cast<ElementwiseFn>(table.cast[index(from_t)][index(to_t)]), nest);
}

// A cast that cannot raise a floating-point event.
bool quiet_cast(DType from, DType to) {
    return !is_floating(from) || to == DType::boolean ||
           (is_floating(to) && size_of(to) >= size_of(from));
}

// A new array with the elements of `self` in dtype `descr`, laid out in C order or (`keep`) in
// self's own axis order.
PyObject* converted(PyObject* self, PyArray_Descr* descr, bool keep) {
    const Active& act = active();
    Fields* const f = fields(self);
    DType const t = dtype_of(f->descr), u = dtype_of(descr);
    // Which of these casts raise an event depends on the compiler, in NumPy, too.
    if (is_floating(t) && u == DType::uint32) return decline(Why::value);
    int perm[max_dims];
    for (int d = 0; d < f->nd; ++d) perm[d] = d;
    // Axes by falling |stride|, ties in C order: what NumPy's copies (not its ufuncs) call order
    // 'K'.
    if (keep && !(f->flags & NPY_ARRAY_C_CONTIGUOUS)) {
        auto size = [f](int d) { return f->strides[d] < 0 ? -f->strides[d] : f->strides[d]; };
        for (int i = 1; i < f->nd; ++i)
            for (int j = i; j > 0 && size(perm[j - 1]) < size(perm[j]); --j)
                std::swap(perm[j - 1], perm[j]);
    }
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

Layout layout_of(const Fields* f);

// Counts a call by its result (views and identities: dtypes without kernels have no column).
PyObject* counted(Entry* entry, PyObject* out) {
    if (!out) return nullptr;
    Fields const* f = fields(out);
    DType const t = dtype_of(f->descr);
    if (t != no_dtype) count_native(entry, t, layout_of(f), f->nd, f->dimensions);
    return out;
}

Layout layout_of(const Fields* f) {
    return f->flags & NPY_ARRAY_C_CONTIGUOUS ? Layout::contiguous : Layout::strided;
}

}  // namespace

PyObject* c_ordered(PyObject* self) { return converted(self, fields(self)->descr, false); }

PyObject* empty_native(int, Entry* entry, PyObject*, PyObject* const* args, Py_ssize_t nargs,
                       PyObject* kwnames) {
    return make(new_array, entry, args, nargs, kwnames);
}

PyObject* zeros_native(int, Entry* entry, PyObject*, PyObject* const* args, Py_ssize_t nargs,
                       PyObject* kwnames) {
    return make(new_zeroed, entry, args, nargs, kwnames);
}

PyObject* ones_native(int, Entry* entry, PyObject*, PyObject* const* args, Py_ssize_t nargs,
                      PyObject* kwnames) {
    return make(
        [](int nd, const npy_intp* dims, PyArray_Descr* descr) -> PyObject* {
            PyObject* out = new_array(nd, dims, descr);
            if (!out) return nullptr;
            Fields* const f = fields(out);
            DType const t = dtype_of(descr);
            boolean one = static_cast<boolean>(1);
            Block element{}, block{};
            alignas(8) char value[8];
            element.data[0] = reinterpret_cast<char*>(&one);
            element.data[1] = value;
            element.n = element.rows = 1;
            const Table& table = *active().table;
            table.cast[index(DType::boolean)][index(t)](element);
            block.data[0] = value;
            block.data[1] = f->data;
            block.inner[1] = size_of(t);
            block.n = size_of(f);
            block.rows = 1;
            table.cast[index(t)][index(t)](block);
            return out;
        },
        entry, args, nargs, kwnames);
}

PyObject* asarray_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                         Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (!is_exact(self)) return decline(Why::type);
    if (!nargs && !kwnames && is_ours(self) &&
        which == 0) {  // itself: nothing runs, so nothing but the counter is touched
        DType const t = dtype_of(fields(self)->descr);
        if (t != no_dtype) ++entry->native[index(t)][static_cast<int>(Layout::contiguous)];
        return new_ref(self);
    }
    intern_all();
    PyObject* slots[max_parameters];
    if (!asarray_signature.parse(args, nargs, kwnames, slots)) return decline(Why::keyword);
    Fields* const f = fields(self);
    if (!is_none(slots[0]) && slots[0] != reinterpret_cast<PyObject*>(f->descr))
        return decline(Why::dtype);
    if (which == 1 && (f->nd == 0 || !(f->flags & NPY_ARRAY_C_CONTIGUOUS)))
        return decline(Why::shape);
    return counted(
        entry, is_ours(self) ? new_ref(self)
                             : new_view(self, f->nd, f->dimensions, f->strides, f->data, f->descr));
}

PyObject* copy_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                      Py_ssize_t nargs, PyObject* kwnames) {
    intern_all();
    if (!active().table) return decline(Why::disabled);
    if (!is_exact(self)) return decline(Why::type);
    PyObject* slots[max_parameters];
    if (!order_signature.parse(args, nargs, kwnames, slots)) return decline(Why::keyword);
    bool keep = which == 1;
    if (slots[0] && !parse_order(slots[0], &keep)) return decline(Why::keyword);
    Fields* const f = fields(self);
    DType const t = dtype_of(f->descr);
    if (t == no_dtype) return decline(Why::dtype);
    PyObject* out;
    if (f->descr == descr_of_num[f->descr->type_num] && (f->flags & NPY_ARRAY_C_CONTIGUOUS) &&
        size_of(f)) {
        out = new_array(f->nd, f->dimensions, f->descr);
        if (out)
            std::memcpy(fields(out)->data, f->data, static_cast<size_t>(size_of(f) * size_of(t)));
    } else {
        if (f->descr != descr_of_num[f->descr->type_num])
            return decline(Why::dtype);  // keeps the very instance
        out = converted(self, f->descr, keep);
    }
    if (out) count_native(entry, t, layout_of(f), f->nd, f->dimensions);
    return out;
}

PyObject* astype_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                        PyObject* kwnames) {
    intern_all();
    if (!active().table) return decline(Why::disabled);
    if (!is_exact(self)) return decline(Why::type);
    PyObject* slots[max_parameters];
    if (!astype_signature.parse(args, nargs, kwnames, slots) || !slots[0] || slots[3])
        return decline(Why::keyword);
    bool keep = true;
    if (slots[1] && !parse_order(slots[1], &keep)) return decline(Why::keyword);
    if (slots[2] && !(PyUnicode_CheckExact(slots[2]) &&
                      PyUnicode_CompareWithASCIIString(slots[2], "unsafe") == 0))
        return decline(Why::keyword);
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

PyObject* reshape_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                         Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (kwnames || !is_ours(self) || nargs < 1 || (which == 1 && nargs != 1))
        return decline(Why::keyword);
    Fields* const f = fields(self);
    if (!(f->flags & NPY_ARRAY_C_CONTIGUOUS)) return decline(Why::shape);
    int nd = 0;
    npy_intp dims[NPY_MAXDIMS];
    if (nargs == 1) {
        if (!parse_shape(args[0], &nd, dims)) return decline(Why::shape);
    } else {
        if (nargs > NPY_MAXDIMS) return decline(Why::shape);
        for (Py_ssize_t i = 0; i < nargs; ++i) {
            int one;
            if (!PyLong_CheckExact(args[i]) || !parse_shape(args[i], &one, dims + nd))
                return decline(Why::shape);
            ++nd;
        }
    }
    npy_intp const total = size_of(f);
    npy_intp known = 1;
    int unknown = -1;
    for (int i = 0; i < nd; ++i) {
        if (dims[i] == -1 && unknown < 0)
            unknown = i;
        else if (dims[i] <= 0 || __builtin_mul_overflow(known, dims[i], &known))
            return decline(Why::shape);
    }
    if (unknown >= 0) {
        if (total % known) return decline(Why::shape);
        dims[unknown] = total / known;
        if (!total) return decline(Why::shape);
    } else if (known != total) {
        return decline(Why::shape);
    }
    npy_intp strides[NPY_MAXDIMS];
    npy_intp stride = PyDataType_ELSIZE(f->descr);
    for (int i = nd - 1; i >= 0; --i) {
        strides[i] = stride;
        stride *= dims[i];
    }
    return counted(entry, new_view(self, nd, dims, strides, f->data, f->descr));
}

PyObject* reversed_axes(PyObject* self) {
    Fields* const f = fields(self);
    npy_intp dims[NPY_MAXDIMS], strides[NPY_MAXDIMS];
    for (int d = 0; d < f->nd; ++d) {
        dims[d] = f->dimensions[f->nd - 1 - d];
        strides[d] = f->strides[f->nd - 1 - d];
    }
    return new_view(self, f->nd, dims, strides, f->data, f->descr);
}

PyObject* transpose_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                           Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (kwnames || !is_ours(self) || (which == 1 && nargs > 1)) return decline(Why::keyword);
    Fields* const f = fields(self);
    PyObject* out;
    if (nargs == 0 || (nargs == 1 && args[0] == Py_None)) {
        out = reversed_axes(self);
    } else {
        npy_intp axes[NPY_MAXDIMS], dims[NPY_MAXDIMS], strides[NPY_MAXDIMS];
        int n = 0;
        if (nargs == 1) {
            if (PyLong_CheckExact(args[0]) || !parse_shape(args[0], &n, axes))
                return decline(Why::shape);
        } else {
            if (nargs > NPY_MAXDIMS) return decline(Why::shape);
            for (Py_ssize_t i = 0; i < nargs; ++i) {
                int one;
                if (!PyLong_CheckExact(args[i]) || !parse_shape(args[i], &one, axes + n))
                    return decline(Why::shape);
                ++n;
            }
        }
        if (n != f->nd) return decline(Why::shape);
        bool seen[NPY_MAXDIMS] = {};
        for (int i = 0; i < n; ++i) {
            npy_intp const axis = axes[i] < 0 ? axes[i] + n : axes[i];
            if (axis < 0 || axis >= n || seen[axis]) return decline(Why::shape);
            seen[axis] = true;
            dims[i] = f->dimensions[axis];
            strides[i] = f->strides[axis];
        }
        out = new_view(self, n, dims, strides, f->data, f->descr);
    }
    return counted(entry, out);
}

PyObject* clip_native(int which, Entry*, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                      PyObject* kwnames) {
    intern_all();
    if (!is_exact(self)) return decline(Why::type);
    PyObject* slots[max_parameters];
    if (!clip_signature.parse(args, nargs, kwnames, slots)) return decline(Why::keyword);
    PyObject* const low = slots[0] ? slots[0] : slots[3];
    PyObject* const high = slots[1] ? slots[1] : slots[4];
    if ((slots[0] && slots[3]) || (slots[1] && slots[4])) return decline(Why::keyword);
    // The function wants both positional bounds, or the keywords min and max.
    if (which == 1 && (!slots[0] != !slots[1] || (!slots[0] && !slots[3] && !slots[4])))
        return decline(Why::keyword);
    ElementwiseOptions options{};
    options.out = is_none(slots[2]) ? nullptr : slots[2];
    if (is_none(low) && is_none(high)) return decline(Why::keyword);
    if (is_none(low)) {
        PyObject* const inputs[2] = {self, high};
        return elementwise(Op::minimum, inputs, options);
    }
    if (is_none(high)) {
        PyObject* const inputs[2] = {self, low};
        return elementwise(Op::maximum, inputs, options);
    }
    PyObject* const inputs[3] = {self, low, high};
    return elementwise(Op::clip, inputs, options);
}

PyObject* where_native(int, Entry*, PyObject*, PyObject* const* args, Py_ssize_t nargs,
                       PyObject* kwnames) {
    if (nargs != 3 || kwnames) return decline(Why::keyword);
    return elementwise(Op::where, args, {});
}

int fill(PyObject* self, PyObject* value) {
    const Active& act = active();
    Fields* const f = fields(self);
    DType const t = dtype_of(f->descr);
    alignas(8) char element[8];
    if (!act.table || t == no_dtype || !(f->flags & NPY_ARRAY_WRITEABLE) ||
        (f->flags & warn_on_write))
        return 1;
    if (PyBool_Check(value) && t == DType::boolean)
        element[0] = value == Py_True;
    else if (!scalar_element(value, t, element))
        return 1;
    npy_intp zeros[NPY_MAXDIMS] = {};
    copy_nest(*act.table, f->nd, f->dimensions, element, zeros, t, f->data, f->strides, t);
    return 0;
}

int assign(char* data, int nd, const npy_intp* dims, const npy_intp* strides, DType t,
           PyObject* from) {
    const Active& act = active();
    if (!act.table) return 1;
    npy_intp from_strides[NPY_MAXDIMS] = {};
    if (!is_exact(from)) {
        alignas(8) char element[8];
        if (PyBool_Check(from) && t == DType::boolean)
            element[0] = from == Py_True;
        else if (!scalar_element(from, t, element))
            return 1;
        copy_nest(*act.table, nd, dims, element, from_strides, t, data, strides, t);
        return 0;
    }
    Fields* const f = fields(from);
    DType const u = dtype_of(f->descr);
    if (u == no_dtype || !quiet_cast(u, t) || f->nd > nd) return 1;
    int const first = nd - f->nd;
    bool same = u == t && f->data == data && f->nd == nd;
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
    Nest nest;
    nest.ndim = nd;
    nest.operands = 2;
    nest.data[0] = f->data;
    nest.data[1] = data;
    for (int d = 0; d < nd; ++d) {
        nest.shape[d] = dims[d];
        nest.strides[0][d] = from_strides[d];
        nest.strides[1][d] = strides[d];
    }
    if (overlaps(nest, 0, size_of(u), 1, size_of(t))) return 1;
    simplify(nest);
    run(reinterpret_cast<ElementwiseFn>(act.table->cast[index(u)][index(t)]), nest);
    return 0;
}

}  // namespace raptors
