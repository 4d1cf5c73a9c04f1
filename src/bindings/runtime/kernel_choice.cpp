#include "runtime/kernel_choice.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>

#include "api/table.h"
#include "frame/memory/streaming.h"
#include "frame/threads/clock.h"
#include "numpy/numpy_kernels.h"
#include "ops/ufunc.h"
#include "python/arguments.h"
#include "runtime/isa_choice.h"
#include "runtime/threads.h"

namespace py = pybind11;

namespace raptors {
namespace {

// Calls by the bytes of all their operands: those that L2 or L3 serve, and longer ones.
enum Length : int { within_caches, beyond, n_lengths };
constexpr ptrdiff_t beyond_from = ptrdiff_t{4} << 20;
constexpr ptrdiff_t measured_at[n_lengths] = {1 << 18, 1 << 22};  // bytes of an operand

Choice chosen[n_ops][n_dtypes][n_lengths];

// NumPy's loop for operands of the row's dtypes; none where the function is no ufunc.
Kernel loop_of_numpy(Op op, DType t) {
    const Ufunc& ufunc = ufunc_of(op);
    if (!ufunc.numpy) return {};
    int nums[max_arguments];
    for (int i = 0; i < ufunc.inputs + ufunc.outputs; ++i)
        nums[i] = num_of_dtype[index(argument_dtype(op, i, t))];
    return numpy_kernel(reinterpret_cast<PyUFuncObject*>(ufunc.numpy), nums);
}

Choice family(const std::string& name, Op op, DType t) {
    if (name == "numpy") return {loop_of_numpy(op, t), true};
    Isa isa;
    const Table* const other = parse_isa(name.c_str(), &isa) ? table(isa) : nullptr;
    return other ? Choice{kernel_of(*other, op, t)} : Choice{};
}

bool is_aligned(const Kernel& kernel, const Block& row) {
    for (int i = 0; i < kernel.arguments(); ++i)
        if (reinterpret_cast<uintptr_t>(row.data[i]) % static_cast<unsigned>(kernel.size(i)))
            return false;
    return true;
}

// ---- measuring
constexpr int runs = 8, rounds = 3;
constexpr double better = 0.95;  // what must be gained in each round

// Operands of ones: no special value slows a kernel down.
struct Operands {
    std::unique_ptr<char, decltype(&std::free)> memory{nullptr, &std::free};
    Block row{};

