// The blocks of a nest and their pieces: what the interpreters of nests go through.
#pragma once
#include <string.h>

#include "frame/nest/axes.h"
#include "frame/nest/for_each_index.h"
#include "frame/run/iterate.h"

namespace raptors {

// A block of all operands of a nest, of which there may be more than a kernel takes.
struct WideBlock {
    char* data[max_nest_operands];
    ptrdiff_t inner[max_nest_operands];
    ptrdiff_t outer[max_nest_operands];
    ptrdiff_t n;
    ptrdiff_t rows;
};

// Whether an operand's lines go down the rows, not along them.
inline bool is_column_like(const Block& block, int operand) noexcept {
    return block.rows > 1 && block.outer[operand] != 0 &&
           magnitude(block.outer[operand]) < magnitude(block.inner[operand]);
}
inline bool has_columns(const Block& block, int operands) noexcept {
    for (int i = 0; i < operands; ++i)
        if (is_column_like(block, i)) return true;
    return false;
}

// Calls body(block) over the whole nest; the block's data pointers are moved in between. `B` is
// Block or WideBlock.
template <class B, class Body>
inline void for_each_block(const Nest& nest, Body body) noexcept {
    int const ndim = nest.ndim, operands = nest.operands;
    B block;
    for (int i = 0; i < operands; ++i) {
        block.data[i] = nest.data[i];
        block.inner[i] = block.outer[i] = 0;
    }
    block.rows = block.n = 1;
    if (ndim <= 1) {
        if (ndim == 1) {
            block.n = nest.shape[0];
            if (block.n == 0) return;
            for (int i = 0; i < operands; ++i) block.inner[i] = nest.strides[i][0];
        }
        body(block);
        return;
    }
    int inner = ndim - 1, outer = ndim - 2;
    // A block of a few elements would be all call: the longest axis becomes the rows.
    if (ndim > 2 && nest.shape[inner] * nest.shape[outer] < 64)
        for (int a = 0; a < ndim - 2; ++a)
            if (nest.shape[a] > nest.shape[outer]) outer = a;
    block.n = nest.shape[inner];
    block.rows = nest.shape[outer];
    for (int i = 0; i < operands; ++i) {
        block.inner[i] = nest.strides[i][inner];
        block.outer[i] = nest.strides[i][outer];
    }
    if (ndim == 2) {
        if (block.n && block.rows) body(block);
        return;
    }
    ptrdiff_t shape[max_dims], strides[max_dims][max_nest_operands];
    int axes = 0;
    for (int a = 0; a < ndim; ++a) {
        if (nest.shape[a] == 0) return;
        if (a == inner || a == outer) continue;
        shape[axes] = nest.shape[a];
        for (int i = 0; i < operands; ++i) strides[axes][i] = nest.strides[i][a];
        ++axes;
    }
    for_each_index(axes, shape, strides, operands, block.data, [&] { body(block); });
}

// `block` limited to rows [row, row + rows) and elements [first, first + n).
template <class B>
inline B part_of(const B& block, int operands, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t first,
                 ptrdiff_t n) noexcept {
    B part = block;
    part.rows = rows;
    part.n = n;
    for (int i = 0; i < operands; ++i)
        part.data[i] += row * block.outer[i] + first * block.inner[i];
    return part;
}

// body(part) for parts of at most `piece` elements.
template <class B, class Body>
inline void for_each_piece(const B& block, int operands, ptrdiff_t piece, Body body) noexcept {
    if (block.n * block.rows <= piece) return body(block);
    B part = block;
    if (block.n <= piece) {
        ptrdiff_t const per = piece / block.n;
        for (ptrdiff_t row = 0; row < block.rows; row += per) {
            part.rows = block.rows - row < per ? block.rows - row : per;
            body(part);
            for (int i = 0; i < operands; ++i) part.data[i] += per * block.outer[i];
        }
        return;
    }
    part.rows = 1;
    for (ptrdiff_t row = 0; row < block.rows; ++row) {
        for (int i = 0; i < operands; ++i) part.data[i] = block.data[i] + row * block.outer[i];
        for (ptrdiff_t first = 0; first < block.n; first += piece) {
            part.n = block.n - first < piece ? block.n - first : piece;
            body(part);
            for (int i = 0; i < operands; ++i) part.data[i] += piece * block.inner[i];
        }
    }
}

// body(first, n) for each run of set mask elements.
template <class Body>
inline void for_each_run(const char* mask, ptrdiff_t stride, ptrdiff_t n, Body body) noexcept {
    if (stride == 0) {
        if (*mask) body(ptrdiff_t{0}, n);
        return;
    }
    constexpr uint64_t ones = 0x0101010101010101u;
    auto word = [&](ptrdiff_t i) {
        uint64_t w;
        memcpy(&w, mask + i, sizeof w);
        return w;
    };
    ptrdiff_t i = 0;
    while (i < n) {
        if (stride == 1)
            while (i + 8 <= n && word(i) == 0) i += 8;
        while (i < n && !mask[i * stride]) ++i;
        if (i == n) return;
        ptrdiff_t const first = i;
        while (i < n && mask[i * stride]) {
            if (stride == 1)  // eight nonzero bytes: no byte borrows
                while (i + 8 <= n && !((word(i) - ones) & ~word(i) & (ones << 7))) i += 8;
            if (i < n && mask[i * stride]) ++i;
        }
        body(first, i - first);
    }
}

// body(part) for every run of elements of a block that the mask, its last operand, selects.
template <class B, class Body>
inline void for_each_selected(const B& block, int operands, Body body) noexcept {
    int const mask = operands - 1;
    for (ptrdiff_t row = 0; row < block.rows; ++row)
        for_each_run(block.data[mask] + row * block.outer[mask], block.inner[mask], block.n,
                     [&](ptrdiff_t first, ptrdiff_t n) {
                         body(part_of(block, operands, row, 1, first, n));
                     });
}

}  // namespace raptors
