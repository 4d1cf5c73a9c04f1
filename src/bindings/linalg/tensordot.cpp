#include "linalg/tensordot.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "api/table.h"
#include "array/free_lists.h"
#include "creation/copying.h"
#include "frame/fp/fpstatus.h"
#include "linalg/contraction.h"
#include "ops/elementwise.h"
#include "ops/reduce.h"
#include "python/operand.h"
#include "runtime/threads.h"

namespace py = pybind11;

namespace raptors {
namespace {

Signature const tensordot_signature = {2, 2, {"b", "axes"}, {}};
Signature const linalg_tensordot_signature = {2, 1, {"", "axes"}, {}};

// The axes of two arrays that tensordot() sums over, in pairs.
bool parse_pairs(PyObject* axes, int nd_a, int nd_b, int* n, npy_intp* in_a, npy_intp* in_b) {
    npy_intp last = 2;
    if (!axes || parse_integer(axes, &last)) {
        if (last < 0 || last > nd_a || last > nd_b) return false;
        *n = static_cast<int>(last);
        for (int i = 0; i < *n; ++i) {
            in_a[i] = nd_a - last + i;
            in_b[i] = i;
        }
        return true;
    }
    if (!is_sequence(axes) || PySequence_Fast_GET_SIZE(axes) != 2) return false;
    PyObject** const pair = PySequence_Fast_ITEMS(axes);
    int other;
    return parse_axes(pair[0], nd_a, n, in_a) && parse_axes(pair[1], nd_b, &other, in_b) &&
           *n == other;
}

}  // namespace

PyObject* tensordot_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                           Py_ssize_t nargs, PyObject* kwnames) {
    const Active& act = active();
    if (!act.table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    const Signature& signature = which ? linalg_tensordot_signature : tensordot_signature;
    if (!signature.parse(args, nargs, kwnames, slots) || !slots[0] || (which && nargs != 1))
        return decline(Why::keyword);
    if (!is_exact(self) || !is_exact(slots[0])) return decline(Why::type);
    Fields const *const f = fields(self), *const g = fields(slots[0]);
    DType const t = dtype_of(f->descr);
    if (!is_elementary(t) || f->descr != g->descr || f->descr != descr_of_num[f->descr->type_num] ||
        !has_gemm(*act.table, t))
        return decline(Why::dtype);
    int n;
    npy_intp in_a[NPY_MAXDIMS], in_b[NPY_MAXDIMS];
    if (!parse_pairs(slots[1], f->nd, g->nd, &n, in_a, in_b)) return decline(Why::shape);
    Problem p = {*act.table, t, f->data, g->data, nullptr, {}, {}};
    uint64_t summed_a = 0, summed_b = 0;
    for (int i = 0; i < n; ++i) {
        npy_intp const length = f->dimensions[in_a[i]];
        if (length != g->dimensions[in_b[i]]) return decline(Why::shape);
        p.summed.add({length, f->strides[in_a[i]], g->strides[in_b[i]], 0});
        summed_a |= uint64_t{1} << in_a[i];
        summed_b |= uint64_t{1} << in_b[i];
    }
    if (f->nd + g->nd - 2 * n > NPY_MAXDIMS) return decline(Why::shape);
    npy_intp matrix[2] = {1, 1};
    for (int d = 0; d < f->nd; ++d) {
        if (summed_a >> d & 1) continue;
        p.kept.add({f->dimensions[d], f->strides[d], 0, 0});
        matrix[0] *= f->dimensions[d];
    }
    for (int d = 0; d < g->nd; ++d) {
        if (summed_b >> d & 1) continue;
        p.kept.add({g->dimensions[d], 0, g->strides[d], 0});
        matrix[1] *= g->dimensions[d];
    }
    // NumPy's is a view of a matrix.
    PyObject* const product = new_array(2, matrix, f->descr);
    if (!product) return nullptr;
    p.c = fields(product)->data;
    int const nd = p.kept.n;
    npy_intp dims[NPY_MAXDIMS], strides[NPY_MAXDIMS];
    npy_intp stride = item_size(t);
    for (int d = nd - 1; d >= 0; --d) {
        dims[d] = p.kept.at[d].n;
        p.kept.at[d].c = strides[d] = stride;
        stride *= std::max<npy_intp>(dims[d], 1);
    }
    clear_fp_status();
    PyObject* out = nullptr;
    if (contract(p)) {
        if (is_floating(t) && fp_status())  // of which NumPy tells, if at all, in its own way
            declined = Why::value;
        else
            out = new_view(product, nd, dims, strides, fields(product)->data, f->descr);
    }
    clear_fp_status();
    Py_DECREF(product);
    if (!out) return nullptr;
    count_native(entry, t, layout_of(f), nd, dims);
    if (p.offload.policy) count_offload(entry, p.offload);
    return out;
}

// ---- outer, kron: products of elements, of views that repeat

namespace {

py::object stolen(PyObject* o) { return py::reinterpret_steal<py::object>(o); }

// The elements in C order as a column or a row.
py::object as_matrix(PyObject* a, bool column) {
    Fields const* const f = fields(a);
    npy_intp const n = count_of(f), size = PyDataType_ELSIZE(f->descr);
    npy_intp const step = f->nd == 1 ? f->strides[0] : size;
    npy_intp const dims[2] = {column ? n : 1, column ? 1 : n};
    npy_intp const strides[2] = {column ? step : size, column ? size : step};
    return stolen(new_view(a, 2, dims, strides, f->data, f->descr));
}

// An axis of length 1 before each, or (`after`) after each of `nd` axes.
py::object spaced(PyObject* a, int nd, bool after) {
    Fields const* const f = fields(a);
    npy_intp dims[NPY_MAXDIMS], strides[NPY_MAXDIMS];
    for (int d = 0; d < nd; ++d) {
        int const own = d - nd + f->nd, at = 2 * d + !after;
        dims[2 * d] = dims[2 * d + 1] = 1;
        strides[2 * d] = strides[2 * d + 1] = PyDataType_ELSIZE(f->descr);
        if (own < 0) continue;
        dims[at] = f->dimensions[own];
        strides[at] = f->strides[own];
    }
    return stolen(new_view(a, 2 * nd, dims, strides, f->data, f->descr));
}

}  // namespace

PyObject* outer_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                       Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (kwnames || nargs != 1) return decline(Why::keyword);
    for (PyObject* const x : {self, args[0]}) {
        if (!is_ours(x)) return decline(Why::type);
        Fields const* const f = fields(x);
        if (f->nd != 1 && (which == 1 || !(f->flags & NPY_ARRAY_C_CONTIGUOUS)))
            return decline(Why::shape);
    }
    auto const column = as_matrix(self, true), row = as_matrix(args[0], false);
    if (!column || !row) return nullptr;
    return counted(entry, binary(Op::multiply, column.ptr(), row.ptr()));
}

