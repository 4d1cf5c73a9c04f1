#include "ops/elementwise.h"

#include "api/table.h"
#include "creation/copying.h"
#include "frame/nest/overlap.h"
#include "numpy/numpy_kernels.h"
#include "numpy/strided_loops.h"
#include "runtime/threads.h"

namespace py = pybind11;

namespace raptors {

int report_fp_status(const char* name, int status) {
    clear_any_fp_status();
    return PyUFunc_GiveFloatingpointErrors(name, status);
}

void run_row(const Kernel& kernel, double cost, const Block& row) {
    Nest nest;
    nest.ndim = 1;
    nest.operands = kernel.arguments();
    nest.shape[0] = row.n;
    for (int i = 0; i < nest.operands; ++i) {
        nest.data[i] = row.data[i];
        nest.strides[i][0] = row.inner[i];
    }
    run_long(row.n, cost, [&](WorkSplit split) { run(kernel, nest, split); });
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

namespace {

Signature const call_keywords = {3, 0, {"out", "where", "dtype"}, {}};

// ---- tier 1
// One call. Steps that return false have declined it or set an error.
class UfuncCall {
public:
    UfuncCall(Ufunc& ufunc, PyObject* const* inputs, const ElementwiseOptions& options,
              const Table& table)
        : ufunc_(ufunc), inputs_(inputs), options_(options), table_(table) {}
    PyObject* run();

private:
    bool read_operands();
    bool find_kernel();
    bool convert_inputs();
    void convert_short();
    bool is_one_block(Block& block, bool& fortran, Fields*& like) const;
    PyObject* run_one_block(Block& block, bool fortran, const Fields* like);
    bool broadcast();
    bool take_outputs();
    bool make_outputs();
    Layout find_layout() const;
    bool run_nest();
    PyObject* results(Layout layout);
    int run_reported(bool again, bool checks_errors, const auto& call) const;
    bool given(int output) const { return options_.out[output] != nullptr; }
    double cost() const {
        return kernel_->context ? numpy_loop_cost : cost_of(ufunc_.op, resolution_->loop);
    }
    int nin() const { return ufunc_.inputs; }
    int nout() const { return ufunc_.outputs; }
    int mask_slot() const { return nin() + nout(); }

    Ufunc& ufunc_;
    PyObject* const* const inputs_;
    const ElementwiseOptions& options_;
    const Table& table_;
    Operand x_[max_inputs + 1];  // inputs, then the mask of where=
    bool masked_ = false, converting_ = false;
    const Resolution* resolution_ = nullptr;
    const Kernel* kernel_ = nullptr;
    bool reports_ = false;
    Conversion conversions_[max_arguments] = {};
    static constexpr npy_intp short_bytes = 512;
    bool c_order_ = false;  // short inputs were converted, in C order
    alignas(64) char short_[max_inputs][short_bytes];
    npy_intp strides_[max_inputs][NPY_MAXDIMS];  // of those
    Nest nest_;
    py::object out_[max_outputs];
    Element scalar_[max_outputs];  // results without an array
};

bool UfuncCall::read_operands() {
    for (int i = 0; i < nin(); ++i)
        if (!read_operand(inputs_[i], x_[i])) return false;
    masked_ = options_.where && options_.where != Py_True;
    if (!masked_) return true;
    // Without an output the unselected elements are arbitrary, and newer NumPy warns of that.
    bool all_given = true;
    for (int i = 0; i < nout(); ++i) all_given &= given(i);
    Operand& mask = x_[nin()];
    return (all_given && read_operand(options_.where, mask) && mask.dtype == DType::boolean) ||
           decline(Why::keyword);
}

bool UfuncCall::find_kernel() {
    int dtype_num = -1;
    if (!is_none(options_.dtype)) {
        PyArray_Descr* wanted = nullptr;
        if (!PyArray_DescrConverter(options_.dtype, &wanted)) return false;
        dtype_num = dtype_of(wanted) == no_dtype ? -1 : wanted->type_num;
        Py_DECREF(wanted);
        if (dtype_num < 0) return refuse(Why::dtype);
    }
    resolution_ = &ufunc_.resolve(x_, dtype_num);
    kernel_ = &resolution_->kernel(table_);
    if (!*kernel_) return refuse(Why::dtype);
    reports_ = kernel_->context || op_info[index(ufunc_.op)].reports(resolution_->loop);
    return true;
}

// Each input either is as the kernel takes it, or is converted on the way.
bool UfuncCall::convert_inputs() {
    bool const wide_ints = ufunc_.op != Op::count && op_info[index(ufunc_.op)].has(INT64_INTS);
    for (int i = 0; i < nin(); ++i) {
        Operand& x = x_[i];
        DType const want = kernel_->dtypes[i];
        if (!resolve_weak(x, want)) return false;
        if (wide_ints && x.code == weak_int && want == DType::uint64) {
            uint64_t value;
            std::memcpy(&value, x.element, sizeof value);
            if (value >> 63) return refuse(Why::value);
        }
        bool const aligned = !kernel_->aligned || x.data == x.element ||
                             (fields(x.object)->flags & NPY_ARRAY_ALIGNED) != 0;
        if (x.dtype == want && aligned) continue;
        if (x.nd == 0) {
            if (!convert_scalar(table_, x, want)) return false;
            continue;
        }
        // Narrowing casts may raise floating-point events of their own.
        if (!quiet_cast(x.dtype, want)) return refuse(Why::value);
        conversions_[i] = {table_.cast[index(x.dtype)][index(want)], item_size(want)};
        converting_ = true;
    }
    return true;
}

// Short inputs in C order are converted at once: no iterator, no buffers.
void UfuncCall::convert_short() {
    if (masked_) return;
    for (int i = 0; i < nin(); ++i) {
        if (!conversions_[i].cast) continue;
        bool const flat = (fields(x_[i].object)->flags & flat_flags) != 0;
        if (!flat || count_of(fields(x_[i].object)) * conversions_[i].size > short_bytes) return;
    }
    for (int i = 0; i < nin(); ++i) {
        if (!conversions_[i].cast) continue;
        Block block{};
        block.data[0] = x_[i].data;
        block.data[1] = short_[i];
        block.inner[0] = item_size(x_[i].dtype);
        block.inner[1] = conversions_[i].size;
        block.n = count_of(fields(x_[i].object));
        block.rows = 1;
        conversions_[i].cast(block, nullptr);
        npy_intp step = conversions_[i].size;
        for (int d = x_[i].nd - 1; d >= 0; --d) {
            strides_[i][d] = step;
            step *= x_[i].dims[d];
        }
        x_[i].strides = strides_[i];
        x_[i].data = short_[i];
        x_[i].dtype = kernel_->dtypes[i];
        conversions_[i].cast = nullptr;
    }
    converting_ = false;
    c_order_ = true;
}

// Operands as the kernel takes them, scalars or arrays of one shape that are one run of memory in
// one order: one call of the kernel, no iterator.
bool UfuncCall::is_one_block(Block& block, bool& fortran, Fields*& like) const {
    if (masked_ || converting_) return false;
    int order = c_order_ ? flat_flags : NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_F_CONTIGUOUS;
    like = nullptr;
    auto fits = [&](Fields* f) {
        order &= f->flags;
        bool const same = order && (!like || same_shape(like, f));
        like = f;
        return same;
    };
    for (int i = 0; i < nin(); ++i) {
        block.data[i] = x_[i].data;
        block.inner[i] = x_[i].nd ? kernel_->size(i) : 0;
        if (x_[i].nd && !fits(fields(x_[i].object))) return false;
    }
    block.n = like ? count_of(like) : 1;
    for (int o = 0; o < nout(); ++o) {
        int const at = nin() + o;
        block.inner[at] = kernel_->size(at);
        if (!given(o)) continue;
        if (!like || !is_exact(options_.out[o])) return false;
        Fields* const f = fields(options_.out[o]);
        bool const aligned = !kernel_->aligned || (f->flags & NPY_ARRAY_ALIGNED) != 0;
        if (!is_writeable(f) || dtype_of(f->descr) != kernel_->dtypes[at] || !aligned || !fits(f))
            return false;
        npy_intp const bytes = block.n * block.inner[at];
        for (int i = 0; i < nin(); ++i) {
            npy_intp const extent = x_[i].nd ? block.n * block.inner[i] : kernel_->size(i);
            bool const apart = x_[i].data + extent <= f->data || f->data + bytes <= x_[i].data;
            bool const same = x_[i].data == f->data && block.inner[i] == block.inner[at];
            if (x_[i].data != x_[i].element && !apart && !same) return false;
        }
    }
    if (nout() > 1 && (given(0) || given(1))) return false;  // they may overlap each other
    fortran = !(order & NPY_ARRAY_C_CONTIGUOUS);
    return block.n > 0 && (like || ufunc_.numpy);  // functions that are no ufuncs return arrays
}

// call(), its status reported, and what a loop of NumPy's raised.
int UfuncCall::run_reported(bool again, bool foreign, const auto& call) const {
    if (!reports_) {
        call();
        return 0;
    }
    if (!foreign) return run_reporting(ufunc_.name, again, call);
    int const done = run_reporting<true>(ufunc_.name, again, call);
    // Integers to negative powers.
    return !kernel_->shareable && PyErr_Occurred() ? -1 : done;
}

PyObject* UfuncCall::run_one_block(Block& block, bool fortran, const Fields* like) {
    for (ptrdiff_t& outer : block.outer) outer = 0;
    block.rows = 1;
    for (int o = 0; o < nout(); ++o) {
        PyArray_Descr* const descr = resolution_->results[o];
        if (given(o)) {
            out_[o] = py::reinterpret_borrow<py::object>(options_.out[o]);
        } else if (like) {
            bool const reuse = options_.is_operator && !kernel_->context;
            PyObject* made;
            if (fortran) {
                int perm[NPY_MAXDIMS];
                for (int d = 0; d < like->nd; ++d) perm[d] = like->nd - 1 - d;
                made = new_array_ordered(like->nd, like->dimensions, perm, descr);
            } else {
                made = new_result(inputs_, nin(), like, descr, block.n, reuse);
            }
            if (!made) return nullptr;
            out_[o] = py::reinterpret_steal<py::object>(made);
        }
        block.data[nin() + o] = out_[o] ? fields(out_[o].ptr())->data : scalar_[o].bytes;
    }
    Layout layout = Layout::contiguous;
    for (int i = 0; i < nin(); ++i) {
        if (!x_[i].nd) layout = Layout::scalar;
        if (!like) block.inner[i] = kernel_->size(i);  // packed: one of each
    }
    auto const call = [&] {
        if (block.n < long_from) [[likely]]
            (*kernel_)(block);
        else
            run_row(*kernel_, cost(), block);
    };
    bool const again = reports_ && may_repeat(block, nin(), nout());
    if (run_reported(again, kernel_->context != nullptr, call) < 0) return nullptr;
    return results(layout);
}

bool UfuncCall::take_outputs() {
    int const first = nest_.ndim;
    for (int o = 0; o < nout(); ++o) {
        if (!given(o)) continue;
        if (!is_exact(options_.out[o])) return refuse(Why::type);
        Fields const* const f = fields(options_.out[o]);
        if (!is_writeable(f)) return refuse(Why::type);
        if (dtype_of(f->descr) == no_dtype) return refuse(Why::dtype);
        if (f->nd < first) return refuse(Why::shape);
        nest_.ndim = f->nd;
    }
    if (nout() < 2 || !given(0) || !given(1)) return true;
    Fields const *const f = fields(options_.out[0]), *const g = fields(options_.out[1]);
    if (!same_shape(f, g)) return refuse(Why::shape);
    return disjoint(f, g) || refuse(Why::overlap);
}

// The common shape, and the strides of the inputs and the mask in it.
bool UfuncCall::broadcast() {
    nest_.ndim = 0;
    int const nread = nin() + masked_;
    for (int i = 0; i < nread; ++i) nest_.ndim = x_[i].nd > nest_.ndim ? x_[i].nd : nest_.ndim;
    if (!take_outputs()) return false;
    int const nd = nest_.ndim;
    PyObject* const given_out = nout() > 1 && !given(0) ? options_.out[1] : options_.out[0];
    Fields const* const shaped = given_out ? fields(given_out) : nullptr;
    for (int d = 0; d < nd; ++d) nest_.shape[d] = shaped ? shaped->dimensions[d] : 1;
    for (int i = 0; i < nread; ++i) {
        int const first = nd - x_[i].nd, slot = i < nin() ? i : mask_slot();
        nest_.data[slot] = x_[i].data;
        for (int d = 0; d < first; ++d) nest_.strides[slot][d] = 0;
        for (int d = 0; d < x_[i].nd; ++d) {
            npy_intp const length = x_[i].dims[d];
            npy_intp& shape = nest_.shape[first + d];
            nest_.strides[slot][first + d] = length == 1 ? 0 : x_[i].strides[d];
            if (length == 1 || length == shape) continue;
            if (shape != 1 || shaped) return refuse(Why::shape);
            shape = length;
        }
    }
    return true;
}

// Given outputs, which may need a cast, and new ones in NumPy's order of axes.
bool UfuncCall::make_outputs() {
    int const nd = nest_.ndim;
    nest_.operands = nin() + nout() + masked_;
    for (int o = 0; o < nout(); ++o) {
        int const slot = nin() + o;
        PyArray_Descr* const descr = resolution_->results[o];
        DType const result = kernel_->dtypes[slot];
        if (given(o)) {
            Fields const* const f = fields(options_.out[o]);
            DType const t = dtype_of(f->descr);
            bool const aligned = !kernel_->aligned || (f->flags & NPY_ARRAY_ALIGNED) != 0;
            if (t != result || !aligned) {
                // Only casts that can raise no floating-point event: to a wider type.
                // A masked complex output NumPy copies there and back, which warns.
                bool const warns = masked_ && is_complex(t) && !is_complex(result);
                if (warns || !PyArray_CanCastSafely(descr->type_num, f->descr->type_num))
                    return refuse(Why::dtype);
                conversions_[slot] = {table_.cast[index(result)][index(t)], item_size(result)};
                converting_ = true;
            }
            nest_.data[slot] = f->data;
            for (int d = 0; d < nd; ++d)
                nest_.strides[slot][d] = nest_.shape[d] == 1 ? 0 : f->strides[d];
            for (int i = 0; i < nin() + masked_; ++i) {
                int const in = i < nin() ? i : mask_slot();
                if (x_[i].data != x_[i].element &&
                    overlaps(nest_, in, item_size(x_[i].dtype), slot, item_size(t)))
                    return refuse(Why::overlap);
            }
            out_[o] = py::reinterpret_borrow<py::object>(options_.out[o]);
        } else if (nd == 0 && ufunc_.numpy) {  // functions that are no ufuncs return arrays
            nest_.data[slot] = scalar_[o].bytes;
        } else {
            int perm[max_dims];
            k_order(nest_, nin(), perm);
            PyObject* made = nullptr;
            if (options_.is_operator && !converting_ && !kernel_->context) {
                bool c_order = true;
                for (int d = 0; d < nd; ++d) c_order &= perm[d] == d;
                if (c_order) made = dying_operand(inputs_, nin(), nd, nest_.shape, descr);
            }
            made = made ? new_ref(made) : new_array_ordered(nd, nest_.shape, perm, descr);
            if (!made) return false;
            out_[o] = py::reinterpret_steal<py::object>(made);
            nest_.data[slot] = fields(made)->data;
            for (int d = 0; d < nd; ++d) nest_.strides[slot][d] = fields(made)->strides[d];
        }
    }
    return true;
}

// How the operands of a simplified nest lie.
Layout UfuncCall::find_layout() const {
    if (nest_.ndim > 1) return Layout::strided;
    Layout layout = Layout::contiguous;
    if (nest_.ndim == 0 || nest_.shape[0] <= 1) return layout;
    for (int i = 0; i < nin() + nout(); ++i) {
        ptrdiff_t const stride = nest_.strides[i][0];
        bool const input = i < nin();
        DType const own = input ? x_[i].dtype : dtype_of(fields(out_[i - nin()].ptr())->descr);
        if (input && stride == 0)
            layout = layout == Layout::strided ? layout : Layout::scalar;
        else if (stride != item_size(own))
            layout = Layout::strided;
    }
    return layout;
}

bool UfuncCall::run_nest() {
    bool done = true;
    double cost = this->cost();
    for (const Conversion& conversion : conversions_)
        if (conversion.cast) cost += cast_cost;
    auto const call = [&] {
        run_long(count(nest_), cost, [&](WorkSplit split) {
            if (masked_)
                done = run_masked(*kernel_, nest_, converting_ ? conversions_ : nullptr, split);
            else if (converting_)
                done = raptors::run(*kernel_, nest_, conversions_, split);
            else
                raptors::run(*kernel_, nest_, split);
        });
    };
    if (run_reported(false, kernel_->context != nullptr, call) < 0) return false;
    if (!done) PyErr_NoMemory();
    return done;
}

// Counted by the dtype of the loop; the shape is the result's.
PyObject* UfuncCall::results(Layout layout) {
    bool const arrays = bool(out_[0]);
    for (int o = 0; o < nout(); ++o) {
        if (out_[o]) continue;
        PyObject* const scalar = as_scalar(scalar_[o].bytes, kernel_->dtypes[nin() + o],
                                           resolution_->results[o]->type_num);
        if (!scalar) return nullptr;
        out_[o] = py::reinterpret_steal<py::object>(scalar);
    }
    PyObject* const first = out_[0].ptr();
    if (kernel_->context) {
        PyObject* seen = first;
        for (int i = nin() - 1; i >= 0; --i)
            if (x_[i].nd) seen = inputs_[i];
        count_numpy(ufunc_.entry, Why::loop, seen);
    } else if (arrays) {
        count_native(ufunc_.entry, resolution_->loop, layout, fields(first)->nd,
                     fields(first)->dimensions);
    } else {
        count_native(ufunc_.entry, resolution_->loop, Layout::scalar, 0, nullptr);
    }
    if (nout() == 1) return out_[0].release().ptr();
    return PyTuple_Pack(2, out_[0].ptr(), out_[1].ptr());
}

PyObject* UfuncCall::run() {
    if (!read_operands() || !find_kernel() || !convert_inputs()) return nullptr;
    Block block;
    bool fortran;
    Fields* like;
    if (converting_) convert_short();
    if (is_one_block(block, fortran, like)) return run_one_block(block, fortran, like);
    if (!broadcast() || !make_outputs()) return nullptr;
    simplify(nest_);
    // NumPy's loops have other bits for operands that run backwards, and NumPy's iterator copies
    // some of them first.
    if (kernel_->context && nest_.ndim > 1)
        for (int i = 0; i < nin(); ++i)
            if (nest_.strides[i][nest_.ndim - 1] < 0) return decline(Why::shape);
    Layout const layout = find_layout();
    return run_nest() ? results(layout) : nullptr;
}

// out= and the outputs by position; false: NumPy judges them.
bool parse_outputs(const Ufunc& ufunc, PyObject* const* args, Py_ssize_t n, PyObject* keyword,
                   PyObject** out) {
    for (Py_ssize_t i = 0; i < n; ++i) out[i] = args[i];
    if (keyword && n) return false;
    if (keyword && PyTuple_CheckExact(keyword)) {
        if (PyTuple_GET_SIZE(keyword) != ufunc.outputs) return false;
        for (int i = 0; i < ufunc.outputs; ++i) out[i] = PyTuple_GET_ITEM(keyword, i);
    } else if (keyword) {
        if (ufunc.outputs > 1) return false;
        out[0] = keyword;
    }
    for (int i = 0; i < ufunc.outputs; ++i)
        if (out[i] == Py_None) out[i] = nullptr;
    return true;
}

}  // namespace

PyObject* elementwise(Ufunc& ufunc, PyObject* const* inputs, const ElementwiseOptions& options) {
    const Active& act = active();
    if (!act.table) return decline(Why::disabled);
    PyObject* const out = UfuncCall(ufunc, inputs, options, *act.table).run();
    if (out || PyErr_Occurred()) return out;
    bool const plain =
        !options.out[0] && !options.out[1] && is_none(options.where) && is_none(options.dtype);
    Why const why = declined;
    if (!plain || (why != Why::dtype && why != Why::type)) return nullptr;
    PyObject* const by_loop = strided_loop(ufunc, inputs);
    return by_loop || PyErr_Occurred() ? by_loop : decline(why);
}

PyObject* call_elementwise(Ufunc& ufunc, PyObject* const* args, Py_ssize_t nargs,
                           PyObject* kwnames) {
    int const nin = ufunc.inputs;
    if (nargs == nin && !kwnames) {
        if (ufunc.op == Op::count || ufunc.outputs > 1 || nin > 2)
            return elementwise(ufunc, args, {});
        return nin == 1 ? unary(ufunc.op, args[0]) : binary(ufunc.op, args[0], args[1]);
    }
    if (nargs < nin || nargs > nin + ufunc.outputs) return decline(Why::keyword);
    bool const keyword_out = ufunc.op != Op::count && op_info[index(ufunc.op)].has(KEYWORD_OUT);
    if (nargs > nin && keyword_out) return decline(Why::keyword);
    PyObject* slots[max_parameters];
    if (!call_keywords.parse(args + nargs, 0, kwnames, slots)) return decline(Why::keyword);
    if (slots[2] == Py_None)
        return decline(Why::keyword);  // dtype=None: NumPy's default, rarely written
    ElementwiseOptions options{};
    if (!parse_outputs(ufunc, args + nin, nargs - nin, slots[0], options.out))
        return decline(Why::keyword);
    options.where = slots[1];
    options.dtype = slots[2];
    return elementwise(ufunc, args, options);
}

PyObject* outer(Ufunc& ufunc, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    if (!ufunc.elementwise || ufunc.inputs != 2 || nargs != 2 || kwnames)
        return decline(Why::keyword);
    if (!is_ours(args[0]) || !is_ours(args[1])) return decline(Why::type);
    Fields const* const f = fields(args[0]);
    int const nd = f->nd + fields(args[1])->nd;
    if (nd > NPY_MAXDIMS) return decline(Why::shape);
    npy_intp dims[NPY_MAXDIMS], strides[NPY_MAXDIMS];
    for (int d = 0; d < nd; ++d) {
        dims[d] = d < f->nd ? f->dimensions[d] : 1;
        strides[d] = d < f->nd ? f->strides[d] : 0;
    }
    PyObject* const inputs[] = {new_view(args[0], nd, dims, strides, f->data, f->descr), args[1]};
    if (!inputs[0]) return nullptr;
    PyObject* const out = elementwise(ufunc, inputs, {});
    Py_DECREF(inputs[0]);
    return out;
}

}  // namespace raptors
