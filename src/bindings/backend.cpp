#include "backend.h"

#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>

#include "array.h"
#include "context.h"
#include "environment.h"
#include "threads.h"

namespace py = pybind11;

namespace raptors {
namespace {

enum Policy : long { automatic, own, library, n_policies };
const char* const policy_names[n_policies] = {"auto", "raptors", "blas"};

ContextNumber chosen_policy;
Policy process_policy;

constexpr double never = std::numeric_limits<double>::infinity();
// From how many multiplications on "auto" takes BLAS, with one thread and with several. Built in:
// what AVX-512 of Zen 4 showed, where only long float64 products of one thread are slower than
// OpenBLAS's, by 2 to 4 %.
double blas_from[2][2] = {{never, never}, {1500.0 * 1500 * 1500, never}};  // [float64][several]
bool measured[2][2];
// A product of so many multiplications takes 10 to 100 ms: once, that may become a second.
constexpr double worth_measuring = 1024.0 * 1024 * 1024;

Policy checked_policy(const std::string& text, const char* who) {
    for (long p = 0; p < n_policies; ++p)
        if (text == policy_names[p]) return static_cast<Policy>(p);
    throw py::value_error(std::string(who) + " must be \"auto\", \"raptors\" or \"blas\", not " +
                          quoted(text));
}

Policy current_policy() { return static_cast<Policy>(chosen_policy.get(process_policy)); }

BlasType type_of(DType t) { return t == DType::float64 ? BlasType::float64 : BlasType::float32; }

// The figures of this machine, measured now. Without them the built-in ones hold.
void measure(bool wide, bool several) {
    measured[wide][several] = true;  // by whoever comes first
    try {
        import_module("raptors._tuning").attr("measure_flip")(wide, several);
    } catch (py::error_already_set& e) {
        if (e.matches(PyExc_Exception))
            e.discard_as_unraisable("raptors: comparing products with BLAS's");
        else
            e.restore();  // KeyboardInterrupt
    }
}

double multiplications(const Product& p) {
    double all = static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
    for (int i = 0; i < p.batch_dims; ++i) all *= static_cast<double>(p.batch_shape[i]);
    return all;
}

}  // namespace

bool wants_blas() { return current_policy() == library; }

Backend backend_for(DType t, const Product& p, double ns) {
    Policy const policy = current_policy();
    bool const thought = is_worth_planning(ns);
    if (policy == automatic && !thought) return {};
    bool const wide = t == DType::float64, several = thought && current_threads() > 1;
    Backend chosen = {
        nullptr, {policy_names[policy], false, multiplications(p), policy == library ? 0 : never}};
    Offload& offload = chosen.offload;
    if (offload.multiplications == 0) return chosen;
    bool wanted = policy == library;
    if (policy == automatic && !p.batch_dims && p.m > 1 && p.n > 1) {
        // The figures are those of the process's ISA.
        if (!measured[wide][several] && offload.multiplications >= worth_measuring &&
            active().isa == process_active.isa) {
            measure(wide, several);
            if (PyErr_Occurred()) return chosen;
        }
        offload.blas_from = blas_from[wide][several];
        wanted = offload.multiplications >= offload.blas_from;
    }
    if (wanted) chosen.library = blas_library();
    return chosen;
}

namespace {

// One product. No `use`: only whether BLAS takes the operands as they lie.
bool multiply_one(const BlasUse* use, BlasType type, const Matrices& p) noexcept {
    auto* const from_a = const_cast<char*>(p.a);
    auto* const from_b = const_cast<char*>(p.b);
    BlasMatrix a, b, c;
    BlasVector x, y;
    if (p.m == 1 && p.n == 1)
        return blas_vector(from_a, p.k, p.a_column, type, &x) &&
               blas_vector(from_b, p.k, p.b_row, type, &y) &&
               (!use || use->dot(type, p.k, x, y, false, p.c));
    if (p.n == 1)
        return blas_matrix(from_a, p.m, p.k, p.a_row, p.a_column, type, &a) &&
               blas_vector(from_b, p.k, p.b_row, type, &x) &&
               blas_vector(p.c, p.m, p.c_row, type, &y) &&
               (!use || use->gemv(type, p.m, p.k, 1, a, x, 0, y));
    if (p.m == 1)  // the rows of the second matrix, turned, times the vector
        return blas_matrix(from_b, p.n, p.k, p.b_column, p.b_row, type, &b) &&
               blas_vector(from_a, p.k, p.a_column, type, &x) &&
               blas_vector(p.c, p.n, p.c_column, type, &y) &&
               (!use || use->gemv(type, p.n, p.k, 1, b, x, 0, y));
    if (!blas_matrix(from_a, p.m, p.k, p.a_row, p.a_column, type, &a) ||
        !blas_matrix(from_b, p.k, p.n, p.b_row, p.b_column, type, &b) ||
        !blas_matrix(p.c, p.m, p.n, p.c_row, p.c_column, type, &c))
        return false;
    if (!use) return true;
    if (p.a == p.b && p.m == p.n && p.a_row == p.b_column && p.a_column == p.b_row)
        return use->syrk(type, p.n, p.k, a, c);
    return use->gemm(type, p.m, p.n, p.k, 1, a, b, 0, c);
}

}  // namespace

bool multiply(const Blas& blas, DType t, const Product& p, int threads) noexcept {
    BlasType const type = type_of(t);
    // What the first product is, the others are, if they lie as well aligned.
    for (int i = 0; i < p.batch_dims; ++i)
        if ((p.a_batch[i] | p.b_batch[i] | p.c_batch[i]) % item_bytes(type)) return false;
    if (!multiply_one(nullptr, type, p)) return false;
    BlasUse const use(blas, threads);
    Matrices one = p;
    ptrdiff_t at[max_dims] = {};
    for (int d = 0; d >= 0;) {
        if (!multiply_one(&use, type, one)) return false;
        for (d = p.batch_dims - 1; d >= 0; --d) {
            bool const wraps = ++at[d] == p.batch_shape[d];
            ptrdiff_t const steps = wraps ? 1 - at[d] : 1;
            if (wraps) at[d] = 0;
            one.a += steps * p.a_batch[d];
            one.b += steps * p.b_batch[d];
            one.c += steps * p.c_batch[d];
            if (!wraps) break;
        }
    }
    return true;
}

void init_backend() {
    chosen_policy.make("raptors_backend");
    const char* const env = std::getenv("RAPTORS_BACKEND");
    process_policy = env && *env ? checked_policy(env, "RAPTORS_BACKEND") : automatic;
}

const char* backend_policy() { return policy_names[current_policy()]; }
void set_backend_policy(const std::string& name) {
    process_policy = checked_policy(name, "a backend policy");
}
py::object enter_backend_policy(const std::string& name) {
    return chosen_policy.enter(checked_policy(name, "a backend policy"));
}
void leave_backend_policy(const py::object& token) { chosen_policy.leave(token); }

double multiplications_for_blas(bool wide, bool several) { return blas_from[wide][several]; }
void set_multiplications_for_blas(bool wide, bool several, double multiplications) {
    blas_from[wide][several] = multiplications > 0 ? multiplications : never;
    measured[wide][several] = true;
}

}  // namespace raptors
