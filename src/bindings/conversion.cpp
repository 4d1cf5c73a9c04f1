#include "conversion.h"

#include <cstring>
#include <utility>

#include "elementwise.h"
#include "frame/fpstatus.h"
#include "frame/iterate.h"
#include "object_cache.h"

namespace raptors {
namespace {

Signature asarray_signature = {1, 1, {"dtype"}, {}};
Signature order_signature = {1, 1, {"order"}, {}};
Signature astype_signature = {5, 5, {"dtype", "order", "casting", "subok", "copy"}, {}};

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

}  // namespace

PyObject* c_ordered(PyObject* self) { return converted(self, fields(self)->descr, false); }

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
