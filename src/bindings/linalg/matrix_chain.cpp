#include "linalg/matrix_chain.h"

#include "linalg/product.h"

namespace py = pybind11;

namespace raptors {
namespace {

using Object = py::object;

Object times(Contraction what, Entry* entry, const Object& a, const Object& b) {
    if (!a || !b) return {};
    return py::reinterpret_steal<Object>(product(what, entry, a.ptr(), b.ptr()));
}

bool is_square(const Fields* f) {
    return f->nd >= 2 && f->dimensions[f->nd - 1] == f->dimensions[f->nd - 2];
}

}  // namespace

PyObject* matrix_power_native(int, Entry*, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                              PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    npy_intp n;
    if (kwnames || nargs != 1 || !parse_integer(args[0], &n) || n < 2) return decline(Why::keyword);
    if (!is_ours(self)) return decline(Why::type);
    if (!is_square(fields(self))) return decline(Why::shape);
    auto multiply = [](const Object& a, const Object& b) {
        return times(Contraction::matmul, matmul_entry, a, b);
    };
    // In NumPy's order: the powers of two, and the product of those that `n` is the sum of.
    auto const a = py::reinterpret_borrow<Object>(self);
    if (n == 3) return multiply(multiply(a, a), a).release().ptr();
    Object power = a, result;
    for (;;) {
        if (n & 1) {
            result = result ? multiply(result, power) : power;
            if (!result) return nullptr;
        }
        n >>= 1;
        if (!n) return result.release().ptr();
        power = multiply(power, power);
        if (!power) return nullptr;
    }
}

namespace {

constexpr int most_matrices = 16;

// In which order a product of matrices is least work: T. H. Cormen et al., Introduction to
// Algorithms, 15.2, as in NumPy.
struct Chain {
    PyObject* const* matrices;
    int split[most_matrices][most_matrices];  // the last matrix of the left part
    Entry* entry;

    void find_order(int n) {
        double cost[most_matrices][most_matrices], length[most_matrices + 1];
        for (int i = 0; i < n; ++i) {
            Fields const* const f = fields(matrices[i]);
            length[i] = static_cast<double>(f->dimensions[0]);
            length[i + 1] = static_cast<double>(f->dimensions[1]);
            cost[i][i] = 0;
        }
        for (int more = 1; more < n; ++more) {
            for (int i = 0; i + more < n; ++i) {
                int const j = i + more;
                for (int k = i; k < j; ++k) {
                    double const sum =
                        cost[i][k] + cost[k + 1][j] + length[i] * length[k + 1] * length[j + 1];
                    if (k > i && sum >= cost[i][j]) continue;
                    cost[i][j] = sum;
                    split[i][j] = k;
                }
            }
        }
    }
    Object multiply(int first, int last) const {
        if (first == last) return py::reinterpret_borrow<Object>(matrices[first]);
        int const middle = split[first][last];
        auto const left = multiply(first, middle);
        return left ? times(Contraction::dot, entry, left, multiply(middle + 1, last)) : Object();
    }
};

}  // namespace

PyObject* multi_dot_native(int, Entry*, PyObject*, PyObject* const* args, Py_ssize_t nargs,
                           PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (kwnames || nargs != 1 || !is_sequence(args[0])) return decline(Why::keyword);
    Py_ssize_t const n = PySequence_Fast_GET_SIZE(args[0]);
    if (n < 2 || n > most_matrices) return decline(Why::shape);
    static Entry* const dot_entry = new_entry("dot");
    Chain chain;
    chain.matrices = PySequence_Fast_ITEMS(args[0]);
    chain.entry = dot_entry;
    for (Py_ssize_t i = 0; i < n; ++i) {
        if (!is_ours(chain.matrices[i])) return decline(Why::type);
        Fields const* const f = fields(chain.matrices[i]);
        if (f->nd != 2 || (i && fields(chain.matrices[i - 1])->dimensions[1] != f->dimensions[0]))
            return decline(Why::shape);
    }
    chain.find_order(static_cast<int>(n));
    // Warnings show while products are made: someone may change a list.
    auto const kept = py::reinterpret_steal<Object>(PySequence_Tuple(args[0]));
    if (!kept) return nullptr;
    chain.matrices = PySequence_Fast_ITEMS(kept.ptr());
    return chain.multiply(0, static_cast<int>(n) - 1).release().ptr();
}

PyObject* linalg_product_native(int which, Entry*, PyObject* self, PyObject* const* args,
                                Py_ssize_t nargs, PyObject* kwnames) {
    if (kwnames || nargs != 1) return decline(Why::keyword);
    static Entry* const vecdot_entry = new_entry("vecdot");
    auto const what = static_cast<Contraction>(which);
    return product(what, what == Contraction::matmul ? matmul_entry : vecdot_entry, self, args[0]);
}

}  // namespace raptors
