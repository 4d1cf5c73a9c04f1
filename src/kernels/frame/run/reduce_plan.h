// How a reduction goes over a nest: which axis a kernel call reduces, along which one its rows lie.
#pragma once
#include <algorithm>

#include "frame/nest/axes.h"
#include "frame/nest/for_each_index.h"
#include "frame/threads/work_split.h"

namespace raptors {

struct ReduceAxis {
    ptrdiff_t length;
    ptrdiff_t strides[max_nest_operands];
};

struct ReducePlan {
    static constexpr int in = 0, out = 1, centre = 2;  // operands; `centre` of Table::deviation

    ReduceAxis reduced, row;
    char* data[max_nest_operands];
    int axes;  // the others
    ptrdiff_t shape[max_dims];
    ptrdiff_t strides[max_dims][max_nest_operands];
    int operands;

    // A call for columns: its rows lie closer together than the elements of each.
    bool columns() const noexcept {
        return magnitude(reduced.strides[in]) > magnitude(row.strides[in]);
    }
};

// False: nothing to do. An axis is reduced if it is `axis`, or, where that is -1, if the output
// stays where it is.
bool make_plan(const Nest& nest, int axis, ReducePlan& plan) noexcept;

// body() for every call; plan.data moves along.
template <class Body>
void for_each_call(ReducePlan& plan, Body body) noexcept {
    if (plan.axes == 0)
        body();
    else
        for_each_index(plan.axes, plan.shape, plan.strides, plan.operands, plan.data, body);
}

// Few columns are added in a way that depends on how many there are.
constexpr ptrdiff_t least_columns = 32;

// Bytes of a row that the processor still takes for a stream, which narrower strips are not.
constexpr ptrdiff_t stream_bytes = 2048;

// call(part) for parts of the plan, cut along its longest kept axis, columns at multiples of
// `tile`. False: not done.
template <class Call>
bool split_rows(const ReducePlan& plan, WorkSplit split, ptrdiff_t tile,
                const Call& call) noexcept {
    bool const columns = plan.columns();
    int cut = -1;  // of the other axes; -1: the rows
    ptrdiff_t length = plan.row.length;
    if (columns && length < 2 * least_columns) length = 1;
    ptrdiff_t elements = plan.reduced.length * plan.row.length;
    for (int a = 0; a < plan.axes; ++a) {
        elements *= plan.shape[a];
        if (plan.strides[a][plan.out] == 0 || plan.shape[a] <= length) continue;
        length = plan.shape[a];
        cut = a;
    }
    // Pieces of rows are no streams that the processor would see.
    if (length < split.team.threads || (columns && split.team.threads < 2)) return false;
    ptrdiff_t per = split.grain / (elements / length);
    if (per < 1) per = 1;
    if (cut < 0 && columns) {
        ptrdiff_t const even = (length + split.team.threads - 1) / split.team.threads;
        ptrdiff_t const width = magnitude(plan.row.strides[plan.in]);
        ptrdiff_t const stream = width ? stream_bytes / width : 0;
        per = std::max({per, std::min(even, stream), least_columns});
        per = (per + tile - 1) / tile * tile;
    }
    ptrdiff_t pieces = (length + per - 1) / per;
    if (cut < 0 && columns && length - (pieces - 1) * per < least_columns) --pieces;
    if (pieces < 2 || pieces > most_chunks) return false;
    for_chunks(pieces, split.team, [&](ptrdiff_t i) {
        ptrdiff_t const first = i * per, count = (i + 1 == pieces ? length : first + per) - first;
        ReducePlan part = plan;
        for (int k = 0; k < plan.operands; ++k)
            part.data[k] += first * (cut < 0 ? plan.row.strides[k] : plan.strides[cut][k]);
        (cut < 0 ? part.row.length : part.shape[cut]) = count;
        call(part);
    });
    return true;
}

}  // namespace raptors
