#include "creation/copying.h"

#include <cstring>

#include "api/table.h"
#include "array/free_lists.h"
#include "frame/fp/fpstatus.h"
#include "frame/nest/axes.h"
#include "frame/nest/overlap.h"
#include "frame/run/iterate.h"
#include "frame/run/move.h"
#include "python/operand.h"
#include "runtime/threads.h"

namespace raptors {
namespace {

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

constexpr double byte_cost = 0.03;  // nanoseconds for a byte that is moved

// Elements of `size` bytes as they are.
void move_nest(Nest& nest, ptrdiff_t size) {
    const Table& table = *active().table;
    simplify(nest);
    run_long(count(nest), byte_cost * static_cast<double>(size),
             [&](WorkSplit split) { move(table, nest, size, split); });
}

void cast_nest(const Table& table, Nest& nest, DType from, DType to) {
    if (from == to) return move_nest(nest, item_size(to));
    Kernel const cast = {.function = table.cast[index(from)][index(to)],
                         .inputs = 1,
                         .outputs = 1,
                         .dtypes = {from, to}};
    simplify(nest);
    run_long(count(nest), cast_cost, [&](WorkSplit split) { run(cast, nest, split); });
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

}  // namespace

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

void copy_nest(const Table& table, int nd, const npy_intp* dims, char* from,
               const npy_intp* from_strides, DType from_t, char* to, const npy_intp* to_strides,
               DType to_t) {
    Nest nest = pair(nd, dims, from, from_strides, to, to_strides);
    cast_nest(table, nest, from_t, to_t);
}

void move_elements(int nd, const npy_intp* dims, char* from, const npy_intp* from_strides, char* to,
                   const npy_intp* to_strides, npy_intp size) {
    Nest nest = pair(nd, dims, from, from_strides, to, to_strides);
    move_nest(nest, size);
}

void move_bytes(char* to, const char* from, npy_intp bytes) {
    constexpr npy_intp at_once = npy_intp{1} << 20;
    if (bytes < at_once) {
        std::memcpy(to, from, static_cast<size_t>(bytes));
        return;
    }
    npy_intp const step = 1;
    move_elements(1, &bytes, const_cast<char*>(from), &step, to, &step, 1);
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

namespace {

// The axes of a copy of an array, the outermost first.
void order_axes(const Fields* f, Order order, int* perm) {
    perm[0] = 0;  // GCC warns of arrays without axes otherwise
    int const both = NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_F_CONTIGUOUS;
    if (order == Order::any)
        order = (f->flags & both) == NPY_ARRAY_F_CONTIGUOUS ? Order::fortran : Order::c;
    if (order == Order::keep) return stride_order(f, perm);
    for (int d = 0; d < f->nd; ++d) perm[d] = order == Order::fortran ? f->nd - 1 - d : d;
}

}  // namespace

PyObject* converted(PyObject* self, PyArray_Descr* descr, Order order) {
    const Active& act = active();
    Fields* const f = fields(self);
    DType const t = dtype_of(f->descr), u = dtype_of(descr);
    // Which of these casts raise an event depends on the compiler, in NumPy, too.
    if (is_floating(t) && u == DType::uint32) return decline(Why::value);
    // NumPy warns of imaginary parts that are lost.
    if (is_complex(t) && !quiet_cast(t, u)) return decline(Why::value);
    int perm[NPY_MAXDIMS];
    order_axes(f, order, perm);
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

// A copy of an exact array in its own dtype.
PyObject* copied(PyObject* self, Order order) {
    Fields* const f = fields(self);
    if (!is_movable(f->descr)) return decline(Why::dtype);
    bool const flat = f->flags & NPY_ARRAY_C_CONTIGUOUS && order != Order::fortran;
    int perm[NPY_MAXDIMS];
    order_axes(f, order, perm);
    PyObject* const out = new_array_ordered(f->nd, f->dimensions, perm, f->descr);
    if (!out) return nullptr;
    npy_intp const size = PyDataType_ELSIZE(f->descr);
    if (flat)
        move_bytes(fields(out)->data, f->data, count_of(f) * size);
    else
        move_elements(f->nd, f->dimensions, f->data, f->strides, fields(out)->data,
                      fields(out)->strides, size);
    return out;
}

PyObject* as_values(PyArray_Descr* descr, PyObject* from) {
    PyArray_Descr* const own = fields(from)->descr;
    if (moves_to(descr, own)) return new_ref(from);
    DType const t = dtype_of(descr);
    return converts_to(t, dtype_of(own)) ? converted(from, descr_of(t), Order::keep)
                                         : decline(Why::dtype);
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
        cast_nest(*act.table, nest, u, t);
    }
    return 0;
}

}  // namespace raptors
