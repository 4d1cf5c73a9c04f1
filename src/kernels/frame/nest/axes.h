// Axes of loops: the one sort and the one merge.
#pragma once
#include "api/types.h"

namespace raptors {

inline ptrdiff_t magnitude(ptrdiff_t stride) noexcept { return stride < 0 ? -stride : stride; }

// NumPy's insertion sort of axes, in npyiter_find_best_axis_ordering (nditer_constr.c) and
// PyArray_CreateMultiSortedStridePerm (ctors.c): an axis moves before others and passes over those
// that nothing tells it apart from. `compare(i, j)` says where the axis at i belongs, seen from
// that at j < i; `rotate(place, i)` brings the one at i to `place`, and those from there on up.
enum class Place : int { after, before, unknown };
template <class Compare, class Rotate>
void sort_axes(int ndim, Compare compare, Rotate rotate) {
    for (int i = 1; i < ndim; ++i) {
        int place = i;
        for (int j = i - 1; j >= 0; --j) {
            Place const p = compare(i, j);
            if (p == Place::unknown) continue;
            if (p == Place::after) break;
            place = j;
        }
        if (place < i) rotate(place, i);
    }
}

// Brings the last of [place, i] to its front.
template <class T>
void rotate_to(T* axes, int place, int i) {
    T const moved = axes[i];
    for (; i > place; --i) axes[i] = axes[i - 1];
    axes[place] = moved;
}

// The same of numbers of axes, of which compare(axis, other) is asked.
template <class Compare>
void sort_axes(int ndim, int* axes, Compare compare) {
    sort_axes(
        ndim, [&](int i, int j) { return compare(axes[i], axes[j]); },
        [&](int place, int i) { rotate_to(axes, place, i); });
}

// By falling weight(i); equal ones stay as they are.
template <class Weight, class Rotate>
void sort_axes_by(int ndim, Weight weight, Rotate rotate) {
    sort_axes(
        ndim, [&](int i, int j) { return weight(j) < weight(i) ? Place::before : Place::after; },
        rotate);
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

// Merges neighbours that are one run in memory for every operand; the outer axis comes first.
// length(axis) and stride(operand, axis) are the axis's, move(from, to) copies all of it. The
// number of axes that are left.
template <class Length, class Stride, class Move>
int merge_axes(int ndim, int operands, Length length, Stride stride, Move move) {
    int last = 0;
    for (int a = 1; a < ndim; ++a) {
        bool joined = true;
        for (int k = 0; k < operands; ++k) joined &= stride(k, last) == length(a) * stride(k, a);
        if (joined) {
            length(a) *= length(last);
            move(a, last);
        } else if (++last != a) {
            move(a, last);
        }
    }
    return ndim ? last + 1 : 0;
}

}  // namespace raptors
