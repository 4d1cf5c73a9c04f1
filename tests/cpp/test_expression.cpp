// Random programs on random nests against a plain interpreter: layouts, casts, masks, reductions,
// threads, the status of each instruction, too little memory.
#include "frame/run/expression.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "api/table.h"
#include "check.h"
#include "dispatch.h"
#include "elementary.h"
#include "frame/fp/fpstatus.h"
#include "frame/threads/pool.h"

using namespace raptors;

namespace {

std::mt19937 generator(11);
int below(int n) { return static_cast<int>(generator() % static_cast<unsigned>(n)); }
size_t at(int i) { return static_cast<size_t>(i); }

const Table& kernels() { return *table(Isa::scalar); }

// An operand that lives in memory of its own.
struct Operand {
    std::vector<char> bytes;
    DType dtype = DType::float64;
};

double read(const char* p, DType t) {
    double value = 0;
    with_elementary_type(t, [&](auto tag) {
        typename decltype(tag)::type x;
        memcpy(&x, p, sizeof x);
        value = static_cast<double>(x);
    });
    return value;
}

// Random memory for the axes that `real` marks: permuted, with gaps, backwards.
Operand place(Nest& nest, int operand, DType t, const std::vector<bool>& real) {
    Operand o;
    o.dtype = t;
    std::vector<int> order;
    for (int a = 0; a < nest.ndim; ++a) order.push_back(a);
    if (below(2)) std::shuffle(order.begin(), order.end(), generator);
    ptrdiff_t step = item_size(t) * (below(4) ? 1 : 2), start = 0;
    for (int k = nest.ndim - 1; k >= 0; --k) {
        int const a = order[at(k)];
        nest.strides[operand][a] = 0;
        if (!real[at(a)]) continue;
        bool const backwards = below(4) == 0;
        nest.strides[operand][a] = backwards ? -step : step;
        if (backwards) start += step * (nest.shape[a] - 1);
        step *= nest.shape[a];
        if (below(5) == 0) step += item_size(t);
    }
    o.bytes.assign(at(static_cast<int>(step) + 64), 0);
    ptrdiff_t const size = item_size(t);
    for (ptrdiff_t i = 0; i + size <= static_cast<ptrdiff_t>(o.bytes.size()); i += size)
        with_elementary_type(t, [&](auto tag) {
            auto const x = static_cast<typename decltype(tag)::type>(below(2) ? below(100) : 0);
            memcpy(&o.bytes[at(static_cast<int>(i))], &x, sizeof x);
        });
    nest.data[operand] = o.bytes.data() + start;
    return o;
}

std::vector<bool> axes(const Nest& nest, int out_of) {
    std::vector<bool> real;
    for (int a = 0; a < nest.ndim; ++a) real.push_back(below(out_of) != 0);
    return real;
}

Nest random_shape(int operands) {
    Nest nest;
    nest.ndim = below(5);
    nest.operands = operands;
    ptrdiff_t total = 1;
    for (int a = 0; a < nest.ndim; ++a) {
        nest.shape[a] = 1 + below(total > 500 ? 4 : below(6) ? 12 : 900);
        total *= nest.shape[a];
    }
    return nest;
}

WorkSplit random_split() {
    if (below(2)) return unsplit;
    return {{1 + below(3), false, 1e9}, 1 + below(4000)};
}

// body(pointers to the operands of an element) for each of a nest, one by one.
template <class Body>
void each(const Nest& nest, Body body) {
    std::vector<ptrdiff_t> index(at(nest.ndim), 0);
    for (int a = 0; a < nest.ndim; ++a)
        if (!nest.shape[a]) return;
    for (;;) {
        char* p[max_nest_operands];
        for (int i = 0; i < nest.operands; ++i) {
            p[i] = nest.data[i];
            for (int a = 0; a < nest.ndim; ++a) p[i] += index[at(a)] * nest.strides[i][a];
        }
        body(p);
        int a = nest.ndim - 1;
        while (a >= 0 && ++index[at(a)] == nest.shape[a]) index[at(a--)] = 0;
        if (a < 0) return;
    }
}

// ---- the plain interpreter: a double for each value of one element

struct Step {
    enum { load, constant, cast, apply } what;
    int index = 0;               // operand
    DType dtype{};               // of the value
    double number = 0;           // constant
    Op op{};                     // apply
    std::vector<int> arguments;  // steps
    Expression::Value value{};   // in the program
};

double compute(const std::vector<Step>& steps, int i, char* const* p) {
    const Step& s = steps[at(i)];
    auto argument = [&](int k) { return compute(steps, s.arguments[at(k)], p); };
    auto rounded = [&](double x) {
        return s.dtype == DType::float32 ? static_cast<double>(static_cast<float>(x)) : x;
    };
    switch (s.what) {
        case Step::load:
            return read(p[s.index], s.dtype);
        case Step::constant:
            return s.number;
        case Step::cast:
            return rounded(argument(0));
        default:
            break;
    }
    double const x = argument(0), y = s.arguments.size() > 1 ? argument(1) : 0;
    if (s.op == Op::add) return rounded(x + y);
    if (s.op == Op::subtract) return rounded(x - y);
    if (s.op == Op::maximum) return x > y ? x : y;
    if (s.op == Op::less) return x < y;
    if (s.op == Op::absolute) return std::fabs(x);
    return (x != 0) ? y : argument(2);  // where
}

// A random program over the inputs; its last step's value has the dtype `t`.
struct Random {
    std::vector<Step> steps;
    Expression program;