PyObject* kron_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                      PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (kwnames || nargs != 1) return decline(Why::keyword);
    for (PyObject* const x : {self, args[0]}) {
        if (!is_ours(x)) return decline(Why::type);
        Fields const* const f = fields(x);
        if (f->nd == 0 || 2 * f->nd > NPY_MAXDIMS || !(f->flags & NPY_ARRAY_C_CONTIGUOUS))
            return decline(Why::shape);
    }
    int const nd = std::max(fields(self)->nd, fields(args[0])->nd);
    auto const a = spaced(self, nd, true), b = spaced(args[0], nd, false);
    if (!a || !b) return nullptr;
    auto const product = stolen(binary(Op::multiply, a.ptr(), b.ptr()));
    if (!product) return nullptr;
    Fields const* const f = fields(product.ptr());
    if (!(f->flags & NPY_ARRAY_C_CONTIGUOUS)) return decline(Why::shape);
    npy_intp dims[NPY_MAXDIMS], strides[NPY_MAXDIMS];
    npy_intp stride = PyDataType_ELSIZE(f->descr);
    for (int d = nd - 1; d >= 0; --d) {
        dims[d] = f->dimensions[2 * d] * f->dimensions[2 * d + 1];
        strides[d] = stride;
        stride *= std::max<npy_intp>(dims[d], 1);
    }
    return counted(entry, new_view(product.ptr(), nd, dims, strides, f->data, f->descr));
}

}  // namespace raptors
