#include "ops/promotion.h"

#include <unordered_map>

#include "ops/elementwise.h"

namespace py = pybind11;

namespace raptors {
namespace {

std::unordered_map<uint32_t, Resolution>* resolutions;
PyObject* numpy_result_type;

Resolution ask_numpy(Op op, const int* codes, int nin, int dtype_num) {
    Resolution const none{no_dtype, nullptr};
    try {
        if (op == Op::where) {
            auto r = py::reinterpret_borrow<py::object>(numpy_result_type)(
                code_object(codes[1], true), code_object(codes[2], true));
            DType const t = dtype_of_object(r);
            return t == no_dtype
                       ? none
                       : Resolution{
                             t, descr_of_num[reinterpret_cast<PyArray_Descr*>(r.ptr())->type_num]};
        }
        py::tuple inputs(static_cast<size_t>(nin) + 1);
        for (int i = 0; i < nin; ++i) inputs[static_cast<size_t>(i)] = code_object(codes[i], false);
        inputs[static_cast<size_t>(nin)] = py::none();
        py::dict keywords;
        if (dtype_num >= 0) {
            py::tuple signature(static_cast<size_t>(nin) + 1);
            for (int i = 0; i < nin; ++i) signature[static_cast<size_t>(i)] = py::none();
            signature[static_cast<size_t>(nin)] = code_object(dtype_num, false);
            keywords["signature"] = signature;
        }
        auto resolve =
            py::reinterpret_borrow<py::object>(numpy_ufunc_of[index(op)]).attr("resolve_dtypes");
        py::tuple r = resolve(inputs, **keywords);
        DType const in = dtype_of_object(r[0]), out = dtype_of_object(r[static_cast<size_t>(nin)]);
        if (in == no_dtype || out == no_dtype) return none;
        for (int i = 1; i < nin; ++i)
            if (dtype_of_object(r[static_cast<size_t>(i)]) != in)
                return none;  // such as int64 < uint64
        auto* result =
            reinterpret_cast<PyArray_Descr*>(py::object(r[static_cast<size_t>(nin)]).ptr());
        bool const boolean = op_info[index(op)].result == Result::boolean;
        if (boolean != (out == DType::boolean) && !(in == DType::boolean && out == in)) return none;
        // Integer division has integer inputs and a float64 result: NumPy's loop converts, and so
        // do we.
        DType const loop = boolean || in == out ? in : out;
        if (loop != in && !(is_floating(loop) && !is_floating(in))) return none;
        return {loop, descr_of_num[result->type_num]};
    } catch (py::error_already_set&) {
        return none;  // no loop: NumPy raises
    }
}

}  // namespace

Resolution resolve(Op op, const Operand* x, int nin, int dtype_num) {
    int codes[3] = {0, 0, 0};
    // Five bits per code, at fixed places (the operation says how many inputs there are).
    uint32_t key = static_cast<uint32_t>(op) << 20 | static_cast<uint32_t>(dtype_num + 1);
    for (int i = 0; i < nin; ++i) {
        codes[i] = op == Op::where && i == 0 ? NPY_BOOL : x[i].code;
        key |= static_cast<uint32_t>(codes[i]) << (5 * (i + 1));
    }
    auto const found = resolutions->find(key);
    if (found != resolutions->end()) return found->second;
    Resolution const r = ask_numpy(op, codes, nin, dtype_num);
    resolutions->emplace(key, r);
    return r;
}

void init_promotion() {
    resolutions = new std::unordered_map<uint32_t, Resolution>;
    numpy_result_type = py::object(import_module("numpy").attr("result_type")).release().ptr();
}

}  // namespace raptors
