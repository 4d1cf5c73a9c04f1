// Goto's loops around the packed kernels; small products and matrix x vector without packing.
#include "gemm.h"

#include <atomic>
#include <cstring>

#include "blocks.h"
#include "processors.h"
#include "scratch.h"
#include "stacks.h"

namespace raptors {
namespace {

constexpr ptrdiff_t smaller(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
constexpr ptrdiff_t larger(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }
constexpr ptrdiff_t ceil_div(ptrdiff_t a, ptrdiff_t b) { return (a + b - 1) / b; }
constexpr ptrdiff_t round_up(ptrdiff_t a, ptrdiff_t b) { return ceil_div(a, b) * b; }

const Gemm* gemm_of(const Table& table, DType t) noexcept {
    return table.gemm[static_cast<int>(t)];
}
ptrdiff_t size_of(DType t) noexcept { return dtype_info[static_cast<int>(t)].size; }

// C' = B' A'
Matrices transposed(const Matrices& p) noexcept {
    return {p.n, p.m,        p.k,     p.b, p.b_column, p.b_row,
            p.a, p.a_column, p.a_row, p.c, p.c_column, p.c_row};
}

// What is the same for all products of a call.
struct Call {
    const Gemm& gemm;
    ptrdiff_t size;  // of an element
};

// ---- Small products

// B stays in the second cache, and A or what is read of it for a strip of C; rows of A and C are
// read and written as they lie. (Measured against packing: a tenth faster at 100, equal at 512
// KiB.)
bool is_small(const Call& call, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k) noexcept {
    if (!call.gemm.small || k > call.gemm.depth) return false;
    ptrdiff_t const a = m * k * call.size, b = k * n * call.size;
    constexpr ptrdiff_t certainly = ptrdiff_t{32} * 1024;
    if (b <= certainly && (a <= certainly || n <= call.gemm.columns)) return true;
    ptrdiff_t const most = cache_sizes().second / 3;
    return m <= 2 * call.gemm.rows || (b <= most && (a <= most || n <= call.gemm.columns));
}

constexpr Series once = {1, 0, 0, 0};

// With B's columns packed, which lie apart.
bool run_small_packed(const Call& call, const Matrices& p) noexcept {
    const Gemm& gemm = call.gemm;
    ptrdiff_t const lanes = gemm.columns / 3;
    Scratch const packed(static_cast<size_t>(p.k * round_up(p.n, lanes) * gemm.b_size));
    if (!packed.get()) return false;
    gemm.pack_b({p.b, p.b_row, p.b_column, p.k, p.n, packed.get()});
    for (ptrdiff_t j = 0; j < p.n; j += gemm.columns) {
        Matrices part = p;
        part.n = smaller(gemm.columns, p.n - j);
        part.b = packed.get() + j * p.k * gemm.b_size;
        part.b_row = round_up(part.n, lanes) * gemm.b_size;
        part.c = p.c + j * call.size;
        gemm.small(part, once);
    }
    return true;
}

// ---- Matrix x vector

// n contiguous elements, copied if they are not.
class Contiguous {
public:
    Contiguous(const char* from, ptrdiff_t step, ptrdiff_t n, ptrdiff_t size) noexcept
        : copy_(step == size || n == 1 ? 0 : static_cast<size_t>(n * size)),
          data_(step == size || n == 1 ? from : copy_.get()) {
        if (data_ == from || !data_) return;
        for (ptrdiff_t i = 0; i < n; ++i)
            memcpy(copy_.get() + i * size, from + i * step, static_cast<size_t>(size));
    }
    const char* get() const noexcept { return data_; }

private:
    Scratch copy_;
    const char* data_;
};

bool run_vector(const Call& call, const Matrices& p, Share share) noexcept {
    ptrdiff_t const size = call.size;
    MatrixVector v = {p.a, p.a_row, p.a_column, p.b, p.b_row, p.c, p.c_row, p.m, p.k};
    bool const by_rows = p.a_column == size || p.k == 1 || p.m == 1;
    // Rows by `grain`.
    auto run_pieces = [&](ptrdiff_t grain, auto kernel) {
        for_chunks(smaller(ceil_div(p.m, grain), most_chunks), share.crew, [&](ptrdiff_t i) {
            MatrixVector part = v;
            part.m = i == most_chunks - 1 ? p.m - i * grain : smaller(grain, p.m - i * grain);
            part.a += i * grain * p.a_row;
            part.y += i * grain * p.c_row;
            kernel(part);
        });
        return true;
    };
    ptrdiff_t const rows = smaller(share.grain, PTRDIFF_MAX / 2) / p.k;
    // Long pieces of columns: they are read one after the other.
    if (!by_rows || (p.k == 1 && p.a_row == size))
        return run_pieces(round_up(larger(rows, 4096 / size), 64), call.gemm.by_columns);
    Contiguous const x(p.b, p.b_row, p.k, size);
    Contiguous const row(p.a, p.m == 1 ? p.a_column : size, p.k, size);
    if (!x.get() || !row.get()) return false;
    v.a = row.get();
    v.x = x.get();
    return run_pieces(round_up(larger(rows, 1), 16), call.gemm.by_rows);
}

// ---- Big products: blocks of A and of B are packed, for all threads, which then take tiles' worth
// of C: columns for which B stays in a thread's second cache, while it goes through the panels of
// A.

constexpr ptrdiff_t packed_most = ptrdiff_t{8} << 20;  // bytes of a block

bool run_packed(const Call& call, const Matrices& p, Share share) noexcept {
    const Gemm& gemm = call.gemm;
    // Equal parts of k, and of n: the last one does not cost more than it does.
    ptrdiff_t const depth = ceil_div(p.k, ceil_div(p.k, gemm.depth));
    auto const part = [](ptrdiff_t length, ptrdiff_t most, ptrdiff_t unit) {
        most = larger(most / unit * unit, unit);
        return round_up(ceil_div(length, ceil_div(length, most)), unit);
    };
    ptrdiff_t const rows = part(p.m, packed_most / (depth * gemm.a_size), gemm.rows);
    ptrdiff_t const columns = part(p.n, packed_most / (depth * gemm.b_size), gemm.columns);
    ptrdiff_t const width =
        part(columns, cache_sizes().second / 2 / (depth * gemm.b_size), gemm.columns);
    ptrdiff_t const threads = share.crew.threads;
    ptrdiff_t const across = ceil_div(columns, width);
    ptrdiff_t const pieces = threads > 1 ? ceil_div(8 * threads, across) : 1;
    ptrdiff_t const height = larger(part(rows, ceil_div(rows, pieces), gemm.rows), 4 * gemm.rows);

    ptrdiff_t const a_bytes = round_up(rows * depth * gemm.a_size, 64);
    char* const packed_a = block_new(static_cast<size_t>(a_bytes + columns * depth * gemm.b_size));
    if (!packed_a) return false;
    char* const packed_b = packed_a + a_bytes;
    ptrdiff_t const a_slice = 8 * gemm.rows, b_slice = gemm.columns;
    for (ptrdiff_t j = 0; j < p.n; j += columns) {
        ptrdiff_t const n = smaller(columns, p.n - j);
        for (ptrdiff_t q = 0; q < p.k; q += depth) {
            ptrdiff_t const k = smaller(depth, p.k - q);
            for (ptrdiff_t i = 0; i < p.m; i += rows) {
                ptrdiff_t const m = smaller(rows, p.m - i);
                ptrdiff_t const a_slices = ceil_div(m, a_slice);
                ptrdiff_t const b_slices = i == 0 ? ceil_div(n, b_slice) : 0;
                for_chunks(a_slices + b_slices, share.crew, [&](ptrdiff_t s) {
                    if (s < a_slices) {
                        ptrdiff_t const r = s * a_slice;
                        gemm.pack_a({p.a + (i + r) * p.a_row + q * p.a_column, p.a_row, p.a_column,
                                     smaller(a_slice, m - r), k, packed_a + r * k * gemm.a_size});
                    } else {
                        ptrdiff_t const c = (s - a_slices) * b_slice;
                        gemm.pack_b({p.b + q * p.b_row + (j + c) * p.b_column, p.b_row, p.b_column,
                                     k, smaller(b_slice, n - c), packed_b + c * k * gemm.b_size});
                    }
                });
                ptrdiff_t const down = ceil_div(m, height);
                for_chunks(ceil_div(n, width) * down, share.crew, [&](ptrdiff_t chunk) {
                    ptrdiff_t const r = chunk % down * height, c = chunk / down * width;
                    gemm.packed({packed_a + r * k * gemm.a_size, packed_b + c * k * gemm.b_size,
                                 p.c + (i + r) * p.c_row + (j + c) * p.c_column, p.c_row,
                                 p.c_column, smaller(height, m - r), smaller(width, n - c), k,
                                 q > 0});
                });
            }
        }
    }
    block_delete(packed_a);
    return true;
}

// ---- Batches

// Merges axes, and takes repeated matrices as what they are: more rows of A for one B, or more
// columns of B for one A.
void simplify(Matrices& p, Batch& batch) noexcept {
    merge_axes(batch);
    while (batch.dims) {
        int const last = batch.dims - 1;
        ptrdiff_t const a = batch.a[last], b = batch.b[last], c = batch.c[last];
        auto next = [](ptrdiff_t stride, ptrdiff_t length, ptrdiff_t step) {
            return length == 1 || stride == length * step;
        };
        if (b == 0 && next(a, p.m, p.a_row) && next(c, p.m, p.c_row)) {
            if (p.m == 1) p.a_row = a, p.c_row = c;
            p.m *= batch.shape[last];
        } else if (a == 0 && next(b, p.n, p.b_column) && next(c, p.n, p.c_column)) {
            if (p.n == 1) p.b_column = b, p.c_column = c;
            p.n *= batch.shape[last];
        } else {
            break;
        }
        batch.count /= batch.shape[last];
        --batch.dims;
    }
}

enum class Way { vector, small, small_packed, packed };

Way way_of(const Call& call, const Matrices& p, ptrdiff_t count) noexcept {
    ptrdiff_t const size = call.size;
    if (p.n == 1) {
        bool const tiny = call.gemm.small && count > 1 && p.m * p.k <= 64;
        return tiny ? Way::small : Way::vector;
    }
    if (p.c_column != size || !is_small(call, p.m, p.n, p.k)) return Way::packed;
    return p.b_column == size ? Way::small : Way::small_packed;
}

// Whether it takes a turn to make C's rows contiguous, or a vector a column.
bool lies_across(const Call& call, const Matrices& p) noexcept {
    if (p.m == 1 || p.n == 1) return p.n != 1;
    return p.c_column != call.size && p.c_row == call.size;
}

bool run_one(const Call& call, Way way, const Matrices& p, Share share) noexcept {
    switch (way) {
        case Way::vector:
            return run_vector(call, p, share);
        case Way::small:
            call.gemm.small(p, once);
            return true;
        case Way::small_packed:
            return run_small_packed(call, p);
        default:
            return run_packed(call, p, share);
    }
}

// A single small product, cut along its longer side.
bool share_small(const Call& call, Way way, const Matrices& p, Share share) noexcept {
    bool const by_rows = p.m >= p.n;
    ptrdiff_t const length = by_rows ? p.m : p.n;
    ptrdiff_t const unit = by_rows ? call.gemm.rows : call.gemm.columns;
    ptrdiff_t const grain = round_up(
        larger(share.grain / (p.k * (by_rows ? p.n : p.m)), ceil_div(length, most_chunks)), unit);
    std::atomic<bool> done{true};
    for_chunks(ceil_div(length, grain), share.crew, [&](ptrdiff_t i) {
        Matrices part = p;
        (by_rows ? part.m : part.n) = smaller(grain, length - i * grain);
        if (by_rows) {
            part.a += i * grain * p.a_row;
            part.c += i * grain * p.c_row;
        } else {
            part.b += i * grain * p.b_column;
            part.c += i * grain * p.c_column;
        }
        if (!run_one(call, way, part, unshared)) done.store(false, std::memory_order_relaxed);
    });
    return done.load(std::memory_order_relaxed);
}

bool run_batch(const Call& call, Way way, const Matrices& p, const Batch& batch, Share share,
               ptrdiff_t begin, ptrdiff_t end) noexcept {
    int const last = batch.dims - 1;
    return for_runs(batch, p.a, p.b, p.c, begin, end,
                    [&](const char* a, const char* b, char* c, ptrdiff_t count) {
                        Matrices part = p;
                        part.a = a;
                        part.b = b;
                        part.c = c;
                        if (way == Way::small) {
                            call.gemm.small(part,
                                            {count, batch.a[last], batch.b[last], batch.c[last]});
                            return true;
                        }
                        for (; count > 0; --count) {
                            if (!run_one(call, way, part, share)) return false;
                            part.a += batch.a[last];
                            part.b += batch.b[last];
                            part.c += batch.c[last];
                        }
                        return true;
                    });
}

void fill_zeros(ptrdiff_t size, const Matrices& p) noexcept {
    for (ptrdiff_t i = 0; i < p.m; ++i)
        for (ptrdiff_t j = 0; j < p.n; ++j)
            memset(p.c + i * p.c_row + j * p.c_column, 0, static_cast<size_t>(size));
}

bool run_general(const Call& call, const Product& product, Share share) noexcept {
    Matrices p = product;
    Batch batch;
    batch.dims = product.batch_dims;
    for (int i = 0; i < batch.dims; ++i) {
        batch.shape[i] = product.batch_shape[i];
        batch.a[i] = product.a_batch[i];
        batch.b[i] = product.b_batch[i];
        batch.c[i] = product.c_batch[i];
        if (batch.shape[i] == 0) return true;
    }
    if (p.m == 0 || p.n == 0) return true;
    simplify(p, batch);
    if (p.k == 0) {
        if (!batch.dims) {
            fill_zeros(call.size, p);
            return true;
        }
        return for_runs(batch, p.a, p.b, p.c, 0, batch.count,
                        [&](const char*, const char*, char* c, ptrdiff_t count) {
                            Matrices part = p;
                            part.c = c;
                            for (; count > 0; --count, part.c += batch.c[batch.dims - 1])
                                fill_zeros(call.size, part);
                            return true;
                        });
    }
    if (lies_across(call, p)) {
        p = transposed(p);
        for (int i = 0; i < batch.dims; ++i) {
            ptrdiff_t const a = batch.a[i];
            batch.a[i] = batch.b[i];
            batch.b[i] = a;
        }
    }
    Way const way = way_of(call, p, batch.count);
    if (!batch.dims) {
        if ((way == Way::small || way == Way::small_packed) && share.crew.threads > 1)
            return share_small(call, way, p, share);
        return run_one(call, way, p, share);
    }
    if (share.crew.threads < 2 ||
        (batch.count < 2 * share.crew.threads && (way == Way::packed || way == Way::vector)))
        return run_batch(call, way, p, batch, share, 0, batch.count);
    ptrdiff_t const per =
        larger(larger(share.grain / (p.m * p.n * p.k), 1), ceil_div(batch.count, most_chunks));
    std::atomic<bool> done{true};
    for_chunks(ceil_div(batch.count, per), share.crew, [&](ptrdiff_t i) {
        if (!run_batch(call, way, p, batch, unshared, i * per, smaller((i + 1) * per, batch.count)))
            done.store(false, std::memory_order_relaxed);
    });
    return done.load(std::memory_order_relaxed);
}

}  // namespace

bool has_gemm(const Table& table, DType t) noexcept { return gemm_of(table, t) != nullptr; }

bool multiply(const Table& table, DType t, const Product& p, Share share) noexcept {
    const Gemm* const gemm = gemm_of(table, t);
    Call const call = {*gemm, size_of(t)};
    // Without a detour: what takes a few nanoseconds.
    if (p.batch_dims == 0 && share.crew.threads < 2 && p.m > 1 && p.k > 0) {
        if (p.n == 1 && p.a_column == call.size && p.b_row == call.size) {
            gemm->by_rows({p.a, p.a_row, p.a_column, p.b, p.b_row, p.c, p.c_row, p.m, p.k});
            return true;
        }
        if (p.n > 1 && p.b_column == call.size && p.c_column == call.size &&
            is_small(call, p.m, p.n, p.k)) {
            gemm->small(p, once);
            return true;
        }
    }
    return run_general(call, p, share);
}

double cost_of(const Table& table, DType t, const Product& p) noexcept {
    double products = 1;
    for (int i = 0; i < p.batch_dims; ++i) products *= static_cast<double>(p.batch_shape[i]);
    double const m = static_cast<double>(p.m), n = static_cast<double>(p.n),
                 k = static_cast<double>(p.k);
    // Matrix x vector takes as long as its matrix takes to arrive.
    constexpr double ns_per_byte = 0.02;
    double const moved = (m * k + k * n + m * n) * static_cast<double>(size_of(t)) * ns_per_byte;
    return products * (m * n * k * gemm_of(table, t)->ns + moved);
}

Share share_for(const Table& table, DType t, const Product& p, int threads) noexcept {
    // Not worth the arithmetic.
    constexpr ptrdiff_t few = 64;
    if (threads < 2 || (p.batch_dims == 0 && p.m <= few && p.n <= few && p.k <= few))
        return unshared;
    double multiplications =
        static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
    for (int i = 0; i < p.batch_dims; ++i) multiplications *= static_cast<double>(p.batch_shape[i]);
    constexpr double most = 0x1p62;
    return share_for(static_cast<ptrdiff_t>(multiplications < most ? multiplications : most),
                     cost_of(table, t, p), threads);
}

}  // namespace raptors