    int add(Step s) {
        steps.push_back(s);
        return static_cast<int>(steps.size()) - 1;
    }
    Expression::Value value(int i) const { return steps[at(i)].value; }
    int load(int operand, DType t) {
        return add({.what = Step::load,
                    .index = operand,
                    .dtype = t,
                    .arguments = {},
                    .value = program.operand(operand, item_size(t))});
    }
    int cast(int from, DType t) {
        KernelFn const kernel =
            kernels().cast[static_cast<int>(steps[at(from)].dtype)][static_cast<int>(t)];
        return add({.what = Step::cast,
                    .dtype = t,
                    .arguments = {from},
                    .value = program.cast(kernel, value(from), item_size(t))});
    }
    int apply(Op op, DType t, std::vector<int> arguments) {
        std::vector<Expression::Value> values;
        for (int const i : arguments) values.push_back(value(i));
        Kernel const kernel = kernel_of(kernels(), op, t);
        DType const result = kernel.dtypes[kernel.inputs];
        return add({.what = Step::apply,
                    .dtype = result,
                    .op = op,
                    .arguments = arguments,
                    .value = program.apply(kernel, values.data())});
    }
    int constant(double x, DType t) {
        Element element;
        with_elementary_type(t, [&](auto tag) {
            auto const v = static_cast<typename decltype(tag)::type>(x);
            memcpy(element.bytes, &v, sizeof v);
        });
        return add({.what = Step::constant,
                    .dtype = t,
                    .number = x,
                    .arguments = {},
                    .value = program.constant(element, item_size(t))});
    }
};

void build(Random& r, const std::vector<Operand>& inputs, const std::vector<int>& slots, DType t) {
    std::vector<int> known;
    for (size_t i = 0; i < inputs.size(); ++i) {
        int x = r.load(slots[i], inputs[i].dtype);
        if (inputs[i].dtype != t) x = r.cast(x, t);
        known.push_back(x);
    }
    known.push_back(r.constant(below(9), t));
    auto any = [&] { return known[at(below(static_cast<int>(known.size())))]; };
    for (int more = 1 + below(5); more > 0; --more) {
        switch (below(5)) {
            case 0:
                known.push_back(r.apply(Op::add, t, {any(), any()}));
                break;
            case 1:
                known.push_back(r.apply(Op::subtract, t, {any(), any()}));
                break;
            case 2:
                known.push_back(r.apply(Op::maximum, t, {any(), any()}));
                break;
            case 3:
                known.push_back(r.apply(Op::absolute, t, {any()}));
                break;
            default:
                known.push_back(
                    r.apply(Op::where, t, {r.apply(Op::less, t, {any(), any()}), any(), any()}));
        }
    }
    if (r.steps.back().what != Step::apply) r.apply(Op::absolute, t, {known.back()});
}

DType random_dtype() {
    DType const all[] = {DType::float64, DType::float32, DType::int16, DType::uint8};
    return all[below(4)];
}

std::vector<char> wanted_of(const Nest& nest, const std::vector<Step>& steps, int last,
                            const Operand& out, int slot, bool masked) {
    std::vector<char> wanted = out.bytes;
    ptrdiff_t const shift = wanted.data() - out.bytes.data();
    each(nest, [&](char** p) {
        if (masked && !*p[nest.operands - 1]) return;
        double const x = compute(steps, last, p);
        with_elementary_type(out.dtype, [&](auto tag) {
            auto const v = static_cast<typename decltype(tag)::type>(x);
            memcpy(p[slot] + shift, &v, sizeof v);
        });
    });
    return wanted;
}

void check_elementwise() {
    for (int trial = 0; trial < 500 * patience; ++trial) {
        bool const masked = below(3) == 0;
        int const n = 1 + below(4);
        Nest nest = random_shape(n + 1 + masked);
        DType const t = below(2) ? DType::float64 : DType::float32;
        std::vector<Operand> inputs;
        std::vector<int> slots;
        for (int i = 0; i < n; ++i) {
            inputs.push_back(place(nest, i, random_dtype(), axes(nest, 4)));
            if (inputs.back().dtype == DType::float64 && t == DType::float32)
                inputs.back() = place(nest, i, DType::float32, axes(nest, 4));
            slots.push_back(i);
        }
        Random r;
        build(r, inputs, slots, t);
        int last = static_cast<int>(r.steps.size()) - 1;
        if (below(3) == 0) last = r.cast(last, DType::float64);
        Operand out =
            place(nest, n, r.steps[at(last)].dtype, std::vector<bool>(at(nest.ndim), true));
        Operand mask;
        if (masked) {
            mask = place(nest, n + 1, DType::uint8, axes(nest, 6));
            r.program.where_last_operand();
        }
        std::vector<char> const wanted = wanted_of(nest, r.steps, last, out, n, masked);
        r.program.store(r.value(last), n);
        simplify(nest);
        CHECK(r.program.run(nest, random_split()));
        CHECK_MESSAGE(wanted == out.bytes, "trial %d", trial);
    }
}

void check_reductions() {
    int const sum = static_cast<int>(Combine::add);
    for (int trial = 0; trial < 500 * patience; ++trial) {
        int const n = 1 + below(3);
        Nest nest = random_shape(n + 1);
        std::vector<Operand> inputs;
        std::vector<int> slots;
        for (int i = 0; i < n; ++i) {
            slots.push_back(i ? i + 1 : 0);
            inputs.push_back(place(nest, slots.back(), random_dtype(), axes(nest, 4)));
        }
        Random r;
        build(r, inputs, slots, DType::float64);
        int const last = static_cast<int>(r.steps.size()) - 1;
        Operand out = place(nest, 1, DType::float64, axes(nest, 2));
        std::vector<char> wanted = out.bytes;
        ptrdiff_t const shift = wanted.data() - out.bytes.data();
        each(nest, [&](char** p) {  // whole numbers: exact in any order
            double s = read(p[1] + shift, DType::float64);
            s += compute(r.steps, last, p);
            memcpy(p[1] + shift, &s, sizeof s);
        });
        r.program.reduce(kernels().reduce[sum][static_cast<int>(DType::float64)], r.value(last));
        if (below(2)) simplify(nest);
        CHECK(r.program.run(nest, random_split()));
        CHECK_MESSAGE(wanted == out.bytes, "trial %d", trial);
    }
}

// Sums of fractions are the same bytes by one thread and by several.
void check_sums_by_threads() {
    int const f64 = static_cast<int>(DType::float64), f32 = static_cast<int>(DType::float32);
    for (int trial = 0; trial < 40 * patience; ++trial) {
        Nest nest{};
        nest.ndim = 2;
        nest.operands = 2;
        nest.shape[0] = 1 + below(700);
        nest.shape[1] = 1 + below(700);
        std::vector<float> x(at(static_cast<int>(nest.shape[0] * nest.shape[1])));
        for (float& v : x) v = static_cast<float>(below(1000)) / 7;
        std::vector<double> out[2];
        int const kept = below(2);
        nest.data[0] = reinterpret_cast<char*>(x.data());
        nest.strides[0][0] = 4 * nest.shape[1];
        nest.strides[0][1] = 4;
        nest.strides[1][kept] = 8;
        for (int k = 0; k < 2; ++k) {
            out[k].assign(at(static_cast<int>(nest.shape[kept])), 0);
            nest.data[1] = reinterpret_cast<char*>(out[k].data());
            Expression program;
            auto const wide = program.cast(kernels().cast[f32][f64], program.operand(0, 4), 8);
            program.reduce(kernels().reduce[static_cast<int>(Combine::add)][f64], wide);
            CHECK(program.run(nest, k ? WorkSplit{{2, false, 1e9}, 1 + below(5000)} : unsplit));
        }
        CHECK(out[0] == out[1]);
    }
}

// What overflows is told apart from what divides by zero, in whichever piece and thread it lies.
void check_status() {
    constexpr int n = 100'000;
    std::vector<double> x(n, 2), out(n);
    x[70'000] = 1e300;
    x[30'000] = 0;
    Nest nest{};
    nest.ndim = 1;
    nest.operands = 2;
    nest.shape[0] = n;
    nest.strides[0][0] = nest.strides[1][0] = 8;
    nest.data[0] = reinterpret_cast<char*>(x.data());
    nest.data[1] = reinterpret_cast<char*>(out.data());
    for (int threads = 1; threads < 4; ++threads) {
        Expression program;
        double const one = 1;
        auto const loaded = program.operand(0, 8);
        auto const squares =
            program.apply(kernel_of(kernels(), Op::multiply, DType::float64), {loaded, loaded});
        auto const quotients = program.apply(kernel_of(kernels(), Op::divide, DType::float64),
                                             {program.constant(&one, 8), squares});
        program.store(quotients, 1);
        int status[Expression::most_instructions + 1] = {};
        clear_fp_status();
        raise_fp_status(fp_invalid);  // somebody else's
        CHECK(program.run(nest, {{threads, false, 1e9}, 1000}, status));
        CHECK(status[Expression::number(squares)] == fp_overflow);
        CHECK(status[Expression::number(quotients)] == fp_divide_by_zero);
        CHECK(status[program.length()] == 0);
        CHECK(fp_status() == 0);
    }
}

// A result that is decided ends the run: the last element is not read.
void check_stop() {
    constexpr int n = 1 << 20;
    long seen = 0;
    static long* count_of_seen = &seen;
    Kernel const watched = {.function =
                                [](const Block& b, const void*) noexcept {
                                    *count_of_seen += b.n * b.rows;
                                    for (ptrdiff_t i = 0; i < b.n; ++i)
                                        b.data[1][i * b.inner[1]] = b.data[0][i * b.inner[0]];
                                },
                            .inputs = 1,
                            .outputs = 1,
                            .dtypes = {DType::boolean, DType::boolean}};
    std::vector<char> x(n, 1);
    for (int const decisive : {-1, 5000}) {
        if (decisive >= 0) x[at(decisive)] = 0;
        char all = 1;
        Nest nest{};
        nest.ndim = 1;
        nest.operands = 2;
        nest.shape[0] = n;
        nest.strides[0][0] = 1;
        nest.data[0] = x.data();
        nest.data[1] = &all;
        Expression program;
        program.reduce(kernels().reduce[static_cast<int>(Combine::logical_and)]
                                       [static_cast<int>(DType::boolean)],
                       program.apply(watched, {program.operand(0, 1)}), 1024, true);
        seen = 0;
        CHECK(program.run(nest));
        CHECK(all == (decisive < 0));
        CHECK(seen == (decisive < 0 ? n : (decisive / 1024 + 1) * 1024));
    }
}

// A piece that no address space has room for, of an element that repeats.
void check_out_of_memory() {
    constexpr ptrdiff_t endless = ptrdiff_t{1} << 50;
    float x = 1, sum = 0;
    Nest nest{};
    nest.ndim = 1;
    nest.operands = 2;
    nest.shape[0] = endless;
    nest.data[0] = reinterpret_cast<char*>(&x);
    nest.data[1] = reinterpret_cast<char*>(&sum);
    Expression program;
    program.reduce(
        kernels().reduce[static_cast<int>(Combine::add)][static_cast<int>(DType::float32)],
        program.apply(kernel_of(kernels(), Op::absolute, DType::float32), {program.operand(0, 4)}),
        endless);
    CHECK(!program.run(nest));
    CHECK(sum == 0);
}

}  // namespace

int main() {
    check_elementwise();
    check_reductions();
    check_sums_by_threads();
    check_status();
    check_stop();
    check_out_of_memory();
    stop_pool();
    return checks.report("test_expression");
}
