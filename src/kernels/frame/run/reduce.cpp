// The reduction driver: folded and kept axes -> kernel calls with one folded axis (n) and one kept
// axis (rows).
#include <string.h>

#include <algorithm>
#include <atomic>

#include "frame/memory/scratch.h"
#include "frame/nest/for_each_index.h"
#include "frame/threads/work_split.h"

namespace raptors {
namespace {

constexpr int in = 0, out = 1, mask = 2, centre = 2, most_operands = 3;

struct Axis {
    ptrdiff_t length;
    ptrdiff_t strides[most_operands];
};

// Axes of one kind, those with long input strides first.
struct Axes {
    int count = 0;
    Axis axis[max_dims];

    void add(const Axis& a) noexcept {
        int place = count++;
        for (; place > 0 && magnitude(axis[place - 1].strides[in]) < magnitude(a.strides[in]);
             --place)
            axis[place] = axis[place - 1];
        axis[place] = a;
    }
    // Joins neighbours that are one run in memory for every operand.
    void merge() noexcept {
        int last = 0;
        for (int i = 1; i < count; ++i) {
            Axis& outer = axis[last];
            bool joined = true;
            for (int k = 0; k < most_operands; ++k)
                joined &= outer.strides[k] == axis[i].length * axis[i].strides[k];
            if (joined) {
                axis[i].length *= outer.length;
                axis[last] = axis[i];
            } else {
                axis[++last] = axis[i];
            }
        }
        if (count) count = last + 1;
    }
    // The axis for the kernel: the innermost, unless it is so short that calls would be most of the
    // work.
    Axis take() noexcept {
        if (count == 0) return {1, {0, 0, 0}};
        int best = count - 1;
        if (axis[best].length < 16)
            for (int i = 0; i < count - 1; ++i)
                if (axis[i].length > axis[best].length) best = i;
        Axis const taken = axis[best];
        for (int i = best; i + 1 < count; ++i) axis[i] = axis[i + 1];
        --count;
        return taken;
    }
};

struct Plan {
    Axis fold, row;
    char* data[most_operands];
    int axes;  // the others
    ptrdiff_t shape[max_dims];
    ptrdiff_t strides[max_dims][most_operands];
    int operands;
};

// False: nothing to do. An axis is folded if it is `folded_axis`, or, where that is -1, if the
// output stays where it is.
bool make_plan(const Nest& nest, int folded_axis, Plan& plan) noexcept {
    Axes folded, kept;
    for (int a = 0; a < nest.ndim; ++a) {
        ptrdiff_t const length = nest.shape[a];
        if (length == 0) return false;
        if (length == 1) continue;
        Axis axis{length, {}};
        for (int i = 0; i < nest.operands; ++i) axis.strides[i] = nest.strides[i][a];
        bool const fold = folded_axis < 0 ? axis.strides[out] == 0 : a == folded_axis;
        (fold ? folded : kept).add(axis);
    }
    // Runs of folded elements keep their direction: the order of a floating-point sum is the
    // memory's where NumPy's is.
    folded.merge();
    kept.merge();
    plan.operands = nest.operands;
    for (int i = 0; i < nest.operands; ++i) plan.data[i] = nest.data[i];
    plan.fold = folded.take();
    plan.row = kept.take();
    plan.axes = 0;
    int f = 0, k = 0;
    while (f < folded.count || k < kept.count) {
        bool const fold =
            k == kept.count || (f < folded.count && magnitude(folded.axis[f].strides[in]) >=
                                                        magnitude(kept.axis[k].strides[in]));
        Axis const& axis = fold ? folded.axis[f++] : kept.axis[k++];
        plan.shape[plan.axes] = axis.length;
        for (int i = 0; i < most_operands; ++i) plan.strides[plan.axes][i] = axis.strides[i];
        ++plan.axes;
    }
    return true;
}

template <class Body>
void for_each_call(Plan& plan, Body body) noexcept {
    if (plan.axes == 0)
        body();
    else
        walk(plan.axes, plan.shape, plan.strides, plan.operands, plan.data, body);
}

Reduction whole(const Plan& plan) noexcept {
    Reduction r{plan.data[in],   plan.data[out],       plan.fold.length,     plan.fold.strides[in],
                plan.row.length, plan.row.strides[in], plan.row.strides[out]};
    if (plan.operands > centre) {
        r.centre = plan.data[centre];
        r.centre_row = plan.row.strides[centre];
    }
    return r;
}

// Elements of a cast piece: a run of a pairwise sum that is long enough to keep its error bound,
// short enough for L1 and L2.
constexpr ptrdiff_t piece_elements = 4096;
constexpr ptrdiff_t tile_columns = 64;

// One kernel call's worth of pieces; convert(data, n, in_stride, rows, in_row) -> a piece in a
// buffer, dense, with the folded axis innermost (`by_row`) or outermost.
template <class Convert>
void fold_pieces(ReduceFn kernel, const Plan& plan, ptrdiff_t size, const char* buffer,
                 Convert convert) noexcept {
    ptrdiff_t const n = plan.fold.length, rows = plan.row.length;
    bool const by_row =
        rows == 1 || (n > 1 && magnitude(plan.fold.strides[in]) <= magnitude(plan.row.strides[in]));
    ptrdiff_t n_piece, row_piece;
    if (by_row) {
        n_piece = n < piece_elements ? n : piece_elements;
        row_piece = piece_elements / n_piece;
    } else {
        row_piece = rows < tile_columns ? rows : tile_columns;
        n_piece = piece_elements / row_piece;
    }
    for (ptrdiff_t row = 0; row < rows; row += row_piece) {
        ptrdiff_t const piece_rows = rows - row < row_piece ? rows - row : row_piece;
        for (ptrdiff_t first = 0; first < n; first += n_piece) {
            ptrdiff_t const piece_n = n - first < n_piece ? n - first : n_piece;
            Block block{};
            for (int i = 0; i < plan.operands; ++i) {
                block.data[i] =
                    plan.data[i] + row * plan.row.strides[i] + first * plan.fold.strides[i];
                block.inner[i] = by_row ? plan.fold.strides[i] : plan.row.strides[i];
                block.outer[i] = by_row ? plan.row.strides[i] : plan.fold.strides[i];
            }
            block.n = by_row ? piece_n : piece_rows;
            block.rows = by_row ? piece_rows : piece_n;
            convert(block);
            ptrdiff_t const outer = size * block.n;
            kernel({buffer, plan.data[out] + row * plan.row.strides[out], piece_n,
                    by_row ? size : outer, piece_rows, by_row ? outer : size,
                    plan.row.strides[out]});
        }
    }
}

// Casts block operand `in` into the buffer, dense.
void cast_block(KernelFn cast, const Block& block, ptrdiff_t size, char* buffer) noexcept {
    Block c{};
    c.data[0] = block.data[in];
    c.inner[0] = block.inner[in];
    c.outer[0] = block.outer[in];
    c.data[1] = buffer;
    c.inner[1] = size;
    c.outer[1] = size * block.n;
    c.n = block.n;
    c.rows = block.rows;
    cast(c, nullptr);
}

}  // namespace

void run_reduce(ReduceFn kernel, const Nest& nest) noexcept {
    // The common calls: everything folded, or one axis of two.
    if (nest.ndim == 1 && nest.strides[out][0] == 0) {
        if (nest.shape[0])
            kernel({nest.data[in], nest.data[out], nest.shape[0], nest.strides[in][0], 1, 0, 0,
                    nest.operands > centre ? nest.data[centre] : nullptr});
        return;
    }
    Plan plan;
    if (!make_plan(nest, -1, plan)) return;
    for_each_call(plan, [&] { kernel(whole(plan)); });
}

// ---- By several threads

namespace {

// Elements [lo, hi) of node `number` of those that halving a fold of n `levels` times gives. Cut as
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

// How often folds are halved, for nodes of about the grain; 0: they are not.
int levels_for(ptrdiff_t n, ptrdiff_t rows, Share share) noexcept {
    if (share.grain == unshared.grain) return 0;
    int levels = 0;
    while (levels < levels_most && n >> (levels + 1) >= node_least && n >> levels > share.grain &&
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

// Long folds along one axis: nodes of each are folded, then joined two by two. False: not done.
bool fold_by_nodes(ReduceFn kernel, const Plan& plan, const Joining& joining,
                   Share share) noexcept {
    ptrdiff_t const n = plan.fold.length, rows = plan.row.length;
    ptrdiff_t const step = plan.fold.strides[in];
    if (!joining.join || plan.axes ||
        (rows > 1 && magnitude(step) > magnitude(plan.row.strides[in])))
        return false;
    // One thread stops where it is decided; several rows may each end early.
    if (joining.stops && (rows > 1 || share.crew.threads < 2)) return false;
    int const levels = levels_for(n, rows, share);
    if (!levels) return false;
    ptrdiff_t const nodes = ptrdiff_t{1} << levels, size = joining.size;
    Scratch scratch(static_cast<size_t>(rows * nodes * size));
    char* const parts = scratch.get();
    if (!parts) return false;
    std::atomic<bool> decided{false};
    auto fold = [&](ptrdiff_t row, const char* from, ptrdiff_t elements, char* to) {
        alignas(8) char part[8];  // not in `parts`, whose cache lines threads share
        memcpy(part, joining.from_first ? from : joining.neutral, static_cast<size_t>(size));
        if (!decided.load(std::memory_order_relaxed))
            kernel({from, part, elements, step, 1, 0, 0,
                    plan.operands > centre ? plan.data[centre] + row * plan.row.strides[centre]
                                           : nullptr});
        memcpy(to, part, static_cast<size_t>(size));
        return joining.stops && memcmp(part, joining.neutral, static_cast<size_t>(size)) != 0;
    };
    Crew crew = share.crew;
    crew.forwards = joining.stops;
    for_chunks(rows * nodes, crew, [&](ptrdiff_t i) {
        ptrdiff_t lo, hi;
        find_node(n, levels, i % nodes, lo, hi);
        ptrdiff_t const row = i / nodes;
        const char* const from = plan.data[in] + row * plan.row.strides[in] + lo * step;
        if (fold(row, from, hi - lo, parts + i * size))
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

// Few columns are added in a way that depends on how many there are.
constexpr ptrdiff_t least_columns = 32;

// Bytes of a row that the processor still takes for a stream, which narrower strips are not.
constexpr ptrdiff_t stream_bytes = 2048;

// Cuts the longest kept axis. False: not done.
bool fold_by_rows(ReduceFn kernel, const Plan& plan, Share share) noexcept {
    bool const columns = magnitude(plan.fold.strides[in]) > magnitude(plan.row.strides[in]);
    int cut = -1;  // of the other axes; -1: the rows
    ptrdiff_t length = plan.row.length;
    if (columns && length < 2 * least_columns) length = 1;
    ptrdiff_t elements = plan.fold.length * plan.row.length;
    for (int a = 0; a < plan.axes; ++a) {
        elements *= plan.shape[a];
        if (plan.strides[a][out] == 0 || plan.shape[a] <= length) continue;
        length = plan.shape[a];
        cut = a;
    }
    // Pieces of rows are no streams that the processor would see.
    if (length < share.crew.threads || (columns && share.crew.threads < 2)) return false;
    ptrdiff_t per = share.grain / (elements / length);
    if (per < 1) per = 1;
    if (cut < 0 && columns) {
        ptrdiff_t const even = (length + share.crew.threads - 1) / share.crew.threads;
        ptrdiff_t const width = magnitude(plan.row.strides[in]);
        ptrdiff_t const stream = width ? stream_bytes / width : 0;
        per = std::max({per, std::min(even, stream), least_columns});
    }
    ptrdiff_t pieces = (length + per - 1) / per;
    if (cut < 0 && columns && length - (pieces - 1) * per < least_columns) --pieces;
    if (pieces < 2 || pieces > most_chunks) return false;
    for_chunks(pieces, share.crew, [&](ptrdiff_t i) {
        ptrdiff_t const first = i * per, count = (i + 1 == pieces ? length : first + per) - first;
        Plan part = plan;
        for (int k = 0; k < plan.operands; ++k)
            part.data[k] += first * (cut < 0 ? plan.row.strides[k] : plan.strides[cut][k]);
        (cut < 0 ? part.row.length : part.shape[cut]) = count;
        for_each_call(part, [&] { kernel(whole(part)); });
    });
    return true;
}

}  // namespace

void run_reduce(ReduceFn kernel, const Nest& nest, const Joining& joining, Share share) noexcept {
    if (share.grain == unshared.grain) return run_reduce(kernel, nest);
    Plan plan;
    if (!make_plan(nest, -1, plan)) return;
    if (fold_by_rows(kernel, plan, share) || fold_by_nodes(kernel, plan, joining, share)) return;
    for_each_call(plan, [&] { kernel(whole(plan)); });
}

int64_t run_argreduce(ReduceFn kernel, const char* in_data, ptrdiff_t n, int size,
                      Share share) noexcept {
    auto arg = [&](const char* from, ptrdiff_t elements) {
        int64_t where = 0;
        kernel({from, reinterpret_cast<char*>(&where), elements, size, 1, 0, 0});
        return where;
    };
    int const levels = levels_for(n, 1, share);
    if (!levels) return arg(in_data, n);
    ptrdiff_t const nodes = ptrdiff_t{1} << levels;
    int64_t found[1 << levels_most];
    for_chunks(nodes, share.crew, [&](ptrdiff_t i) {
        ptrdiff_t lo, hi;
        find_node(n, levels, i, lo, hi);
        found[i] = lo + arg(in_data + lo * size, hi - lo);
    });
    alignas(64) char extremes[8 << levels_most];  // the first of them is the first of all
    for (ptrdiff_t i = 0; i < nodes; ++i)
        memcpy(extremes + i * size, in_data + found[i] * size, static_cast<size_t>(size));
    return found[arg(extremes, nodes)];
}

bool run_reduce(ReduceFn kernel, const Nest& nest, const Conversion& conversion) noexcept {
    if (!conversion.cast) {
        run_reduce(kernel, nest);
        return true;
    }
    Plan plan;
    if (!make_plan(nest, -1, plan)) return true;
    Scratch scratch(static_cast<size_t>(piece_elements) * static_cast<size_t>(conversion.size));
    char* const buffer = scratch.get();
    if (!buffer) return false;
    for_each_call(plan, [&] {
        fold_pieces(kernel, plan, conversion.size, buffer, [&](const Block& block) {
            cast_block(conversion.cast, block, conversion.size, buffer);
        });
    });
    return true;
}

bool run_reduce_masked(ReduceFn kernel, KernelFn select, const Nest& nest,
                       const Conversion& conversion, const void* fill) noexcept {
    Plan plan;
    if (!make_plan(nest, -1, plan)) return true;
    ptrdiff_t const size = conversion.size;
    Scratch scratch(static_cast<size_t>(piece_elements * size) + 64);
    char* const buffer = scratch.get();
    if (!buffer) return false;
    char* const filler = buffer + piece_elements * size;
    memcpy(filler, fill, static_cast<size_t>(size));
    for_each_call(plan, [&] {
        fold_pieces(kernel, plan, size, buffer, [&](const Block& block) {
            Block s{};  // where(mask, input, fill)
            s.data[0] = block.data[mask];
            s.inner[0] = block.inner[mask];
            s.outer[0] = block.outer[mask];
            if (conversion.cast) {
                cast_block(conversion.cast, block, size, buffer);
                s.data[1] = buffer;
                s.inner[1] = size;
                s.outer[1] = size * block.n;
            } else {
                s.data[1] = block.data[in];
                s.inner[1] = block.inner[in];
                s.outer[1] = block.outer[in];
            }
            s.data[2] = filler;
            s.data[3] = buffer;
            s.inner[3] = size;
            s.outer[3] = size * block.n;
            s.n = block.n;
            s.rows = block.rows;
            select(s, nullptr);
        });
    });
    return true;
}

void run_argreduce(ReduceFn kernel, const Nest& nest, int axis) noexcept {
    Plan plan;
    if (!make_plan(nest, axis, plan)) return;
    for_each_call(plan, [&] { kernel(whole(plan)); });
}

}  // namespace raptors
