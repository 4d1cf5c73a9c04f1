#include "numpy/numpy_kernels.h"

#include "python/array.h"

namespace raptors {
namespace {

// Where a loop is found. Programs may replace the entries of a ufunc's table.
struct LoopEntry {
    const PyUFuncObject* ufunc;
    int number;
};

void run_loop(const Block& block, const void* context) noexcept {
    const auto& entry = *static_cast<const LoopEntry*>(context);
    const PyUFuncObject* const ufunc = entry.ufunc;
    PyUFuncGenericFunction const function = ufunc->functions[entry.number];
    void* const data = ufunc->data ? ufunc->data[entry.number] : nullptr;
    for (ptrdiff_t row = 0; row < block.rows; ++row) {
        // A loop may change what it is given.
        char* args[max_arguments];
        npy_intp steps[max_arguments], n = block.n;
        for (int i = 0; i < ufunc->nargs; ++i) {
            args[i] = block.data[i] + row * block.outer[i];
            steps[i] = block.inner[i];
        }
        function(args, &n, steps, data);
    }
}

// Loops of long and long long are one.
DType dtype_of_loop(char type_num) {
    auto const num = static_cast<unsigned char>(type_num);
    return num < n_type_nums ? dtype_of_num[num] : no_dtype;
}

}  // namespace

Kernel numpy_kernel(PyUFuncObject* ufunc, const int* type_nums) {
    if (ufunc->core_enabled || ufunc->nin > max_inputs || ufunc->nout > max_outputs ||
        !ufunc->functions || !ufunc->types)
        return {};
    Kernel kernel;
    kernel.inputs = static_cast<uint8_t>(ufunc->nin);
    kernel.outputs = static_cast<uint8_t>(ufunc->nout);
    kernel.aligned = true;
    kernel.shareable = false;
    for (int i = 0; i < ufunc->nargs; ++i) {
        kernel.dtypes[i] = dtype_of_num[type_nums[i]];
        if (kernel.dtypes[i] == no_dtype) return {};
        // Loops of integers raise Python's exceptions, which a thread of the pool cannot hand on.
        kernel.shareable |= is_inexact(kernel.dtypes[i]);
    }
    for (int k = 0; k < ufunc->ntypes; ++k) {
        bool same = ufunc->functions[k] != nullptr;
        for (int i = 0; same && i < ufunc->nargs; ++i)
            same = dtype_of_loop(ufunc->types[k * ufunc->nargs + i]) == kernel.dtypes[i];
        if (!same) continue;
        kernel.function = run_loop;
        kernel.context = new LoopEntry{ufunc, k};
        return kernel;
    }
    return {};
}

}  // namespace raptors
