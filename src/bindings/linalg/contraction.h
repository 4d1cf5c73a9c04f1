// C = the sum of A B over labelled axes, by products of matrices: what einsum and its kin share.
#pragma once
#include <algorithm>

#include "array/free_lists.h"
#include "frame/memory/caching_allocator.h"
#include "linalg/product.h"

namespace raptors {

// An axis: its length, and its steps in A, B and C; 0 where they repeat, in C that it is summed
// over.
struct Axis {
    npy_intp n, a, b, c;
};
using StrideOf = npy_intp Axis::*;

struct Axes {
    int n;
    Axis at[NPY_MAXDIMS];

    Axes() noexcept : n(0) {}  // room for the most axes would take long to clear, or to copy
    Axes(const Axes& other) noexcept : n(other.n) { std::copy_n(other.at, n, at); }
    Axes& operator=(const Axes& other) noexcept {
        if (this == &other) return *this;
        n = other.n;
        std::copy_n(other.at, n, at);
        return *this;
    }
    ~Axes() = default;

    void add(const Axis& x) { at[n++] = x; }
    // As a double, which nothing overflows: axes that repeat have any length.
    double count() const {
        double total = 1;
        for (int i = 0; i < n; ++i) total *= static_cast<double>(at[i].n);
        return total;
    }
    Axis* find_longest() {
        return std::max_element(at, at + n, [](const Axis& x, const Axis& y) { return x.n < y.n; });
    }
    npy_intp longest() { return n ? find_longest()->n : 1; }
    bool has_step(StrideOf step, npy_intp size) const {
        for (int i = 0; i < n; ++i)
            if (at[i].*step == size) return true;
        return false;
    }
};

// What is to be computed.
struct Problem {
    const Table& table;
    DType t;
    char *a, *b, *c;
    Axes kept, summed;  // of the first every step in C counts, of the second none
    Offload offload{};
};

class Temporary {
public:
    Temporary() = default;
    Temporary(const Temporary&) = delete;
    Temporary& operator=(const Temporary&) = delete;
    ~Temporary() {
        if (data_) block_delete(data_);
    }
    // nullptr: MemoryError is set.
    char* make(npy_intp bytes) {
        data_ = block_new(static_cast<size_t>(bytes));
        if (!data_) PyErr_NoMemory();
        return data_;
    }

private:
    char* data_ = nullptr;
};

constexpr double most_elements = 0x1p25;  // of what is made on the way and NumPy does not need

extern char zero_element[16];  // of any dtype; only read
// Whether sums may be taken in any order.
inline bool is_exact_dtype(DType t) { return !is_floating(t); }

// False: declined, or an error is set.
bool contract(Problem& p);
// Adds A up, B being one; C holds zeros or what is to be added to.
void sum_single(const Problem& p);

}  // namespace raptors
