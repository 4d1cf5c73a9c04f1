#include "frame/run/take.h"

#include <algorithm>

#include "frame/nest/for_each_index.h"

namespace raptors {
namespace {

// body(block) for the rows along the innermost of the other axes, and each index of the rest.
template <class Body>
void for_rows(IndexBlock block, const Nest& others, const Body& body) noexcept {
    int const last = others.ndim - 1, outer = std::max(last, 0);
    ptrdiff_t strides[max_dims][2];
    for (int a = 0; a < outer; ++a)
        for (int i = 0; i < 2; ++i) strides[a][i] = others.strides[i][a];
    char* data[] = {others.data[0], others.data[1]};
    block.rows = last < 0 ? 1 : others.shape[last];
    block.row = last < 0 ? 0 : others.strides[0][last];
    block.values_row = last < 0 ? 0 : others.strides[1][last];
    for_each_index<2>(outer, others.shape, strides, 2, data, [&] {
        block.array = data[0];
        block.values = data[1];
        body(block);
    });
}

// Whether the values of one index are a run of elements, and those of the indices far apart.
bool is_by_columns(const IndexBlock& along, const Nest& others) noexcept {
    int const last = others.ndim - 1;
    constexpr ptrdiff_t few = 16;
    bool const short_element = along.size <= 8 && (along.size & (along.size - 1)) == 0;
    return last >= 0 && short_element && along.mode == IndexMode::raise &&
           others.shape[last] >= few && along.n >= few && others.strides[1][last] == along.size &&
           along.values_step != along.size;
}

// A few rows for all indices: the next index often finds the lines of this one in L1. Fetching the
// next index's lines ahead gains nothing (Zen 4).
bool take_rows_by_index(const Table& table, const IndexBlock& along, const Nest& others,
                        char* array, char* values) noexcept {
    constexpr ptrdiff_t at_once = 128;
    int const last = others.ndim - 1;
    ptrdiff_t const size = along.size, rows = others.shape[last], row = others.strides[0][last];
    KernelFn const copy = table.copy[__builtin_ctzll(static_cast<unsigned long long>(size))];
    Block block{};
    block.inner[0] = row;
    block.inner[1] = size;
    block.rows = 1;
    for (ptrdiff_t r = 0; r < rows; r += at_once) {
        block.n = std::min(at_once, rows - r);
        for (ptrdiff_t i = 0; i < along.n; ++i) {
            int64_t at = __atomic_load_n(along.indices + i, __ATOMIC_RELAXED);
            at += at < 0 ? along.length : 0;
            if (static_cast<uint64_t>(at) >= static_cast<uint64_t>(along.length)) return false;
            block.data[0] = array + r * row + at * along.step;
            block.data[1] = values + r * size + i * along.values_step;
            copy(block, nullptr);
        }
    }
    return true;
}

bool take_columns(const Table& table, const IndexBlock& along, const Nest& others) noexcept {
    int const outer = others.ndim - 1;
    ptrdiff_t strides[max_dims][2];
    for (int a = 0; a < outer; ++a)
        for (int i = 0; i < 2; ++i) strides[a][i] = others.strides[i][a];
    char* data[] = {others.data[0], others.data[1]};
    bool in_range = true;
    for_each_index<2>(outer, others.shape, strides, 2, data, [&] {
        in_range = in_range && take_rows_by_index(table, along, others, data[0], data[1]);
    });
    return in_range;
}

bool take_rows(const Table& table, const IndexBlock& along, const Nest& others) noexcept {
    if (is_by_columns(along, others)) return take_columns(table, along, others);
    bool in_range = true;
    for_rows(along, others,
             [&](const IndexBlock& block) { in_range = in_range && table.take(block); });
    return in_range;
}

}  // namespace

bool take(const Table& table, const IndexBlock& along, const Nest& others, ptrdiff_t elements,
          WorkSplit split) noexcept {
    ptrdiff_t const rows = count(others), n = along.n;
    if (split.grain == unsplit.grain) return take_rows(table, along, others);
    if (rows > n) {
        split.grain = std::max<ptrdiff_t>(split.grain / (elements / rows), 1);
        return for_parts(others, split,
                         [&](const Nest& part) { return take_rows(table, along, part); });
    }
    ptrdiff_t const grain =
        std::max<ptrdiff_t>({split.grain / (elements / n), (n + most_chunks - 1) / most_chunks, 1});
    std::atomic<bool> in_range{true};
    for_chunks((n + grain - 1) / grain, split.team, [&](ptrdiff_t i) {
        Nest part;
        copy_used_axes(others, part);
        part.data[1] += i * grain * along.values_step;
        IndexBlock some = along;
        some.indices += i * grain;
        some.n = std::min(grain, n - i * grain);
        if (!take_rows(table, some, part)) in_range.store(false, std::memory_order_relaxed);
    });
    return in_range.load(std::memory_order_relaxed);
}

bool put(const Table& table, const IndexBlock& along, const Nest& others) noexcept {
    if (!table.in_range(along)) return false;
    for_rows(along, others, [&](const IndexBlock& block) { table.put(block); });
    return true;
}

}  // namespace raptors
