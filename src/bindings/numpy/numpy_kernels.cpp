#include "numpy/numpy_kernels.h"

#include <cstring>
#include <unordered_map>

#include "api/table.h"
#include "array/free_lists.h"
#include "creation/from_objects.h"
#include "frame/fp/fpstatus.h"
#include "ops/elementwise.h"
#include "python/operand.h"
#include "runtime/threads.h"

namespace py = pybind11;

namespace raptors {
namespace {

constexpr int max_inputs = 2, max_outputs = 2, max_loop_operands = max_inputs + max_outputs;
constexpr npy_intp longest_conversion = 8192;  // elements; NumPy's buffers are as long
constexpr npy_intp longest_locked = 500;       // NumPy, too, releases the GIL for more

struct Loop {
    int number;  // in the ufunc's table, which programs may change; -1: NumPy's business
    int num[max_loop_operands];  // type numbers
};

}  // namespace

struct NumpyLoops {
    PyUFuncObject* ufunc;
    Entry* entry;
    std::unordered_map<uint32_t, Loop> known;  // by the codes of the inputs
    uint32_t last_key;
    const Loop* last;
};

OperatorLoops operator_loops;

namespace {

// The entry of NumPy's table for these inputs. What is not in the table (loops of the newer kind)
// NumPy alone can call.
Loop ask_numpy(const NumpyLoops& loops, const Operand* x) {
    const PyUFuncObject* const ufunc = loops.ufunc;
    Loop found{-1, {}};
    try {
        py::tuple asked(static_cast<size_t>(ufunc->nargs));
        for (int i = 0; i < ufunc->nargs; ++i)
            asked[static_cast<size_t>(i)] =
                i < ufunc->nin ? code_object(x[i].code, false) : py::object(py::none());
        auto const handle = py::handle(reinterpret_cast<PyObject*>(loops.ufunc));
        py::tuple const dtypes = handle.attr("resolve_dtypes")(asked);
        for (int i = 0; i < ufunc->nargs; ++i) {
            py::object const dtype = dtypes[static_cast<size_t>(i)];
            if (dtype_of_object(dtype) == no_dtype) return found;
            found.num[i] = reinterpret_cast<PyArray_Descr*>(dtype.ptr())->type_num;
        }
    } catch (py::error_already_set&) {
        return found;  // NumPy raises
    }
    for (int k = 0; k < ufunc->ntypes && found.number < 0; ++k) {
        bool same = ufunc->functions[k] != nullptr;
        for (int i = 0; i < ufunc->nargs; ++i)
            same &= ufunc->types[k * ufunc->nargs + i] == found.num[i];
        if (same) found.number = k;
    }
    return found;
}

const Loop& find_loop(NumpyLoops& loops, const Operand* x, uint32_t key) {
    if (loops.last_key == key) [[likely]]
        return *loops.last;
    auto found = loops.known.find(key);
    if (found == loops.known.end()) found = loops.known.emplace(key, ask_numpy(loops, x)).first;
    loops.last_key = key;
    loops.last = &found->second;
    return *loops.last;
}

// Whether a loop may write `out` while it reads `in`: apart, or element on element.
bool may_write(const Fields* out, const Fields* in) {
    if (apart(out, in)) return true;
    return out->data == in->data && dtype_of(out->descr) == dtype_of(in->descr) &&
           (out->nd > 1 || out->strides[0] == in->strides[0]);
}

npy_intp step_of(const Fields* f) {
    return f->nd == 1 ? f->strides[0] : PyDataType_ELSIZE(f->descr);
}

PyObject* new_output(const Fields* like, bool fortran, int num) {
    if (!fortran) return new_array(like->nd, like->dimensions, descr_of_num[num]);
    int perm[NPY_MAXDIMS];
    for (int d = 0; d < like->nd; ++d) perm[d] = like->nd - 1 - d;
    return new_array_ordered(like->nd, like->dimensions, perm, descr_of_num[num]);
}

Signature const call_keywords = {2, 1, {"out", "where"}, {}};

}  // namespace

NumpyLoops* new_numpy_loops(PyObject* numpy_ufunc, Entry* entry) {
    if (!Py_IS_TYPE(numpy_ufunc, &PyUFunc_Type)) return nullptr;
    auto* const ufunc = reinterpret_cast<PyUFuncObject*>(numpy_ufunc);
    if (ufunc->core_enabled || ufunc->nin > max_inputs || ufunc->nout > max_outputs ||
        !ufunc->functions || !ufunc->types)
        return nullptr;
    return new NumpyLoops{ufunc, entry, {}, 0, nullptr};  // no key is 0
}

PyObject* call_numpy_loop(NumpyLoops& loops, PyObject* const* args, Py_ssize_t nargs,
                          PyObject* kwnames) {
    const Active& act = active();
    if (!act.table) return decline(Why::disabled);
    PyUFuncObject* const ufunc = loops.ufunc;
    int const nin = ufunc->nin, nout = ufunc->nout;
    if (nargs < nin) return decline(Why::keyword);
    PyObject* given = nullptr;
    if (nargs > nin || kwnames) {
        PyObject* slots[max_parameters];
        if (!call_keywords.parse(args + nin, nargs - nin, kwnames, slots) ||
            (slots[1] && slots[1] != Py_True) || (slots[0] && nout != 1))
            return decline(Why::keyword);
        given = is_none(slots[0]) ? nullptr : slots[0];
        if (given && PyTuple_CheckExact(given) && PyTuple_GET_SIZE(given) == 1)
            given = PyTuple_GET_ITEM(given, 0);
        if (given && !is_exact(given)) return decline(Why::type);
    }

    Operand x[max_inputs];
    uint32_t key = 1;
    for (int i = 0; i < nin; ++i) {
        if (!read_operand(args[i], x[i])) return nullptr;
        key = key << 5 | static_cast<uint32_t>(x[i].code);
    }
    const Loop& loop = find_loop(loops, x, key);
    if (loop.number < 0) return decline(Why::dtype);

    // One call of the loop does where all arrays have one shape and are one run of memory in the
    // same order, or have one axis.
    constexpr int any_order = NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_F_CONTIGUOUS;
    int order = any_order;
    Fields* like = nullptr;
    for (int i = 0; i < nin; ++i) {
        if (x[i].data == x[i].element || x[i].code >= n_type_nums) continue;
        Fields* const f = fields(x[i].object);
        if (!(f->flags & NPY_ARRAY_ALIGNED)) return decline(Why::shape);
        if (f->nd == 0) continue;
        if (like && !same_shape(like, f)) return decline(Why::shape);
        like = f;
        order &= f->flags;
    }
    Fields* const out_fields = given ? fields(given) : nullptr;
    if (given) {
        constexpr int wanted = NPY_ARRAY_ALIGNED | NPY_ARRAY_WRITEABLE;
        if (!like || out_fields->descr->type_num != loop.num[nin] ||
            dtype_of(out_fields->descr) == no_dtype || !same_shape(like, out_fields))
            return decline(Why::shape);
        if ((out_fields->flags & (wanted | warn_on_write)) != wanted) return decline(Why::type);
        order &= out_fields->flags;
    }
    if (like && like->nd > 1 && !order) return decline(Why::shape);
    bool const fortran = like && like->nd > 1 && !(order & NPY_ARRAY_C_CONTIGUOUS);
    npy_intp n = like ? size_of(like) : 1;
    if (n == 0) return decline(Why::shape);

    char* data[max_loop_operands];
    npy_intp steps[max_loop_operands];
    py::object held[max_loop_operands];  // converted inputs, then results
    for (int i = 0; i < nin; ++i) {
        DType const want = dtype_of_num[loop.num[i]];
        if (!settle(x[i], want)) return nullptr;
        if (x[i].nd == 0) {
            if (x[i].dtype != want && !convert_scalar(*act.table, x[i], want)) return nullptr;
            data[i] = x[i].data;
            steps[i] = 0;
            continue;
        }
        Fields* f = fields(x[i].object);
        if (given && !may_write(out_fields, f)) return decline(Why::overlap);
        if (x[i].dtype != want) {
            if (fortran || n > longest_conversion || !quiet_cast(x[i].dtype, want))
                return decline(Why::dtype);
            PyObject* const converted = new_array(f->nd, f->dimensions, descr_of(want));
            if (!converted) return nullptr;
            held[i] = py::reinterpret_steal<py::object>(converted);
            copy_nest(*act.table, f->nd, f->dimensions, f->data, f->strides, x[i].dtype,
                      fields(converted)->data, fields(converted)->strides, want);
            f = fields(converted);
        }
        data[i] = f->data;
        steps[i] = step_of(f);
    }
    alignas(8) char element[max_outputs][8];
    for (int i = nin; i < nin + nout; ++i) {
        steps[i] = size_of(dtype_of_num[loop.num[i]]);
        data[i] = element[i - nin];
        if (!like) continue;
        PyObject* const out = given ? new_ref(given) : new_output(like, fortran, loop.num[i]);
        if (!out) return nullptr;
        held[i] = py::reinterpret_steal<py::object>(out);
        data[i] = fields(out)->data;
        steps[i] = step_of(fields(out));
    }

    PyUFuncGenericFunction const function = ufunc->functions[loop.number];
    void* const extra = ufunc->data ? ufunc->data[loop.number] : nullptr;
    // As in run_flat(): a short loop runs again if something shows that may be older.
    bool const again = n <= longest_locked && !given;
    if (!again) clear_any_fp_status();
    if (n > longest_locked) {
        PyThreadState* const state = PyEval_SaveThread();
        function(data, &n, steps, extra);
        take_gil(state);
    } else {
        function(data, &n, steps, extra);
    }
    int status = any_fp_status();
    if (status && again && !PyErr_Occurred()) {
        clear_any_fp_status();
        function(data, &n, steps, extra);
        status = any_fp_status();
    }
    if (PyErr_Occurred()) return nullptr;  // integers to negative powers
    if (status && report_fp_status(ufunc->name, status) < 0) return nullptr;

    for (int i = nin; !like && i < nin + nout; ++i) {
        PyObject* const scalar =
            as_scalar(element[i - nin], dtype_of_num[loop.num[i]], loop.num[i]);
        if (!scalar) return nullptr;
        held[i] = py::reinterpret_steal<py::object>(scalar);
    }
    count_numpy(loops.entry, Why::loop, like ? reinterpret_cast<PyObject*>(like) : held[nin].ptr());
    if (nout == 1) return held[nin].release().ptr();
    return PyTuple_Pack(2, held[nin].ptr(), held[nin + 1].ptr());
}

}  // namespace raptors
