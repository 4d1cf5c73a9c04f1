// Which way a product of matrices goes, in which parts, and by whose threads.
#include "frame/run/gemm.h"

#include <atomic>
#include <cstring>

#include "frame/memory/caching_allocator.h"
#include "frame/memory/scratch.h"
#include "frame/nest/stacks.h"
#include "frame/run/gemm_ways.h"

namespace raptors {
namespace {

const Gemm* gemm_of(const Table& table, DType t) noexcept {
    return table.gemm[static_cast<int>(t)];
}

// C' = B' A'
Matrices transposed(const Matrices& p) noexcept {
    return {p.n, p.m,        p.k,     p.b, p.b_column, p.b_row,
            p.a, p.a_column, p.a_row, p.c, p.c_column, p.c_row};
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

enum class Way { vector, small, strips, dot_tile, parts, packed };

// Bytes of a vector in one part of a sum: of one row, and of several, for which it stays in the
// L2.
constexpr ptrdiff_t dot_bytes = ptrdiff_t{512} << 10, rows_bytes = ptrdiff_t{128} << 10;

// In how many parts a long sum is best taken.
ptrdiff_t parts_of(const GemmCall& call, const Matrices& p) noexcept {
    constexpr ptrdiff_t most_lines = 128;
    ptrdiff_t length = 0;
    if (p.n == 1)
        length = p.m > 64 ? 0 : (p.m > 1 ? rows_bytes : dot_bytes) / call.size;
    else if (fits_dot_tile(call, p))
        length = 4 * ptrdiff_t{call.gemm.kc};
    else if (call.gemm.small && larger(p.m, p.n) <= most_lines)
        length = call.gemm.kc;
    return length && p.k > length ? ceil_div(p.k, length) : 1;
}

Way way_of(const GemmCall& call, const Matrices& p, ptrdiff_t count) noexcept {
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
    if (fits_dot_tile(call, p)) return Way::dot_tile;
    if (p.c_column != size || !is_small(call.gemm, size, p.m, p.n, p.k)) return Way::packed;
    bool const half = is_symmetric(p) && p.n > call.gemm.nr;
    return p.b_column == size && !half ? Way::small : Way::strips;
}

bool run_one(const GemmCall& call, Way way, const Matrices& p, WorkSplit split) noexcept;

// A long sum in parts that depend on the shape alone, each a product of its own. Every chunk adds
// up some of them; those sums are added as a tree.
bool run_parts(const GemmCall& call, const Matrices& p, WorkSplit split) noexcept {
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
    for_chunks(chunks, split.team, [&](ptrdiff_t chunk) {
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
            fine = run_one(call, way_of(call, part, 1), part, unsplit);
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
bool lies_across(const GemmCall& call, const Matrices& p) noexcept {
    if (p.m == 1 || p.n == 1) return p.n != 1;
    return p.c_column != call.size && p.c_row == call.size;
}

// Complex elements of C that lie apart come together first.
bool run_aside(const GemmCall& call, Way way, const Matrices& p, WorkSplit split) noexcept {
    char* const c = block_new(static_cast<size_t>(p.m * p.n * call.size));
    if (!c) return false;
    Matrices aside = p;
    aside.c = c;
    aside.c_row = p.n * call.size;
    aside.c_column = call.size;
    bool const done = run_one(call, way, aside, split);
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

bool run_one(const GemmCall& call, Way way, const Matrices& p, WorkSplit split) noexcept {
    if (call.parts > 1 && p.c_column != call.size) return run_aside(call, way, p, split);
    switch (way) {
        case Way::vector:
            return run_vector(call, p, split);
        case Way::small:
            call.gemm.small(p, once);
            return true;
        case Way::strips:
            return run_strips(call, p, split);
        case Way::dot_tile:
            return run_dot_tile(call, p, split);
        case Way::parts:
            return run_parts(call, p, split);
        default:
            return run_packed(call, p, split);
    }
}

// A single small product, cut along its longer side.
bool split_small(const GemmCall& call, Way way, const Matrices& p, WorkSplit split) noexcept {
    bool const by_rows = p.m >= p.n;
    ptrdiff_t const length = by_rows ? p.m : p.n;
    ptrdiff_t const unit = by_rows ? call.gemm.mr : call.gemm.nr;
    ptrdiff_t const grain = round_up(
        larger(split.grain / (p.k * (by_rows ? p.n : p.m)), ceil_div(length, most_chunks)), unit);
    std::atomic<bool> done{true};
    for_chunks(ceil_div(length, grain), split.team, [&](ptrdiff_t i) {
        Matrices part = p;
        (by_rows ? part.m : part.n) = smaller(grain, length - i * grain);
        if (by_rows) {
            part.a += i * grain * p.a_row;
            part.c += i * grain * p.c_row;
        } else {
            part.b += i * grain * p.b_column;
            part.c += i * grain * p.c_column;
        }
        if (!run_one(call, way, part, unsplit)) done.store(false, std::memory_order_relaxed);
    });
    return done.load(std::memory_order_relaxed);
}

bool run_batch(const GemmCall& call, Way way, const Matrices& p, const Batch& batch,
               WorkSplit split, ptrdiff_t begin, ptrdiff_t end) noexcept {
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
                            if (!run_one(call, way, part, split)) return false;
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

bool run_general(const GemmCall& call, const Product& product, WorkSplit split) noexcept {
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
            split.team.threads > 1)
            return split_small(call, way, p, split);
        return run_one(call, way, p, split);
    }
    if (split.team.threads < 2 ||
        (batch.count < 2 * split.team.threads && (way == Way::packed || way == Way::vector)))
        return run_batch(call, way, p, batch, split, 0, batch.count);
    ptrdiff_t const per =
        larger(larger(split.grain / (p.m * p.n * p.k), 1), ceil_div(batch.count, most_chunks));
    std::atomic<bool> done{true};
    for_chunks(ceil_div(batch.count, per), split.team, [&](ptrdiff_t i) {
        if (!run_batch(call, way, p, batch, unsplit, i * per, smaller((i + 1) * per, batch.count)))
            done.store(false, std::memory_order_relaxed);
    });
    return done.load(std::memory_order_relaxed);
}

}  // namespace

bool has_gemm(const Table& table, DType t) noexcept { return gemm_of(table, t) != nullptr; }

bool multiply(const Table& table, ElementType of, const Product& p, WorkSplit split) noexcept {
    const Gemm& gemm = *gemm_of(table, of.part);
    ptrdiff_t const size = item_size(of.part);
    // Without a detour: what takes a few nanoseconds.
    if (!of.are_complex && p.batch_dims == 0 && split.team.threads < 2 && p.m > 0 && p.k > 0) {
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
                           split);
    return run_general({gemm, size, add, copy, 1, gemm.pack_a, gemm.pack_b}, p, split);
}

double cost_of(const Table& table, ElementType of, const Product& p) noexcept {
    double products = 1;
    for (int i = 0; i < p.batch_dims; ++i) products *= static_cast<double>(p.batch_shape[i]);
    double const m = static_cast<double>(p.m), n = static_cast<double>(p.n),
                 k = static_cast<double>(p.k);
    // Matrix x vector takes as long as its matrix takes to arrive.
    constexpr double ns_per_byte = 0.02;
    double const moved =
        (m * k + k * n + m * n) * static_cast<double>(item_size(of.part)) * ns_per_byte;
    double const ns = gemm_of(table, of.part)->ns;
    return products * (of.are_complex ? 4 * m * n * k * ns + 2 * moved : m * n * k * ns + moved);
}

WorkSplit split_for(const Table& table, ElementType of, const Product& p, int threads) noexcept {
    // Not worth the arithmetic.
    constexpr ptrdiff_t small = 64;
    if (threads < 2 || (p.batch_dims == 0 && p.m <= small && p.n <= small && p.k <= small))
        return unsplit;
    double multiplications =
        static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
    for (int i = 0; i < p.batch_dims; ++i) multiplications *= static_cast<double>(p.batch_shape[i]);
    constexpr double most = 0x1p62;
    return split_for(static_cast<ptrdiff_t>(multiplications < most ? multiplications : most),
                     cost_of(table, of, p), threads);
}

}  // namespace raptors
