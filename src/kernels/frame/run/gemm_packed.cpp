// Goto's loops around the packed kernels: blocks of A and of B are packed, for all threads, which
// then take tiles' worth of C: columns for which B stays in a thread's L2, while it goes
// through the panels of A.
#include <numeric>

#include "frame/memory/caching_allocator.h"
#include "frame/run/gemm_ways.h"

namespace raptors {
namespace {

// How a product is cut. Lengths are in reals: `n` and `k` count the parts of complex numbers.
struct Blocking {
    bool symmetric;           // square chunks of C, whose mirror images are chunks, too
    ptrdiff_t n, k;           // of the whole product
    ptrdiff_t depth;          // of k, in a block of A and of B
    ptrdiff_t rows, columns;  // of a block of A, of a block of B
    ptrdiff_t height, width;  // of a chunk of C
};

Blocking blocking_of(const GemmCall& call, const Matrices& p, ptrdiff_t threads) noexcept {
    const Gemm& gemm = call.gemm;
    ptrdiff_t const square = round_up(smaller(ceil_div(p.m, 8), 96), std::lcm(gemm.mr, gemm.nr));
    bool const symmetric = call.parts == 1 && is_symmetric(p) && p.m > square;
    ptrdiff_t const row_unit = symmetric ? square : gemm.mr;
    ptrdiff_t const column_unit = symmetric ? square : gemm.nr;
    ptrdiff_t const n = p.n * call.parts, k = p.k * call.parts;
    // Equal parts of k, and of n: the last one does not cost more than it does.
    ptrdiff_t const depth = round_up(ceil_div(k, ceil_div(k, gemm.kc)), call.parts);
    auto const part = [](ptrdiff_t length, ptrdiff_t most, ptrdiff_t unit) {
        most = larger(most / unit * unit, unit);
        return round_up(ceil_div(length, ceil_div(length, most)), unit);
    };
    // Bytes of a block of A, and of one of B: beside one another in L3, with C, and
    // with what other programs have there (8 MiB: 5 % slower at 2048 in float64).
    ptrdiff_t const packed_most =
        smaller(larger(cache_sizes().l3 / 4, ptrdiff_t{1} << 20), ptrdiff_t{3} << 20);
    ptrdiff_t const rows = part(p.m, packed_most / (depth * gemm.a_size), row_unit);
    ptrdiff_t const columns = part(n, packed_most / (depth * gemm.b_size), column_unit);
    ptrdiff_t const width =
        symmetric ? square : part(columns, cache_sizes().l2 / 2 / (depth * gemm.b_size), gemm.nr);
    ptrdiff_t const across = ceil_div(columns, width);
    ptrdiff_t const pieces = threads > 1 ? ceil_div(8 * threads, across) : 1;
    ptrdiff_t const height =
        symmetric ? square : larger(part(rows, ceil_div(rows, pieces), gemm.mr), 4 * gemm.mr);
    return {symmetric, n, k, depth, rows, columns, height, width};
}

// A block of A, and the block of B that it is multiplied by.
struct BlockPair {
    ptrdiff_t i, j, q;  // where they begin: row of A, column of B, place in k
    ptrdiff_t m, n, k;
    char *packed_a, *packed_b;
};

// The block of B serves all blocks of A, so it is packed with the first.
void pack(const GemmCall& call, const Matrices& p, const BlockPair& block, Team team) noexcept {
    const Gemm& gemm = call.gemm;
    const char* const a = p.a + block.q / call.parts * p.a_column;
    const char* const b = p.b + block.q / call.parts * p.b_row;
    ptrdiff_t const a_slice = 8 * gemm.mr, b_slice = gemm.nr, k = block.k;
    ptrdiff_t const a_slices = ceil_div(block.m, a_slice);
    ptrdiff_t const b_slices = block.i == 0 ? ceil_div(block.n, b_slice) : 0;
    for_chunks(a_slices + b_slices, team, [&](ptrdiff_t s) {
        if (s < a_slices) {
            ptrdiff_t const r = s * a_slice;
            call.pack_a({a + (block.i + r) * p.a_row, p.a_row, p.a_column,
                         smaller(a_slice, block.m - r), k, block.packed_a + r * k * gemm.a_size});
        } else {
            ptrdiff_t const c = (s - a_slices) * b_slice;
            call.pack_b({b + (block.j + c) / call.parts * p.b_column, p.b_row, p.b_column, k,
                         smaller(b_slice, block.n - c), block.packed_b + c * k * gemm.b_size});
        }
    });
}

void multiply_packed(const GemmCall& call, const Matrices& p, const Blocking& cut,
                     const BlockPair& block, Team team) noexcept {
    const Gemm& gemm = call.gemm;
    ptrdiff_t const down = ceil_div(block.m, cut.height), k = block.k;
    ptrdiff_t const c_step = p.c_column / call.parts;
    for_chunks(ceil_div(block.n, cut.width) * down, team, [&](ptrdiff_t chunk) {
        ptrdiff_t const r = chunk % down * cut.height, c = chunk / down * cut.width;
        ptrdiff_t const row = block.i + r, column = block.j + c;
        if (cut.symmetric && row < column) return;
        ptrdiff_t const m = smaller(cut.height, block.m - r);
        gemm.packed({block.packed_a + r * k * gemm.a_size, block.packed_b + c * k * gemm.b_size,
                     p.c + column * c_step + row * p.c_row, p.c_row, c_step, m,
                     smaller(cut.width, block.n - c), k, block.q > 0});
        bool const last = block.q + k == p.k;
        if (cut.symmetric && row > column && last) mirror(call, p, row, column, m, cut.width);
    });
}

}  // namespace

bool run_packed(const GemmCall& call, const Matrices& p, WorkSplit split) noexcept {
    const Gemm& gemm = call.gemm;
    Blocking const cut = blocking_of(call, p, split.team.threads);
    ptrdiff_t const a_bytes = round_up(cut.rows * cut.depth * gemm.a_size, 64);
    ptrdiff_t const b_bytes = cut.columns * cut.depth * gemm.b_size;
    char* const packed = block_new(static_cast<size_t>(a_bytes + b_bytes));
    if (!packed) return false;
    for (ptrdiff_t j = 0; j < cut.n; j += cut.columns) {
        for (ptrdiff_t q = 0; q < cut.k; q += cut.depth) {
            for (ptrdiff_t i = 0; i < p.m; i += cut.rows) {
                BlockPair const block = {i,
                                         j,
                                         q,
                                         smaller(cut.rows, p.m - i),
                                         smaller(cut.columns, cut.n - j),
                                         smaller(cut.depth, cut.k - q),
                                         packed,
                                         packed + a_bytes};
                pack(call, p, block, split.team);
                multiply_packed(call, p, cut, block, split.team);
            }
        }
    }
    block_delete(packed);
    return true;
}

}  // namespace raptors
