// Along rows or down columns: what the reductions share. Elements go into an accumulator
// one after the other: next(accumulator, element) -> accumulator.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <type_traits>

#include "api/reduce.h"
#include "isa/table.h"
#include "isa/values.h"

namespace raptors::RAPTORS_ISA {
namespace {

constexpr ptrdiff_t magnitude(ptrdiff_t stride) { return stride < 0 ? -stride : stride; }

template <class T>
constexpr bool floating = is_floating<T>;

template <class T>
constexpr ptrdiff_t size_of = static_cast<ptrdiff_t>(sizeof(T));

// A reduction goes along rows if its elements lie closer together than its neighbours do.
inline bool by_row(const ReduceBlock& r) {
    return r.rows == 1 || (r.n > 1 && magnitude(r.in_stride) <= magnitude(r.in_row));
}

// Elements with any stride, copied side by side. Strides of two and three elements are common
// (complex parts, every other, RGB).
template <class T, int step>
inline void gather_every(T* __restrict to, const char* from, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; ++i) to[i] = get<T>(from + i * step * size_of<T>);
}
template <class T>
void gather(T* to, const char* from, ptrdiff_t stride, ptrdiff_t n) {
    if (stride == 2 * size_of<T>) return gather_every<T, 2>(to, from, n);
    for (ptrdiff_t i = 0; i < n; ++i) to[i] = get<T>(from + i * stride);
}

// Are the rows to come asked for while a group of rows is read? From memory that makes sums 1.2 to
// 1.7 times as fast (Zen 4, rows of 2 to 16 KiB), from L3 a tenth slower. Into L2: two
// groups of long rows fill L1.
inline bool asks_ahead(const ReduceBlock& r) { return r.n * r.in_stride > (ptrdiff_t{4} << 20); }

template <int rows>
void ask_for(const char* p, ptrdiff_t stride) {
    for (int row = 0; row < rows; ++row) __builtin_prefetch(p + row * stride, 0, 2);
}

template <class F>
void reduce_rows(const ReduceBlock& r) {
    using T = typename F::Element;
    using A = typename F::Accumulator;
    constexpr ptrdiff_t most = 4096 / size_of<T>;
    for (ptrdiff_t i = 0; i < r.rows; ++i) {
        A a = get<A>(r.out + i * r.out_row);
        const char* p = r.in + i * r.in_row;
        if (r.in_stride == size_of<T> || r.n == 1) {
            a = F::dense(a, p, r.n);
        } else if (r.n < 16) {
            for (ptrdiff_t j = 0; j < r.n; ++j) a = F::next(a, get<T>(p + j * r.in_stride));
        } else {
            alignas(64) T side[most];
            for (ptrdiff_t j = 0; j < r.n; j += most) {
                ptrdiff_t const n = smaller(most, r.n - j);
                gather(side, p + j * r.in_stride, r.in_stride, n);
                a = F::dense(a, reinterpret_cast<const char*>(side), n);
            }
        }
        put(r.out + i * r.out_row, a);
    }
}

template <class F, bool dense_columns>
void reduce_down(typename F::Accumulator* __restrict acc, const char* __restrict p,
                 ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t column,
                 bool ahead) {
    using T = typename F::Element;
    if (dense_columns) column = size_of<T>;
    ptrdiff_t i = 0;
    if constexpr (F::vectors && dense_columns) {
        using V = Vec<T>;
        ptrdiff_t const whole = columns / lanes<T> * lanes<T>;
        for (; i + 4 <= rows; i += 4)
            for (ptrdiff_t j = 0; j < whole; j += lanes<T>) {
                const char* const q = p + i * stride + j * column;
                if (ahead && j * size_of<T> % 64 == 0) ask_for<4>(q + 4 * stride, stride);
                V const a = F::pick(F::pick(get<V>(acc + j), get<V>(q)), get<V>(q + stride));
                put(acc + j, F::pick(F::pick(a, get<V>(q + 2 * stride)), get<V>(q + 3 * stride)));
            }
        if (whole < columns)
            for (ptrdiff_t k = 0; k < i; ++k)
                for (ptrdiff_t j = whole; j < columns; ++j)
                    acc[j] = F::next(acc[j], get<T>(p + k * stride + j * column));
    }
    for (; i + 4 <= rows; i += 4) {
        const char* const q = p + i * stride;
        for (ptrdiff_t j = 0; j < columns; ++j) {
            auto a = F::next(acc[j], get<T>(q + j * column));
            a = F::next(a, get<T>(q + stride + j * column));
            a = F::next(a, get<T>(q + 2 * stride + j * column));
            acc[j] = F::next(a, get<T>(q + 3 * stride + j * column));
        }
    }
    for (; i < rows; ++i)
        for (ptrdiff_t j = 0; j < columns; ++j)
            acc[j] = F::next(acc[j], get<T>(p + i * stride + j * column));
}

template <class F>
void reduce_columns(const ReduceBlock& r) {
    using T = typename F::Element;
    using A = typename F::Accumulator;
    constexpr ptrdiff_t width = 1024;
    alignas(64) A acc[width];
    for (ptrdiff_t column = 0; column < r.rows; column += width) {
        ptrdiff_t const columns = smaller(width, r.rows - column);
        char* const out = r.out + column * r.out_row;
        const char* const in = r.in + column * r.in_row;
        for (ptrdiff_t j = 0; j < columns; ++j) acc[j] = get<A>(out + j * r.out_row);
        if (r.in_row == size_of<T>)
            reduce_down<F, true>(acc, in, r.in_stride, r.n, columns, r.in_row, asks_ahead(r));
        else
            reduce_down<F, false>(acc, in, r.in_stride, r.n, columns, r.in_row, false);
        for (ptrdiff_t j = 0; j < columns; ++j) put<A>(out + j * r.out_row, acc[j]);
    }
}

template <class F>
void reduce_all(const ReduceBlock& r) noexcept {
    if (r.n <= 0) return;
    by_row(r) ? reduce_rows<F>(r) : reduce_columns<F>(r);
}

}  // namespace
}  // namespace raptors::RAPTORS_ISA
