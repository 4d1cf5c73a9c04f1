#include "linalg/einsum.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "api/table.h"
#include "array/free_lists.h"
#include "creation/copying.h"
#include "frame/fp/fpstatus.h"
#include "frame/nest/axes.h"
#include "linalg/contraction.h"
#include "ops/elementwise.h"
#include "ops/reduce.h"
#include "python/operand.h"
#include "runtime/threads.h"

namespace raptors {
namespace {

Signature const einsum_signature = {5, 0, {"out", "optimize", "dtype", "order", "casting"}, {}};

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

// The operands' labels, and which of them occur.
struct Terms {
    int n;
    Term term[max_terms];
    uint64_t once = 0, again = 0;  // labels that occur, and that do so twice
    int stacked = 0;               // axes that an ellipsis stands for

    // `text` moves on to the end, or to the arrow. False: NumPy judges.
    bool read(const char*& text, PyObject* const* operands) {
        for (int i = 0; i < n; ++i) {
            if (!term[i].read(text)) return false;
            if (i < n - 1) {
                if (*text != ',') return false;
                ++text;
            }
            int const more = fields(operands[i])->nd - term[i].n;
            if (more < 0 || (more && term[i].dots == unknown)) return false;
            stacked = std::max(stacked, more);
            for (int d = 0; d < term[i].n; ++d) {
                again |= once & bit(term[i].labels[d]);
                once |= bit(term[i].labels[d]);
            }
        }
        return true;
    }
};

// Where labels have their axes.
struct LabelAxes {
    uint8_t place[64];  // the axis of a label
    uint64_t placed = 0;
    int first_stacked = 0;

    bool add(Subscripts& s, int label, int terms) {
        if (s.nd == NPY_MAXDIMS) return false;
        place[label] = static_cast<uint8_t>(s.nd);
        placed |= bit(label);
        for (int i = 0; i < terms; ++i) s.strides[i][s.nd] = 0;
        s.n[s.nd++] = 1;
        return true;
    }
    bool add_stacked(Subscripts& s, int stacked, int terms) {
        constexpr int no_label = 63;
        first_stacked = s.nd;
        for (int i = 0; i < stacked; ++i)
            if (!add(s, no_label, terms)) return false;
        return true;
    }
};

// Gives the axes of the result their places, then those that are summed over. [text, end): what
// follows the operands' labels. False: NumPy judges.
bool place_axes(const char* text, const char* end, const Terms& terms, LabelAxes& places,
                Subscripts& s) {
    auto const add = [&](int label) { return places.add(s, label, terms.n); };
    auto const add_stacked = [&] { return places.add_stacked(s, terms.stacked, terms.n); };
    s.nd = 0;
    if (text == end) {  // labels that occur once, in alphabetical order
        if (!add_stacked() || !for_bits(terms.once & ~terms.again, add)) return false;
    } else {
        if (text[0] != '-' || text[1] != '>') return false;
        text += 2;
        Term result;
        if (!result.read(text) || text != end || (terms.stacked && result.dots == unknown))
            return false;
        for (int i = 0; i <= result.n; ++i) {
            if (i == result.dots && !add_stacked()) return false;
            if (i == result.n) break;
            int const label = result.labels[i];
            if (!(terms.once & ~places.placed & bit(label)) || !add(label)) return false;
        }
    }
    s.kept = s.nd;
    return for_bits(terms.once & ~places.placed, add);
}

// Gives operand `i` its strides, and the axes their lengths. False: lengths that do not fit.
bool read_operand(int i, PyObject* operand, const Terms& terms, const LabelAxes& places,
                  Subscripts& s) {
    Fields const* const f = fields(operand);
    const Term& term = terms.term[i];
    int const more = f->nd - term.n;
    npy_intp own[NPY_MAXDIMS];
    uint64_t seen = 0;
    for (int d = 0, label = 0; d < f->nd; ++d) {
        int const beyond = d - term.dots;
        bool const dotted = more && beyond >= 0 && beyond < more;
        int const axis = dotted ? places.first_stacked + terms.stacked - more + beyond
                                : places.place[term.labels[label++]];
        if (seen & bit(axis) && own[axis] != f->dimensions[d]) return false;
        own[axis] = f->dimensions[d];
        seen |= bit(axis);
        s.strides[i][axis] += f->strides[d];
    }
    s.axes[i] = 0;
    return for_bits(seen, [&](int axis) {
        if (own[axis] == 1) {
            s.strides[i][axis] = 0;
            return true;
        }
        s.axes[i] |= bit(axis);
        if (s.n[axis] == 1) s.n[axis] = own[axis];
        return s.n[axis] == own[axis];
    });
}

// False: NumPy judges.
bool read_subscripts(PyObject* text, PyObject* const* operands, int n, Subscripts& s) {
    if (!PyUnicode_CheckExact(text) || !PyUnicode_IS_COMPACT_ASCII(text)) return false;
    const char* at = reinterpret_cast<const char*>(PyUnicode_1BYTE_DATA(text));
    const char* const end = at + PyUnicode_GET_LENGTH(text);
    Terms terms;
    terms.n = n;
    LabelAxes places;
    if (!terms.read(at, operands) || !place_axes(at, end, terms, places, s)) return false;
    for (int i = 0; i < n; ++i)
        if (!read_operand(i, operands[i], terms, places, s)) return false;
    return true;
}

// The axes of the result in NumPy's memory order, the outermost first. False: NumPy's choice.
bool order_axes(const Subscripts& s, int terms, PyObject* order, int* perm) {
    Order wanted = Order::keep;
    if (!parse_order(order, &wanted) || (wanted != Order::c && wanted != Order::keep)) return false;
    if (wanted == Order::c) {
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
        if (!disjoint(o, fields(operands[i]))) return Why::overlap;
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
            npy_intp bytes = item_size(t);
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
    Problem sum = {table, t, out.data, zero_element, total, {}, {}};
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
    Problem p = {table, t, tensors[0].data, zero_element, out, {}, {}};
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
    if (!is_elementary(t)) return decline(Why::dtype);
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

}  // namespace raptors
