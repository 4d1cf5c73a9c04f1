#include "linalg/contraction.h"

#include <cmath>
#include <cstdlib>
#include <initializer_list>

#include "api/table.h"
#include "creation/from_objects.h"
#include "frame/threads/work_split.h"
#include "ops/elementwise.h"
#include "ops/reduce.h"
#include "runtime/threads.h"

namespace raptors {

alignas(16) char zero_element[16];

namespace {

// From the longest steps to the shortest.
void sort(Axes& axes, Step by) {
    for (int i = 1; i < axes.n; ++i)
        for (int j = i; j > 0 && std::abs(axes.at[j - 1].*by) < std::abs(axes.at[j].*by); --j)
            std::swap(axes.at[j - 1], axes.at[j]);
}

// Neighbours that are one run for the operands in `operands` become one axis.
void merge(Axes& axes, std::initializer_list<Step> operands) {
    int last = 0;
    for (int i = 1; i < axes.n; ++i) {
        Axis& outer = axes.at[last];
        const Axis& inner = axes.at[i];
        bool joined = true;
        for (Step const step : operands) joined &= outer.*step == inner.n * inner.*step;
        if (joined)
            outer = {outer.n * inner.n, inner.a, inner.b, inner.c};
        else
            axes.at[++last] = inner;
    }
    axes.n = std::min(axes.n, last + 1);
}

// What merging would leave.
Axes merged(const Axes& axes, Step by, std::initializer_list<Step> operands) {
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
Move pack(Axes& batch, Axes& outer, Axes& inner, Step step, npy_intp size, bool repeats) {
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

constexpr npy_intp piece = 1024;  // elements whose products stay in the first cache

// Nothing is summed. NumPy adds the products to zeros, which makes -0.0 positive.
bool multiply_elements(const Problem& p) {
    Kernel kernel = kernel_of(p.table, Op::multiply, p.t);
    if (!is_exact_dtype(p.t)) kernel.function = p.table.term[index(p.t)];
    if (!kernel) return refuse(Why::dtype);
    Nest const nest = make_nest(p);
    run_long(count(nest), cost_of(Op::multiply, p.t),
             [&](Share share) { run(kernel, nest, share); });
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
    auto const steps = [&](int i) { return nest.strides[i][last] > size_of(p.t); };
    if (count(nest) > (nest.ndim > 2 ? piece / 4 : 2 * piece) &&
        (nest.strides[2][last] || steps(0) || steps(1)))
        return refuse(Why::shape);
    fill_zeros(p);
    Chunks const chunks(nest, piece);
    npy_intp const n = count(nest), size = size_of(p.t);
    Temporary memory;
    char* const products = memory.make(std::min(n, 2 * piece) * size);
    if (!products) return false;
    auto call = [&](Share) {
        for (ptrdiff_t i = 0; i < chunks.count(); ++i) {
            Nest part;
            chunks.part(i, part);
            char* const out = part.data[2];
            Nest sums = nest_of(part, {2, 2});
            npy_intp bytes = size;
            for (int d = part.ndim - 1; d >= 0; --d) {
                part.strides[2][d] = sums.strides[0][d] = bytes;
                bytes *= part.shape[d];
            }
            part.data[2] = sums.data[0] = products;
            sums.data[1] = out;
            run(multiply, part);
            run_reduce(sum, sums);
        }
    };
    run_work(
        static_cast<double>(n) * cost_of(Op::multiply, p.t), [](int) { return unshared; }, call);
    return true;
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
    Move const move = pack(none, none, steps, &Axis::c, size_of(p.t), false);
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

}  // namespace

bool contract(Problem& p) {
    npy_intp const size = size_of(p.t);
    // Those of length 1 do not matter.
    for (Axes* const axes : {&p.kept, &p.summed}) {
        int left = 0;
        for (int i = 0; i < axes->n; ++i)
            if (axes->at[i].n != 1) axes->at[left++] = axes->at[i];
        axes->n = left;
    }
    if (p.kept.count() == 0) return true;
    if (p.summed.count() == 0) {
        fill_zeros(p);
        return true;
    }
    if (p.summed.n == 0) return multiply_elements(p);
    Axes batch, rows, columns, both, only_a, only_b;
    for (int i = 0; i < p.kept.n; ++i) {
        const Axis& x = p.kept.at[i];
        (!x.a == !x.b ? batch : x.a ? rows : columns).add(x);
    }
    for (int i = 0; i < p.summed.n; ++i) {
        const Axis& x = p.summed.at[i];
        (!x.a == !x.b ? both : x.a ? only_a : only_b).add(x);
    }
    if (only_a.n || only_b.n) {
        // NumPy adds such elements before it multiplies: worth it where a product of matrices is
        // left, or the call is all that counts.
        constexpr double short_sum = 512, worth_a_product = 4;
        bool const multiplies = both.n || (only_a.n && only_b.n);
        bool const pays = multiplies ? both.count() >= worth_a_product
                                     : !batch.n || !(only_a.n ? columns.n : rows.n);
        if (!pays && p.kept.count() * p.summed.count() > short_sum) return refuse(Why::shape);
        if (multiplies) {
            Axes& lone = only_a;
            for (int i = 0; i < only_b.n; ++i) lone.add(only_b.at[i]);
            p.summed = both;
            return contract_and_sum(p, lone);
        }
        both = only_a.n ? only_a : only_b;
    }

    // One order of the axes that are summed over.
    bool copy_a = false, copy_b = false;
    Step order = &Axis::a;
    if (both.n > 1) {
        double const of_a = rows.count() * batch.count(), of_b = columns.count() * batch.count();
        double best = of_a + of_b + 1;
        for (Step const by : {&Axis::a, &Axis::b}) {
            bool const a = merged(both, by, {&Axis::a}).n > 1;
            bool const b = merged(both, by, {&Axis::b}).n > 1;
            double const copied = (a ? of_a : 0) + (b ? of_b : 0);
            if (copied >= best) continue;
            best = copied;
            order = by;
            copy_a = a;
            copy_b = b;
        }
        sort(both, order);
    }
    // Products in a stack are short: there it pays to have a step without a gap.
    if (batch.n) {
        copy_a |= !rows.has_step(&Axis::a, size) && !both.has_step(&Axis::a, size) && rows.n;
        copy_b |= !columns.has_step(&Axis::b, size) && !both.has_step(&Axis::b, size) && columns.n;
    }
    // Without two matrices a copy takes as long as the sum itself.
    bool const steps_apart =
        !both.has_step(&Axis::a, size) || !both.has_step(&Axis::b, size) || copy_a || copy_b;
    if (!rows.n && !columns.n && !batch.n && both.count() > 0x1p21)
        return refuse(Why::shape);  // memory is the limit, and NumPy as fast
    // So it does where what is contiguous is the stack, and an element of a copy is used a few
    // times.
    constexpr int few = 16;
    bool const thin = (copy_a && batch.has_step(&Axis::a, size) && columns.count() < few) ||
                      (copy_b && batch.has_step(&Axis::b, size) && rows.count() < few);
    if (thin) return sum_elements(p);
    bool const slow = !rows.n && !columns.n ? steps_apart
                      : !columns.n          ? copy_a
                      : !rows.n             ? copy_b
                                            : false;
    if (slow && !rows.n && !columns.n) return sum_elements(p);
    if (slow && sum_kernel(p.table, p.t)) {
        // A matrix and a vector: one run of the sum at a time.
        constexpr npy_intp long_run = 16;
        Axes runs = merged(both, rows.n ? &Axis::a : &Axis::b, {&Axis::a, &Axis::b});
        if (runs.n < 2 || runs.longest() < long_run) return sum_elements(p);
        std::swap(*runs.find_longest(), runs.at[runs.n - 1]);
        --runs.n;
        p.summed = {};
        p.summed.add(runs.at[runs.n]);
        return contract_and_sum(p, runs);
    }

    // One run of rows, and one of columns; what is left goes to the stack. If little would be left
    // in the run, the result is made elsewhere first.
    auto is_poor = [](Axes axes) { return axes.n > 1 && axes.longest() < few; };
    bool const elsewhere =
        is_poor(merged(rows, &Axis::c, {copy_a ? &Axis::c : &Axis::a, &Axis::c})) ||
        is_poor(merged(columns, &Axis::c, {copy_b ? &Axis::c : &Axis::b, &Axis::c})) ||
        (batch.n && rows.n && columns.n && !rows.has_step(&Axis::c, size) &&
         !columns.has_step(&Axis::c, size));
    sort(batch, &Axis::c);
    sort(rows, elsewhere ? &Axis::a : &Axis::c);
    sort(columns, elsewhere ? &Axis::b : &Axis::c);
    if (elsewhere) {
        copy_a |= is_poor(merged(rows, &Axis::a, {&Axis::a}));
        copy_b |= is_poor(merged(columns, &Axis::b, {&Axis::b}));
    }
    if ((copy_a && batch.count() * rows.count() * both.count() > 8 * most_elements) ||
        (copy_b && batch.count() * columns.count() * both.count() > 8 * most_elements))
        return refuse(Why::shape);
    Temporary memory_a, memory_b, memory_c;
    auto const move_operand = [&](Temporary& memory, char*& data, const Move& move) {
        char* const to = memory.make(move.bytes);
        if (!to) return false;
        copy_nest(p.table, move.nd, move.dims, data, move.before, p.t, to, move.after, p.t);
        data = to;
        return true;
    };
    if (copy_a && !move_operand(memory_a, p.a, pack(batch, rows, both, &Axis::a, size, true)))
        return false;
    if (copy_b && !move_operand(memory_b, p.b, pack(batch, both, columns, &Axis::b, size, true)))
        return false;
    Move result;
    char* const c = p.c;
    if (elsewhere) {
        result = pack(batch, rows, columns, &Axis::c, size, false);
        p.c = memory_c.make(result.bytes);
        if (!p.c) return false;
    }
    merge(both, {&Axis::a, &Axis::b});
    for (Axes* const axes : {&rows, &columns}) {
        merge(*axes, {&Axis::a, &Axis::b, &Axis::c});
        if (axes->n < 2) continue;
        Step const step = axes == &rows ? &Axis::a : &Axis::b;
        Axis* best = axes->find_longest();
        // Without gaps if the sum's steps have some.
        for (int i = 0; i < axes->n; ++i)
            if (axes->at[i].*step == size && axes->at[i].n >= few / 2 && !both.has_step(step, size))
                best = axes->at + i;
        std::swap(axes->at[0], *best);
        for (int i = 1; i < axes->n; ++i) batch.add(axes->at[i]);
    }

    npy_intp shape[NPY_MAXDIMS], in_a[NPY_MAXDIMS], in_b[NPY_MAXDIMS], in_c[NPY_MAXDIMS];
    const Axis& k = both.at[0];
    // A lone row or column lies as if others followed.
    Axis const row = rows.n ? rows.at[0] : Axis{1, k.n * k.a, 0, size};
    Axis const column = columns.n ? columns.at[0] : Axis{1, 0, size, size};
    Product product;
    static_cast<Matrices&>(product) = {row.n, column.n, k.n,      p.a, row.a, k.a,
                                       p.b,   k.b,      column.b, p.c, row.c, column.c};
    product.batch_dims = batch.n;
    for (int i = 0; i < batch.n; ++i) {
        shape[i] = batch.at[i].n;
        in_a[i] = batch.at[i].a;
        in_b[i] = batch.at[i].b;
        in_c[i] = batch.at[i].c;
    }
    product.batch_shape = shape;
    product.a_batch = in_a;
    product.b_batch = in_b;
    product.c_batch = in_c;
    if (!run_product(p.table, p.t, product, &p.offload)) return false;
    if (elsewhere)
        copy_nest(p.table, result.nd, result.dims, p.c, result.after, p.t, c, result.before, p.t);
    return true;
}

}  // namespace raptors
