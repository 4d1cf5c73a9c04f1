#include "frame/run/solve.h"

#include <atomic>

#include "frame/nest/stacks.h"

namespace raptors {
namespace {

ptrdiff_t count_of(const EquationStack& stack) noexcept {
    ptrdiff_t count = 1;
    for (int i = 0; i < stack.dims; ++i) count *= stack.shape[i];
    return count;
}

}  // namespace

bool run(EquationsFn kernel, const EquationStack& stack, WorkSplit split) noexcept {
    Batch batch;
    batch.dims = stack.dims;
    ptrdiff_t step = stack.out_bytes;
    for (int i = batch.dims - 1; i >= 0; --i) {
        batch.shape[i] = stack.shape[i];
        batch.a[i] = stack.a_stack[i];
        batch.b[i] = stack.b ? stack.b_stack[i] : 0;
        batch.c[i] = step;
        step *= batch.shape[i];
    }
    merge_axes(batch);
    Equations part = stack;
    part.count = 1;
    if (!batch.dims) {
        if (!stack.b || stack.columns < 2) return kernel(part);
        // The columns of one B as a stack.
        part.columns = 1;
        batch.dims = 1;
        batch.count = batch.shape[0] = stack.columns;
        batch.a[0] = 0;
        batch.b[0] = stack.b_column;
        batch.c[0] = stack.out_column;
    }
    part.out_next = batch.c[batch.dims - 1];
    part.a_next = batch.a[batch.dims - 1];
    part.b_next = batch.b[batch.dims - 1];
    auto run_part = [&](ptrdiff_t begin, ptrdiff_t end) {
        return for_runs(batch, stack.a, stack.b, stack.out, begin, end,
                        [&](const char* a, const char* b, char* out, ptrdiff_t count) {
                            Equations run = part;
                            run.a = a;
                            run.b = b;
                            run.out = out;
                            run.count = count;
                            return kernel(run);
                        });
    };
    if (split.team.threads < 2) return run_part(0, batch.count);
    constexpr ptrdiff_t unit = 8;  // lanes of the widest vectors
    ptrdiff_t const least = (batch.count + most_chunks - 1) / most_chunks;
    ptrdiff_t const grain = split.grain > least ? split.grain : least;
    ptrdiff_t const per = grain >= batch.count ? batch.count : (grain + unit - 1) / unit * unit;
    std::atomic<bool> sound{true};
    for_chunks((batch.count + per - 1) / per, split.team, [&](ptrdiff_t i) {
        ptrdiff_t const begin = i * per, left = batch.count - begin;
        if (!run_part(begin, begin + (left < per ? left : per)))
            sound.store(false, std::memory_order_relaxed);
    });
    return sound.load(std::memory_order_relaxed);
}

double cost_of(const EquationStack& stack) noexcept {
    constexpr double ns = 0.3;  // of a multiplication with its part of all else
    double const n = stack.n;
    return static_cast<double>(count_of(stack)) * n * n * (n + static_cast<double>(stack.columns)) *
           ns;
}

WorkSplit split_for(const EquationStack& stack, int threads) noexcept {
    ptrdiff_t const count = count_of(stack);
    return split_for(count > 1 ? count : stack.columns, cost_of(stack), threads);
}

}  // namespace raptors
