#include "ops/elementwise.h"

#include <cstring>

#include "api/table.h"
#include "array/free_lists.h"
#include "array/temporaries.h"
#include "frame/fp/fpstatus.h"
#include "ops/promotion.h"
#include "python/operand.h"
#include "runtime/threads.h"

namespace py = pybind11;

namespace raptors {

Entry* op_entry[n_ops];
PyObject* numpy_ufunc_of[n_ops];

namespace {

Signature call_keywords = {3, 1, {"out", "where", "dtype"}, {}};

// ---- tier 0
constexpr int flat_flags = NPY_ARRAY_C_CONTIGUOUS;
constexpr npy_intp short_enough_to_repeat = 512;

// A scalar operand beside an array of dtype t whose promotion leaves t: weak ones of the right
// kind, or NumPy's own of type t.
inline bool tier0_scalar(PyObject* o, DType t, void* element) {
    if (PyFloat_CheckExact(o)) return store_float(PyFloat_AS_DOUBLE(o), t, element);
    if (PyLong_CheckExact(o))
        return t != DType::boolean && t != DType::uint64 && store_int(o, t, element);
    if (t == DType::float64 && Py_IS_TYPE(o, &PyDoubleArrType_Type))
        return store(element, PyArrayScalar_VAL(o, Double));
    if (t == DType::float32 && Py_IS_TYPE(o, &PyFloatArrType_Type))
        return store(element, PyArrayScalar_VAL(o, Float));
    if (t == DType::int64 && Py_IS_TYPE(o, &PyLongArrType_Type))
        return store(element, PyArrayScalar_VAL(o, Long));
    return false;
}

// A long row.
void run_row(BlockFn kernel, Op op, DType t, const Block& row) {
    Nest nest;
    nest.ndim = 1;
    nest.operands = op_info[index(op)].inputs + 1;
    nest.shape[0] = row.n;
    for (int i = 0; i < nest.operands; ++i) {
        nest.data[i] = row.data[i];
        nest.strides[i][0] = row.inner[i];
    }
    int const out_size = static_cast<int>(row.inner[nest.operands - 1]);
    run_long(row.n, cost_of(op, t), [&](Share share) { run(kernel, nest, out_size, share); });
}

// Runs a kernel over n contiguous elements (stride 0: a scalar) and reports its floating-point
// status.
inline int run_flat(BlockFn kernel, Op op, DType t, const Block& block) {
    const OpInfo& info = op_info[index(op)];
    auto call = [&] {
        if (block.n < long_from) [[likely]]
            kernel(block);
        else
            run_row(kernel, op, t, block);
    };
    if (!info.reports || !(is_floating(t) || op == Op::reciprocal)) {
        call();
        return 0;
    }
    // Reading the status takes as long as a short kernel. So what was raised before is not looked
    // at where the kernel can simply run again: if anything shows, it does.
    bool again = block.n <= short_enough_to_repeat;
    for (int i = 0; i < info.inputs; ++i) again &= block.data[i] != block.data[info.inputs];
    if (!again) clear_fp_status();
    call();
    int status = fp_status();
    if (status && again) {
        clear_fp_status();
        call();
        status = fp_status();
    }
    return status ? report_fp_status(info.name, status) : 0;
}

// A temporary among the operands that can hold a C-ordered result of this shape and dtype; nullptr:
// none.
PyObject* dying_operand(PyObject* const* inputs, int nin, int nd, const npy_intp* dims,
                        PyArray_Descr* descr) {
    npy_intp bytes = PyDataType_ELSIZE(descr);
    for (int d = 0; d < nd; ++d) bytes *= dims[d];
    if (bytes < shortest_temporary) return nullptr;
    for (int i = 0; i < nin; ++i) {
        if (!is_ours(inputs[i]) || Py_REFCNT(inputs[i]) != 1) continue;
        Fields const* f = fields(inputs[i]);
        bool fits = f->descr == descr && f->nd == nd && (f->flags & flat_flags);
        for (int d = 0; fits && d < nd; ++d) fits = f->dimensions[d] == dims[d];
        if (fits && is_temporary(inputs[i])) return inputs[i];
    }
    return nullptr;
}

// Where the result of tier 0 goes: a new array, or a temporary operand.
inline PyObject* new_result(PyObject* const* inputs, int nin, const Fields* like,
                            PyArray_Descr* descr, npy_intp n, bool is_operator) {
    if (is_operator && n >= shortest_temporary / 8) [[unlikely]]
        if (PyObject* dying = dying_operand(inputs, nin, like->nd, like->dimensions, descr))
            return new_ref(dying);
    return new_array(like->nd, like->dimensions, descr);
}

inline PyArray_Descr* result_descr(Op op, PyArray_Descr* descr) {
    return op_info[index(op)].result == Result::boolean ? descr_of_num[NPY_BOOL] : descr;
}

}  // namespace

int report_fp_status(const char* name, int status) {
    clear_fp_status();
    return PyUFunc_GiveFloatingpointErrors(name, status);
}

PyObject* binary(Op op, PyObject* l, PyObject* r, bool is_operator) {
    const Active& act = active();
    if (!act.table) return decline(Why::disabled);
    bool const ours_l = is_ours(l), ours_r = is_ours(r);
    PyObject* const like = ours_l ? l : r;
    PyObject* const inputs[2] = {l, r};
    ElementwiseOptions options{};
    options.is_operator = is_operator;
    if (!is_ours(like)) return elementwise(op, inputs, options);
    Fields* const f = fields(like);
    DType const t = dtype_of(f->descr);
    if (t == no_dtype) return decline(Why::dtype);
    BlockFn const kernel = act.table->elementwise[index(op)][index(t)];
    alignas(8) char element[8];
    Block block;
    Layout layout = Layout::contiguous;
    if (kernel && f->nd && (f->flags & flat_flags)) {
        npy_intp const size = size_of(t);
        block.inner[0] = block.inner[1] = size;
        block.data[0] = block.data[1] = f->data;
        if (ours_l && ours_r) {
            Fields* const g = fields(r);
            if (g->descr != f->descr || !(g->flags & flat_flags) || !same_shape(f, g)) goto general;
            block.data[1] = g->data;
        } else {
            int const side = ours_l ? 1 : 0;
            if (!tier0_scalar(ours_l ? r : l, t, element)) goto general;
            block.data[side] = element;
            block.inner[side] = 0;
            layout = Layout::scalar;
        }
        PyArray_Descr* const descr = result_descr(op, f->descr);
        block.n = size_of(f);
        PyObject* out = new_result(inputs, 2, f, descr, block.n, is_operator);
        if (!out) return nullptr;
        block.data[2] = fields(out)->data;
        block.inner[2] = PyDataType_ELSIZE(descr);
        block.outer[0] = block.outer[1] = block.outer[2] = 0;
        block.rows = 1;
        if (run_flat(kernel, op, t, block) < 0) {
            Py_DECREF(out);
            return nullptr;
        }
        count_native(op_entry[index(op)], t, layout, f->nd, f->dimensions);
        return out;
    }
general:
    return elementwise(op, inputs, options);
}

PyObject* unary(Op op, PyObject* x, bool is_operator) {
    const Active& act = active();
    if (!act.table) return decline(Why::disabled);
    if (is_ours(x)) {
        Fields* const f = fields(x);
        DType const t = dtype_of(f->descr);
        if (t == no_dtype) return decline(Why::dtype);
        BlockFn const kernel = act.table->elementwise[index(op)][index(t)];
        if (kernel && f->nd && (f->flags & flat_flags)) {
            PyArray_Descr* const descr = result_descr(op, f->descr);
            Block block;
            block.n = size_of(f);
            PyObject* out = new_result(&x, 1, f, descr, block.n, is_operator);
            if (!out) return nullptr;
            block.data[0] = f->data;
            block.data[1] = fields(out)->data;
            block.inner[0] = size_of(t);
            block.inner[1] = PyDataType_ELSIZE(descr);
            block.outer[0] = block.outer[1] = 0;
            block.rows = 1;
            if (run_flat(kernel, op, t, block) < 0) {
                Py_DECREF(out);
                return nullptr;
            }
            count_native(op_entry[index(op)], t, Layout::contiguous, f->nd, f->dimensions);
            return out;
        }
    }
    ElementwiseOptions options{};
    options.is_operator = is_operator;
    return elementwise(op, &x, options);
}

PyObject* in_place(Op op, PyObject* l, PyObject* r) {
    const Active& act = active();
    if (!act.table) return decline(Why::disabled);
    if (!is_ours(l)) return decline(Why::type);
    Fields* const f = fields(l);
    DType const t = dtype_of(f->descr);
    constexpr int wanted = flat_flags | NPY_ARRAY_WRITEABLE;
    if (t != no_dtype && f->nd && (f->flags & (wanted | warn_on_write)) == wanted &&
        (op_info[index(op)].result == Result::same || t == DType::boolean)) {
        BlockFn const kernel = act.table->elementwise[index(op)][index(t)];
        alignas(8) char element[8];
        Block block;
        npy_intp const n = size_of(f), bytes = n * size_of(t);
        Layout layout = Layout::contiguous;
        block.inner[0] = block.inner[1] = block.inner[2] = size_of(t);
        block.data[0] = block.data[2] = f->data;
        bool ok = kernel != nullptr;
        if (ok && is_ours(r)) {
            Fields* const g = fields(r);
            block.data[1] = g->data;
            ok = g->descr == f->descr && (g->flags & flat_flags) && same_shape(f, g) &&
                 (g->data == f->data || g->data + bytes <= f->data || f->data + bytes <= g->data);
        } else if (ok) {
            block.data[1] = element;
            block.inner[1] = 0;
            layout = Layout::scalar;
            ok = tier0_scalar(r, t, element);
        }
        if (ok) {
            block.outer[0] = block.outer[1] = block.outer[2] = 0;
            block.n = n;
            block.rows = 1;
            // Someone may drop the last other reference while a warning is shown.
            Py_INCREF(l);
            if (run_flat(kernel, op, t, block) < 0) {
                Py_DECREF(l);
                return nullptr;
            }
            count_native(op_entry[index(op)], t, layout, f->nd, f->dimensions);
            return l;
        }
    }
    PyObject* const inputs[2] = {l, r};
    ElementwiseOptions options{};
    options.out = l;
    return elementwise(op, inputs, options);
}

namespace {

// Operands of the loop's own dtypes, scalars or C-ordered arrays of one shape: one call of the
// kernel, no iterator. False: not so.
bool one_block(Op op, BlockFn kernel, const Operand* x, PyObject* const* inputs,
               const Resolution& r, const ElementwiseOptions& options, PyObject** done) {
    int const nin = op_info[index(op)].inputs;
    Block block;
    Fields* like = nullptr;
    Layout layout = Layout::contiguous;
    for (int i = 0; i < nin; ++i) {
        block.data[i] = x[i].data;
        block.inner[i] = x[i].nd ? size_of(x[i].dtype) : 0;
        if (x[i].nd == 0) {
            layout = Layout::scalar;
            continue;
        }
        Fields* const f = fields(x[i].object);
        if (!(f->flags & flat_flags) || (like && !same_shape(like, f))) return false;
        like = f;
    }
    DType const result = dtype_of_num[r.result->type_num];
    block.inner[nin] = size_of(result);
    for (ptrdiff_t& outer : block.outer) outer = 0;
    block.n = like ? size_of(like) : 1;
    block.rows = 1;
    if (block.n == 0) return false;
    alignas(8) char scalar[8];
    PyObject* out = nullptr;
    if (options.out) {
        if (!like || !is_exact(options.out)) return false;
        Fields const* const o = fields(options.out);
        constexpr int wanted = flat_flags | NPY_ARRAY_WRITEABLE;
        if ((o->flags & (wanted | warn_on_write)) != wanted || dtype_of(o->descr) != result ||
            !same_shape(like, o))
            return false;
        npy_intp const bytes = block.n * size_of(result);
        for (int i = 0; i < nin; ++i) {
            npy_intp const extent = x[i].nd ? block.n * block.inner[i] : size_of(x[i].dtype);
            bool const apart = x[i].data + extent <= o->data || o->data + bytes <= x[i].data;
            bool const same = x[i].data == o->data && block.inner[i] == block.inner[nin];
            if (x[i].data != x[i].element && !apart && !same) return false;
        }
        out = new_ref(options.out);
    } else if (like) {
        out = new_result(inputs, nin, like, r.result, block.n, options.is_operator);
        if (!out) return true;
    } else if (op == Op::where) {  // no ufunc: it returns arrays
        return false;
    } else {
        for (int i = 0; i < nin; ++i) block.inner[i] = size_of(x[i].dtype);  // packed: one of each
    }
    block.data[nin] = out ? fields(out)->data : scalar;
    if (run_flat(kernel, op, r.loop, block) < 0) {
        Py_XDECREF(out);
        return true;
    }
    if (out) {
        count_native(op_entry[index(op)], r.loop, layout, fields(out)->nd, fields(out)->dimensions);
    } else {
        count_native(op_entry[index(op)], r.loop, Layout::scalar, 0, nullptr);
        out = as_scalar(scalar, result, r.result->type_num);
    }
    *done = out;
    return true;
}

// NumPy's logical ufuncs take a Python int as int64 whatever the array is.
bool refuses_big_int(Op op, const char* element) {
    uint64_t value;
    std::memcpy(&value, element, sizeof value);
    return (op == Op::logical_and || op == Op::logical_or || op == Op::logical_xor) && value >> 63;
}

}  // namespace

// ---- tier 1
PyObject* elementwise(Op op, PyObject* const* inputs, const ElementwiseOptions& options) {
    const Active& act = active();
    if (!act.table) return decline(Why::disabled);
    const OpInfo& info = op_info[index(op)];
    int const nin = info.inputs;
    Operand x[4];  // inputs, then the mask of where=
    for (int i = 0; i < nin; ++i)
        if (!read_operand(inputs[i], x[i])) return nullptr;

    int dtype_num = -1;
    if (!is_none(options.dtype)) {
        PyArray_Descr* wanted = nullptr;
        if (!PyArray_DescrConverter(options.dtype, &wanted)) return nullptr;
        dtype_num = dtype_of(wanted) == no_dtype ? -1 : wanted->type_num;
        Py_DECREF(wanted);
        if (dtype_num < 0) return decline(Why::dtype);
    }
    Resolution const r = resolve(op, x, nin, dtype_num);
    if (r.loop == no_dtype) return decline(Why::dtype);
    BlockFn const kernel = act.table->elementwise[index(op)][index(r.loop)];
    if (!kernel) return decline(Why::dtype);

    bool const masked = options.where && options.where != Py_True;
    if (masked) {
        // Without an output the unselected elements are arbitrary, and newer NumPy warns of that.
        if (nin > 2 || !options.out || !read_operand(options.where, x[nin]) ||
            x[nin].dtype != DType::boolean)
            return decline(Why::keyword);
    }
    int const nread = nin + masked;

    // Each input either has the loop's dtype, or is converted to it.
    Conversion conversions[max_operands] = {};
    bool converting = false;
    for (int i = 0; i < nin; ++i) {
        DType const want = op == Op::where && i == 0 ? DType::boolean : r.loop;
        if (!settle(x[i], want)) return nullptr;
        if (x[i].code == weak_int && want == DType::uint64 && refuses_big_int(op, x[i].element))
            return decline(Why::value);
        if (x[i].dtype == want) continue;
        if (x[i].nd == 0) {
            if (!convert_scalar(*act.table, x[i], want)) return nullptr;
            continue;
        }
        // Narrowing casts may raise floating-point events of their own.
        if (is_floating(x[i].dtype) && size_of(want) < size_of(x[i].dtype) &&
            want != DType::boolean)
            return decline(Why::value);
        conversions[i] = {act.table->cast[index(x[i].dtype)][index(want)], size_of(want),
                          size_of(x[i].dtype)};
        converting = true;
    }

    if (!masked && !converting) {
        PyObject* done = nullptr;
        if (one_block(op, kernel, x, inputs, r, options, &done)) return done;
    }

    // Broadcast.
    Nest nest;
    Fields* out_fields = nullptr;
    int nd = 0;
    for (int i = 0; i < nread; ++i) nd = x[i].nd > nd ? x[i].nd : nd;
    if (options.out) {
        if (!is_exact(options.out)) return decline(Why::type);
        out_fields = fields(options.out);
        if (!(out_fields->flags & NPY_ARRAY_WRITEABLE) || (out_fields->flags & warn_on_write))
            return decline(Why::type);
        if (out_fields->nd < nd) return decline(Why::shape);
        nd = out_fields->nd;
    }
    for (int d = 0; d < nd; ++d) nest.shape[d] = out_fields ? out_fields->dimensions[d] : 1;
    for (int i = 0; i < nread; ++i) {
        int const first = nd - x[i].nd;
        int const slot = i < nin ? i : nin + 1;
        nest.data[slot] = x[i].data;
        for (int d = 0; d < first; ++d) nest.strides[slot][d] = 0;
        for (int d = 0; d < x[i].nd; ++d) {
            npy_intp const len = x[i].dims[d];
            npy_intp& shape = nest.shape[first + d];
            nest.strides[slot][first + d] = len == 1 ? 0 : x[i].strides[d];
            if (len == 1 || len == shape) continue;
            if (shape != 1 || out_fields) return decline(Why::shape);
            shape = len;
        }
    }
    nest.ndim = nd;

    // The output.
    PyArray_Descr* const descr = r.result;
    DType const result = dtype_of_num[descr->type_num];
    PyObject* out = nullptr;
    alignas(8) char scalar[8];
    if (out_fields) {
        DType const t = dtype_of(out_fields->descr);
        if (t == no_dtype) return decline(Why::dtype);
        if (t != result) {
            // Only casts that can raise no floating-point event: to a wider type.
            if (!PyArray_CanCastSafely(descr->type_num, out_fields->descr->type_num))
                return decline(Why::dtype);
            conversions[nin] = {act.table->cast[index(result)][index(t)], size_of(result),
                                size_of(t)};
            converting = true;
        }
        nest.data[nin] = out_fields->data;
        for (int d = 0; d < nd; ++d)
            nest.strides[nin][d] = nest.shape[d] == 1 ? 0 : out_fields->strides[d];
        nest.operands = nin + 1;
        for (int i = 0; i < nread; ++i) {
            int const slot = i < nin ? i : nin + 1;
            if (x[i].data != x[i].element &&
                overlaps(nest, slot, size_of(x[i].dtype), nin, size_of(t)))
                return decline(Why::overlap);
        }
        out = new_ref(options.out);
    } else if (nd == 0 && op != Op::where) {  // np.where is no ufunc: it returns arrays
        nest.data[nin] = scalar;
    } else {
        int perm[max_dims];
        k_order(nest, nin, perm);
        if (options.is_operator && !converting) {
            bool c_order = true;
            for (int d = 0; d < nd; ++d) c_order &= perm[d] == d;
            if (c_order) out = dying_operand(inputs, nin, nd, nest.shape, descr);
        }
        out = out ? new_ref(out) : new_array_ordered(nd, nest.shape, perm, descr);
        if (!out) return nullptr;
        nest.data[nin] = fields(out)->data;
        for (int d = 0; d < nd; ++d) nest.strides[nin][d] = fields(out)->strides[d];
    }
    nest.operands = nin + 1 + masked;
    Layout layout = Layout::strided;
    simplify(nest);
    if (nest.ndim <= 1) {
        layout = Layout::contiguous;
        for (int i = 0; i <= nin && nest.ndim; ++i) {
            ptrdiff_t const stride = nest.strides[i][0];
            int const own = i < nin ? size_of(x[i].dtype)
                            : out   ? static_cast<int>(PyDataType_ELSIZE(fields(out)->descr))
                                    : 0;
            if (stride == 0 && i < nin && nest.shape[0] > 1)
                layout = layout == Layout::strided ? layout : Layout::scalar;
            else if (stride != own && nest.shape[0] > 1)
                layout = Layout::strided;
        }
    }

    bool const reports = info.reports && (is_floating(r.loop) || op == Op::reciprocal);
    if (reports) clear_fp_status();
    bool done = true;
    double cost = cost_of(op, r.loop);
    for (int i = 0; i <= nin; ++i)
        if (conversions[i].cast) cost += cast_cost;
    int const out_size = size_of(out ? dtype_of(fields(out)->descr) : result);
    run_long(count(nest), cost, [&](Share share) {
        if (masked)
            done = run_masked(kernel, nest, converting ? conversions : nullptr, share);
        else if (converting)
            done = run(kernel, nest, conversions, share);
        else
            run(kernel, nest, out_size, share);
    });
    if (!done) {
        Py_XDECREF(out);
        return PyErr_NoMemory();
    }
    if (reports) {
        int const status = fp_status();
        if (status && report_fp_status(info.name, status) < 0) {
            Py_XDECREF(out);
            return nullptr;
        }
    }
    // Counted by the dtype of the loop; the shape is the result's.
    if (out) {
        count_native(op_entry[index(op)], r.loop, layout, fields(out)->nd, fields(out)->dimensions);
        return out;
    }
    count_native(op_entry[index(op)], r.loop, Layout::scalar, 0, nullptr);
    return as_scalar(scalar, result, descr->type_num);
}

PyObject* elementwise_call(Op op, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    int const nin = op_info[index(op)].inputs;
    if (nargs == nin && !kwnames) {
        if (nin == 1) return unary(op, args[0]);
        if (nin == 2) return binary(op, args[0], args[1]);
        return elementwise(op, args, {});
    }
    if (nargs < nin) return decline(Why::keyword);
    PyObject* slots[3];
    if (!call_keywords.parse(args + nin, nargs - nin, kwnames, slots)) return decline(Why::keyword);
    // NumPy deprecates a third positional argument of these.
    if (nargs > nin && (op == Op::minimum || op == Op::maximum)) return decline(Why::keyword);
    PyObject* out = slots[0];
    if (out && PyTuple_CheckExact(out)) {
        if (PyTuple_GET_SIZE(out) != 1) return decline(Why::keyword);
        out = PyTuple_GET_ITEM(out, 0);
    }
    if (slots[2] == Py_None)
        return decline(Why::keyword);  // dtype=None: NumPy's default, rarely written
    return elementwise(op, args, {out == Py_None ? nullptr : out, slots[1], slots[2], false});
}

void init_elementwise() {
    auto numpy = import_module("numpy");
    init_promotion();
    for (int i = 0; i < n_ops; ++i) {
        op_entry[i] = new_entry(op_info[i].name);
        auto const op = static_cast<Op>(i);
        if (op == Op::where) continue;
        auto home = op == Op::clip ? import_module("numpy._core.umath") : numpy;
        numpy_ufunc_of[i] = py::object(home.attr(op_info[i].name)).release().ptr();
    }
}

}  // namespace raptors
