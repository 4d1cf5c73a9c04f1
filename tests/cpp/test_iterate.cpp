// The iterator and the reduction driver against plain nested loops, on random nests.
#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "api/table.h"
#include "check.h"
#include "frame/memory/scratch.h"
#include "frame/nest/overlap.h"
#include "frame/run/expression.h"

using namespace raptors;

namespace {

std::mt19937 generator(7);
int below(int n) { return static_cast<int>(generator() % static_cast<unsigned>(n)); }

// Kernels for the tests: slow, any stride, counting what they are asked for.
long elements_seen;
void subtract_kernel(const Block& b, const void*) noexcept {
    for (ptrdiff_t r = 0; r < b.rows; ++r)
        for (ptrdiff_t i = 0; i < b.n; ++i) {
            double x, y;
            memcpy(&x, b.data[0] + r * b.outer[0] + i * b.inner[0], 8);
            memcpy(&y, b.data[1] + r * b.outer[1] + i * b.inner[1], 8);
            double const z = x - 3 * y;
            memcpy(b.data[2] + r * b.outer[2] + i * b.inner[2], &z, 8);
        }
    elements_seen += b.rows * b.n;
}
Kernel const subtract = {.function = subtract_kernel,
                         .inputs = 2,
                         .outputs = 1,
                         .dtypes = {DType::float64, DType::float64, DType::float64}};
template <class From, class To>
void cast_kernel(const Block& b, const void*) noexcept {
    for (ptrdiff_t r = 0; r < b.rows; ++r)
        for (ptrdiff_t i = 0; i < b.n; ++i) {
            From x;
            memcpy(&x, b.data[0] + r * b.outer[0] + i * b.inner[0], sizeof x);
            To const y = static_cast<To>(x);
            memcpy(b.data[1] + r * b.outer[1] + i * b.inner[1], &y, sizeof y);
        }
}
void select_kernel(const Block& b, const void*) noexcept {
    for (ptrdiff_t r = 0; r < b.rows; ++r)
        for (ptrdiff_t i = 0; i < b.n; ++i) {
            bool const c = b.data[0][r * b.outer[0] + i * b.inner[0]] != 0;
            int const k = c ? 1 : 2;
            memmove(b.data[3] + r * b.outer[3] + i * b.inner[3],
                    b.data[k] + r * b.outer[k] + i * b.inner[k], 8);
        }
}
Kernel const select = {.function = select_kernel,
                       .inputs = 3,
                       .outputs = 1,
                       .dtypes = {DType::boolean, DType::float64, DType::float64, DType::float64}};
void sum_kernel(const ReduceBlock& r) noexcept {
    for (ptrdiff_t row = 0; row < r.rows; ++row)
        for (ptrdiff_t i = 0; i < r.n; ++i) {
            double x, s;
            memcpy(&x, r.in + row * r.in_row + i * r.in_stride, 8);
            memcpy(&s, r.out + row * r.out_row, 8);
            s += x;
            memcpy(r.out + row * r.out_row, &s, 8);
        }
}
void argmax_kernel(const ReduceBlock& r) noexcept {
    for (ptrdiff_t row = 0; row < r.rows; ++row) {
        int64_t best = 0;
        double most = 0;
        for (ptrdiff_t i = 0; i < r.n; ++i) {
            double x;
            memcpy(&x, r.in + row * r.in_row + i * r.in_stride, 8);
            if (i == 0 || x > most) {
                most = x;
                best = i;
            }
        }
        memcpy(r.out + row * r.out_row, &best, 8);
    }
}

// A buffer that an operand of elements of `size` lives in.
struct Operand {
    std::vector<char> bytes;
    ptrdiff_t size = 8;
};

// Random memory layout for the axes that `real` marks: permuted, with gaps, backwards.
Operand place(Nest& nest, int operand, ptrdiff_t size, const std::vector<bool>& real) {
    Operand o;
    o.size = size;
    std::vector<int> order;
    for (int a = 0; a < nest.ndim; ++a) order.push_back(a);
    if (below(2)) std::shuffle(order.begin(), order.end(), generator);
    ptrdiff_t step = size * (below(4) ? 1 : 2), start = 0;
    for (int k = nest.ndim - 1; k >= 0; --k) {
        int const a = order[static_cast<size_t>(k)];
        if (!real[static_cast<size_t>(a)]) {
            nest.strides[operand][a] = 0;
            continue;
        }
        bool const backwards = below(4) == 0;
        nest.strides[operand][a] = backwards ? -step : step;
        if (backwards && nest.shape[a]) start += step * (nest.shape[a] - 1);
        step *= nest.shape[a] ? nest.shape[a] : 1;
        if (below(5) == 0) step += size;
    }
    o.bytes.assign(static_cast<size_t>(step + 64), 0);
    nest.data[operand] = o.bytes.data() + start;
    return o;
}

template <class T>
void fill(Operand& o) {
    for (size_t i = 0; i + sizeof(T) <= o.bytes.size(); i += sizeof(T)) {
        T const x = static_cast<T>(below(100));
        memcpy(&o.bytes[i], &x, sizeof x);
    }
}

Nest random_shape(int operands, bool empty_too) {
    Nest nest{};
    nest.ndim = below(7);
    nest.operands = operands;
    for (int a = 0; a < nest.ndim; ++a) {
        int const kind = below(12);
        nest.shape[a] = kind == 0                    ? 1
                        : kind == 1 && nest.ndim < 3 ? 200 + below(3000)
                                                     : 1 + below(5);
        if (empty_too && below(40) == 0) nest.shape[a] = 0;
    }
    return nest;
}

// body(pointers) for every index, the plain way.
template <class Body>
void each(const Nest& nest, Body body) {
    std::vector<ptrdiff_t> index(static_cast<size_t>(nest.ndim), 0);
    for (int a = 0; a < nest.ndim; ++a)
        if (nest.shape[a] == 0) return;
    for (;;) {
        char* p[max_operands] = {};
        for (int i = 0; i < nest.operands; ++i) {
            p[i] = nest.data[i];
            for (int a = 0; a < nest.ndim; ++a)
                p[i] += index[static_cast<size_t>(a)] * nest.strides[i][a];
        }
        body(p, index);
        int a = nest.ndim - 1;
        for (; a >= 0 && ++index[static_cast<size_t>(a)] == nest.shape[a]; --a)
            index[static_cast<size_t>(a)] = 0;
        if (a < 0) return;
    }
}

double value(const char* p, ptrdiff_t size) {
    if (size == 8) {
        double x;
        memcpy(&x, p, 8);
        return x;
    }
    if (size == 4) {
        float x;
        memcpy(&x, p, 4);
        return x;
    }
    return *reinterpret_cast<const int8_t*>(p);
}
void put(char* p, ptrdiff_t size, double x) {
    float const f = static_cast<float>(x);
    int8_t const i = static_cast<int8_t>(static_cast<int>(x));
    if (size == 8) memcpy(p, &x, 8);
    if (size == 4) memcpy(p, &f, 4);
    if (size == 1) memcpy(p, &i, 1);
}
KernelFn cast_in(ptrdiff_t size) {
    return size == 4   ? cast_kernel<float, double>
           : size == 1 ? cast_kernel<int8_t, double>
                       : nullptr;
}
KernelFn cast_out(ptrdiff_t size) {
    return size == 4   ? cast_kernel<double, float>
           : size == 1 ? cast_kernel<double, int8_t>
                       : nullptr;
}
void fill_by_size(Operand& o) {
    if (o.size == 8) fill<double>(o);
    if (o.size == 4) fill<float>(o);
    if (o.size == 1) fill<int8_t>(o);
}

std::vector<bool> random_axes(const Nest& nest, int in) {
    std::vector<bool> real;
    for (int a = 0; a < nest.ndim; ++a) real.push_back(below(in) != 0);
    return real;
}

// Broadcast, permuted, reversed operands of three sizes, with and without a mask.
void check_run() {
    for (int trial = 0; trial < 6000; ++trial) {
        bool const masked = trial % 3 == 2, casts = trial % 2;
        Nest nest = random_shape(masked ? 4 : 3, true);
        std::vector<bool> const all(static_cast<size_t>(nest.ndim), true);
        ptrdiff_t const sizes[] = {8, 4, 1};
        auto size = [&] { return casts ? sizes[below(3)] : ptrdiff_t{8}; };
        Operand x = place(nest, 0, size(), random_axes(nest, 4)),
                y = place(nest, 1, size(), random_axes(nest, 4)), out = place(nest, 2, size(), all),
                mask;
        fill_by_size(x);
        fill_by_size(y);
        fill_by_size(out);
        if (masked) {
            mask = place(nest, 3, 1, random_axes(nest, 6));
            int const density = 1 + below(9);
            for (char& c : mask.bytes)
                c = static_cast<char>(below(10) < density ? 1 + below(255) : 0);
        }
        bool const in_place = !masked && x.size == out.size && below(5) == 0;
        if (in_place) {
            nest.data[0] = nest.data[2];
            for (int a = 0; a < nest.ndim; ++a) nest.strides[0][a] = nest.strides[2][a];
        }
        std::vector<char> wanted = out.bytes;
        ptrdiff_t const shift = wanted.data() - out.bytes.data();
        long selected = 0;
        each(nest, [&](char** p, const auto&) {
            if (masked && !*p[3]) return;
            ++selected;
            put(p[2] + shift, out.size, value(p[0], x.size) - 3 * value(p[1], y.size));
        });
        ptrdiff_t const total = count(nest);
        simplify(nest);
        CHECK(count(nest) == total);
        Conversion const conversions[] = {
            {cast_in(x.size), 8}, {cast_in(y.size), 8}, {cast_out(out.size), 8}};
        elements_seen = 0;
        bool done = true;
        if (masked)
            done = run_masked(subtract, nest, casts || below(2) ? conversions : nullptr);
        else if (casts || below(2))
            done = run(subtract, nest, conversions);
        else
            run(subtract, nest);
        CHECK(done);
        // What casts find repeated is computed once.
        CHECK(casts ? elements_seen <= selected : elements_seen == selected);
        CHECK_MESSAGE(wanted == out.bytes, "trial %d", trial);
    }
}

void check_chunks() {
    for (int trial = 0; trial < 2000; ++trial) {
        Nest nest = random_shape(2, true);
        std::vector<bool> const all(static_cast<size_t>(nest.ndim), true);
        Operand x = place(nest, 0, 8, random_axes(nest, 4)), out = place(nest, 1, 8, all);
        fill<double>(x);
        std::vector<char> wanted = out.bytes;
        ptrdiff_t const shift = wanted.data() - out.bytes.data();
        each(nest, [&](char** p, const auto&) { memcpy(p[1] + shift, p[0], 8); });
        simplify(nest);
        ptrdiff_t const grain = 1 + below(500);
        Chunks const chunks(nest, grain);
        ptrdiff_t elements = 0;
        bool fits = true;
        for (ptrdiff_t i = chunks.count(); i--;) {
            Nest part;
            chunks.part(i, part);
            elements += count(part);
            fits &= count(part) <= grain + 64;
            run({cast_kernel<double, double>}, part);
        }
        CHECK(elements == count(nest) && fits);
        CHECK(wanted == out.bytes);
    }
}

void check_reduce() {
    for (int trial = 0; trial < 6000; ++trial) {
        bool const masked = trial % 3 == 2, casts = trial % 2;
        Nest nest = random_shape(masked ? 3 : 2, true);
        std::vector<bool> const all(static_cast<size_t>(nest.ndim), true);
        ptrdiff_t const sizes[] = {4, 1};
        Operand x = place(nest, 0, casts ? sizes[below(2)] : 8,
                          below(4) ? all : random_axes(nest, 4)),
                out = place(nest, 1, 8, random_axes(nest, 2)), mask;
        fill_by_size(x);
        fill<double>(out);
        if (masked) {
            mask = place(nest, 2, 1, random_axes(nest, 6));
            for (char& c : mask.bytes) c = static_cast<char>(below(3));
        }
        std::vector<char> wanted = out.bytes;
        ptrdiff_t const shift = wanted.data() - out.bytes.data();
        each(nest, [&](char** p, const auto&) {
            if (masked && !*p[2]) return;
            double s;
            memcpy(&s, p[1] + shift, 8);
            s += value(p[0], x.size);
            memcpy(p[1] + shift, &s, 8);
        });
        if (below(2)) simplify(nest);
        double const zero = 0;
        bool done = true;
        if (masked || casts) {
            Expression program;
            Expression::Value read = program.operand(0, static_cast<int>(x.size));
            if (casts) read = program.cast(cast_in(x.size), read, 8);
            if (masked)
                read = program.apply(select,
                                     {program.operand(2, 1), read, program.constant(&zero, 8)});
            program.reduce(sum_kernel, read);
            done = program.run(nest);
        } else {
            run_reduce(sum_kernel, nest);
        }
        CHECK(done);
        CHECK(wanted == out.bytes);
    }
}

void check_argreduce() {
    for (int trial = 0; trial < 3000; ++trial) {
        Nest nest = random_shape(2, false);
        if (nest.ndim == 0) continue;
        int const axis = below(nest.ndim);
        std::vector<bool> all(static_cast<size_t>(nest.ndim), true), kept = all;
        kept[static_cast<size_t>(axis)] = false;
        Operand x = place(nest, 0, 8, all), out = place(nest, 1, 8, kept);
        fill<double>(x);
        run_argreduce(argmax_kernel, nest, axis);
        bool right = true;
        each(nest, [&](char** p, const auto& index) {
            if (index[static_cast<size_t>(axis)]) return;
            int64_t best = 0;
            for (ptrdiff_t i = 1; i < nest.shape[axis]; ++i)
                if (value(p[0] + i * nest.strides[0][axis], 8) >
                    value(p[0] + best * nest.strides[0][axis], 8))
                    best = i;
            int64_t got;
            memcpy(&got, p[1], 8);
            right &= got == best;
        });
        CHECK(right);
    }
}

void check_simplify() {
    Nest nest{};
    nest.ndim = 3;
    nest.operands = 2;
    nest.shape[0] = 2, nest.shape[1] = 3, nest.shape[2] = 4;
    for (int i = 0; i < 2; ++i)
        nest.strides[i][0] = 96, nest.strides[i][1] = 32, nest.strides[i][2] = 8;
    char bytes[200];
    nest.data[0] = nest.data[1] = bytes;
    Nest n = nest;
    simplify(n);
    CHECK(n.ndim == 1 && n.shape[0] == 24 && n.strides[0][0] == 8 && n.strides[1][0] == 8);
    n = nest;  // all backwards, the axes in Fortran's order
    for (int i = 0; i < 2; ++i)
        n.strides[i][0] = -8, n.strides[i][1] = -16, n.strides[i][2] = -48, n.data[i] = bytes + 184;
    simplify(n);
    CHECK(n.ndim == 1 && n.shape[0] == 24 && n.strides[0][0] == 8 && n.data[0] == bytes &&
          n.data[1] == bytes);
    n = nest;  // one operand forwards: no reversal
    n.strides[0][2] = -8;
    n.data[0] = bytes + 24;
    simplify(n);
    CHECK(n.ndim == 2 && n.shape[1] == 4 && n.strides[0][1] == -8 && n.data[0] == bytes + 24);
    n = nest;
    n.shape[1] = 0;
    simplify(n);
    CHECK(n.ndim == 1 && n.shape[0] == 0);
    n = nest;
    n.shape[0] = n.shape[1] = n.shape[2] = 1;
    simplify(n);
    CHECK(n.ndim == 0 && count(n) == 1);
}

void check_order() {
    // As NumPy 2.4.6 lays out the result of np.add(x, y) with order='K': perm from the result's
    // strides.
    struct Case {
        int ndim, inputs;
        ptrdiff_t shape[4], strides[2][4];
        int perm[4];
    };
    const Case cases[] = {
#include "k_order.inc"
    };
    for (const Case& c : cases) {
        Nest nest{};
        nest.ndim = c.ndim;
        nest.operands = c.inputs;
        for (int a = 0; a < c.ndim; ++a) {
            nest.shape[a] = c.shape[a];
            for (int i = 0; i < c.inputs; ++i) nest.strides[i][a] = c.strides[i][a];
        }
        int perm[max_dims];
        k_order(nest, c.inputs, perm);
        for (int a = 0; a < c.ndim; ++a) CHECK(perm[a] == c.perm[a]);
    }
}

void check_overlap() {
    alignas(8) char bytes[4096];
    auto nest = [&](ptrdiff_t n, ptrdiff_t at0, ptrdiff_t s0, ptrdiff_t at1, ptrdiff_t s1) {
        Nest x{};
        x.ndim = 1;
        x.operands = 2;
        x.shape[0] = n;
        x.data[0] = bytes + at0;
        x.data[1] = bytes + at1;
        x.strides[0][0] = s0;
        x.strides[1][0] = s1;
        return x;
    };
    auto hit = [](const Nest& n, int a = 8, int b = 8) { return overlaps(n, 0, a, 1, b); };
    CHECK(!hit(nest(10, 0, 8, 0, 8)));  // the same
    CHECK(hit(nest(10, 0, 8, 8, 8)));   // shifted
    CHECK(hit(nest(10, 8, 8, 0, 8)));
    CHECK(!hit(nest(10, 0, 8, 80, 8)));  // side by side
    CHECK(hit(nest(10, 72, -8, 0, 8)));  // reversed
    CHECK(!hit(nest(10, 72, -8, 72, -8)));
    CHECK(!hit(nest(10, 0, 16, 8, 16)));     // even and odd
    CHECK(hit(nest(10, 0, 16, 4, 16)));      // not on element boundaries
    CHECK(hit(nest(10, 0, 8, 0, 16)));       // the same start, another stride
    CHECK(hit(nest(10, 0, 0, 0, 8)));        // a scalar out of the output
    CHECK(hit(nest(10, 0, 8, 0, 4), 8, 4));  // a view of another size
    CHECK(hit(nest(10, 0, 0, 0, 0)));        // every output the same element
    CHECK(!hit(nest(1, 0, 0, 0, 8)));
    CHECK(!hit(nest(0, 0, 8, 8, 8)));
    CHECK(hit(nest(10, 0, 4, 0, 4)));  // elements of one array that overlap each other
    Nest square = nest(10, 0, 80, 0, 8);
    square.ndim = 2;
    square.shape[1] = 10;
    square.strides[0][1] = 8;
    square.strides[1][1] = 80;
    CHECK(hit(square));  // a transposed view
    square.strides[1][0] = 80, square.strides[1][1] = 8;
    CHECK(!hit(square));
    // against byte sets, on small random operands: never a miss
    for (int trial = 0; trial < 20000; ++trial) {
        Nest n{};
        n.ndim = 1 + below(2);
        n.operands = 2;
        int const sizes[] = {1, 2, 4, 8};
        int const a = sizes[below(4)], b = sizes[below(4)];
        n.data[0] = bytes + 2000 + below(64);
        n.data[1] = bytes + 2000 + below(64);
        for (int k = 0; k < n.ndim; ++k) {
            n.shape[k] = 1 + below(5);
            n.strides[0][k] = a * (below(9) - 4);
            n.strides[1][k] = b * (below(9) - 4);
        }
        std::vector<int> owner(4096, 0);
        each(n, [&](char** p, const auto&) {
            for (int k = 0; k < a; ++k) owner[static_cast<size_t>(p[0] - bytes + k)] = 1;
        });
        bool shared = false;
        each(n, [&](char** p, const auto&) {
            for (int k = 0; k < b; ++k) shared |= owner[static_cast<size_t>(p[1] - bytes + k)] == 1;
        });
        bool same = n.data[0] == n.data[1] && a == b;
        for (int k = 0; k < n.ndim; ++k)
            same &= n.shape[k] == 1 || n.strides[0][k] == n.strides[1][k];
        if (shared && !same) CHECK(overlaps(n, 0, a, 1, b));
        if (!shared && n.ndim == 1)
            CHECK(!overlaps(n, 0, a, 1, b) || n.strides[0][0] != n.strides[1][0]);
    }
}

// Buffers of casts come out of the arena: no growth once it is there.
void check_scratch_use() {
    std::vector<float> x(100000, 1);
    std::vector<double> y(100000, 1), out(100000);
    Nest nest{};
    nest.ndim = 1;
    nest.operands = 3;
    nest.shape[0] = 100000;
    nest.data[0] = reinterpret_cast<char*>(x.data());
    nest.data[1] = reinterpret_cast<char*>(y.data());
    nest.data[2] = reinterpret_cast<char*>(out.data());
    nest.strides[0][0] = 4, nest.strides[1][0] = nest.strides[2][0] = 8;
    Conversion const conversions[] = {{cast_in(4), 8}, {nullptr, 8}, {nullptr, 8}};
    ScratchStats const before = scratch_stats();
    CHECK(run(subtract, nest, conversions));
    ScratchStats const after = scratch_stats();
    CHECK(after.taken > before.taken && after.taken - before.taken <= 64 << 10);
    CHECK(out.front() == -2 && out.back() == -2);
}

}  // namespace

int main() {
    check_simplify();
    check_order();
    check_overlap();
    check_run();
    check_chunks();
    check_reduce();
    check_argreduce();
    check_scratch_use();
    return checks.report("test_iterate");
}