    Operands(const Table& table, const Kernel& kernel, ptrdiff_t bytes) {
        memory.reset(static_cast<char*>(
            std::aligned_alloc(64, static_cast<size_t>(bytes * kernel.arguments()))));
        if (!memory) throw std::bad_alloc();
        row.n = bytes / static_cast<ptrdiff_t>(sizeof(double));
        row.rows = 1;
        boolean one = static_cast<boolean>(1);
        for (int i = 0; i < kernel.arguments(); ++i) {
            row.data[i] = memory.get() + i * bytes;
            row.inner[i] = kernel.size(i);
            Block fill{};
            fill.data[0] = reinterpret_cast<char*>(&one);
            fill.data[1] = row.data[i];
            fill.inner[1] = row.inner[i];
            fill.n = row.n;
            fill.rows = 1;
            table.cast[index(DType::boolean)][index(kernel.dtypes[i])](fill, nullptr);
        }
    }
};

int64_t least_time(const Kernel& kernel, const Block& row) {
    int64_t least = INT64_MAX;
    for (int i = 0; i < runs; ++i) {
        int64_t const begin = now_ns();
        kernel(row);
        least = std::min(least, now_ns() - begin);
    }
    return least;
}

// The fastest of the others, if it beats the usual one in every round; "": none does.
std::string fastest(const Table& usual, Op op, DType t, Length length) {
    Kernel const own = kernel_of(usual, op, t);
    Operands const operands(usual, own, measured_at[length]);
    std::string best;
    double best_ratio = better;
    std::string const in_use = simd();
    for (const char* name : {"avx2", "scalar", "numpy"}) {
        if (in_use == name) continue;
        Kernel const other = family(name, op, t).kernel;
        if (!other || other.function == own.function) continue;
        double worst = 0;
        for (int round = 0; round < rounds && worst < best_ratio; ++round) {
            auto const ours = static_cast<double>(least_time(own, operands.row));
            auto const theirs = static_cast<double>(least_time(other, operands.row));
            worst = std::max(worst, theirs / ours);
        }
        if (worst >= best_ratio) continue;
        best_ratio = worst;
        best = name;
    }
    return best;
}

// The number of the name among `n`.
template <class NameOf>
int number_of(PyObject* name, int n, const NameOf& name_of) {
    for (int i = 0; i < n; ++i)
        if (is_text(name, name_of(i))) return i;
    throw py::value_error("no such operation or dtype");
}

}  // namespace

Choice choose_kernel(const Table& table_in_use, Op op, DType t, const Block& row) {
    // Asked once: the processor tells of itself slowly, in a virtual machine above all.
    static const Table* const best = table(best_isa());
    Choice const usual = {kernel_of(table_in_use, op, t)};
    if (&table_in_use != best) return usual;  // another one was asked for
    ptrdiff_t bytes = 0;
    for (int i = 0; i < usual.kernel.arguments(); ++i) bytes += row.n * row.inner[i];
    const Choice& other = chosen[index(op)][index(t)][bytes >= beyond_from];
    if (!other.kernel || bytes >= stream_from() || !is_aligned(other.kernel, row) ||
        (!other.kernel.shareable && current_threads() > 1))
        return usual;
    return other;
}

py::dict measure_families() {
    py::dict found;
    const Table* const usual = active().table;
    if (!usual) return found;
    for (int i = 0; i < n_ops; ++i) {
        const OpInfo& info = op_info[i];
        if (!info.uniform || info.inputs > 2) continue;  // others do not go by rows
        py::dict by_dtype;
        for (DType const t : {DType::float32, DType::float64, DType::int32, DType::int64}) {
            if (!(info.types >> index(t) & 1U)) continue;
            auto const op = static_cast<Op>(i);
            std::string const middle = fastest(*usual, op, t, within_caches);
            std::string const longer = fastest(*usual, op, t, beyond);
            if (!middle.empty() || !longer.empty())
                by_dtype[dtype_info[index(t)].name] = py::make_tuple(middle, longer);
        }
        if (PyErr_CheckSignals() < 0) throw py::error_already_set();
        if (!by_dtype.empty()) found[info.name] = by_dtype;
    }
    return found;
}

void set_families(const py::dict& families) {
    auto next = std::make_unique<Choice[][n_dtypes][n_lengths]>(n_ops);
    PyObject *op_name, *by_dtype, *dtype_name, *names;
    for (Py_ssize_t at = 0; PyDict_Next(families.ptr(), &at, &op_name, &by_dtype);) {
        int const op = number_of(op_name, n_ops, [](int i) { return op_info[i].name; });
        if (!PyDict_Check(by_dtype)) throw py::type_error("families of an operation by dtype");
        for (Py_ssize_t row = 0; PyDict_Next(by_dtype, &row, &dtype_name, &names);) {
            int const t = number_of(dtype_name, n_dtypes, [](int i) { return dtype_info[i].name; });
            if (!is_sequence(names) || PySequence_Fast_GET_SIZE(names) != n_lengths)
                throw py::type_error("a family for each length of a call");
            for (int length = 0; length < n_lengths; ++length) {
                PyObject* const text = PySequence_Fast_GET_ITEM(names, length);
                const char* const name = PyUnicode_Check(text) ? PyUnicode_AsUTF8(text) : nullptr;
                if (!name) throw py::type_error("the name of a family");
                if (!*name) continue;
                Choice const choice = family(name, static_cast<Op>(op), static_cast<DType>(t));
                if (!choice.kernel) throw py::value_error("no such family of kernels");
                next[static_cast<size_t>(op)][t][length] = choice;
            }
        }
    }
    for (size_t i = 0; i < size_t{n_ops}; ++i)
        std::copy(&next[i][0][0], &next[i][0][0] + n_dtypes * n_lengths, &chosen[i][0][0]);
}

}  // namespace raptors
