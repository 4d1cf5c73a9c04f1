#include "frame/run/scan.h"

#include "frame/memory/scratch.h"
#include "frame/nest/axes.h"
#include "frame/nest/for_each_index.h"
#include "frame/threads/work_split.h"

namespace raptors {
namespace {

constexpr int in = 0, out = 1, operands = 2;

ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) noexcept { return a < b ? a : b; }

// Elements of a cast piece: with what they become they stay in L1.
constexpr ptrdiff_t piece_elements = 1024;
constexpr ptrdiff_t piece_rows = 64;  // of runs that lie side by side

void scan_pieces(ScanFn kernel, const ScanBlock& whole, const Conversion& conversion,
                 char* buffer) noexcept {
    bool const by_row = whole.rows == 1 || magnitude(whole.out_stride) < magnitude(whole.out_row);
    ptrdiff_t const side = by_row ? piece_elements : least(whole.rows, piece_rows);
    ptrdiff_t const n_piece = least(whole.n, by_row ? side : piece_elements / side);
    ptrdiff_t const rows_piece = by_row ? piece_elements / n_piece : side;
    for (ptrdiff_t row = 0; row < whole.rows; row += rows_piece) {
        ptrdiff_t const rows = least(rows_piece, whole.rows - row);
        for (ptrdiff_t first = 0; first < whole.n; first += n_piece) {
            ptrdiff_t const n = least(n_piece, whole.n - first);
            Block cast{};
            cast.data[0] =
                const_cast<char*>(whole.in) + row * whole.in_row + first * whole.in_stride;
            cast.data[1] = buffer;
            cast.inner[0] = by_row ? whole.in_stride : whole.in_row;
            cast.outer[0] = by_row ? whole.in_row : whole.in_stride;
            cast.n = by_row ? n : rows;
            cast.rows = by_row ? rows : n;
            cast.inner[1] = conversion.size;
            cast.outer[1] = conversion.size * cast.n;
            ptrdiff_t const buffer_row = cast.outer[1];
            if (cast.outer[0] == cast.inner[0] * cast.n) {  // one run in memory
                cast.n *= cast.rows;
                cast.rows = 1;
            }
            conversion.cast(cast, nullptr);
            ScanBlock piece = whole;
            piece.in = buffer;
            piece.in_stride = by_row ? conversion.size : buffer_row;
            piece.in_row = by_row ? buffer_row : conversion.size;
            piece.out += row * whole.out_row + first * whole.out_stride;
            piece.n = n;
            piece.rows = rows;
            piece.continues = first > 0;
            kernel(piece);
        }
    }
}

// The runs that begin at the elements of `starts`, a simplified nest: its innermost axis becomes
// the rows of a call.
bool scan_from(ScanFn kernel, const Nest& starts, ScanBlock block,
               const Conversion& conversion) noexcept {
    int const axes = starts.ndim ? starts.ndim - 1 : 0;
    block.rows = starts.ndim ? starts.shape[axes] : 1;
    block.in_row = starts.ndim ? starts.strides[in][axes] : 0;
    block.out_row = starts.ndim ? starts.strides[out][axes] : 0;
    ptrdiff_t strides[max_dims][operands];
    for (int a = 0; a < axes; ++a)
        for (int i = 0; i < operands; ++i) strides[a][i] = starts.strides[i][a];
    char* data[operands] = {starts.data[in], starts.data[out]};
    if (!conversion.cast) {
        for_each_index(axes, starts.shape, strides, operands, data, [&] {
            block.in = data[in];
            block.out = data[out];
            kernel(block);
        });
        return true;
    }
    Scratch const buffer(static_cast<size_t>(piece_elements * conversion.size));
    if (!buffer.get()) return false;
    for_each_index(axes, starts.shape, strides, operands, data, [&] {
        block.in = data[in];
        block.out = data[out];
        scan_pieces(kernel, block, conversion, buffer.get());
    });
    return true;
}

}  // namespace

bool run_scan(ScanFn kernel, const Nest& nest, int axis, const Conversion& conversion,
              WorkSplit split) noexcept {
    ScanBlock block{};
    block.n = nest.shape[axis];
    block.in_stride = nest.strides[in][axis];
    block.out_stride = nest.strides[out][axis];
    Nest starts;
    starts.operands = operands;
    starts.ndim = 0;
    for (int i = 0; i < operands; ++i) starts.data[i] = nest.data[i];
    for (int a = 0; a < nest.ndim; ++a) {
        if (a == axis) continue;
        starts.shape[starts.ndim] = nest.shape[a];
        for (int i = 0; i < operands; ++i) starts.strides[i][starts.ndim] = nest.strides[i][a];
        ++starts.ndim;
    }
    simplify(starts);
    if (block.n == 0 || count(starts) == 0) return true;
    if (split.team.threads < 2) return scan_from(kernel, starts, block, conversion);
    split.grain = (split.grain - 1) / block.n + 1;
    // Runs that lie side by side are on the same cache lines.
    bool const side_by_side = starts.ndim && magnitude(starts.strides[out][starts.ndim - 1]) <
                                                 magnitude(block.out_stride);
    if (side_by_side && split.grain < piece_rows) split.grain = piece_rows;
    return for_parts(starts, split,
                     [&](const Nest& part) { return scan_from(kernel, part, block, conversion); });
}

}  // namespace raptors
