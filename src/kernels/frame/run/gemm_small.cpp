// Small products, and rows times columns: without packing all of A and B.
#include <atomic>

#include "frame/memory/scratch.h"
#include "frame/run/gemm_ways.h"

namespace raptors {

// By strips of C, for which B's columns are packed where they lie apart, or are complex.
bool run_strips(const GemmCall& call, const Matrices& p, WorkSplit split) noexcept {
    const Gemm& gemm = call.gemm;
    bool const pack = call.parts > 1 || p.b_column != call.size;
    bool const symmetric = call.parts == 1 && is_symmetric(p);
    ptrdiff_t const lanes = gemm.nr / 3, part = call.size / call.parts;
    ptrdiff_t const all_n = p.n * call.parts, k = p.k * call.parts;
    // Pairs of A that lie apart.
    bool const apart = call.parts > 1 && p.a_column != call.size;
    Scratch const pairs(static_cast<size_t>(apart ? p.m * k * part : 0));
    if (!pairs.get()) return false;
    Matrices real = {p.m, 0, k, p.a, p.a_row, p.a_column, p.b, p.b_row, part, p.c, p.c_row, part};
    if (call.parts > 1) real.a_column = part;
    if (apart) {
        for (ptrdiff_t h = 0; h < call.parts; ++h)
            call.copy({{const_cast<char*>(p.a) + h * part, pairs.get() + h * part},
                       {p.a_column, call.size},
                       {p.a_row, k * part},
                       p.k,
                       p.m});
        real.a = pairs.get();
        real.a_row = k * part;
    }
    std::atomic<bool> done{true};
    for_chunks(ceil_div(all_n, gemm.nr), split.team, [&](ptrdiff_t strip) {
        ptrdiff_t const j = strip * gemm.nr, first = symmetric ? j : 0;
        ptrdiff_t const n = smaller(gemm.nr, all_n - j), width = round_up(n, lanes);
        Matrices own = real;
        own.m -= first;
        own.n = n;
        own.a += first * own.a_row;
        own.b += j * part;
        own.c += first * own.c_row + j * part;
        Scratch const packed(static_cast<size_t>(pack ? k * width * gemm.b_size : 0));
        if (!packed.get()) return done.store(false, std::memory_order_relaxed);
        if (pack) {
            call.pack_b(
                {p.b + j / call.parts * p.b_column, p.b_row, p.b_column, k, n, packed.get()});
            own.b = packed.get();
            own.b_row = width * gemm.b_size;
        }
        gemm.small(own, once);
        if (symmetric) mirror(call, p, j + n, j, p.m - j - n, n);
    });
    return done.load(std::memory_order_relaxed);
}

// Rows times columns that are contiguous, too few to be packed for.
bool fits_dot_tile(const GemmCall& call, const Matrices& p) noexcept {
    constexpr ptrdiff_t most = 48, least_k = 64;
    ptrdiff_t const lines = larger(p.m, p.n);
    return call.gemm.dot_tile && smaller(p.m, p.n) > 1 && lines <= most && p.k >= least_k &&
           p.k >= 8 * lines && p.a_column == call.size && p.b_row == call.size;
}

bool run_dot_tile(const GemmCall& call, const Matrices& p, WorkSplit split) noexcept {
    constexpr ptrdiff_t width = 4;
    bool const symmetric = is_symmetric(p);
    for_chunks(ceil_div(p.n, width), split.team, [&](ptrdiff_t strip) {
        ptrdiff_t const j = strip * width, first = symmetric ? j : 0;
        Matrices part = p;
        part.n = smaller(width, p.n - j);
        part.m -= first;
        part.a += first * p.a_row;
        part.b += j * p.b_column;
        part.c += first * p.c_row + j * p.c_column;
        call.gemm.dot_tile(part);
        if (symmetric) mirror(call, p, j + part.n, j, p.m - j - part.n, part.n);
    });
    return true;
}

}  // namespace raptors
