#include "linalg/contraction.h"

#include <cmath>
#include <cstdlib>
#include <initializer_list>

#include "api/table.h"
#include "creation/copying.h"
#include "frame/nest/axes.h"
#include "frame/run/expression.h"
#include "ops/elementwise.h"
#include "ops/reduce.h"
#include "runtime/threads.h"

namespace raptors {

alignas(16) char zero_element[16];

namespace {

// From the longest steps to the shortest.
void sort(Axes& axes, StrideOf by) {
    sort_axes_by(
        axes.n, [&](int i) { return magnitude(axes.at[i].*by); },
        [&](int place, int i) { rotate_to(axes.at, place, i); });
}

// Neighbours that are one run for the operands in `operands` become one axis.
void merge(Axes& axes, std::initializer_list<StrideOf> operands) {
    axes.n = merge_axes(
        axes.n, static_cast<int>(operands.size()), [&](int i) -> npy_intp& { return axes.at[i].n; },
        [&](int k, int i) { return axes.at[i].*operands.begin()[k]; },
        [&](int from, int to) { axes.at[to] = axes.at[from]; });
}

// What merging would leave.
Axes merged(const Axes& axes, StrideOf by, std::initializer_list<StrideOf> operands) {
    Axes copy = axes;
    sort(copy, by);
    merge(copy, operands);
    return copy;
}

// The same elements in two places.
struct Move {
    int nd = 0;
    npy_intp bytes = 0;
    npy_intp dims[NPY_MAXDIMS], before[NPY_MAXDIMS], after[NPY_MAXDIMS];
};

// Gives an operand's axes the steps that they have without gaps, the last of the last group first.
// A batch's axes keep to repeat.
Move pack(Axes& batch, Axes& outer, Axes& inner, StrideOf step, npy_intp size, bool repeats) {
    Move move;
    move.bytes = size;
    for (Axes* group : {&inner, &outer, &batch}) {
        for (int i = group->n - 1; i >= 0; --i) {
            Axis& x = group->at[i];
            if (group == &batch && repeats && x.*step == 0) continue;
            move.dims[move.nd] = x.n;
            move.before[move.nd] = x.*step;
            move.after[move.nd++] = move.bytes;
            x.*step = move.bytes;
            move.bytes *= x.n;
        }
    }
    return move;
}

Nest make_nest(const Problem& p) {
    Nest nest;
    nest.operands = 3;
    nest.data[0] = p.a;
    nest.data[1] = p.b;
    nest.data[2] = p.c;
    nest.ndim = 0;
    auto add = [&](const Axis& x, npy_intp c) {
        nest.shape[nest.ndim] = x.n;
        nest.strides[0][nest.ndim] = x.a;
        nest.strides[1][nest.ndim] = x.b;
        nest.strides[2][nest.ndim++] = c;
    };
    for (int i = 0; i < p.kept.n; ++i) add(p.kept.at[i], p.kept.at[i].c);
    for (int i = 0; i < p.summed.n; ++i) add(p.summed.at[i], 0);
    if (nest.ndim == 0) add({1, 0, 0, 0}, 0);
    simplify(nest);
    if (nest.ndim == 0) {
        nest.ndim = 1;
        nest.shape[0] = 1;
        for (int i = 0; i < 3; ++i) nest.strides[i][0] = 0;
    }
    return nest;
}

// Some of its operands.
Nest nest_of(const Nest& nest, std::initializer_list<int> operands) {
    Nest to;
    to.ndim = nest.ndim;
    to.operands = 0;
    for (int d = 0; d < nest.ndim; ++d) to.shape[d] = nest.shape[d];
    for (int const i : operands) {
        to.data[to.operands] = nest.data[i];
        for (int d = 0; d < nest.ndim; ++d) to.strides[to.operands][d] = nest.strides[i][d];
        ++to.operands;
    }
    return to;
}

void fill_zeros(const Problem& p) {
    npy_intp dims[NPY_MAXDIMS], none[NPY_MAXDIMS] = {}, strides[NPY_MAXDIMS];
    for (int i = 0; i < p.kept.n; ++i) {
        dims[i] = p.kept.at[i].n;
        strides[i] = p.kept.at[i].c;
    }
    copy_nest(p.table, p.kept.n, dims, zero_element, none, p.t, p.c, strides, p.t);
}

constexpr npy_intp piece = 1024;  // elements whose products stay in L1

// Nothing is summed. NumPy adds the products to zeros, which makes -0.0 positive.
bool multiply_elements(const Problem& p) {
    Kernel kernel = kernel_of(p.table, Op::multiply, p.t);
    if (!is_exact_dtype(p.t)) kernel.function = p.table.product[index(p.t)];
    if (!kernel) return refuse(Why::dtype);
    Nest const nest = make_nest(p);
    run_long(count(nest), cost_of(Op::multiply, p.t),
             [&](WorkSplit split) { run(kernel, nest, split); });
    return true;
}

// Products of a piece, then their sums: for what is no product of matrices. NumPy is as fast where
// that is long and does not lie in the order of the sums.
bool sum_elements(const Problem& p) {
    Kernel const multiply = kernel_of(p.table, Op::multiply, p.t);
    ReduceFn const sum = sum_kernel(p.table, p.t);
    if (!multiply || !sum) return refuse(Why::dtype);
    Nest const nest = make_nest(p);
    int const last = nest.ndim - 1;
    auto const steps = [&](int i) { return nest.strides[i][last] > item_size(p.t); };
    if (count(nest) > (nest.ndim > 2 ? piece / 4 : 2 * piece) &&
        (nest.strides[2][last] || steps(0) || steps(1)))
        return refuse(Why::shape);
    fill_zeros(p);
    Expression program;
    int const size = item_size(p.t);
    program.reduce(
        sum, program.apply(multiply, {program.operand(0, size), program.operand(2, size)}), piece);
    Nest const reduced = nest_of(nest, {0, 2, 1});
    bool done = true;
    run_long(count(nest), cost_of(Op::multiply, p.t),
             [&](WorkSplit split) { done = program.run(reduced, split); });
    if (!done) PyErr_NoMemory();
    return done;
}
}  // namespace

void sum_single(const Problem& p) {
    fill_zeros(p);
    sum_into(p.table, p.t, nest_of(make_nest(p), {0, 2}));
}

namespace {

// Sums over some axes come last, of products that are made elsewhere: so every product is a term,
// as in NumPy.
bool contract_and_sum(Problem& p, const Axes& last) {
    Axes steps = p.kept, none;
    for (int i = 0; i < last.n; ++i) steps.add({last.at[i].n, last.at[i].a, last.at[i].b, 0});
    if (!sum_kernel(p.table, p.t) || steps.count() > most_elements) return refuse(Why::shape);
    sort(steps, &Axis::b);
    sort(steps, &Axis::a);
    Move const move = pack(none, none, steps, &Axis::c, item_size(p.t), false);
    Temporary memory;
    char* const partial = memory.make(move.bytes);
    if (!partial) return false;
    Problem products = {p.table, p.t, p.a, p.b, partial, steps, p.summed};
    if (!contract(products)) return false;
    p.offload = products.offload;
    Problem sums = {p.table, p.t, partial, nullptr, p.c, {}, {}};
    for (int i = 0; i < move.nd; ++i)
        (move.before[i] ? sums.kept : sums.summed)
            .add({move.dims[i], move.after[i], 0, move.before[i]});
    sum_single(sums);
    return true;
}

// The axes of a product by the operands that have them.
struct Groups {
    Axes batch, rows, columns;  // kept: those of both operands or of none, of A, of B
    Axes summed;
};

// Which operands are copied first, to lie without gaps.
struct Copies {
    bool a = false, b = false;
};

constexpr int short_run =
    16;  // elements: a run so short is no run, a copy used so rarely does not pay

void drop_ones(Axes& axes) {
    int left = 0;
    for (int i = 0; i < axes.n; ++i)
        if (axes.at[i].n != 1) axes.at[left++] = axes.at[i];
    axes.n = left;
}

// Some summed axes are of one operand alone. NumPy adds such elements before it multiplies: worth
// it where a product of matrices is left, or the call is all that counts. If nothing is left to
// multiply, they become the summed axes of `g`.
enum class Lone { contracted, refused, left };
Lone sum_lone_axes(Problem& p, Groups& g, Axes& only_a, const Axes& only_b) {
    constexpr double short_sum = 512, worth_a_product = 4;
    bool const multiplies = g.summed.n || (only_a.n && only_b.n);
    bool const pays = multiplies ? g.summed.count() >= worth_a_product
                                 : !g.batch.n || !(only_a.n ? g.columns.n : g.rows.n);
    if (!pays && p.kept.count() * p.summed.count() > short_sum) {
        refuse(Why::shape);
        return Lone::refused;
    }
    if (!multiplies) {
        g.summed = only_a.n ? only_a : only_b;
        return Lone::left;
    }
    for (int i = 0; i < only_b.n; ++i) only_a.add(only_b.at[i]);
    p.summed = g.summed;
    return contract_and_sum(p, only_a) ? Lone::contracted : Lone::refused;
}

// Puts the axes that are summed over into the order of one operand: that by which less is copied.
Copies order_sums(Groups& g, npy_intp size) {
    Copies copies;
    if (g.summed.n > 1) {
        StrideOf order = &Axis::a;
        double const of_a = g.rows.count() * g.batch.count();
        double const of_b = g.columns.count() * g.batch.count();
        double best = of_a + of_b + 1;
        for (StrideOf const by : {&Axis::a, &Axis::b}) {
            bool const a = merged(g.summed, by, {&Axis::a}).n > 1;
            bool const b = merged(g.summed, by, {&Axis::b}).n > 1;
            double const copied = (a ? of_a : 0) + (b ? of_b : 0);
            if (copied >= best) continue;
            best = copied;
            order = by;
            copies = {a, b};
        }
        sort(g.summed, order);
    }
    // Products in a stack are short: there it pays to have a step without a gap.
    if (g.batch.n) {
        auto const lies_apart = [&](const Axes& kept, StrideOf step) {
            return !kept.has_step(step, size) && !g.summed.has_step(step, size) && kept.n;
        };
        copies.a |= lies_apart(g.rows, &Axis::a);
        copies.b |= lies_apart(g.columns, &Axis::b);
    }
    return copies;
}

// A matrix and a vector whose sums are no single run: one run at a time.
bool sum_runs(Problem& p, const Groups& g) {
    constexpr npy_intp long_run = 16;
    Axes runs = merged(g.summed, g.rows.n ? &Axis::a : &Axis::b, {&Axis::a, &Axis::b});
    if (runs.n < 2 || runs.longest() < long_run) return sum_elements(p);
    std::swap(*runs.find_longest(), runs.at[runs.n - 1]);
    --runs.n;
    p.summed = {};
    p.summed.add(runs.at[runs.n]);
    return contract_and_sum(p, runs);
}

// One run of rows, and one of columns; what is left goes to the stack. If little would be left in
// the run, the result is made elsewhere first.
bool is_made_elsewhere(Groups& g, Copies& copies, npy_intp size) {
    auto is_poor = [](Axes axes) { return axes.n > 1 && axes.longest() < short_run; };
    bool const elsewhere =
        is_poor(merged(g.rows, &Axis::c, {copies.a ? &Axis::c : &Axis::a, &Axis::c})) ||
        is_poor(merged(g.columns, &Axis::c, {copies.b ? &Axis::c : &Axis::b, &Axis::c})) ||
        (g.batch.n && g.rows.n && g.columns.n && !g.rows.has_step(&Axis::c, size) &&
         !g.columns.has_step(&Axis::c, size));
    sort(g.batch, &Axis::c);
    sort(g.rows, elsewhere ? &Axis::a : &Axis::c);
    sort(g.columns, elsewhere ? &Axis::b : &Axis::c);
    if (elsewhere) {
        copies.a |= is_poor(merged(g.rows, &Axis::a, {&Axis::a}));
        copies.b |= is_poor(merged(g.columns, &Axis::b, {&Axis::b}));
    }
    return elsewhere;
}

// Leaves one axis that is summed over, one of rows and one of columns.
void merge_runs(Groups& g, npy_intp size) {
    merge(g.summed, {&Axis::a, &Axis::b});
    for (Axes* const axes : {&g.rows, &g.columns}) {
        merge(*axes, {&Axis::a, &Axis::b, &Axis::c});
        if (axes->n < 2) continue;
        StrideOf const step = axes == &g.rows ? &Axis::a : &Axis::b;
        Axis* best = axes->find_longest();
        // Without gaps if the sum's steps have some.
        for (int i = 0; i < axes->n; ++i)
            if (axes->at[i].*step == size && axes->at[i].n >= short_run / 2 &&
                !g.summed.has_step(step, size))
                best = axes->at + i;
        std::swap(axes->at[0], *best);
        for (int i = 1; i < axes->n; ++i) g.batch.add(axes->at[i]);
    }
}

// A stack of products of matrices, of merged axes.
bool run_groups(Problem& p, const Groups& g, npy_intp size) {
    npy_intp shape[NPY_MAXDIMS], in_a[NPY_MAXDIMS], in_b[NPY_MAXDIMS], in_c[NPY_MAXDIMS];
    const Axis& k = g.summed.at[0];
    // A lone row or column lies as if others followed.
    Axis const row = g.rows.n ? g.rows.at[0] : Axis{1, k.n * k.a, 0, size};
    Axis const column = g.columns.n ? g.columns.at[0] : Axis{1, 0, size, size};
    Product product;
    static_cast<Matrices&>(product) = {row.n, column.n, k.n,      p.a, row.a, k.a,
                                       p.b,   k.b,      column.b, p.c, row.c, column.c};
    product.batch_dims = g.batch.n;
    for (int i = 0; i < g.batch.n; ++i) {
        shape[i] = g.batch.at[i].n;
        in_a[i] = g.batch.at[i].a;
        in_b[i] = g.batch.at[i].b;
        in_c[i] = g.batch.at[i].c;
    }
    product.batch_shape = shape;
    product.a_batch = in_a;
    product.b_batch = in_b;
    product.c_batch = in_c;
    return run_product(p.table, p.t, product, &p.offload);
}

// Copies what has to be, multiplies, and copies the result if it was made elsewhere.
bool multiply_groups(Problem& p, Groups& g, Copies copies) {
    npy_intp const size = item_size(p.t);
    bool const elsewhere = is_made_elsewhere(g, copies, size);
    double const copied = g.batch.count() * g.summed.count(), most = 8 * most_elements;
    if ((copies.a && copied * g.rows.count() > most) ||
        (copies.b && copied * g.columns.count() > most))
        return refuse(Why::shape);
    Temporary memory_a, memory_b, memory_c;
    auto const move_operand = [&](Temporary& memory, char*& data, const Move& move) {
        char* const to = memory.make(move.bytes);
        if (!to) return false;
        copy_nest(p.table, move.nd, move.dims, data, move.before, p.t, to, move.after, p.t);
        data = to;
        return true;
    };
    if (copies.a &&
        !move_operand(memory_a, p.a, pack(g.batch, g.rows, g.summed, &Axis::a, size, true)))
        return false;
    if (copies.b &&
        !move_operand(memory_b, p.b, pack(g.batch, g.summed, g.columns, &Axis::b, size, true)))
        return false;
    Move result;
    char* const c = p.c;
    if (elsewhere) {
        result = pack(g.batch, g.rows, g.columns, &Axis::c, size, false);
        p.c = memory_c.make(result.bytes);
        if (!p.c) return false;
    }
    merge_runs(g, size);
    if (!run_groups(p, g, size)) return false;
    if (elsewhere)
        copy_nest(p.table, result.nd, result.dims, p.c, result.after, p.t, c, result.before, p.t);
    return true;
}

}  // namespace

bool contract(Problem& p) {
    npy_intp const size = item_size(p.t);
    drop_ones(p.kept);
    drop_ones(p.summed);
    if (p.kept.count() == 0) return true;
    if (p.summed.count() == 0) {
        fill_zeros(p);
        return true;
    }
    if (p.summed.n == 0) return multiply_elements(p);
    Groups g;
    Axes only_a, only_b;
    for (int i = 0; i < p.kept.n; ++i) {
        const Axis& x = p.kept.at[i];
        (!x.a == !x.b ? g.batch : x.a ? g.rows : g.columns).add(x);
    }
    for (int i = 0; i < p.summed.n; ++i) {
        const Axis& x = p.summed.at[i];
        (!x.a == !x.b ? g.summed : x.a ? only_a : only_b).add(x);
    }
    if (only_a.n || only_b.n) {
        Lone const lone = sum_lone_axes(p, g, only_a, only_b);
        if (lone != Lone::left) return lone == Lone::contracted;
    }
    Copies const copies = order_sums(g, size);
    if (!g.rows.n && !g.columns.n && !g.batch.n && g.summed.count() > 0x1p21)
        return refuse(Why::shape);  // memory is the limit, and NumPy as fast
    // A copy takes as long as the sum itself where what is contiguous is the stack, and an element
    // of a copy is used a few times; and where there are no two matrices.
    bool const is_thin =
        (copies.a && g.batch.has_step(&Axis::a, size) && g.columns.count() < short_run) ||
        (copies.b && g.batch.has_step(&Axis::b, size) && g.rows.count() < short_run);
    if (is_thin) return sum_elements(p);
    if (!g.rows.n && !g.columns.n) {
        bool const steps_apart = !g.summed.has_step(&Axis::a, size) ||
                                 !g.summed.has_step(&Axis::b, size) || copies.a || copies.b;
        if (steps_apart) return sum_elements(p);
    } else if (((!g.columns.n && copies.a) || (!g.rows.n && copies.b)) &&
               sum_kernel(p.table, p.t)) {
        return sum_runs(p, g);
    }
    return multiply_groups(p, g, copies);
}

}  // namespace raptors
