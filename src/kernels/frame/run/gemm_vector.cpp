// Matrix x vector, cut by rows.
#include "frame/memory/scratch.h"
#include "frame/run/gemm_ways.h"

namespace raptors {
namespace {

// n contiguous elements, copied if they are not.
class Contiguous {
public:
    Contiguous(const GemmCall& call, const char* from, ptrdiff_t step, ptrdiff_t n) noexcept
        : copy_(step == call.size || n == 1 ? 0 : static_cast<size_t>(n * call.size)),
          data_(step == call.size || n == 1 ? from : copy_.get()) {
        if (data_ == from || !data_) return;
        call.copy({{const_cast<char*>(from), copy_.get()}, {step, call.size}, {}, n, 1});
    }
    const char* get() const noexcept { return data_; }

private:
    Scratch copy_;
    const char* data_;
};
}  // namespace

bool run_vector(const GemmCall& call, const Matrices& p, WorkSplit split) noexcept {
    ptrdiff_t const size = call.size;
    MatrixVector v = vector_product(p, size);
    if (p.m == 1) {
        call.gemm.dot(v);
        return true;
    }
    bool const by_rows = p.a_column == size || p.k == 1;
    // Rows by `grain`; the last piece has at least `least` of them.
    auto run_pieces = [&](ptrdiff_t grain, ptrdiff_t least, auto kernel) {
        ptrdiff_t const wanted = larger(ceil_div(p.m - least + 1, grain), 1);
        ptrdiff_t const pieces = smaller(wanted, most_chunks);
        for_chunks(pieces, split.team, [&](ptrdiff_t i) {
            MatrixVector part = v;
            part.m = i == pieces - 1 ? p.m - i * grain : grain;
            part.a += i * grain * p.a_row;
            part.y += i * grain * p.c_row;
            kernel(part);
        });
        return true;
    };
    ptrdiff_t const rows = smaller(split.grain, PTRDIFF_MAX / 2) / p.k;
    // Long pieces of columns: they are read one after the other. The kernel sums columns of a few
    // vectors in another order, so no piece is short unless the whole is.
    if (!by_rows || (p.k == 1 && p.a_row == size))
        return run_pieces(round_up(larger(rows, 4096 / size), 64), 64, call.gemm.by_columns);
    Contiguous const x(call, p.b, p.b_row, p.k);
    if (!x.get()) return false;
    v.a_column = v.x_step = size;  // also where there is one column
    v.x = x.get();
    return run_pieces(round_up(larger(rows, 1), 24), 1, call.gemm.by_rows);
}

}  // namespace raptors
