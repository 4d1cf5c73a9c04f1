#include "linalg/contraction.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "api/table.h"
#include "array/free_lists.h"
#include "creation/from_objects.h"
#include "frame/fp/fpstatus.h"
#include "frame/memory/caching_allocator.h"
#include "frame/threads/work_split.h"
#include "linalg/product.h"
#include "ops/elementwise.h"
#include "ops/reduce.h"
#include "python/operand.h"
#include "runtime/threads.h"

namespace py = pybind11;

namespace raptors {
namespace {

Signature const einsum_signature = {5, 0, {"out", "optimize", "dtype", "order", "casting"}, {}};
Signature const tensordot_signature = {2, 2, {"b", "axes"}, {}};
Signature const linalg_tensordot_signature = {2, 1, {"", "axes"}, {}};

// ---- C = the sum of A B

// An axis: its length, and its steps in A, B and C; 0 where they repeat, in C that it is summed
// over.
struct Axis {
    npy_intp n, a, b, c;
};
using Step = npy_intp Axis::*;

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
    bool has_step(Step step, npy_intp size) const {
        for (int i = 0; i < n; ++i)
            if (at[i].*step == size) return true;
        return false;
    }
};

bool refuse(Why why) {
    declined = why;
    return false;
}

// What is to be computed.
struct Problem {
    const Table& table;
    DType t;
    char *a, *b, *c;
    Axes kept, summed;  // of the first every step in C counts, of the second none
    Offload offload{};
};

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

// The same elements in two places.
struct Move {
    int nd = 0;
    npy_intp bytes = 0;
    npy_intp dims[NPY_MAXDIMS], before[NPY_MAXDIMS], after[NPY_MAXDIMS];
};
constexpr double most_elements = 0x1p25;  // of what is made on the way and NumPy does not need

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

alignas(16) char zero[16];  // of any dtype; only read

void fill_zeros(const Problem& p) {
    npy_intp dims[NPY_MAXDIMS], none[NPY_MAXDIMS] = {}, strides[NPY_MAXDIMS];
    for (int i = 0; i < p.kept.n; ++i) {
        dims[i] = p.kept.at[i].n;
        strides[i] = p.kept.at[i].c;
    }
    copy_nest(p.table, p.kept.n, dims, zero, none, p.t, p.c, strides, p.t);
}

constexpr npy_intp piece = 1024;  // elements whose products stay in the first cache

bool is_exact_dtype(DType t) { return std::strchr("BIU", dtype_info[index(t)].kind); }

BlockFn kernel_of(const Problem& p, Op op) { return p.table.elementwise[index(op)][index(p.t)]; }

// Nothing is summed. NumPy adds the products to zeros, which makes -0.0 positive.
bool multiply_elements(const Problem& p) {
    BlockFn const kernel =
        is_exact_dtype(p.t) ? kernel_of(p, Op::multiply) : p.table.term[index(p.t)];
    if (!kernel) return refuse(Why::dtype);
    Nest const nest = make_nest(p);
    run_long(count(nest), cost_of(Op::multiply, p.t),
             [&](Share share) { run(kernel, nest, size_of(p.t), share); });
    return true;
}

// Products of a piece, then their sums: for what is no product of matrices. NumPy is as fast where
// that is long and does not lie in the order of the sums.
bool sum_elements(const Problem& p) {
    BlockFn const multiply = kernel_of(p, Op::multiply);
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

// Adds A up, B being one; C holds zeros or what is to be added to.
void sum_single(const Problem& p) {
    fill_zeros(p);
    sum_into(p.table, p.t, nest_of(make_nest(p), {0, 2}));
}

bool contract(Problem& p);

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

// False: declined, or an error is set.
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
            Axes& alone = only_a;
            for (int i = 0; i < only_b.n; ++i) alone.add(only_b.at[i]);
            p.summed = both;
            return contract_and_sum(p, alone);
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

// ---- einsum

constexpr int max_terms = 8;  // operands
constexpr int unknown = -1;

constexpr uint64_t bit(int i) { return uint64_t{1} << (static_cast<unsigned>(i) % 64); }
// body(i) for each bit, the lowest first; until that is false.
template <class Body>
bool for_bits(uint64_t bits, const Body& body) {
    for (; bits; bits &= bits - 1)
        if (!body(__builtin_ctzll(bits))) return false;
    return true;
}

// The axes that NumPy's iterator has: those of the result, then those that are summed over.
struct Subscripts {
    int nd, kept;
    npy_intp n[NPY_MAXDIMS];
    npy_intp strides[max_terms][NPY_MAXDIMS];  // 0 where an operand repeats
    uint64_t axes[max_terms];                  // those that an operand has, of other lengths than 1

    double count(uint64_t of) const {
        double total = 1;
        for_bits(of, [&](int d) {
            total *= static_cast<double>(n[d]);
            return true;
        });
        return total;
    }
};

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// The labels of one operand, or of the result.
struct Term {
    int n = 0, dots = unknown;    // how many come before the ellipsis
    uint8_t labels[NPY_MAXDIMS];  // from 'A'

    // `text` moves on to what ends the term. False: NumPy's error.
    bool read(const char*& text) {
        for (;; ++text) {
            if (is_letter(*text)) {
                if (n == NPY_MAXDIMS) return false;
                labels[n++] = static_cast<uint8_t>(*text - 'A');
            } else if (*text == '.') {
                if (dots != unknown || text[1] != '.' || text[2] != '.') return false;
                dots = n;
                text += 2;
            } else if (*text != ' ') {
                return true;
            }
        }
    }
};

// False: NumPy judges.
bool read_subscripts(PyObject* text, PyObject* const* operands, int terms, Subscripts& s) {
    if (!PyUnicode_CheckExact(text) || !PyUnicode_IS_COMPACT_ASCII(text)) return false;
    const char* at = reinterpret_cast<const char*>(PyUnicode_1BYTE_DATA(text));
    const char* const end = at + PyUnicode_GET_LENGTH(text);
    Term term[max_terms], result;
    uint64_t once = 0, again = 0;  // labels that occur, and that do so twice
    int stacked = 0;               // axes that an ellipsis stands for
    for (int i = 0; i < terms; ++i) {
        if (!term[i].read(at)) return false;
        if (i < terms - 1) {
            if (*at != ',') return false;
            ++at;
        }
        int const more = fields(operands[i])->nd - term[i].n;
        if (more < 0 || (more && term[i].dots == unknown)) return false;
        stacked = std::max(stacked, more);
        for (int d = 0; d < term[i].n; ++d) {
            again |= once & bit(term[i].labels[d]);
            once |= bit(term[i].labels[d]);
        }
    }
    uint8_t place[64];  // the axis of a label
    uint64_t placed = 0;
    s.nd = 0;
    auto add = [&](int label) {
        if (s.nd == NPY_MAXDIMS) return false;
        place[label] = static_cast<uint8_t>(s.nd);
        placed |= bit(label);
        for (int i = 0; i < terms; ++i) s.strides[i][s.nd] = 0;
        s.n[s.nd++] = 1;
        return true;
    };
    constexpr int no_label = 63;
    int first_stacked = 0;
    auto add_stacked = [&] {
        first_stacked = s.nd;
        for (int i = 0; i < stacked; ++i)
            if (!add(no_label)) return false;
        return true;
    };
    if (at == end) {  // labels that occur once, in alphabetical order
        if (!add_stacked() || !for_bits(once & ~again, add)) return false;
    } else {
        if (at[0] != '-' || at[1] != '>') return false;
        at += 2;
        if (!result.read(at) || at != end || (stacked && result.dots == unknown)) return false;
        for (int i = 0; i <= result.n; ++i) {
            if (i == result.dots && !add_stacked()) return false;
            if (i == result.n) break;
            int const label = result.labels[i];
            if (!(once & ~placed & bit(label)) || !add(label)) return false;
        }
    }
    s.kept = s.nd;
    if (!for_bits(once & ~placed, add)) return false;
    for (int i = 0; i < terms; ++i) {
        Fields const* const f = fields(operands[i]);
        int const more = f->nd - term[i].n;
        npy_intp own[NPY_MAXDIMS];
        uint64_t seen = 0;
        for (int d = 0, label = 0; d < f->nd; ++d) {
            int const beyond = d - term[i].dots;
            bool const dotted = more && beyond >= 0 && beyond < more;
            int const axis =
                dotted ? first_stacked + stacked - more + beyond : place[term[i].labels[label++]];
            if (seen & bit(axis) && own[axis] != f->dimensions[d]) return false;
            own[axis] = f->dimensions[d];
            seen |= bit(axis);
            s.strides[i][axis] += f->strides[d];
        }
        s.axes[i] = 0;
        bool const fits = for_bits(seen, [&](int axis) {
            if (own[axis] == 1) {
                s.strides[i][axis] = 0;
                return true;
            }
            s.axes[i] |= bit(axis);
            if (s.n[axis] == 1) s.n[axis] = own[axis];
            return s.n[axis] == own[axis];
        });
        if (!fits) return false;
    }
    return true;
}

// The axes of the result in NumPy's memory order, the outermost first. False: NumPy's choice.
bool order_axes(const Subscripts& s, int terms, PyObject* order, int* perm) {
    bool keep = true;
    if (order && !parse_order(order, &keep)) return false;
    if (!keep) {
        for (int d = 0; d < s.kept; ++d) perm[d] = d;
        return true;
    }
    int all[max_dims];
    auto const stride = [&](int i, int d) { return s.n[d] == 1 ? 0 : std::abs(s.strides[i][d]); };
    k_order(s.nd, terms, stride, all);
    for (int d = 0, at = 0; d < s.nd; ++d)
        if (all[d] < s.kept) perm[at++] = all[d];
    return true;
}

// Whether einsum can write the sums there.
Why judge_output(PyObject* out, const Subscripts& s, PyObject* const* operands, int terms) {
    if (!is_exact(out)) return Why::type;
    Fields const* const o = fields(out);
    if (o->descr != fields(operands[0])->descr || !(o->flags & NPY_ARRAY_WRITEABLE) ||
        (o->flags & warn_on_write))
        return Why::keyword;
    if (o->nd != s.kept) return Why::shape;
    for (int d = 0; d < s.kept; ++d)
        if (o->dimensions[d] != s.n[d]) return Why::shape;
    for (int i = 0; i < terms; ++i)
        if (!apart(o, fields(operands[i]))) return Why::overlap;
    return is_injective(o) ? Why::none : Why::overlap;
}

// An operand, or what has been made of some.
struct Tensor {
    char* data;
    const npy_intp* strides;
    uint64_t axes;
};

bool contract_two(const Table& table, DType t, const Subscripts& s, const Tensor& a,
                  const Tensor& b, const Tensor& c, Offload* offload) {
    Problem p = {table, t, a.data, b.data, c.data, {}, {}};
    for_bits(a.axes | b.axes, [&](int d) {
        bool const kept = c.axes & bit(d);
        (kept ? p.kept : p.summed)
            .add({s.n[d], a.strides[d], b.strides[d], kept ? c.strides[d] : 0});
        return true;
    });
    bool const done = contract(p);
    if (p.offload.policy) *offload = p.offload;
    return done;
}

// Which operands are contracted one after the other: numbers of two tensors, of which the first
// gives its place to the result, the second to the last one.
struct Path {
    int first[max_terms], second[max_terms];
};

// The greedy path of numpy.einsum_path: what frees most memory comes first, and among equals what
// is least work; pairs without a common label only if there are no others. False: it is not worth
// it.
bool find_path(const Subscripts& s, int terms, Path& path) {
    auto size = [&](uint64_t axes) { return s.count(axes); };
    uint64_t axes[max_terms], all = 0;
    for (int i = 0; i < terms; ++i) all |= axes[i] = s.axes[i];
    uint64_t const result = all & (s.kept == 64 ? ~uint64_t{0} : bit(s.kept) - 1);
    double work = 0;
    for (int step = 0, n = terms; n > 1; ++step, --n) {
        double freed = 0, cost = 0;
        uint64_t made = 0;
        int first = unknown, second = unknown;
        for (bool const common : {true, false}) {
            if (first != unknown) break;
            for (int i = 0; i < n; ++i) {
                for (int j = i + 1; j < n; ++j) {
                    if (common && !(axes[i] & axes[j])) continue;
                    uint64_t others = result;
                    for (int k = 0; k < n; ++k)
                        if (k != i && k != j) others |= axes[k];
                    uint64_t const both = axes[i] | axes[j];
                    double const frees = size(axes[i]) + size(axes[j]) - size(both & others);
                    double const costs = size(both) * (both & ~others ? 2 : 1);
                    if (first != unknown && (frees < freed || (frees == freed && costs >= cost)))
                        continue;
                    freed = frees;
                    cost = costs;
                    first = i;
                    second = j;
                    made = both & others;
                }
            }
        }
        path.first[step] = first;
        path.second[step] = second;
        work += size(axes[first] | axes[second]);
        axes[first] = made;
        axes[second] = axes[n - 1];
    }
    return work <= 1.5 * size(all);
}

// Several operands, two at a time. Its sums are of other terms than NumPy's, which shows where a
// part of a term overflows or underflows, or an element is not finite: NumPy does those.
bool contract_all(const Table& table, DType t, const Subscripts& s, Tensor* tensors, int terms,
                  const Tensor& out, Offload* offload) {
    Path path;
    if (!find_path(s, terms, path)) return refuse(Why::shape);
    Temporary memory[max_terms];
    npy_intp strides[max_terms][NPY_MAXDIMS];
    int status = 0;
    for (int step = 0, n = terms; n > 1; ++step, --n) {
        Tensor& a = tensors[path.first[step]];
        Tensor& b = tensors[path.second[step]];
        Tensor made = out;
        if (n > 2) {
            uint64_t others = out.axes;
            for (int k = 0; k < n; ++k)
                if (tensors + k != &a && tensors + k != &b) others |= tensors[k].axes;
            made = {nullptr, strides[step], (a.axes | b.axes) & others};
            std::fill_n(strides[step], s.nd, 0);
            if (s.count(made.axes) > most_elements) return refuse(Why::shape);
            npy_intp bytes = size_of(t);
            for (int d = s.nd - 1; d >= 0; --d) {
                if (!(made.axes & bit(d))) continue;
                strides[step][d] = bytes;
                bytes *= s.n[d];
            }
            made.data = memory[step].make(bytes);
            if (!made.data) return false;
        }
        if (!contract_two(table, t, s, a, b, made, offload)) return false;
        status |= fp_status();
        a = made;
        b = tensors[n - 1];
    }
    if (is_exact_dtype(t)) return true;
    if (!is_floating(t)) return refuse(Why::dtype);
    if (status & (fp_overflow | fp_underflow | fp_invalid)) return refuse(Why::value);
    alignas(16) char total[16] = {};  // which is finite if all elements are
    Problem sum = {table, t, out.data, zero, total, {}, {}};
    for_bits(out.axes, [&](int d) {
        sum.summed.add({s.n[d], out.strides[d], 0, 0});
        return true;
    });
    sum_single(sum);
    double finite = 0;
    if (t == DType::float64) {
        std::memcpy(&finite, total, sizeof finite);
    } else {
        float single;
        std::memcpy(&single, total, sizeof single);
        finite = static_cast<double>(single);
    }
    return std::isfinite(finite) || refuse(Why::value);
}

bool run_einsum(const Table& table, DType t, const Subscripts& s, PyObject* const* operands,
                int terms, char* out, const npy_intp* strides, Offload* offload) {
    Tensor tensors[max_terms];
    uint64_t all = 0;
    for (int i = 0; i < terms; ++i) {
        tensors[i] = {fields(operands[i])->data, s.strides[i], s.axes[i]};
        all |= s.axes[i];
    }
    Tensor const result = {out, strides, all & (s.kept == 64 ? ~uint64_t{0} : bit(s.kept) - 1)};
    if (terms > 2) return contract_all(table, t, s, tensors, terms, result, offload);
    if (terms == 2) return contract_two(table, t, s, tensors[0], tensors[1], result, offload);
    Problem p = {table, t, tensors[0].data, zero, out, {}, {}};
    for_bits(all, [&](int d) {
        bool const kept = d < s.kept;
        (kept ? p.kept : p.summed).add({s.n[d], s.strides[0][d], 0, kept ? strides[d] : 0});
        return true;
    });
    sum_single(p);
    return true;
}

}  // namespace

PyObject* einsum_native(int, Entry* entry, PyObject*, PyObject* const* args, Py_ssize_t nargs,
                        PyObject* kwnames) {
    const Active& act = active();
    if (!act.table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    if (nargs < 2 || nargs > 1 + max_terms ||
        !einsum_signature.parse(args + nargs, 0, kwnames, slots) ||
        (slots[1] && slots[1] != Py_False) || slots[4])
        return decline(Why::keyword);
    int const terms = static_cast<int>(nargs) - 1;
    PyObject* const* const operands = args + 1;
    for (int i = 0; i < terms; ++i)
        if (!is_exact(operands[i])) return decline(Why::type);
    Fields const* const f = fields(operands[0]);
    DType const t = dtype_of(f->descr);
    if (t == no_dtype) return decline(Why::dtype);
    for (int i = 1; i < terms; ++i)
        if (fields(operands[i])->descr != f->descr) return decline(Why::dtype);
    int const num = f->descr->type_num;
    if (f->descr != descr_of_num[num] || !has_gemm(*act.table, t)) return decline(Why::dtype);
    if (!is_none(slots[2]) && slots[2] != reinterpret_cast<PyObject*>(f->descr)) {
        PyArray_Descr const* const wanted = parse_dtype(slots[2]);
        if (!wanted) return nullptr;
        if (wanted != f->descr) return decline(Why::dtype);
    }
    Subscripts s;
    int perm[NPY_MAXDIMS];
    if (!read_subscripts(args[0], operands, terms, s)) return decline(Why::shape);
    if (!order_axes(s, terms, slots[3], perm)) return decline(Why::keyword);
    PyObject* const given = is_none(slots[0]) ? nullptr : slots[0];
    if (terms == 1) {
        if (s.kept == s.nd) {  // a view, which NumPy makes of its own arrays
            if (given || !is_ours(operands[0])) return decline(Why::type);
            if (s.nd == 0) {
                count_native(entry, t, Layout::scalar, 0, nullptr);
                return as_scalar(f->data, t, num);
            }
            return counted(entry,
                           new_view(operands[0], s.nd, s.n, s.strides[0], f->data, f->descr));
        }
        if (!sum_kernel(*act.table, t)) return decline(Why::dtype);
    }
    alignas(16) char element[16];
    PyObject* out = nullptr;
    if (given) {
        if (Why const why = judge_output(given, s, operands, terms); why != Why::none)
            return decline(why);
        out = new_ref(given);
    } else if (s.kept) {
        out = new_array_ordered(s.kept, s.n, perm, f->descr);
        if (!out) return nullptr;
    }
    static constexpr npy_intp no_strides[1] = {};
    Offload offload{};
    bool const done =
        run_einsum(*act.table, t, s, operands, terms, out ? fields(out)->data : element,
                   out ? fields(out)->strides : no_strides, &offload);
    clear_fp_status();  // of which einsum does not tell
    if (!done) {
        Py_XDECREF(out);
        return nullptr;
    }
    count_native(entry, t, layout_of(f), s.kept, s.n);
    if (offload.policy) count_offload(entry, offload);
    return out ? out : as_scalar(element, t, num);
}

// ---- tensordot

namespace {

// One axis or several, wrapped, none twice. False: NumPy judges.
bool parse_axes(PyObject* x, int nd, int* n, npy_intp* axes) {
    if (!parse_shape(x, n, axes)) return false;
    uint64_t seen = 0;
    for (int i = 0; i < *n; ++i) {
        if (axes[i] < 0) axes[i] += nd;
        if (axes[i] < 0 || axes[i] >= nd || seen >> axes[i] & 1) return false;
        seen |= uint64_t{1} << axes[i];
    }
    return true;
}

// The axes of two arrays that tensordot() sums over, in pairs.
bool parse_pairs(PyObject* axes, int nd_a, int nd_b, int* n, npy_intp* in_a, npy_intp* in_b) {
    npy_intp last = 2;
    if (!axes || parse_integer(axes, &last)) {
        if (last < 0 || last > nd_a || last > nd_b) return false;
        *n = static_cast<int>(last);
        for (int i = 0; i < *n; ++i) {
            in_a[i] = nd_a - last + i;
            in_b[i] = i;
        }
        return true;
    }
    if ((!PyTuple_CheckExact(axes) && !PyList_CheckExact(axes)) ||
        PySequence_Fast_GET_SIZE(axes) != 2)
        return false;
    PyObject** const pair = PySequence_Fast_ITEMS(axes);
    int other;
    return parse_axes(pair[0], nd_a, n, in_a) && parse_axes(pair[1], nd_b, &other, in_b) &&
           *n == other;
}

}  // namespace

PyObject* tensordot_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                           Py_ssize_t nargs, PyObject* kwnames) {
    const Active& act = active();
    if (!act.table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    const Signature& signature = which ? linalg_tensordot_signature : tensordot_signature;
    if (!signature.parse(args, nargs, kwnames, slots) || !slots[0] || (which && nargs != 1))
        return decline(Why::keyword);
    if (!is_exact(self) || !is_exact(slots[0])) return decline(Why::type);
    Fields const *const f = fields(self), *const g = fields(slots[0]);
    DType const t = dtype_of(f->descr);
    if (t == no_dtype || f->descr != g->descr || f->descr != descr_of_num[f->descr->type_num] ||
        !has_gemm(*act.table, t))
        return decline(Why::dtype);
    int n;
    npy_intp in_a[NPY_MAXDIMS], in_b[NPY_MAXDIMS];
    if (!parse_pairs(slots[1], f->nd, g->nd, &n, in_a, in_b)) return decline(Why::shape);
    Problem p = {*act.table, t, f->data, g->data, nullptr, {}, {}};
    uint64_t summed_a = 0, summed_b = 0;
    for (int i = 0; i < n; ++i) {
        npy_intp const length = f->dimensions[in_a[i]];
        if (length != g->dimensions[in_b[i]]) return decline(Why::shape);
        p.summed.add({length, f->strides[in_a[i]], g->strides[in_b[i]], 0});
        summed_a |= uint64_t{1} << in_a[i];
        summed_b |= uint64_t{1} << in_b[i];
    }
    if (f->nd + g->nd - 2 * n > NPY_MAXDIMS) return decline(Why::shape);
    npy_intp matrix[2] = {1, 1};
    for (int d = 0; d < f->nd; ++d) {
        if (summed_a >> d & 1) continue;
        p.kept.add({f->dimensions[d], f->strides[d], 0, 0});
        matrix[0] *= f->dimensions[d];
    }
    for (int d = 0; d < g->nd; ++d) {
        if (summed_b >> d & 1) continue;
        p.kept.add({g->dimensions[d], 0, g->strides[d], 0});
        matrix[1] *= g->dimensions[d];
    }
    // NumPy's is a view of a matrix.
    PyObject* const product = new_array(2, matrix, f->descr);
    if (!product) return nullptr;
    p.c = fields(product)->data;
    int const nd = p.kept.n;
    npy_intp dims[NPY_MAXDIMS], strides[NPY_MAXDIMS];
    npy_intp stride = size_of(t);
    for (int d = nd - 1; d >= 0; --d) {
        dims[d] = p.kept.at[d].n;
        p.kept.at[d].c = strides[d] = stride;
        stride *= std::max<npy_intp>(dims[d], 1);
    }
    clear_fp_status();
    PyObject* out = nullptr;
    if (contract(p)) {
        if (is_floating(t) && fp_status())  // of which NumPy tells, if at all, in its own way
            declined = Why::value;
        else
            out = new_view(product, nd, dims, strides, fields(product)->data, f->descr);
    }
    clear_fp_status();
    Py_DECREF(product);
    if (!out) return nullptr;
    count_native(entry, t, layout_of(f), nd, dims);
    if (p.offload.policy) count_offload(entry, p.offload);
    return out;
}

// ---- outer, kron: products of elements, of views that repeat

namespace {

py::object stolen(PyObject* o) { return py::reinterpret_steal<py::object>(o); }

// The elements in C order as a column or a row.
py::object as_matrix(PyObject* a, bool column) {
    Fields const* const f = fields(a);
    npy_intp const n = size_of(f), size = PyDataType_ELSIZE(f->descr);
    npy_intp const step = f->nd == 1 ? f->strides[0] : size;
    npy_intp const dims[2] = {column ? n : 1, column ? 1 : n};
    npy_intp const strides[2] = {column ? step : size, column ? size : step};
    return stolen(new_view(a, 2, dims, strides, f->data, f->descr));
}

// An axis of length 1 before each, or (`after`) after each of `nd` axes.
py::object spaced(PyObject* a, int nd, bool after) {
    Fields const* const f = fields(a);
    npy_intp dims[NPY_MAXDIMS], strides[NPY_MAXDIMS];
    for (int d = 0; d < nd; ++d) {
        int const own = d - nd + f->nd, at = 2 * d + !after;
        dims[2 * d] = dims[2 * d + 1] = 1;
        strides[2 * d] = strides[2 * d + 1] = PyDataType_ELSIZE(f->descr);
        if (own < 0) continue;
        dims[at] = f->dimensions[own];
        strides[at] = f->strides[own];
    }
    return stolen(new_view(a, 2 * nd, dims, strides, f->data, f->descr));
}

}  // namespace

PyObject* outer_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                       Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (kwnames || nargs != 1) return decline(Why::keyword);
    for (PyObject* const x : {self, args[0]}) {
        if (!is_ours(x)) return decline(Why::type);
        Fields const* const f = fields(x);
        if (f->nd != 1 && (which == 1 || !(f->flags & NPY_ARRAY_C_CONTIGUOUS)))
            return decline(Why::shape);
    }
    auto const column = as_matrix(self, true), row = as_matrix(args[0], false);
    if (!column || !row) return nullptr;
    return counted(entry, binary(Op::multiply, column.ptr(), row.ptr()));
}

PyObject* kron_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                      PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (kwnames || nargs != 1) return decline(Why::keyword);
    for (PyObject* const x : {self, args[0]}) {
        if (!is_ours(x)) return decline(Why::type);
        Fields const* const f = fields(x);
        if (f->nd == 0 || 2 * f->nd > NPY_MAXDIMS || !(f->flags & NPY_ARRAY_C_CONTIGUOUS))
            return decline(Why::shape);
    }
    int const nd = std::max(fields(self)->nd, fields(args[0])->nd);
    auto const a = spaced(self, nd, true), b = spaced(args[0], nd, false);
    if (!a || !b) return nullptr;
    auto const product = stolen(binary(Op::multiply, a.ptr(), b.ptr()));
    if (!product) return nullptr;
    Fields const* const f = fields(product.ptr());
    if (!(f->flags & NPY_ARRAY_C_CONTIGUOUS)) return decline(Why::shape);
    npy_intp dims[NPY_MAXDIMS], strides[NPY_MAXDIMS];
    npy_intp stride = PyDataType_ELSIZE(f->descr);
    for (int d = nd - 1; d >= 0; --d) {
        dims[d] = f->dimensions[2 * d] * f->dimensions[2 * d + 1];
        strides[d] = stride;
        stride *= std::max<npy_intp>(dims[d], 1);
    }
    return counted(entry, new_view(product.ptr(), nd, dims, strides, f->data, f->descr));
}

}  // namespace raptors
