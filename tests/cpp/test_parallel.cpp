// Calls by several threads give the very bytes that one thread gives.
#include <cstring>
#include <random>
#include <vector>

#include "api/table.h"
#include "check.h"
#include "dispatch.h"
#include "frame/threads/work_split.h"

using namespace raptors;

namespace {

std::mt19937_64 generator(1);
ptrdiff_t below(ptrdiff_t n) {
    return static_cast<ptrdiff_t>(generator() % static_cast<uint64_t>(n));
}

// Numbers that are neither special nor exact in sums.
std::vector<char> random_elements(DType t, ptrdiff_t n) {
    DType const part = real_part(t);
    ptrdiff_t const size = item_size(part), parts = item_size(t) / size;
    std::vector<char> bytes(static_cast<size_t>(n * item_size(t)));
    for (ptrdiff_t i = 0; i < n * parts; ++i) {
        char* const p = &bytes[static_cast<size_t>(i * size)];
        double const d = static_cast<double>(generator()) * 0x1p-63 - 0.9;
        auto const f = static_cast<float>(d);
        uint64_t const bits = generator();
        uint64_t const u = part == DType::boolean ? bits & 1
                           : is_floating(part)    ? bits & 0x3fff  // half precision below 2
                                                  : bits;
        memcpy(p,
               part == DType::float64   ? static_cast<const void*>(&d)
               : part == DType::float32 ? static_cast<const void*>(&f)
                                        : &u,
               static_cast<size_t>(size));
    }
    return bytes;
}

struct Operand {
    std::vector<char> bytes;
    ptrdiff_t strides[max_dims];
};

// A C-ordered operand, some axes repeated, perhaps every other element of the last.
Operand place(Nest& nest, int number, DType t, bool may_repeat) {
    Operand x;
    ptrdiff_t stride = item_size(t) * (below(4) ? 1 : 2);
    for (int a = nest.ndim - 1; a >= 0; --a) {
        bool const repeated = may_repeat && below(5) == 0;
        nest.strides[number][a] = repeated ? 0 : stride;
        if (!repeated) stride *= nest.shape[a];
    }
    x.bytes = random_elements(t, stride / item_size(t) + 1);
    nest.data[number] = x.bytes.data();
    return x;
}

Nest random_nest(int operands) {
    Nest nest;
    nest.operands = operands;
    nest.ndim = 1 + static_cast<int>(below(4));
    ptrdiff_t left = 1 + below(60'000);
    for (int a = 0; a < nest.ndim; ++a) {
        nest.shape[a] = a == nest.ndim - 1 ? left : 1 + below(left < 40 ? left : 40);
        left = left / nest.shape[a] + 1;
    }
    return nest;
}

WorkSplit random_split() {
    return {{1 + static_cast<int>(below(5)), true, below(2) ? 1e9 : 0},
            1 + below(below(2) ? 200 : 20'000)};
}

void check_elementwise(const Table& table) {
    Op const ops[] = {Op::add, Op::divide, Op::sqrt, Op::less, Op::where, Op::bitwise_and};
    for (int trial = 0; trial < 300 * patience; ++trial) {
        Op const op = ops[below(6)];
        auto const t = static_cast<DType>(below(n_dtypes));
        Kernel const kernel = kernel_of(table, op, t);
        if (!kernel) continue;
        const OpInfo& info = op_info[static_cast<int>(op)];
        bool const masked = below(3) == 0;
        DType const result = kernel.dtypes[kernel.inputs];
        Nest nest = random_nest(info.inputs + 1 + masked);
        std::vector<Operand> operands;
        for (int i = 0; i < info.inputs; ++i)
            operands.push_back(place(nest, i, kernel.dtypes[i], true));
        Operand out = place(nest, info.inputs, result, false);
        if (masked) operands.push_back(place(nest, info.inputs + 1, DType::boolean, true));
        std::vector<char> const before = out.bytes;
        simplify(nest);
        if (masked)
            CHECK(run_masked(kernel, nest, nullptr, unsplit));
        else
            run(kernel, nest);
        std::vector<char> const wanted = out.bytes;
        for (int repeat = 0; repeat < 2; ++repeat) {
            memcpy(out.bytes.data(), before.data(), before.size());
            if (masked)
                CHECK(run_masked(kernel, nest, nullptr, random_split()));
            else
                run(kernel, nest, random_split());
            CHECK_MESSAGE(out.bytes == wanted, "%s %s trial %d", info.name,
                          dtype_info[static_cast<int>(t)].name, trial);
        }
    }
}

void check_casts(const Table& table) {
    Kernel const add = kernel_of(table, Op::add, DType::float64);
    KernelFn const widen =
        table.cast[static_cast<int>(DType::float32)][static_cast<int>(DType::float64)];
    for (int trial = 0; trial < 80 * patience; ++trial) {
        Nest nest = random_nest(3);
        Operand x = place(nest, 0, DType::float32, true), y = place(nest, 1, DType::float64, true),
                out = place(nest, 2, DType::float64, false);
        Conversion const conversions[max_arguments] = {{widen, 8}};
        simplify(nest);
        CHECK(run(add, nest, conversions));
        std::vector<char> const wanted = out.bytes;
        memset(out.bytes.data(), 0, out.bytes.size());
        CHECK(run(add, nest, conversions, random_split()));
        // What lies between the elements is not written.
        bool right = true;
        Nest compared = nest;
        Chunks const each(compared, 1);
        for (ptrdiff_t i = 0; i < each.count(); ++i) {
            Nest element;
            each.part(i, element);
            ptrdiff_t const at = element.data[2] - out.bytes.data();
            right &= memcmp(wanted.data() + at, out.bytes.data() + at, 8) == 0;
        }
        CHECK(right);
    }
}

void check_folds(const Table& table) {
    for (int trial = 0; trial < 600 * patience; ++trial) {
        auto const combine = static_cast<Combine>(below(n_combines));
        auto const t = static_cast<DType>(below(n_dtypes));
        ReduceFn kernel = table.reduce[static_cast<int>(combine)][static_cast<int>(t)];
        const CombineInfo& info = combine_info[static_cast<int>(combine)];
        if (!kernel || info.is_index()) continue;
        DType const result = accumulator(combine, t);
        bool const from_first = info.identity == CombineInfo::NONE;
        Joining joining{};
        joining.size = item_size(result);
        joining.from_first = from_first;
        if (combine == Combine::add && dtype_info[static_cast<int>(t)].kind == 'F')
            joining.neutral.bytes[item_size(result) - 1] = static_cast<char>(0x80);  // -0.0
        if (combine == Combine::add || from_first)
            joining.join =
                table.elementwise[static_cast<int>(info.ufunc)][static_cast<int>(result)];

        Nest nest = random_nest(2);
        if (below(3) == 0) {  // long enough for nodes
            nest.ndim = 1 + static_cast<int>(below(2));
            nest.shape[0] = nest.ndim == 2 ? 1 + below(5) : 8'000 + below(60'000);
            nest.shape[1] = 8'000 + below(60'000);
        }
        Operand x = place(nest, 0, t, true);
        ptrdiff_t stride = item_size(result);
        for (int a = nest.ndim - 1; a >= 0; --a) {
            bool const reduced = below(2);
            nest.strides[1][a] = reduced ? 0 : stride;
            if (!reduced) stride *= nest.shape[a];
        }
        Operand out;
        out.bytes = random_elements(result, stride / item_size(result));
        nest.data[1] = out.bytes.data();
        Operand centre;  // one for each combine
        if (combine == Combine::add && dtype_info[static_cast<int>(t)].kind == 'F' && below(2)) {
            kernel = table.deviation[static_cast<int>(t)];
            centre.bytes = random_elements(t, stride / item_size(t));
            nest.operands = 3;
            nest.data[2] = centre.bytes.data();
            for (int a = 0; a < nest.ndim; ++a) nest.strides[2][a] = nest.strides[1][a];
        }
        std::vector<char> const before = out.bytes;
        run_reduce(kernel, nest);
        std::vector<char> const wanted = out.bytes;
        for (int repeat = 0; repeat < 2; ++repeat) {
            memcpy(out.bytes.data(), before.data(), before.size());
            run_reduce(kernel, nest, joining, random_split());
            CHECK_MESSAGE(out.bytes == wanted, "%s %s trial %d", info.name,
                          dtype_info[static_cast<int>(t)].name, trial);
        }
    }
}

}  // namespace

int main() {
    for (int i = 0; i < n_isas; ++i) {
        const Table* const own = table(static_cast<Isa>(i));
        if (!own) continue;
        check_elementwise(*own);
        check_casts(*own);
        check_folds(*own);
    }
    CHECK(pool_stats().helped > 0);
    stop_pool();
    return checks.report("parallel");
}
