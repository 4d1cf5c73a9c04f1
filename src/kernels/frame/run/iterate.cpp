#include "frame/run/iterate.h"

#include "frame/run/blocks.h"

namespace raptors {
namespace {

ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) noexcept { return a < b ? a : b; }
ptrdiff_t most(ptrdiff_t a, ptrdiff_t b) noexcept { return a > b ? a : b; }

void copy_axis(const Nest& from, int axis, Nest& to, int place) noexcept {
    to.shape[place] = from.shape[axis];
    for (int i = 0; i < from.operands; ++i) to.strides[i][place] = from.strides[i][axis];
}

}  // namespace

void copy_used_axes(const Nest& from, Nest& to) noexcept {
    to.ndim = from.ndim;
    to.operands = from.operands;
    for (int a = 0; a < from.ndim; ++a) copy_axis(from, a, to, a);
    for (int i = 0; i < from.operands; ++i) to.data[i] = from.data[i];
}

void k_order(const Nest& nest, int inputs, int* perm) noexcept {
    auto const stride = [&](int operand, int axis) {
        return nest.shape[axis] == 1 ? 0 : magnitude(nest.strides[operand][axis]);
    };
    k_order(nest.ndim, inputs, stride, perm);
}

void simplify(Nest& nest) noexcept {
    int const operands = nest.operands;
    int ndim = 0;
    ptrdiff_t weight[max_dims];  // bytes all operands move by along an axis
    for (int a = 0; a < nest.ndim; ++a) {
        ptrdiff_t const length = nest.shape[a];
        if (length == 0) {
            nest.ndim = 1;
            nest.shape[0] = 0;
            for (int i = 0; i < operands; ++i) nest.strides[i][0] = 0;
            return;
        }
        if (length == 1) continue;
        ptrdiff_t total = 0;
        bool forwards = false;
        for (int i = 0; i < operands; ++i) {
            total += magnitude(nest.strides[i][a]);
            forwards |= nest.strides[i][a] > 0;
        }
        if (!forwards && total) {
            for (int i = 0; i < operands; ++i) {
                nest.data[i] += nest.strides[i][a] * (length - 1);
                nest.strides[i][a] = -nest.strides[i][a];
            }
        }
        // Stable insertion: on equal weights the axis that was inner stays inner.
        int place = ndim++;
        ptrdiff_t strides[max_nest_operands];
        for (int i = 0; i < operands; ++i) strides[i] = nest.strides[i][a];
        for (; place > 0 && weight[place - 1] < total; --place) {
            weight[place] = weight[place - 1];
            copy_axis(nest, place - 1, nest, place);
        }
        weight[place] = total;
        nest.shape[place] = length;
        for (int i = 0; i < operands; ++i) nest.strides[i][place] = strides[i];
    }
    int last = 0;
    for (int a = 1; a < ndim; ++a) {
        bool joined = true;
        for (int i = 0; i < operands; ++i)
            joined &= nest.strides[i][last] == nest.shape[a] * nest.strides[i][a];
        if (joined) {
            nest.shape[last] *= nest.shape[a];
            for (int i = 0; i < operands; ++i) nest.strides[i][last] = nest.strides[i][a];
        } else if (++last != a) {
            copy_axis(nest, a, nest, last);
        }
    }
    nest.ndim = ndim ? last + 1 : 0;
}

ptrdiff_t count(const Nest& nest) noexcept {
    ptrdiff_t total = 1;
    for (int a = 0; a < nest.ndim; ++a) total *= nest.shape[a];
    return total;
}

Chunks::Chunks(const Nest& nest, ptrdiff_t grain) noexcept
    : nest_(nest), axis_(0), per_(0), pieces_(1), count_(0) {
    ptrdiff_t const total = raptors::count(nest);
    if (total == 0) return;
    if (total <= grain || nest.ndim == 0) {
        count_ = 1;
        return;
    }
    // The outermost axis whose steps are no longer than the grain.
    ptrdiff_t step = total / nest.shape[0];
    while (step > grain) step /= nest.shape[++axis_];
    ptrdiff_t const length = nest.shape[axis_];
    per_ = most(1, grain / step);
    pieces_ = (length + per_ - 1) / per_;
    per_ = (length + pieces_ - 1) / pieces_;
    if (step == 1 && per_ >= 64)
        per_ = (per_ + 63) & ~ptrdiff_t{63};  // parts begin on cache lines if the array does
    pieces_ = (length + per_ - 1) / per_;
    count_ = total / step / length * pieces_;
}

