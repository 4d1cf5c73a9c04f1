#include "ops/scan.h"

#include "api/table.h"
#include "array/free_lists.h"
#include "creation/copying.h"
#include "frame/nest/overlap.h"
#include "frame/run/scan.h"
#include "ops/elementwise.h"
#include "runtime/threads.h"

namespace raptors {
namespace {

enum ScanParameter { p_axis, p_dtype, p_out };
Signature const parameters = {3, 3, {"axis", "dtype", "out"}, {}};

// Nanoseconds that an element of a run waits for the one before, beyond what moving it takes.
constexpr double wait_cost = 0.5;

// One call. Steps that return false have declined it or set an error.
class ScanCall {
public:
    ScanCall(Scan scan, Entry* entry, Fields* array, const Active& act)
        : scan_(scan),
          info_(scan_info[index(scan)]),
          entry_(entry),
          f_(array),
          own_(dtype_of(array->descr)),
          table_(*act.table) {}
    // axis < 0: all elements in C order. `out` may be nullptr.
    PyObject* run(int axis, PyObject* dtype, PyObject* out);

private:
    bool find_dtype(PyObject* dtype, PyObject* out);
    bool takes(PyObject* out);
    bool make_output();
    void flatten();
    bool scan();
    bool has_kernel(DType t) const { return (info_.kernels >> index(t) & 1U) != 0; }

