#include "numpy/strided_loops.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>

#include "api/table.h"
#include "array/free_lists.h"
#include "frame/fp/fpstatus.h"
#include "frame/nest/loop_nest.h"
#include "frame/run/iterate.h"
#include "numpy/numpy_kernels.h"
#include "ops/elementwise.h"
#include "runtime/threads.h"

namespace py = pybind11;

namespace raptors {
namespace {

// What the capsule of ufunc._resolve_dtypes_and_context holds (NumPy's ufunc_object.c).
struct CallInfo {
    PyArrayMethod_StridedLoop* loop;
    PyArrayMethod_Context* context;
    NpyAuxData* auxdata;
    npy_bool requires_pyapi;
    npy_bool no_floatingpoint_errors;
};

// Dtypes with the same bits are taken for one. 0: such dtypes are not known here.
using DTypeBits = uint64_t;
DTypeBits bits_of(PyArray_Descr* descr) {
    auto const num = static_cast<unsigned>(descr->type_num);
    if (num >= n_type_nums || num == NPY_VOID || !is_movable(descr) ||
        !PyArray_ISNBO(descr->byteorder) || PyDataType_METADATA(descr))
        return 0;
    DType const t = dtype_of(descr);  // long and long long are one
    DTypeBits const bits =
        1 + (t == no_dtype ? num : static_cast<DTypeBits>(num_of_dtype[index(t)]));
    if (PyTypeNum_ISDATETIME(descr->type_num)) {
        auto const* const date =
            reinterpret_cast<const PyArray_DatetimeDTypeMetaData*>(PyDataType_C_METADATA(descr));
        return bits | static_cast<DTypeBits>(date->meta.base) << 8 |
               static_cast<DTypeBits>(static_cast<uint32_t>(date->meta.num)) << 32;
    }
    return bits | static_cast<DTypeBits>(PyDataType_ELSIZE(descr)) << 8;
}

struct StridedLoop {
    py::object capsule;  // nullptr: NumPy has to be called
    CallInfo* info = nullptr;
    py::object result;  // the dtype
};

// The loop for operands of these dtypes that takes them as they are.
StridedLoop ask_numpy(const Ufunc& ufunc, PyArray_Descr* const* descrs) {
    StridedLoop found;
    try {
        py::tuple asked(static_cast<size_t>(ufunc.inputs) + 1);
        for (int i = 0; i < ufunc.inputs; ++i)
            asked[static_cast<size_t>(i)] =
                py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(descrs[i]));
        asked[static_cast<size_t>(ufunc.inputs)] = py::none();
        py::handle const numpy(ufunc.numpy);
        py::tuple const resolved = numpy.attr("_resolve_dtypes_and_context")(asked);
        py::tuple const dtypes = resolved[0];
        for (int i = 0; i < ufunc.inputs; ++i) {
            py::object const dtype = dtypes[static_cast<size_t>(i)];
            if (bits_of(reinterpret_cast<PyArray_Descr*>(dtype.ptr())) != bits_of(descrs[i]))
                return found;
        }
        py::object const result = dtypes[static_cast<size_t>(ufunc.inputs)];
        if (!bits_of(reinterpret_cast<PyArray_Descr*>(result.ptr()))) return found;
        py::object const capsule = resolved[1];
        numpy.attr("_get_strided_loop")(capsule);
        auto* const info = static_cast<CallInfo*>(
            PyCapsule_GetPointer(capsule.ptr(), "numpy_1.24_ufunc_call_info"));
        if (!info) throw py::error_already_set();
        found = {capsule, info, result};
    } catch (py::error_already_set&) {
        return {};  // no such loop, or a NumPy without these methods: NumPy is called
    }
    return found;
}

constexpr size_t most_loops = 256;  // texts of many lengths have many dtypes

const StridedLoop& loop_of(const Ufunc& ufunc, PyArray_Descr* const* descrs) {
    using Key = std::array<DTypeBits, max_inputs + 1>;
    static auto* const known = new std::map<Key, StridedLoop>;
    static Key last_key{};
    static const StridedLoop* last;
    Key key{reinterpret_cast<DTypeBits>(&ufunc)};
    for (int i = 0; i < ufunc.inputs; ++i) key[static_cast<size_t>(i) + 1] = bits_of(descrs[i]);
    if (key == last_key) return *last;
    auto at = known->find(key);
    if (at == known->end()) {
        StridedLoop found = ask_numpy(ufunc, descrs);
        last_key = {};
        if (known->size() >= most_loops) known->clear();
        at = known->emplace(key, std::move(found)).first;
    }
    last_key = key;
    last = &at->second;
    return *last;
}

// An operand as an array. Null: it is none, or an error is set.
py::object as_operand(PyObject* x) {
    if (is_exact(x)) return py::reinterpret_borrow<py::object>(x);
    if (PyArray_IsScalar(x, Datetime) || PyArray_IsScalar(x, Timedelta))
        return py::reinterpret_steal<py::object>(PyArray_FromScalar(x, nullptr));
    // Python's numbers take the dtype that NumPy gives them beside dates, which all casts keep.
    npy_intp whole;
    char* element = nullptr;
    double real;
    DType t = DType::int64;
    if (PyLong_CheckExact(x) && parse_integer(x, &whole)) {
        element = reinterpret_cast<char*>(&whole);
    } else if (PyFloat_CheckExact(x)) {
        t = DType::float64;
        real = PyFloat_AS_DOUBLE(x);
        element = reinterpret_cast<char*>(&real);
    } else {
        return {};
    }
    auto number = py::reinterpret_steal<py::object>(new_array(0, nullptr, descr_of(t)));
    if (number) std::memcpy(fields(number.ptr())->data, element, sizeof whole);
    return number;
}

// The common shape, and the strides of the inputs in it.
bool broadcast(Nest& nest, const Fields* const* inputs, int n) {
    nest.ndim = 0;
    for (int i = 0; i < n; ++i) nest.ndim = std::max(nest.ndim, inputs[i]->nd);
    for (int d = 0; d < nest.ndim; ++d) nest.shape[d] = 1;
    for (int i = 0; i < n; ++i) {
        int const first = nest.ndim - inputs[i]->nd;
        nest.data[i] = inputs[i]->data;
        for (int d = 0; d < nest.ndim; ++d) {
            npy_intp const length = d < first ? 1 : inputs[i]->dimensions[d - first];
            nest.strides[i][d] = length == 1 ? 0 : inputs[i]->strides[d - first];
            if (length == 1 || length == nest.shape[d]) continue;
            if (nest.shape[d] != 1) return false;
            nest.shape[d] = length;
        }
    }
    return true;
}

struct RunningLoop {
    const CallInfo* info;
    int arguments;
    bool* failed;
};

void run_rows(const Block& block, const void* context) noexcept {
    auto const& running = *static_cast<const RunningLoop*>(context);
    for (ptrdiff_t row = 0; row < block.rows && !*running.failed; ++row) {
        char* data[max_arguments];
        npy_intp strides[max_arguments];
        npy_intp const n = block.n;
        for (int i = 0; i < running.arguments; ++i) {
            data[i] = block.data[i] + row * block.outer[i];
            strides[i] = block.inner[i];
        }
        const CallInfo& info = *running.info;
        *running.failed = info.loop(info.context, data, &n, strides, info.auxdata) < 0;
    }
}

}  // namespace