void Chunks::part(ptrdiff_t number, Nest& to) const noexcept {
    if (count_ == 1) return copy_used_axes(nest_, to);
    to.ndim = nest_.ndim - axis_;
    to.operands = nest_.operands;
    for (int a = axis_; a < nest_.ndim; ++a) copy_axis(nest_, a, to, a - axis_);
    ptrdiff_t const first = number % pieces_ * per_;
    to.shape[0] = least(per_, nest_.shape[axis_] - first);
    for (int i = 0; i < nest_.operands; ++i)
        to.data[i] = nest_.data[i] + first * nest_.strides[i][axis_];
    number /= pieces_;
    for (int a = axis_ - 1; a >= 0; --a) {
        ptrdiff_t const at = number % nest_.shape[a];
        number /= nest_.shape[a];
        for (int i = 0; i < nest_.operands; ++i) to.data[i] += at * nest_.strides[i][a];
    }
}

// ---- Elementwise

void run(const Kernel& kernel, const Nest& nest) noexcept {
    for_each_block<Block>(nest, [&](const Block& block) { kernel(block); });
}

void run_masked(const Kernel& kernel, const Nest& nest) noexcept {
    for_each_block<Block>(
        nest, [&](const Block& block) { for_each_selected(block, nest.operands, kernel); });
}

// ---- Overlap

namespace {

struct Extent {
    const char *low, *high;
};
Extent extent(const Nest& nest, int operand, int size) noexcept {
    Extent e{nest.data[operand], nest.data[operand] + size};
    for (int a = 0; a < nest.ndim; ++a) {
        ptrdiff_t const reach = nest.strides[operand][a] * (nest.shape[a] - 1);
        (reach < 0 ? e.low : e.high) += reach;
    }
    return e;
}

// Does no byte of the operand belong to two of its elements? Sufficient: every stride steps over
// all that smaller ones reach.
bool plain(const Nest& nest, int operand, int size) noexcept {
    ptrdiff_t reach = size, last = 0;
    int lasts = 0;  // axes with stride `last` are done
    for (;;) {
        ptrdiff_t next = 0, length = 0;
        int same = 0;
        for (int a = 0; a < nest.ndim; ++a) {
            if (nest.shape[a] == 1) continue;
            ptrdiff_t const stride = magnitude(nest.strides[operand][a]);
            if (stride == 0) return false;
            if (stride <= last && lasts) continue;
            if (next == 0 || stride < next) {
                next = stride;
                length = nest.shape[a];
                same = 1;
            } else if (stride == next) {
                ++same;
            }
        }
        if (next == 0) return true;
        if (same > 1 || next < reach) return false;
        reach += next * (length - 1);
        last = next;
        lasts = 1;
    }
}

ptrdiff_t common_divisor(ptrdiff_t a, ptrdiff_t b) noexcept {
    while (b) {
        ptrdiff_t const r = a % b;
        a = b;
        b = r;
    }
    return a;
}

}  // namespace

bool overlaps(const Nest& nest, int input, int input_size, int output, int output_size) noexcept {
    bool same = nest.data[input] == nest.data[output] && input_size == output_size;
    ptrdiff_t divisor = 0;
    for (int a = 0; a < nest.ndim; ++a) {
        if (nest.shape[a] == 0) return false;
        if (nest.shape[a] == 1) continue;
        ptrdiff_t const in = nest.strides[input][a], out = nest.strides[output][a];
        same &= in == out;
        divisor = common_divisor(common_divisor(divisor, magnitude(in)), magnitude(out));
    }
    Extent const in = extent(nest, input, input_size), out = extent(nest, output, output_size);
    if (in.high <= out.low || out.high <= in.low) return false;
    if (same) return !plain(nest, output, output_size);
    if (divisor == 0) return true;
    // Every element of the input begins at the same offset from the output's, modulo the divisor:
    // a[::2] and a[1::2].
    ptrdiff_t offset = (nest.data[output] - nest.data[input]) % divisor;
    if (offset < 0) offset += divisor;
    return offset < input_size || divisor - offset < output_size;
}

}  // namespace raptors
