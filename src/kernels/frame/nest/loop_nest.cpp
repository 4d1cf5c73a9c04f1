#include "frame/nest/loop_nest.h"

#include "frame/nest/axes.h"

namespace raptors {
namespace {

ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) noexcept { return a < b ? a : b; }
ptrdiff_t most(ptrdiff_t a, ptrdiff_t b) noexcept { return a > b ? a : b; }

void copy_axis(const Nest& from, int axis, Nest& to, int place) noexcept {
    to.shape[place] = from.shape[axis];
    for (int i = 0; i < from.operands; ++i) to.strides[i][place] = from.strides[i][axis];
}

// The axis along which an operand's elements lie closest.
int line_of(const Nest& nest, int operand) noexcept {
    int line = -1;
    for (int a = 0; a < nest.ndim; ++a) {
        ptrdiff_t const step = magnitude(nest.strides[operand][a]);
        if (step && (line < 0 || step <= magnitude(nest.strides[operand][line]))) line = a;
    }
    return line;
}

void reverse_axis(Nest& nest, int axis) noexcept {
    for (int i = 0; i < nest.operands; ++i) {
        nest.data[i] += nest.strides[i][axis] * (nest.shape[axis] - 1);
        nest.strides[i][axis] = -nest.strides[i][axis];
    }
}

// Reverses axes that are the line of some operand and run backwards in all of those.
void reverse_lines(Nest& nest) noexcept {
    bool forwards[max_dims] = {}, backwards[max_dims] = {};
    for (int i = 0; i < nest.operands; ++i) {
        int const line = line_of(nest, i);
        if (line >= 0) (nest.strides[i][line] > 0 ? forwards : backwards)[line] = true;
    }
    for (int a = 0; a < nest.ndim; ++a)
        if (backwards[a] && !forwards[a]) reverse_axis(nest, a);
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
    bool falling = true, backwards = false;
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
            backwards |= nest.strides[i][a] < 0;
        }
        if (!forwards && total) reverse_axis(nest, a);
        falling &= ndim == 0 || weight[ndim - 1] >= total;
        weight[ndim] = total;
        if (ndim != a) copy_axis(nest, a, nest, ndim);
        ++ndim;
    }
    // On equal weights the axis that was inner stays inner.
    if (!falling)
        sort_axes_by(
            ndim, [&](int a) { return weight[a]; },
            [&](int place, int a) {
                rotate_to(weight, place, a);
                rotate_to(nest.shape, place, a);
                for (int i = 0; i < operands; ++i) rotate_to(nest.strides[i], place, a);
            });
    nest.ndim = ndim;
    if (backwards && ndim > 1) reverse_lines(nest);
    nest.ndim = merge_axes(
        ndim, operands, [&](int a) -> ptrdiff_t& { return nest.shape[a]; },
        [&](int i, int a) { return nest.strides[i][a]; },
        [&](int from, int to) { copy_axis(nest, from, nest, to); });
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

}  // namespace raptors
