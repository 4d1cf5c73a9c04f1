// Tier 0: operands of one dtype, contiguous or scalar, go straight to the kernel.
#include "api/table.h"
#include "ops/elementwise.h"
#include "runtime/kernel_choice.h"
#include "runtime/threads.h"

namespace raptors {
namespace {

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

// A long call, by the kernel that is fastest at it. Returns whether that is NumPy's loop.
bool run_long_row(const Table& table, Op op, DType t, const Block& block) {
    Choice const choice = choose_kernel(table, op, t, block);
    run_row(choice.kernel, cost_of(op, t), block);
    return choice.is_numpy;
}

// Runs a kernel over n contiguous elements (stride 0: a scalar), reports its floating-point status,
// and counts the call by its operand `like`. Negative: an error is set.
inline int run_flat(KernelFn kernel, const Table& table, Op op, DType t, const Block& block,
                    PyObject* like, Layout layout) {
    const OpInfo& info = op_info[index(op)];
    bool by_numpy = false;
    auto const call = [&] {
        if (block.n < long_from) [[likely]]
            kernel(block, nullptr);
        else
            by_numpy = run_long_row(table, op, t, block);
    };
    if (!info.reports(t))
        call();
    else if (run_reporting(info.name, may_repeat(block, info.inputs, 1), call) < 0)
        return -1;
    if (by_numpy) [[unlikely]]
        count_numpy(ufunc_of(op).entry, Why::loop, like);
    else
        count_native(ufunc_of(op).entry, t, layout, fields(like)->nd, fields(like)->dimensions);
    return 0;
}

// The dtype of the one output where that is the operands' or boolean; nullptr: tier 1 knows.
inline PyArray_Descr* result_descr(Op op, PyArray_Descr* descr) {
    char const letter = op_info[index(op)].uniform;
    return letter == 'T' ? descr : letter == '?' ? descr_of_num[NPY_BOOL] : nullptr;
}

PyObject* tier_1(Op op, PyObject* const* inputs, bool is_operator) {
    ElementwiseOptions options{};
    options.is_operator = is_operator;
    return elementwise(op, inputs, options);
}

}  // namespace

PyObject* binary(Op op, PyObject* l, PyObject* r, bool is_operator) {
    const Active& act = active();
    if (!act.table) return decline(Why::disabled);
    bool const ours_l = is_ours(l), ours_r = is_ours(r);
    PyObject* const like = ours_l ? l : r;
    PyObject* const inputs[2] = {l, r};
    if (!is_ours(like)) return tier_1(op, inputs, is_operator);
    Fields* const f = fields(like);
    DType const t = dtype_of(f->descr);
    if (t == no_dtype) return tier_1(op, inputs, is_operator);
    KernelFn const kernel = act.table->elementwise[index(op)][index(t)];
    Element element;
    Block block;
    Layout layout = Layout::contiguous;
    PyArray_Descr* const descr = result_descr(op, f->descr);
    if (kernel && descr && f->nd && (f->flags & flat_flags)) {
        npy_intp const size = item_size(t);
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
        block.n = count_of(f);
        PyObject* out = new_result(inputs, 2, f, descr, block.n, is_operator);
        if (!out) return nullptr;
        block.data[2] = fields(out)->data;
        block.inner[2] = PyDataType_ELSIZE(descr);
        block.outer[0] = block.outer[1] = block.outer[2] = 0;
        block.rows = 1;
        if (run_flat(kernel, *act.table, op, t, block, like, layout) < 0) {
            Py_DECREF(out);
            return nullptr;
        }
        return out;
    }
general:
    return tier_1(op, inputs, is_operator);
}

PyObject* unary(Op op, PyObject* x, bool is_operator) {
    const Active& act = active();
    if (!act.table) return decline(Why::disabled);
    if (is_ours(x)) {
        Fields* const f = fields(x);
        DType const t = dtype_of(f->descr);
        if (t == no_dtype) return tier_1(op, &x, is_operator);
        KernelFn const kernel = act.table->elementwise[index(op)][index(t)];
        PyArray_Descr* const descr = result_descr(op, f->descr);
        if (kernel && descr && f->nd && (f->flags & flat_flags)) {
            Block block;
            block.n = count_of(f);
            PyObject* out = new_result(&x, 1, f, descr, block.n, is_operator);
            if (!out) return nullptr;
            block.data[0] = f->data;
            block.data[1] = fields(out)->data;
            block.inner[0] = item_size(t);
            block.inner[1] = PyDataType_ELSIZE(descr);
            block.outer[0] = block.outer[1] = 0;
            block.rows = 1;
            if (run_flat(kernel, *act.table, op, t, block, x, Layout::contiguous) < 0) {
                Py_DECREF(out);
                return nullptr;
            }
            return out;
        }
    }
    return tier_1(op, &x, is_operator);
}

PyObject* in_place(Op op, PyObject* l, PyObject* r) {
    const Active& act = active();
    if (!act.table) return decline(Why::disabled);
    if (!is_ours(l)) return decline(Why::type);
    Fields* const f = fields(l);
    DType const t = dtype_of(f->descr);
    if (t != no_dtype && f->nd && (f->flags & flat_flags) && is_writeable(f) &&
        result_descr(op, f->descr) == f->descr) {
        KernelFn const kernel = act.table->elementwise[index(op)][index(t)];
        Element element;
        Block block;
        npy_intp const n = count_of(f), bytes = n * item_size(t);
        Layout layout = Layout::contiguous;
        block.inner[0] = block.inner[1] = block.inner[2] = item_size(t);
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
            if (run_flat(kernel, *act.table, op, t, block, l, layout) < 0) {
                Py_DECREF(l);
                return nullptr;
            }
            return l;
        }
    }
    PyObject* const inputs[2] = {l, r};
    ElementwiseOptions options{};
    options.out[0] = l;
    return elementwise(op, inputs, options);
}

}  // namespace raptors
