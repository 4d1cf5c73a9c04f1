// Stacks of matrices: the leading axes of two operands and a result.
#pragma once
#include "frame/nest/axes.h"

namespace raptors {

struct Batch {
    int dims = 0;
    ptrdiff_t count = 1;
    ptrdiff_t shape[max_dims], a[max_dims], b[max_dims], c[max_dims];  // strides; 0: repeated
};

// Drops axes of length 1 and merges those that are one run for all operands. All lengths are > 0.
inline void merge_axes(Batch& batch) noexcept {
    auto const move = [&](int from, int to) {
        batch.shape[to] = batch.shape[from];
        batch.a[to] = batch.a[from];
        batch.b[to] = batch.b[from];
        batch.c[to] = batch.c[from];
    };
    int dims = 0;
    batch.count = 1;
    for (int i = 0; i < batch.dims; ++i) {
        if (batch.shape[i] == 1) continue;
        batch.count *= batch.shape[i];
        move(i, dims++);
    }
    ptrdiff_t* const strides[] = {batch.a, batch.b, batch.c};
    batch.dims = merge_axes(
        dims, 3, [&](int i) -> ptrdiff_t& { return batch.shape[i]; },
        [&](int operand, int i) { return strides[operand][i]; }, move);
}

// run(a, b, c, count) for those of [begin, end) that lie along the innermost axis, of which there
// is one at least. False as soon as one says so.
template <class Run>
bool for_runs(const Batch& batch, const char* first_a, const char* first_b, char* first_c,
              ptrdiff_t begin, ptrdiff_t end, const Run& run) noexcept {
    int const last = batch.dims - 1;
    while (begin < end) {
        const char *a = first_a, *b = first_b;
        char* c = first_c;
        ptrdiff_t rest = begin, inner = 0;
        for (int i = last; i >= 0; --i) {
            ptrdiff_t const at = rest % batch.shape[i];
            rest /= batch.shape[i];
            a += at * batch.a[i];
            b += at * batch.b[i];
            c += at * batch.c[i];
            if (i == last) inner = at;
        }
        ptrdiff_t const left = batch.shape[last] - inner;
        ptrdiff_t const count = end - begin < left ? end - begin : left;
        if (!run(a, b, c, count)) return false;
        begin += count;
    }
    return true;
}

}  // namespace raptors
