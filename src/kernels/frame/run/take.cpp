#include "frame/run/take.h"

#include <algorithm>

#include "frame/nest/for_each_index.h"
#include "frame/run/move.h"

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

constexpr ptrdiff_t tile_bytes = ptrdiff_t{16} << 10;  // half of an L1

// The rows and indices of a tile.
ptrdiff_t tile_of(ptrdiff_t size) noexcept { return size == 8 ? 32 : 64; }

// Whether the values of one index are a run of elements that can be transposed, those of the
// indices far apart.
bool is_by_columns(const IndexBlock& along, const Nest& others) noexcept {
    int const last = others.ndim - 1;
    constexpr ptrdiff_t few = 16;
    bool const short_element = along.size <= 8 && (along.size & (along.size - 1)) == 0;
    return last >= 0 && short_element && others.shape[last] >= few && along.n >= few &&
           others.strides[1][last] == along.size && along.values_step != along.size;
}

// Tiles of a few rows by a few indices: taken by rows, then transposed.
bool take_tiles(const Table& table, const IndexBlock& along, const Nest& others, char* tile_data,
                char* array, char* values) noexcept {
    int const last = others.ndim - 1;
    ptrdiff_t const size = along.size, rows = others.shape[last], row = others.strides[0][last];
    ptrdiff_t const tile = tile_of(size);
    for (ptrdiff_t r = 0; r < rows; r += tile) {
        for (ptrdiff_t i = 0; i < along.n; i += tile) {
            IndexBlock part = along;
            part.indices += i;
            part.n = std::min(tile, along.n - i);
            part.rows = std::min(tile, rows - r);
            part.row = row;
            part.array = array + r * row;
            part.values = tile_data;
            part.values_step = size;
            part.values_row = tile * size;
            if (!table.take(part)) return false;
            Nest turned;
            turned.ndim = turned.operands = 2;
            turned.shape[0] = part.n;
            turned.shape[1] = part.rows;
            turned.strides[0][0] = size;
            turned.strides[0][1] = tile * size;
            turned.strides[1][0] = along.values_step;
            turned.strides[1][1] = size;
            turned.data[0] = tile_data;
            turned.data[1] = values + i * along.values_step + r * size;
            simplify(turned);
            move(table, turned, size);
        }
    }
    return true;
}

bool take_columns(const Table& table, const IndexBlock& along, const Nest& others) noexcept {
    alignas(64) char tile_data[tile_bytes];
    int const outer = others.ndim - 1;
    ptrdiff_t strides[max_dims][2];
    for (int a = 0; a < outer; ++a)
        for (int i = 0; i < 2; ++i) strides[a][i] = others.strides[i][a];
    char* data[] = {others.data[0], others.data[1]};
    bool in_range = true;
    for_each_index<2>(outer, others.shape, strides, 2, data, [&] {
        in_range = in_range && take_tiles(table, along, others, tile_data, data[0], data[1]);
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
