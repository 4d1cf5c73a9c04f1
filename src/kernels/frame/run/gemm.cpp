// Goto's loops around the packed kernels; small products and matrix x vector without packing.
#include "frame/run/gemm.h"

#include <atomic>
#include <cstring>
#include <numeric>

#include "api/table.h"
#include "frame/memory/caching_allocator.h"
#include "frame/memory/scratch.h"
#include "frame/nest/stacks.h"
#include "frame/threads/processors.h"

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
    Kernel add;      // of two elements
    Kernel copy;
    ptrdiff_t parts;  // reals of an element
    void (*pack_a)(const Panels&) noexcept;
    void (*pack_b)(const Panels&) noexcept;
};

// ---- Products of a matrix with its own transpose are symmetric, to the bit: elements are summed
// alike wherever they lie, those of reals. Only what is on and below the diagonal is computed.

bool is_symmetric(const Matrices& p) noexcept {
    return p.a == p.b && p.m == p.n && p.a_row == p.b_column && p.a_column == p.b_row;
}

// Copies a block of C that lies below the diagonal to where it belongs above.
void mirror(const Call& call, const Matrices& p, ptrdiff_t row, ptrdiff_t column, ptrdiff_t rows,
            ptrdiff_t columns) noexcept {
    if (rows <= 0) return;
    call.copy(
        {{p.c + row * p.c_row + column * p.c_column, p.c + column * p.c_row + row * p.c_column},
         {p.c_row, p.c_column},
         {p.c_column, p.c_row},
         rows,
         columns});
}

// ---- Small products

// B stays in the second cache, and A or what is read of it for a strip of C; rows of A and C are
// read and written as they lie. (Measured against packing: a tenth faster at 100, equal at 512
// KiB.)
bool is_small(const Gemm& gemm, ptrdiff_t size, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k) noexcept {
    if (!gemm.small || k > gemm.depth) return false;
    ptrdiff_t const a = m * k * size, b = k * n * size;
    constexpr ptrdiff_t certainly = ptrdiff_t{32} * 1024;
    if (b <= certainly && (a <= certainly || n <= gemm.columns)) return true;
    ptrdiff_t const most = cache_sizes().second / 3;
    return m <= 2 * gemm.rows || (b <= most && (a <= most || n <= gemm.columns));
}

constexpr Series once = {1, 0, 0, 0};

// By strips of C, for which B's columns are packed where they lie apart, or are complex.
bool run_strips(const Call& call, const Matrices& p, Share share) noexcept {
    const Gemm& gemm = call.gemm;
    bool const pack = call.parts > 1 || p.b_column != call.size;
    bool const symmetric = call.parts == 1 && is_symmetric(p);
    ptrdiff_t const lanes = gemm.columns / 3, part = call.size / call.parts;
    ptrdiff_t const all_n = p.n * call.parts, k = p.k * call.parts;
    // Pairs of A that lie apart.
    bool const apart = call.parts > 1 && p.a_column != call.size;
    Scratch const pairs(static_cast<size_t>(apart ? p.m * k * part : 0));
    if (!pairs.get()) return false;
    Matrices real = {p.m, 0, k, p.a, p.a_row, p.a_column, p.b, p.b_row, part, p.c, p.c_row, part};
    if (call.parts > 1) real.a_column = part;
    if (apart) {
        for (ptrdiff_t h = 0; h < call.parts; ++h)
            call.copy({{const_cast<char*>(p.a) + h * part, pairs.get() + h * part},
                       {p.a_column, call.size},
                       {p.a_row, k * part},
                       p.k,
                       p.m});
        real.a = pairs.get();
        real.a_row = k * part;
    }
    std::atomic<bool> done{true};
    for_chunks(ceil_div(all_n, gemm.columns), share.crew, [&](ptrdiff_t strip) {
        ptrdiff_t const j = strip * gemm.columns, first = symmetric ? j : 0;
        ptrdiff_t const n = smaller(gemm.columns, all_n - j), width = round_up(n, lanes);
        Matrices own = real;
        own.m -= first;
        own.n = n;
        own.a += first * own.a_row;
        own.b += j * part;
        own.c += first * own.c_row + j * part;
        Scratch const packed(static_cast<size_t>(pack ? k * width * gemm.b_size : 0));
        if (!packed.get()) return done.store(false, std::memory_order_relaxed);
        if (pack) {
            call.pack_b(
                {p.b + j / call.parts * p.b_column, p.b_row, p.b_column, k, n, packed.get()});
            own.b = packed.get();
            own.b_row = width * gemm.b_size;
        }
        gemm.small(own, once);
        if (symmetric) mirror(call, p, j + n, j, p.m - j - n, n);
    });
    return done.load(std::memory_order_relaxed);
}

