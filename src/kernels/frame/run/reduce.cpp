// The reduction driver: reduced and kept axes -> kernel calls with one reduced axis (n) and one
// kept axis (rows).
#include <string.h>

#include <atomic>

#include "frame/memory/scratch.h"
#include "frame/run/reduce_plan.h"

namespace raptors {
namespace {

constexpr int in = ReducePlan::in, out = ReducePlan::out, centre = ReducePlan::centre;

// Axes of one kind.
struct ReduceAxes {
    int count = 0;
    ReduceAxis axis[max_dims];

    // Those with long input strides first, merged.
    void simplify(int operands) noexcept {
        sort_axes_by(
            count, [&](int i) { return magnitude(axis[i].strides[in]); },
            [&](int place, int i) { rotate_to(axis, place, i); });
        count = merge_axes(
            count, operands, [&](int i) -> ptrdiff_t& { return axis[i].length; },
            [&](int k, int i) { return axis[i].strides[k]; },
            [&](int from, int to) { axis[to] = axis[from]; });
    }
    // The axis for the kernel: the innermost, unless it is so short that calls would be most of the
    // work.
    ReduceAxis take() noexcept {
        if (count == 0) return {1, {}};
        int best = count - 1;
        if (axis[best].length < 16)
            for (int i = 0; i < count - 1; ++i)
                if (axis[i].length > axis[best].length) best = i;
        ReduceAxis const taken = axis[best];
        for (int i = best; i + 1 < count; ++i) axis[i] = axis[i + 1];
        --count;
        return taken;
    }
};

}  // namespace

bool make_plan(const Nest& nest, int axis, ReducePlan& plan) noexcept {
    if (nest.ndim == 1 && (axis >= 0 || nest.strides[out][0] == 0)) {
        plan.axes = 0;
        plan.operands = nest.operands;
        plan.reduced.length = nest.shape[0];
        plan.row.length = 1;
        for (int i = 0; i < nest.operands; ++i) {
            plan.data[i] = nest.data[i];
            plan.reduced.strides[i] = nest.strides[i][0];
            plan.row.strides[i] = 0;
        }
        return nest.shape[0] != 0;
    }
    ReduceAxes reduced, kept;
    for (int a = 0; a < nest.ndim; ++a) {
        ptrdiff_t const length = nest.shape[a];
        if (length == 0) return false;
        if (length == 1) continue;
        ReduceAxis own{length, {}};
        for (int i = 0; i < nest.operands; ++i) own.strides[i] = nest.strides[i][a];
        bool const reduces = axis < 0 ? own.strides[out] == 0 : a == axis;
        ReduceAxes& axes = reduces ? reduced : kept;
        axes.axis[axes.count++] = own;
    }
    // Runs of reduced elements keep their direction: the order of a floating-point sum is the
    // memory's where NumPy's is.
    reduced.simplify(nest.operands);
    kept.simplify(nest.operands);
    plan.operands = nest.operands;
    for (int i = 0; i < nest.operands; ++i) plan.data[i] = nest.data[i];
    plan.reduced = reduced.take();
    plan.row = kept.take();
    plan.axes = 0;
    int r = 0, k = 0;
    while (r < reduced.count || k < kept.count) {
        bool const reduces =
            k == kept.count || (r < reduced.count && magnitude(reduced.axis[r].strides[in]) >=
                                                         magnitude(kept.axis[k].strides[in]));
        ReduceAxis const& next = reduces ? reduced.axis[r++] : kept.axis[k++];
        plan.shape[plan.axes] = next.length;
        for (int i = 0; i < nest.operands; ++i) plan.strides[plan.axes][i] = next.strides[i];
        ++plan.axes;
    }
    return true;
}

namespace {

ReduceBlock whole(const ReducePlan& plan) noexcept {
    ReduceBlock r{
        plan.data[in],   plan.data[out],       plan.reduced.length,  plan.reduced.strides[in],
        plan.row.length, plan.row.strides[in], plan.row.strides[out]};
    if (plan.operands > centre) {
        r.centre = plan.data[centre];
        r.centre_row = plan.row.strides[centre];
    }
    return r;
}

}  // namespace

void run_reduce(ReduceFn kernel, const Nest& nest) noexcept {
    // The common calls: everything reduced, or one axis of two.
    if (nest.ndim == 1 && nest.strides[out][0] == 0) {
        if (nest.shape[0])
            kernel({nest.data[in], nest.data[out], nest.shape[0], nest.strides[in][0], 1, 0, 0,
                    nest.operands > centre ? nest.data[centre] : nullptr});
        return;
    }
    ReducePlan plan;
    if (!make_plan(nest, -1, plan)) return;
    for_each_call(plan, [&] { kernel(whole(plan)); });
}

// ---- By several threads

namespace {

// Elements [lo, hi) of node `number` of those that halving a row of n `levels` times gives. Cut as
// the kernels' tree for sums is.
void find_node(ptrdiff_t n, int levels, ptrdiff_t number, ptrdiff_t& lo, ptrdiff_t& hi) noexcept {
    lo = 0;
    hi = n;
    for (int level = levels - 1; level >= 0; --level) {
        ptrdiff_t const half = lo + (hi - lo) / 2 / 8 * 8;
        (number >> level & 1 ? lo : hi) = half;
    }
}

constexpr ptrdiff_t node_least = 4096;  // elements: the kernels halve further down to 1024
constexpr int levels_most = 10;

// How often rows are halved, for nodes of about the grain; 0: they are not.
int levels_for(ptrdiff_t n, ptrdiff_t rows, WorkSplit split) noexcept {
    if (split.grain == unsplit.grain) return 0;
    int levels = 0;
    while (levels < levels_most && n >> (levels + 1) >= node_least && n >> levels > split.grain &&
           rows << (levels + 1) <= most_chunks)
        ++levels;
    return rows << levels <= most_chunks ? levels : 0;
}

void join_two(KernelFn join, char* a, char* b, char* to) noexcept {
    Block block{};
    block.data[0] = a;
    block.data[1] = b;
    block.data[2] = to;
    block.n = block.rows = 1;
    join(block, nullptr);
}

// The root of a tree whose nodes lie in `parts` goes to the first of them.
void join_nodes(KernelFn join, char* parts, ptrdiff_t nodes, ptrdiff_t size) noexcept {
    for (ptrdiff_t left = nodes / 2; left; left /= 2)
        for (ptrdiff_t i = 0; i < left; ++i)
            join_two(join, parts + 2 * i * size, parts + (2 * i + 1) * size, parts + i * size);
}

// Long rows along one axis: nodes of each are reduced, then joined two by two. False: not done.
bool reduce_by_nodes(ReduceFn kernel, const ReducePlan& plan, const Joining& joining,
                     WorkSplit split) noexcept {
    ptrdiff_t const n = plan.reduced.length, rows = plan.row.length;
    ptrdiff_t const step = plan.reduced.strides[in];
    if (!joining.join || plan.axes ||
        (rows > 1 && magnitude(step) > magnitude(plan.row.strides[in])))
        return false;
    // One thread stops where it is decided; several rows may each end early.
    if (joining.stops && (rows > 1 || split.team.threads < 2)) return false;
    int const levels = levels_for(n, rows, split);
    if (!levels) return false;
    ptrdiff_t const nodes = ptrdiff_t{1} << levels, size = joining.size;
    Scratch scratch(static_cast<size_t>(rows * nodes * size));
    char* const parts = scratch.get();
    if (!parts) return false;
    std::atomic<bool> decided{false};
    auto reduce = [&](ptrdiff_t row, const char* from, ptrdiff_t elements, char* to) {
        Element part;  // not in `parts`, whose cache lines threads share
        memcpy(part.bytes, joining.from_first ? from : joining.neutral.bytes,
               static_cast<size_t>(size));
        if (!decided.load(std::memory_order_relaxed))
            kernel({from, part.bytes, elements, step, 1, 0, 0,
                    plan.operands > centre ? plan.data[centre] + row * plan.row.strides[centre]
                                           : nullptr});
        memcpy(to, part.bytes, static_cast<size_t>(size));
        return joining.stops &&
               memcmp(part.bytes, joining.neutral.bytes, static_cast<size_t>(size)) != 0;
    };
    Team team = split.team;
    team.forwards = joining.stops;
    for_chunks(rows * nodes, team, [&](ptrdiff_t i) {
        ptrdiff_t lo, hi;
        find_node(n, levels, i % nodes, lo, hi);
        ptrdiff_t const row = i / nodes;
        const char* const from = plan.data[in] + row * plan.row.strides[in] + lo * step;
        if (reduce(row, from, hi - lo, parts + i * size))
            decided.store(true, std::memory_order_relaxed);
    });
    for (ptrdiff_t row = 0; row < rows; ++row) {
        char* const first = parts + row * nodes * size;
        join_nodes(joining.join, first, nodes, size);
        char* const to = plan.data[out] + row * plan.row.strides[out];
        join_two(joining.join, to, first, to);
    }
    return true;
}

}  // namespace

void run_reduce(ReduceFn kernel, const Nest& nest, const Joining& joining,
                WorkSplit split) noexcept {
    if (split.grain == unsplit.grain) return run_reduce(kernel, nest);
    ReducePlan plan;
    if (!make_plan(nest, -1, plan)) return;
    if (split_rows(plan, split, 1,
                   [&](ReducePlan& part) { for_each_call(part, [&] { kernel(whole(part)); }); }) ||
        reduce_by_nodes(kernel, plan, joining, split))
        return;
    for_each_call(plan, [&] { kernel(whole(plan)); });
}

int64_t run_argreduce(ReduceFn kernel, const char* in_data, ptrdiff_t n, int size,
                      WorkSplit split) noexcept {
    auto arg = [&](const char* from, ptrdiff_t elements) {
        int64_t where = 0;
        kernel({from, reinterpret_cast<char*>(&where), elements, size, 1, 0, 0});
        return where;
    };
    int const levels = levels_for(n, 1, split);
    if (!levels) return arg(in_data, n);
    ptrdiff_t const nodes = ptrdiff_t{1} << levels;
    int64_t found[1 << levels_most];
    for_chunks(nodes, split.team, [&](ptrdiff_t i) {
        ptrdiff_t lo, hi;
        find_node(n, levels, i, lo, hi);
        found[i] = lo + arg(in_data + lo * size, hi - lo);
    });
    alignas(
        64) char extremes[sizeof(Element) << levels_most];  // the first of them is the first of all
    for (ptrdiff_t i = 0; i < nodes; ++i)
        memcpy(extremes + i * size, in_data + found[i] * size, static_cast<size_t>(size));
    return found[arg(extremes, nodes)];
}

void run_argreduce(ReduceFn kernel, const Nest& nest, int axis) noexcept {
    ReducePlan plan;
    if (!make_plan(nest, axis, plan)) return;
    for_each_call(plan, [&] { kernel(whole(plan)); });
}

}  // namespace raptors
