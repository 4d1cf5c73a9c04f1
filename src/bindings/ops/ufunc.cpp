#include "ops/ufunc.h"

#include "api/reduce.h"
#include "api/scan.h"
#include "numpy/numpy_kernels.h"

namespace py = pybind11;

namespace raptors {

Ufunc op_ufuncs[n_ops];
OperatorUfuncs operator_ufuncs;

namespace {

// By NumPy's object. Never destroyed.
std::unordered_map<PyObject*, Ufunc*>& registered() {
    static auto* const all = new std::unordered_map<PyObject*, Ufunc*>;
    return *all;
}

bool has_kernel(Op op, DType t) { return (op_info[index(op)].types >> index(t) & 1U) != 0; }

// The dtype of the row's kernel that takes operands of these dtypes; no_dtype: there is none.
DType find_loop(Op op, const DType* dtypes) {
    if (op == Op::count) return no_dtype;
    const OpInfo& info = op_info[index(op)];
    int const arguments = info.inputs + info.outputs;
    for (int t = 0; t < n_dtypes; ++t) {
        auto const loop = static_cast<DType>(t);
        bool same = has_kernel(op, loop);
        for (int i = 0; same && i < arguments; ++i) same = argument_dtype(op, i, loop) == dtypes[i];
        if (same) return loop;
    }
    // Quotients of integers are floats: NumPy's loop converts, and so does our frame.
    DType const result = dtypes[info.inputs];
    bool exact = is_floating(result) && has_kernel(op, result) &&
                 argument_dtype(op, info.inputs, result) == result;
    for (int i = 0; i < info.inputs; ++i)
        exact &= !is_inexact(dtypes[i]) && argument_dtype(op, i, result) == result;
    return exact ? result : no_dtype;
}

// A function of arrays that is no ufunc: what np.result_type makes of the operands of dtype T.
Resolution resolve_function(Op op, const int* codes) {
    static PyObject* const result_type =
        py::object(import_module("numpy").attr("result_type")).release().ptr();
    const OpInfo& info = op_info[index(op)];
    py::list asked;
    for (int i = 0; i < info.inputs; ++i)
        if (info.letters[i] == 'T') asked.append(code_object(codes[i], true));
    py::object const found = py::handle(result_type)(*asked);
    DType const t = dtype_of_object(found);
    Resolution r;
    r.op = op;
    if (t == no_dtype || !has_kernel(op, t)) return r;
    r.loop = t;
    r.results[0] = descr_of_num[reinterpret_cast<PyArray_Descr*>(found.ptr())->type_num];
    return r;
}

}  // namespace

Resolution Ufunc::ask_numpy(const int* codes, int dtype_num) const {
    Resolution r;
    r.op = op;
    try {
        if (!numpy) return resolve_function(op, codes);
        int const arguments = inputs + outputs;
        py::tuple asked(static_cast<size_t>(arguments));
        for (int i = 0; i < arguments; ++i)
            asked[static_cast<size_t>(i)] =
                i < inputs ? code_object(codes[i], false) : py::object(py::none());
        py::dict keywords;
        if (dtype_num >= 0) {
            py::tuple signature(static_cast<size_t>(arguments));
            for (int i = 0; i < arguments; ++i)
                signature[static_cast<size_t>(i)] =
                    i < inputs ? py::object(py::none()) : code_object(dtype_num, false);
            keywords["signature"] = signature;
        }
        py::tuple const found = py::handle(numpy).attr("resolve_dtypes")(asked, **keywords);
        DType dtypes[max_arguments];
        int nums[max_arguments];
        for (int i = 0; i < arguments; ++i) {
            py::object const dtype = found[static_cast<size_t>(i)];
            dtypes[i] = dtype_of_object(dtype);
            if (dtypes[i] == no_dtype) return r;
            nums[i] = reinterpret_cast<PyArray_Descr*>(dtype.ptr())->type_num;
        }
        for (int i = 0; i < outputs; ++i) r.results[i] = descr_of_num[nums[inputs + i]];
        r.loop = find_loop(op, dtypes);
        if (r.loop == no_dtype)
            r.set_numpy_kernel(numpy_kernel(reinterpret_cast<PyUFuncObject*>(numpy), nums));
    } catch (py::error_already_set&) {
        return Resolution{};  // no loop: NumPy raises
    }
    return r;
}

const Resolution& Ufunc::resolve(const Operand* x, int dtype_num) {
    // Five bits for a code, the first bit set.
    auto key = static_cast<uint32_t>(dtype_num + 1) | 32U;
    int codes[max_inputs];
    for (int i = 0; i < inputs; ++i) {
        // A condition becomes a boolean whatever it is.
        bool const condition = !numpy && op_info[index(op)].letters[i] == '?';
        codes[i] = condition ? NPY_BOOL : x[i].code;
        key = key << 5 | static_cast<uint32_t>(codes[i]);
    }
    if (key == last_key_) [[likely]]
        return *last_;
    auto found = known_.find(key);
    if (found == known_.end()) found = known_.emplace(key, ask_numpy(codes, dtype_num)).first;
    last_key_ = key;
    last_ = &found->second;
    return *last_;
}

Ufunc* find_ufunc(PyObject* numpy_ufunc) {
    auto const it = registered().find(numpy_ufunc);
    return it == registered().end() ? nullptr : it->second;
}

Ufunc& register_ufunc(PyObject* numpy_ufunc) {
    if (Ufunc* const known = find_ufunc(numpy_ufunc)) return *known;
    auto* const ufunc = new Ufunc;
    auto* const object = reinterpret_cast<PyUFuncObject*>(numpy_ufunc);
    ufunc->name = object->name;
    ufunc->inputs = object->nin;
    ufunc->outputs = object->nout;
    ufunc->reduction = n_combines;
    ufunc->scan = n_scans;
    ufunc->numpy = new_ref(numpy_ufunc);
    ufunc->entry = new_entry(object->name);
    ufunc->elementwise =
        !object->core_enabled && object->nin <= max_inputs && object->nout <= max_outputs;
    registered()[numpy_ufunc] = ufunc;
    return *ufunc;
}

void init_ufuncs() {
    auto const numpy = import_module("numpy"), umath = import_module("numpy._core.umath");
    for (int i = 0; i < n_ops; ++i) {
        const OpInfo& info = op_info[i];
        Ufunc& ufunc = op_ufuncs[i];
        ufunc.name = info.name;
        ufunc.inputs = info.inputs;
        ufunc.outputs = info.outputs;
        ufunc.op = static_cast<Op>(i);
        ufunc.entry = new_entry(info.name);
        ufunc.elementwise = true;
        while (ufunc.reduction < n_combines && combine_info[ufunc.reduction].ufunc != ufunc.op)
            ++ufunc.reduction;
        while (ufunc.scan < n_scans && scan_info[ufunc.scan].combine != ufunc.op) ++ufunc.scan;
        // NumPy's clip is a function over the ufunc of that name; its where is no ufunc at all.
        for (const auto& home : {numpy, umath}) {
            py::object const found = py::getattr(home, info.name, py::none());
            if (!PyObject_TypeCheck(found.ptr(), &PyUFunc_Type)) continue;
            ufunc.numpy = py::object(found).release().ptr();
            registered()[ufunc.numpy] = &ufunc;
            break;
        }
    }
    auto const named = [&](const char* name) {
        return &register_ufunc(py::object(numpy.attr(name)).ptr());
    };
    operator_ufuncs = {named("floor_divide"), named("remainder"), named("divmod"), named("power"),
                       named("conjugate")};
}

}  // namespace raptors