// ---- Matrix x vector

// n contiguous elements, copied if they are not.
class Contiguous {
public:
    Contiguous(const Call& call, const char* from, ptrdiff_t step, ptrdiff_t n) noexcept
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

// From a third cache a matrix comes up to a fifth faster as one stream (with AVX-512; kernels of
// fewer registers look away); from memory or from a cache of many cores several rows at once do,
// and where it is in the second cache nothing is waited for.
bool comes_as_one_stream(ptrdiff_t size, ptrdiff_t m, ptrdiff_t k) noexcept {
    constexpr ptrdiff_t least_row = 1024, most_third = ptrdiff_t{64} << 20;
    CacheSizes const cache = cache_sizes();
    if (k * size < least_row || cache.third > most_third) return false;
    ptrdiff_t const bytes = m * k * size;
    return bytes > cache.second && bytes <= cache.third / 4 * 3;
}

MatrixVector vector_product(const Matrices& p, ptrdiff_t size) noexcept {
    return {p.a, p.a_row, p.a_column, p.b, p.b_row,
            p.c, p.c_row, p.m,        p.k, comes_as_one_stream(size, p.m, p.k)};
}

bool run_vector(const Call& call, const Matrices& p, Share share) noexcept {
    ptrdiff_t const size = call.size;
    MatrixVector v = vector_product(p, size);
    if (p.m == 1) {
        call.gemm.dot(v);
        return true;
    }
    bool const by_rows = p.a_column == size || p.k == 1;
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
    Contiguous const x(call, p.b, p.b_row, p.k);
    if (!x.get()) return false;
    v.a_column = v.x_step = size;  // also where there is one column
    v.x = x.get();
    return run_pieces(round_up(larger(rows, 1), 24), call.gemm.by_rows);
}

// ---- Big products: blocks of A and of B are packed, for all threads, which then take tiles' worth
// of C: columns for which B stays in a thread's second cache, while it goes through the panels of
// A.

bool run_packed(const Call& call, const Matrices& p, Share share) noexcept {
    const Gemm& gemm = call.gemm;
    // Square blocks of C, whose mirror images are blocks, too.
    ptrdiff_t const square =
        round_up(smaller(ceil_div(p.m, 8), 96), std::lcm(gemm.rows, gemm.columns));
    bool const symmetric = call.parts == 1 && is_symmetric(p) && p.m > square;
    ptrdiff_t const row_unit = symmetric ? square : gemm.rows;
    ptrdiff_t const column_unit = symmetric ? square : gemm.columns;
    ptrdiff_t const all_n = p.n * call.parts, all_k = p.k * call.parts;
    auto const column = [&](ptrdiff_t j) { return p.c + j * (p.c_column / call.parts); };
    // Equal parts of k, and of n: the last one does not cost more than it does.
    ptrdiff_t const depth = round_up(ceil_div(all_k, ceil_div(all_k, gemm.depth)), call.parts);
    auto const part = [](ptrdiff_t length, ptrdiff_t most, ptrdiff_t unit) {
        most = larger(most / unit * unit, unit);
        return round_up(ceil_div(length, ceil_div(length, most)), unit);
    };
    // Bytes of a block of A, and of one of B: beside one another in the third cache, with C, and
    // with what other programs have there (8 MiB: 5 % slower at 2048 in float64).
    ptrdiff_t const packed_most =
        smaller(larger(cache_sizes().third / 4, ptrdiff_t{1} << 20), ptrdiff_t{3} << 20);
    ptrdiff_t const rows = part(p.m, packed_most / (depth * gemm.a_size), row_unit);
    ptrdiff_t const columns = part(all_n, packed_most / (depth * gemm.b_size), column_unit);
    ptrdiff_t const width =
        symmetric ? square
                  : part(columns, cache_sizes().second / 2 / (depth * gemm.b_size), gemm.columns);
    ptrdiff_t const threads = share.crew.threads;
    ptrdiff_t const across = ceil_div(columns, width);
    ptrdiff_t const pieces = threads > 1 ? ceil_div(8 * threads, across) : 1;
    ptrdiff_t const height =
        symmetric ? square : larger(part(rows, ceil_div(rows, pieces), gemm.rows), 4 * gemm.rows);

    ptrdiff_t const a_bytes = round_up(rows * depth * gemm.a_size, 64);
    char* const packed_a = block_new(static_cast<size_t>(a_bytes + columns * depth * gemm.b_size));
    if (!packed_a) return false;
    char* const packed_b = packed_a + a_bytes;
    ptrdiff_t const a_slice = 8 * gemm.rows, b_slice = gemm.columns;
    for (ptrdiff_t j = 0; j < all_n; j += columns) {
        ptrdiff_t const n = smaller(columns, all_n - j);
        for (ptrdiff_t q = 0; q < all_k; q += depth) {
            ptrdiff_t const k = smaller(depth, all_k - q);
            const char* const a = p.a + q / call.parts * p.a_column;
            const char* const b = p.b + q / call.parts * p.b_row;
            for (ptrdiff_t i = 0; i < p.m; i += rows) {
                ptrdiff_t const m = smaller(rows, p.m - i);
                ptrdiff_t const a_slices = ceil_div(m, a_slice);
                ptrdiff_t const b_slices = i == 0 ? ceil_div(n, b_slice) : 0;
                for_chunks(a_slices + b_slices, share.crew, [&](ptrdiff_t s) {
                    if (s < a_slices) {
                        ptrdiff_t const r = s * a_slice;
                        call.pack_a({a + (i + r) * p.a_row, p.a_row, p.a_column,
                                     smaller(a_slice, m - r), k, packed_a + r * k * gemm.a_size});
                    } else {
                        ptrdiff_t const c = (s - a_slices) * b_slice;
                        call.pack_b({b + (j + c) / call.parts * p.b_column, p.b_row, p.b_column, k,
                                     smaller(b_slice, n - c), packed_b + c * k * gemm.b_size});
                    }
                });
                ptrdiff_t const down = ceil_div(m, height);
                for_chunks(ceil_div(n, width) * down, share.crew, [&](ptrdiff_t chunk) {
                    ptrdiff_t const r = chunk % down * height, c = chunk / down * width;
                    if (symmetric && i + r < j + c) return;
                    gemm.packed({packed_a + r * k * gemm.a_size, packed_b + c * k * gemm.b_size,
                                 column(j + c) + (i + r) * p.c_row, p.c_row,
                                 p.c_column / call.parts, smaller(height, m - r),
                                 smaller(width, n - c), k, q > 0});
                    if (symmetric && i + r > j + c && q + k == p.k)
                        mirror(call, p, i + r, j + c, smaller(height, m - r), width);
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

// Rows times columns that are contiguous, too few to be packed for.
bool are_few(const Call& call, const Matrices& p) noexcept {
    constexpr ptrdiff_t most = 48, least_k = 64;
    ptrdiff_t const lines = larger(p.m, p.n);
    return call.gemm.few && smaller(p.m, p.n) > 1 && lines <= most && p.k >= least_k &&
           p.k >= 8 * lines && p.a_column == call.size && p.b_row == call.size;
}

bool run_few(const Call& call, const Matrices& p, Share share) noexcept {
    constexpr ptrdiff_t width = 4;
    bool const symmetric = is_symmetric(p);
    for_chunks(ceil_div(p.n, width), share.crew, [&](ptrdiff_t strip) {
        ptrdiff_t const j = strip * width, first = symmetric ? j : 0;
        Matrices part = p;
        part.n = smaller(width, p.n - j);
        part.m -= first;
        part.a += first * p.a_row;
        part.b += j * p.b_column;
        part.c += first * p.c_row + j * p.c_column;
        call.gemm.few(part);
        if (symmetric) mirror(call, p, j + part.n, j, p.m - j - part.n, part.n);
    });
    return true;
}

enum class Way { vector, small, strips, few, parts, packed };

// Bytes of a vector in one part of a sum: of one row, and of several, for which it stays in the
// second cache.
constexpr ptrdiff_t dot_bytes = ptrdiff_t{512} << 10, rows_bytes = ptrdiff_t{128} << 10;

// In how many parts a long sum is best taken.
ptrdiff_t parts_of(const Call& call, const Matrices& p) noexcept {
    constexpr ptrdiff_t most_lines = 128;
    ptrdiff_t length = 0;
    if (p.n == 1)
        length = p.m > 64 ? 0 : (p.m > 1 ? rows_bytes : dot_bytes) / call.size;
    else if (are_few(call, p))
        length = 4 * ptrdiff_t{call.gemm.depth};
    else if (call.gemm.small && larger(p.m, p.n) <= most_lines)
        length = call.gemm.depth;
    return length && p.k > length ? ceil_div(p.k, length) : 1;
}

Way way_of(const Call& call, const Matrices& p, ptrdiff_t count) noexcept {
    ptrdiff_t const size = call.size;
    if (call.parts > 1)
        return is_small(call.gemm, size / call.parts, p.m, p.n * call.parts, p.k * call.parts)
                   ? Way::strips
                   : Way::packed;
    if (parts_of(call, p) > 1) return Way::parts;
    if (p.n == 1) {
        bool const tiny = call.gemm.small && count > 1 && p.m * p.k <= 64;
        return tiny ? Way::small : Way::vector;
    }
    if (are_few(call, p)) return Way::few;
    if (p.c_column != size || !is_small(call.gemm, size, p.m, p.n, p.k)) return Way::packed;
    bool const half = is_symmetric(p) && p.n > call.gemm.columns;
    return p.b_column == size && !half ? Way::small : Way::strips;
}

bool run_one(const Call& call, Way way, const Matrices& p, Share share) noexcept;

// A long sum in parts that depend on the shape alone, each a product of its own. Every chunk adds
// up some of them; those sums are added as a tree.
bool run_parts(const Call& call, const Matrices& p, Share share) noexcept {
    ptrdiff_t const size = call.size, n = p.m * p.n;
    constexpr ptrdiff_t line = 64;  // elements: parts begin as p does within cache lines
    ptrdiff_t const length = round_up(ceil_div(p.k, parts_of(call, p)), line);
    ptrdiff_t const parts = ceil_div(p.k, length);
    ptrdiff_t const per = ceil_div(parts, 64);
    ptrdiff_t chunks = ceil_div(parts, per);
    ptrdiff_t const step = round_up(n * size, 64);
    char* const sums = block_new(static_cast<size_t>(chunks * step));
    if (!sums) return false;
    // to[i] += from[i], for `elements` of them.
    auto add = [&](char* to, char* from, ptrdiff_t elements) {
        call.add({{to, from, to}, {size, size, size}, {}, elements, 1});
    };
    std::atomic<bool> done{true};
    for_chunks(chunks, share.crew, [&](ptrdiff_t chunk) {
        Scratch const other(per > 1 ? static_cast<size_t>(n * size) : 0);
        bool fine = per == 1 || other.get();
        char* const sum = sums + chunk * step;
        for (ptrdiff_t i = chunk * per; fine && i < smaller((chunk + 1) * per, parts); ++i) {
            bool const first = i == chunk * per;
            Matrices part = p;
            part.k = smaller(length, p.k - i * length);
            part.a += i * length * p.a_column;
            part.b += i * length * p.b_row;
            part.c = first ? sum : other.get();
            part.c_row = p.n * size;
            part.c_column = size;
            fine = run_one(call, way_of(call, part, 1), part, unshared);
            if (!first) add(sum, other.get(), n);
        }
        if (!fine) done.store(false, std::memory_order_relaxed);
    });
    while (chunks > 1) {
        ptrdiff_t const half = chunks / 2;
        chunks -= half;
        for (ptrdiff_t i = 0; i < half; ++i) add(sums + i * step, sums + (chunks + i) * step, n);
    }
    call.copy({{sums, p.c}, {size, p.c_column}, {p.n * size, p.c_row}, p.n, p.m});
    block_delete(sums);
    return done.load(std::memory_order_relaxed);
}

// Whether it takes a turn to make C's rows contiguous, or a vector a column.
bool lies_across(const Call& call, const Matrices& p) noexcept {
    if (p.m == 1 || p.n == 1) return p.n != 1;
    return p.c_column != call.size && p.c_row == call.size;
}

// Complex elements of C that lie apart come together first.
bool run_aside(const Call& call, Way way, const Matrices& p, Share share) noexcept {
    char* const c = block_new(static_cast<size_t>(p.m * p.n * call.size));
    if (!c) return false;
    Matrices aside = p;
    aside.c = c;
    aside.c_row = p.n * call.size;
    aside.c_column = call.size;
    bool const done = run_one(call, way, aside, share);
    ptrdiff_t const part = call.size / call.parts;
    for (ptrdiff_t h = 0; done && h < call.parts; ++h)
        call.copy({{c + h * part, p.c + h * part},
                   {call.size, p.c_column},
                   {aside.c_row, p.c_row},
                   p.n,
                   p.m});
    block_delete(c);
    return done;
}

bool run_one(const Call& call, Way way, const Matrices& p, Share share) noexcept {
    if (call.parts > 1 && p.c_column != call.size) return run_aside(call, way, p, share);
    switch (way) {
        case Way::vector:
            return run_vector(call, p, share);
        case Way::small:
            call.gemm.small(p, once);
            return true;
        case Way::strips:
            return run_strips(call, p, share);
        case Way::few:
            return run_few(call, p, share);
        case Way::parts:
            return run_parts(call, p, share);
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
    if (p.n == 1) p.c_column = call.size;  // which nothing steps over
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
        if ((way == Way::small || (way == Way::strips && !is_symmetric(p))) &&
            share.crew.threads > 1)
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

bool multiply(const Table& table, Numbers of, const Product& p, Share share) noexcept {
    const Gemm& gemm = *gemm_of(table, of.part);
    ptrdiff_t const size = size_of(of.part);
    // Without a detour: what takes a few nanoseconds.
    if (!of.are_complex && p.batch_dims == 0 && share.crew.threads < 2 && p.m > 0 && p.k > 0) {
        if (p.n == 1 &&
            (p.m == 1 ? p.k * size <= dot_bytes : p.a_column == size && p.b_row == size)) {
            (p.m == 1 ? gemm.dot : gemm.by_rows)(vector_product(p, size));
            return true;
        }
        if (p.m > 1 && p.n > 1 && p.b_column == size && p.c_column == size &&
            is_small(gemm, size, p.m, p.n, p.k) && !is_symmetric(p)) {
            gemm.small(p, once);
            return true;
        }
    }
    auto const i = static_cast<size_t>(of.part);
    Kernel const add = kernel_of(table, Op::add, of.part);
    Kernel const copy{table.cast[i][i]};
    if (of.are_complex)
        return run_general({gemm, 2 * size, add, copy, 2, gemm.pack_pairs_a, gemm.pack_pairs_b}, p,
                           share);
    return run_general({gemm, size, add, copy, 1, gemm.pack_a, gemm.pack_b}, p, share);
}

double cost_of(const Table& table, Numbers of, const Product& p) noexcept {
    double products = 1;
    for (int i = 0; i < p.batch_dims; ++i) products *= static_cast<double>(p.batch_shape[i]);
    double const m = static_cast<double>(p.m), n = static_cast<double>(p.n),
                 k = static_cast<double>(p.k);
    // Matrix x vector takes as long as its matrix takes to arrive.
    constexpr double ns_per_byte = 0.02;
    double const moved =
        (m * k + k * n + m * n) * static_cast<double>(size_of(of.part)) * ns_per_byte;
    double const ns = gemm_of(table, of.part)->ns;
    return products * (of.are_complex ? 4 * m * n * k * ns + 2 * moved : m * n * k * ns + moved);
}

Share share_for(const Table& table, Numbers of, const Product& p, int threads) noexcept {
    // Not worth the arithmetic.
    constexpr ptrdiff_t few = 64;
    if (threads < 2 || (p.batch_dims == 0 && p.m <= few && p.n <= few && p.k <= few))
        return unshared;
    double multiplications =
        static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
    for (int i = 0; i < p.batch_dims; ++i) multiplications *= static_cast<double>(p.batch_shape[i]);
    constexpr double most = 0x1p62;
    return share_for(static_cast<ptrdiff_t>(multiplications < most ? multiplications : most),
                     cost_of(table, of, p), threads);
}

}  // namespace raptors