    Scan const scan_;
    const ScanInfo& info_;
    Entry* const entry_;
    Fields* const f_;
    DType const own_;  // of the array
    const Table& table_;
    DType loop_ = no_dtype;  // that is scanned and stored
    int loop_num_ = 0;
    int axis_ = 0;
    Nest nest_{};  // input and output
    PyObject* out_ = nullptr;
    Conversion conversion_ = {};
};

// NumPy chooses the loop by dtype=, then by the output and the array.
bool ScanCall::find_dtype(PyObject* dtype, PyObject* out) {
    loop_ = accumulator(scan_, own_);
    loop_num_ = loop_ == own_ ? f_->descr->type_num : num_of_dtype[index(loop_)];
    if (!is_none(dtype)) {
        PyArray_Descr* const wanted = parse_dtype(dtype);
        if (!wanted) return false;
        loop_ = dtype_of(wanted);
        loop_num_ = wanted->type_num;
    } else if (out) {
        if (!is_exact(out)) return refuse(Why::type);
        DType const given = dtype_of(fields(out)->descr);
        if (given != own_ && given != loop_) return refuse(Why::keyword);
        loop_ = given;
    }
    if (loop_ == no_dtype || !has_kernel(loop_)) return refuse(Why::dtype);
    if (loop_ == own_) return true;
    if (!quiet_cast(own_, loop_)) return refuse(Why::value);
    conversion_ = {table_.cast[index(own_)][index(loop_)], item_size(loop_)};
    return true;
}

// Whether a given output is one that is written in place. The nest has its shape and the input.
bool ScanCall::takes(PyObject* out) {
    if (!is_exact(out)) return refuse(Why::type);
    Fields const* const o = fields(out);
    bool fits = dtype_of(o->descr) == loop_ && o->nd == nest_.ndim && is_writeable(o);
    for (int d = 0; fits && d < o->nd; ++d) {
        fits = o->dimensions[d] == nest_.shape[d];
        nest_.strides[1][d] = o->strides[d];
    }
    if (!fits) return refuse(Why::keyword);
    nest_.data[1] = o->data;
    return !overlaps(nest_, 0, item_size(own_), 1, item_size(loop_)) || refuse(Why::overlap);
}

// A new output: axes in the input's order, as NumPy's iterator lays it out.
bool ScanCall::make_output() {
    PyArray_Descr* const descr = descr_of_num[loop_num_];
    if (nest_.ndim == 1) {
        out_ = new_array(1, nest_.shape, descr);
    } else {
        int perm[max_dims];
        k_order(nest_, 1, perm);
        out_ = new_array_ordered(nest_.ndim, nest_.shape, perm, descr);
    }
    if (!out_) return false;
    nest_.data[1] = fields(out_)->data;
    for (int d = 0; d < nest_.ndim; ++d) nest_.strides[1][d] = fields(out_)->strides[d];
    return true;
}

// The array's elements in C order, cast, go to the output, which is then scanned in place.
void ScanCall::flatten() {
    npy_intp strides[max_dims];
    npy_intp step = nest_.strides[1][0];
    for (int d = f_->nd - 1; d >= 0; --d) {
        strides[d] = step;
        step *= f_->dimensions[d];
    }
    copy_nest(table_, f_->nd, f_->dimensions, f_->data, f_->strides, own_, nest_.data[1], strides,
              loop_);
    conversion_ = {};
    nest_.data[0] = nest_.data[1];
    nest_.strides[0][0] = nest_.strides[1][0];
}

bool ScanCall::scan() {
    ScanFn const kernel = table_.scan[index(scan_)][index(loop_)];
    npy_intp const total = count_of(f_);
    bool done = true;
    auto const call = [&] {
        if (nest_.ndim == 1 && !conversion_.cast && total < long_from) [[likely]] {
            kernel({nest_.data[0], nest_.data[1], total, nest_.strides[0][0], nest_.strides[1][0],
                    1, 0, 0});
            return;
        }
        double const cost =
            cost_of(info_.combine, loop_) + wait_cost + (conversion_.cast ? cast_cost : 0);
        run_long(total, cost, [&](WorkSplit split) {
            done = run_scan(kernel, nest_, axis_, conversion_, split);
        });
    };
    if (!op_info[index(info_.combine)].reports(loop_)) {
        call();
    } else {
        constexpr npy_intp short_enough = 512;
        bool const again = total <= short_enough && nest_.data[0] != nest_.data[1];
        if (run_reporting("accumulate", again, call) < 0) return false;
    }
    if (!done) PyErr_NoMemory();
    return done;
}

PyObject* ScanCall::run(int axis, PyObject* dtype, PyObject* out) {
    if (own_ == no_dtype || !(info_.types >> index(own_) & 1U)) return decline(Why::dtype);
    npy_intp const total = count_of(f_);
    if (f_->nd == 0 || total == 0) return decline(Why::shape);
    if (!find_dtype(dtype, out)) return nullptr;
    bool const flat = axis < 0 && f_->nd > 1;
    bool const scattered = flat && !(f_->flags & NPY_ARRAY_C_CONTIGUOUS);
    axis_ = axis < 0 ? 0 : axis;
    nest_.operands = 2;
    nest_.data[0] = f_->data;
    if (flat) {
        nest_.ndim = 1;
        nest_.shape[0] = total;
        nest_.strides[0][0] = item_size(own_);
    } else {
        nest_.ndim = f_->nd;
        for (int d = 0; d < f_->nd; ++d) {
            nest_.shape[d] = f_->dimensions[d];
            nest_.strides[0][d] = f_->strides[d];
        }
    }
    if (out) {
        if (!takes(out)) return nullptr;
        if (scattered && !disjoint(f_, fields(out))) return decline(Why::overlap);
        out_ = new_ref(out);
    } else if (!make_output()) {
        return nullptr;
    }
    if (scattered) flatten();
    if (!scan()) {
        Py_DECREF(out_);
        return nullptr;
    }
    count_native(entry_, loop_, layout_of(f_), f_->nd, f_->dimensions);
    return out_;
}

}  // namespace

PyObject* ufunc_accumulate(const Ufunc& ufunc, PyObject* const* args, Py_ssize_t nargs,
                           PyObject* kwnames) {
    if (ufunc.scan == n_scans) return nullptr;
    PyObject* given[max_parameters];
    if (!parameters.parse(args + 1, nargs - 1, kwnames, given)) return decline(Why::keyword);
    const Active& act = active();
    if (!act.table) return decline(Why::disabled);
    if (!is_exact(args[0])) return decline(Why::type);
    // NumPy takes an output in a tuple as a keyword only.
    bool const by_position = nargs > 1 + p_out;
    if (by_position && PyTuple_Check(given[p_out])) return decline(Why::keyword);
    npy_intp axis = 0;
    if (fields(args[0])->nd == 0 ||
        (given[p_axis] && !parse_axis(given[p_axis], fields(args[0])->nd, &axis)))
        return decline(Why::shape);
    return ScanCall(static_cast<Scan>(ufunc.scan), ufunc.entry, fields(args[0]), act)
        .run(static_cast<int>(axis), given[p_dtype], single_output(given[p_out]));
}

PyObject* cumulative_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                            Py_ssize_t nargs, PyObject* kwnames) {
    PyObject* given[max_parameters];
    if (!parameters.parse(args, nargs, kwnames, given)) return decline(Why::keyword);
    const Active& act = active();
    if (!act.table) return decline(Why::disabled);
    if (!is_exact(self)) return decline(Why::type);
    npy_intp axis = -1;
    if (!is_none(given[p_axis]) && !parse_axis(given[p_axis], fields(self)->nd, &axis))
        return decline(Why::shape);
    return ScanCall(static_cast<Scan>(which), entry, fields(self), act)
        .run(static_cast<int>(axis), given[p_dtype],
             is_none(given[p_out]) ? nullptr : given[p_out]);
}

}  // namespace raptors
