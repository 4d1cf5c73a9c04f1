#include "frame/threads/costs.h"

#include <stdlib.h>
#include <string.h>

#include <atomic>
#include <new>

#include "api/table.h"
#include "frame/threads/clock.h"

namespace raptors {
namespace {

template <class E>
constexpr int index(E e) {
    return static_cast<int>(e);
}

// Measured figures; 0: the built-in one.
std::atomic<float> op_cost[n_ops][n_dtypes], combine_cost[n_combines][n_dtypes];

// Without a measurement: what operands in L2 cost, or what the row says.
constexpr double ns_per_byte = 0.012;
double built_in(Op op, DType t) noexcept {
    const OpInfo& info = op_info[index(op)];
    int bytes = 0;
    for (int i = 0; i < info.inputs + info.outputs; ++i)
        bytes += item_size(argument_dtype(op, i, t));
    double const moved = bytes * ns_per_byte;
    auto const computed = static_cast<double>(item_size(t) < 8 ? info.cost.narrow : info.cost.wide);
    return moved > computed ? moved : computed;
}
double built_in(Combine, DType t) noexcept { return dtype_info[index(t)].size * ns_per_byte; }

constexpr ptrdiff_t sample = 4096;  // elements
constexpr int runs = 12;

// Ones in every operand: no special value slows a kernel down.
template <class Body>
double measure(const MoveTable& table, DType t, Body body) noexcept {
    size_t const size = static_cast<size_t>(dtype_info[index(t)].size);
    constexpr int buffers = max_arguments;
    size_t const bytes = sample * sizeof(Element);
    char* const memory = static_cast<char*>(aligned_alloc(64, buffers * bytes));
    if (!memory) return 0;
    Element one, truth{};
    truth.bytes[0] = 1;
    Block cast{{truth, one}, {}, {}, 1, 1};
    table.cast[index(DType::boolean)][index(t)](cast, nullptr);
    for (int b = 0; b < buffers; ++b)
        for (ptrdiff_t i = 0; i < sample; ++i)
            memcpy(memory + static_cast<size_t>(b) * bytes + static_cast<size_t>(i) * size, one,
                   size);
    double least = 0;
    for (int run = 0; run < runs; ++run) {
        int64_t const begin = now_ns();
        body(memory, bytes);
        auto const ns = static_cast<double>(now_ns() - begin);
        if (run == 0) continue;
        if (least == 0 || ns < least) least = ns;
    }
    free(memory);
    return least / sample;
}

}  // namespace

double cost_of(Op op, DType t) noexcept {
    float const ns = op_cost[index(op)][index(t)].load(std::memory_order_relaxed);
    return ns > 0 ? static_cast<double>(ns) : built_in(op, t);
}
double cost_of(Combine combine, DType t) noexcept {
    float const ns = combine_cost[index(combine)][index(t)].load(std::memory_order_relaxed);
    return ns > 0 ? static_cast<double>(ns) : built_in(combine, t);
}

void set_cost(Op op, DType t, double ns) noexcept {
    op_cost[index(op)][index(t)].store(static_cast<float>(ns), std::memory_order_relaxed);
}
void set_cost(Combine combine, DType t, double ns) noexcept {
    combine_cost[index(combine)][index(t)].store(static_cast<float>(ns), std::memory_order_relaxed);
}

double measure_cost(const Table& table, Op op, DType t) noexcept {
    Kernel const kernel = kernel_of(table, op, t);
    if (!kernel) return 0;
    return measure(table, t, [&](char* memory, size_t bytes) {
        Block block{};
        for (int i = 0; i < kernel.arguments(); ++i) {
            block.data[i] = memory + static_cast<size_t>(i) * bytes;
            block.inner[i] = kernel.size(i);
        }
        block.n = sample;
        block.rows = 1;
        kernel(block);
    });
}

double measure_cost(const Table& table, Combine combine, DType t) noexcept {
    ReduceFn const kernel = table.reduce[index(combine)][index(t)];
    if (!kernel) return 0;
    int const size = dtype_info[index(t)].size;
    return measure(table, t, [&](char* memory, size_t bytes) {
        kernel({memory, memory + bytes, sample, size, 1, 0, 0});
    });
}

namespace {

// Chunks of a few microseconds: so many that a thread that comes late or is slow does little harm,
// so few that taking them (0.1 us) does not count. As many for each thread: who takes another's in
// the end has to fetch it from that one's cache.
WorkSplit cut(ptrdiff_t elements, double ns, Team team) noexcept {
    constexpr double shortest = 2'000, longest = 30'000;
    double wanted = ns / (8 * team.threads);
    wanted = wanted < shortest ? shortest : wanted > longest ? longest : wanted;
    double chunks = ns / wanted;
    constexpr double most = 0.25 * most_chunks;  // cuts along several axes may make some more
    if (chunks > most) chunks = most;
    ptrdiff_t const each = (static_cast<ptrdiff_t>(chunks) + team.threads / 2) / team.threads;
    ptrdiff_t const all = team.threads * (each < 1 ? 1 : each);
    return {team, elements / all + (elements % all != 0)};
}

}  // namespace

WorkSplit split_for(ptrdiff_t elements, double ns, int threads) noexcept {
    Team const team = team_for(ns, threads);
    return team.threads < 2 ? unsplit : cut(elements, ns, team);
}

WorkSplit split_in_turn(ptrdiff_t elements, double ns, int threads) noexcept {
    WorkSplit const split = split_for(elements, ns, threads);
    constexpr double least = 20'000;  // what takes less is in L2 as a whole
    if (split.team.threads > 1 || ns < least) return split;
    return cut(elements, ns, {1, false, ns});
}

}  // namespace raptors
