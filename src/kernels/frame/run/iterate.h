// The stride-aware iterator: any broadcast, any layout -> blocks of two loops for the kernels.
#pragma once
#include "api/block.h"

namespace raptors {

constexpr int max_nest_operands = 8;  // of a program of kernels; one kernel takes max_operands

// Operands over one common shape (already broadcast: stride 0 where an operand repeats): inputs,
// outputs, the mask of where=.
struct Nest {
    int ndim;
    int operands;
    ptrdiff_t shape[max_dims];
    ptrdiff_t strides[max_nest_operands][max_dims];  // bytes
    char* data[max_nest_operands];
};

// NumPy's insertion sort of axes, in npyiter_find_best_axis_ordering (nditer_constr.c) and
// PyArray_CreateMultiSortedStridePerm (ctors.c): an axis moves before others and passes over those
// that nothing tells it apart from. `compare(axis, other)` says which.
enum class Place : int { after, before, unknown };
template <class Compare>
void sort_axes(int ndim, int* axes, Compare compare) {
    for (int i = 1; i < ndim; ++i) {
        int const axis = axes[i];
        int place = i;
        for (int j = i - 1; j >= 0; --j) {
            Place const p = compare(axis, axes[j]);
            if (p == Place::unknown) continue;
            if (p == Place::after) break;
            place = j;
        }
        for (int j = i; j > place; --j) axes[j] = axes[j - 1];
        axes[place] = axis;
    }
}

// NumPy's axis order for order='K' outputs: perm[0] is the outermost axis. `stride(operand, axis)`:
// a length, 0 where it does not count. Axes come from the innermost; two are compared operand by
// operand where both strides count.
template <class Stride>
void k_order(int ndim, int inputs, Stride stride, int* perm) {
    int order[max_dims];  // innermost first
    for (int a = 0; a < ndim; ++a) order[a] = ndim - 1 - a;
    sort_axes(ndim, order, [&](int axis, int other) {
        Place place = Place::unknown;
        for (int k = 0; k < inputs; ++k) {
            ptrdiff_t const own = stride(k, axis), others = stride(k, other);
            if (!own || !others) continue;
            if (others <= own)
                place = Place::after;  // in a conflict between operands C order wins
            else if (place == Place::unknown)
                place = Place::before;
        }
        return place;
    });
    for (int a = 0; a < ndim; ++a) perm[a] = order[ndim - 1 - a];
}
// The same of a nest, whose first `inputs` operands are looked at.
void k_order(const Nest& nest, int inputs, int* perm) noexcept;

// Reverses axes that run backwards in every operand, sorts axes so that the innermost has the
// smallest strides, drops length-1 axes and merges axes that are one run in memory for every
// operand. Elements correspond as before. An empty nest (some length 0) is reduced to one axis of
// length 0.
void simplify(Nest& nest) noexcept;

// Number of elements.
ptrdiff_t count(const Nest& nest) noexcept;

// Copies the axes and operands in use: a whole Nest is 4.6 KB.
void copy_used_axes(const Nest& from, Nest& to) noexcept;

// The parts of a simplified nest, of about `grain` elements each, cut along its outermost axes.
class Chunks {
public:
    Chunks(const Nest& nest, ptrdiff_t grain) noexcept;
    ptrdiff_t count() const noexcept { return count_; }
    void part(ptrdiff_t number, Nest& to) const noexcept;

private:
    const Nest& nest_;
    int axis_;          // that is cut; those outside it are gone through
    ptrdiff_t per_;     // its elements in a part
    ptrdiff_t pieces_;  // of the axis
    ptrdiff_t count_;
};

// Elementwise over a simplified nest of operands that have the kernel's own dtypes.
void run(const Kernel& kernel, const Nest& nest) noexcept;

// where=: the last operand is the boolean mask. The kernel is called only on runs of selected
// elements.
void run_masked(const Kernel& kernel, const Nest& nest) noexcept;

// Whether two operands of a (not necessarily simplified) nest may share memory in a way that
// matters to an elementwise kernel: false if their extents are disjoint or they are the same
// elements in the same order (same pointer and strides).
bool overlaps(const Nest& nest, int input, int input_size, int output, int output_size) noexcept;

// Reductions: operand 0 is the input, operand 1 the output with stride 0 along the reduced axes;
// the kernel's own dtypes. Outputs hold their initial values. Axes may come in any order.
void run_reduce(ReduceFn kernel, const Nest& nest) noexcept;
// argmin, argmax along one axis (`axis` of the nest, before any simplification); output int64,
// stride 0 along it.
void run_argreduce(ReduceFn kernel, const Nest& nest, int axis) noexcept;

}  // namespace raptors
