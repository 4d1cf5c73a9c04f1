#include "linalg/backend.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>

#include "python/array.h"
#include "python/context.h"
#include "python/environment.h"
#include "runtime/threads.h"

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
bool known[2][2];  // by a file, or calibrate()

// Without figures, products of so many multiplications (10 to 100 ms) and more teach them: each
// power of two by itself, by as many products of either.
constexpr double worth_learning = 1024.0 * 1024 * 1024;
constexpr int n_lengths = 16, products_of_each = 3;
Lesson lessons[2][2][n_lengths];

int length_of(double multiplications) {
    return std::min(std::ilogb(multiplications / worth_learning), n_lengths - 1);
}

Policy checked_policy(const std::string& text, const char* who) {
    for (long p = 0; p < n_policies; ++p)
        if (text == policy_names[p]) return static_cast<Policy>(p);
    throw py::value_error(std::string(who) + " must be \"auto\", \"raptors\" or \"blas\", not " +
                          quoted(text));
}

Policy current_policy() { return static_cast<Policy>(chosen_policy.get(process_policy)); }

BlasType type_of(DType t) { return t == DType::float64 ? BlasType::float64 : BlasType::float32; }

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
        nullptr,
        {policy_names[policy], false, multiplications(p), policy == library ? 0 : never},
        nullptr};
    Offload& offload = chosen.offload;
    if (offload.multiplications == 0) return chosen;
    bool wanted = policy == library;
    if (policy == automatic && !p.batch_dims && p.m > 1 && p.n > 1) {
        offload.blas_from = blas_from[wide][several];
        wanted = offload.multiplications >= offload.blas_from;
        // The figures are those of the process's ISA.
        if (!known[wide][several] && offload.multiplications >= worth_learning &&
            active().isa == process_active.isa && *chosen_blas()) {
            Lesson& lesson = lessons[wide][several][length_of(offload.multiplications)];
            if (!lesson.learnt) {
                // A library's threads may wait on their cores for more work, for a tenth of a
                // second, and there slow ours down: with several threads ours come first.
                int const ours = lesson.products[0];
                wanted = several ? ours >= products_of_each : lesson.products[1] < ours;
                chosen.lesson = &lesson;
            }
        }
    }
    if (wanted) chosen.library = blas_library();
    return chosen;
}

void learn(const Backend& backend, double ns) {
    Lesson& lesson = *backend.lesson;
    bool const by_blas = backend.offload.blas;
    double const cost = ns / backend.offload.multiplications;
    double& best = lesson.best[by_blas];
    best = lesson.products[by_blas] ? std::min(best, cost) : cost;
    ++lesson.products[by_blas];
    if (lesson.learnt || std::min(lesson.products[0], lesson.products[1]) < products_of_each)
        return;
    lesson.learnt = true;
    auto const i = &lesson - &lessons[0][0][0];
    double& from = blas_from[i / (2 * n_lengths)][i / n_lengths % 2];
    // Who is faster at one length is at shorter ones (ours) or longer ones (BLAS), too.
    double const shortest = std::ldexp(worth_learning, static_cast<int>(i % n_lengths));
    from =
        lesson.best[1] < lesson.best[0] ? std::min(from, shortest) : std::max(from, 2 * shortest);
}

py::list learnt_blas_from() {
    py::list found;
    for (int wide = 0; wide < 2; ++wide)
        for (int several = 0; several < 2; ++several)
            if (std::any_of(lessons[wide][several], lessons[wide][several] + n_lengths,
                            [](const Lesson& lesson) { return lesson.learnt; }))
                found.append(py::make_tuple(wide != 0, several != 0, blas_from[wide][several]));
    return found;
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
    known[wide][several] = true;
}

}  // namespace raptors