PyObject* strided_loop(Ufunc& ufunc, PyObject* const* inputs) {
    int const n = ufunc.inputs;
    if (!active().table) return decline(Why::disabled);
    if (!ufunc.numpy || ufunc.outputs != 1) return decline(Why::dtype);
    py::object operands[max_inputs];
    const Fields* arrays[max_inputs];
    PyArray_Descr* descrs[max_inputs];
    for (int i = 0; i < n; ++i) {
        operands[i] = as_operand(inputs[i]);
        if (!operands[i]) return nullptr;
        arrays[i] = fields(operands[i].ptr());
        descrs[i] = arrays[i]->descr;
        if (!bits_of(descrs[i]) || !(arrays[i]->flags & NPY_ARRAY_ALIGNED))
            return decline(Why::dtype);
    }
    const StridedLoop& loop = loop_of(ufunc, descrs);
    if (!loop.info) return decline(Why::dtype);
    Nest nest;
    nest.operands = n + 1;
    if (!broadcast(nest, arrays, n) || nest.ndim == 0) return decline(Why::shape);
    auto const capsule = loop.capsule;  // others may be asked for meanwhile
    const CallInfo* const info = loop.info;
    int perm[max_dims];
    k_order(nest, n, perm);
    auto out = py::reinterpret_steal<py::object>(new_array_ordered(
        nest.ndim, nest.shape, perm, reinterpret_cast<PyArray_Descr*>(loop.result.ptr())));
    if (!out) return nullptr;
    Fields const* const o = fields(out.ptr());
    nest.data[n] = o->data;
    std::copy(o->strides, o->strides + o->nd, nest.strides[n]);
    count_numpy(ufunc.entry, Why::loop, operands[0].ptr());
    simplify(nest);
    bool failed = false;
    RunningLoop const running{info, n + 1, &failed};
    Kernel const kernel{run_rows, &running, static_cast<uint8_t>(n), 1, true, false, {}};
    auto const call = [&] {
        if (info->requires_pyapi)
            run(kernel, nest);
        else
            run_long(count(nest), numpy_loop_cost, [&](WorkSplit) { run(kernel, nest); });
    };
    bool const reports = !info->no_floatingpoint_errors;
    if (reports) clear_any_fp_status();
    call();
    if (failed && !PyErr_Occurred()) PyErr_NoMemory();
    if (PyErr_Occurred()) return nullptr;  // older loops set an error and go on
    int const status = reports ? any_fp_status() : 0;
    if (status && report_fp_status(ufunc.name, status) < 0) return nullptr;
    return out.release().ptr();
}

}  // namespace raptors
