#include "runtime/threads.h"

#include <unistd.h>

#include <cstdlib>
#include <string>

#include "api/table.h"
#include "frame/memory/streaming.h"
#include "frame/threads/clock.h"
#include "frame/threads/hand_off.h"
#include "frame/threads/pool.h"
#include "frame/threads/processors.h"
#include "python/array.h"
#include "python/context.h"
#include "python/environment.h"
#include "runtime/call_log.h"
#include "runtime/isa_choice.h"

namespace py = pybind11;

namespace raptors {

npy_intp long_from = 4096;

namespace {

// Giving the GIL up and taking it again costs 0.1 us, and much more where another thread takes it:
// that one keeps it for up to 5 ms.
constexpr double release_ns = 10'000;

ContextNumber chosen_threads;
int process_threads;  // 0: as many as there are processors
bool forced;          // RAPTORS_MIN_PARALLEL
bool measured;        // what calibration found was looked for
PyObject* figures_loader;

// Looked up at most once a second: the affinity mask and the quota may change.
int processors() {
    static int count = 0;
    static int64_t looked;
    int64_t const time = now_ns();
    if (!count || time - looked > 1'000'000'000) {
        count = usable_processors();
        looked = time;
    }
    return count;
}

// Figures of an earlier calibration, if this user has any.
void load_figures() {
    if (!figures_loader) return;
    measured = true;
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyObject* const found = PyObject_CallNoArgs(figures_loader);
    Py_XDECREF(found);
    if (!found) {
        py::error_already_set error;
        error.discard_as_unraisable("raptors: reading calibrated figures");
    }
    PyErr_Restore(type, value, trace);
}

int checked_threads(unsigned long long n, const char* who) {
    if (n < 1 || n > most_threads)
        throw py::value_error(std::string(who) + ": threads must be between 1 and " +
                              std::to_string(most_threads) + ", not " + std::to_string(n));
    return static_cast<int>(n);
}

// OpenMP's variable may be a list, one number for each level of nesting. What is no number is not
// ours to judge.
int openmp_threads() {
    const char* const env = std::getenv("OMP_NUM_THREADS");
    long const n = env ? std::strtol(env, nullptr, 10) : 0;
    return n < 1 ? 0 : n > most_threads ? most_threads : static_cast<int>(n);
}

const char* name_of(Op op) { return op_info[index(op)].name; }
const char* name_of(Combine combine) { return combine_info[index(combine)].name; }

// {name: {dtype: nanoseconds for an element}}
template <class E>
py::dict figures(int rows) {
    py::dict all;
    const Table* const table = active().table;
    for (int i = 0; table && i < rows; ++i) {
        py::dict row;
        for (int t = 0; t < n_dtypes; ++t) {
            double const ns = measure_cost(*table, static_cast<E>(i), static_cast<DType>(t));
            if (ns > 0) row[dtype_info[t].name] = ns;
        }
        all[name_of(static_cast<E>(i))] = row;
    }
    return all;
}

template <class E>
void set_figures(int rows, const py::dict& all) {
    for (int i = 0; i < rows; ++i) {
        const char* const name = name_of(static_cast<E>(i));
        if (!all.contains(name)) continue;
        auto const row = py::dict(all[name]);
        for (int t = 0; t < n_dtypes; ++t)
            if (row.contains(dtype_info[t].name))
                set_cost(static_cast<E>(i), static_cast<DType>(t),
                         row[dtype_info[t].name].cast<double>());
    }
}

}  // namespace

void take_gil(PyThreadState* state) {
    try {
        PyEval_RestoreThread(state);
    } catch (...) {  // the unwinding of pthread_exit, which must not go on
        for (;;) pause();
    }
}

bool is_worth_planning(double ns) { return forced || ns >= release_ns / 2; }

int current_threads() {
    if (!measured && !forced) load_figures();
    auto const n = static_cast<int>(chosen_threads.get(process_threads));
    return n ? n : processors();
}

Plan plan_call(WorkSplit split, double ns) {
    last_dispatch.next_threads = static_cast<uint16_t>(split.team.threads);
    return {split, forced || ns >= release_ns};
}

void init_threads() {
    chosen_threads.make("raptors_threads");
    if (auto const n = number_set("RAPTORS_NUM_THREADS", "a number of threads"))
        process_threads = checked_threads(*n, "RAPTORS_NUM_THREADS");
    else
        process_threads = openmp_threads();
    if (auto const n = number_set("RAPTORS_MIN_PARALLEL", "a number of elements")) {
        forced = true;
        long_from = static_cast<npy_intp>(*n);
        set_pool_limits({0, 0});
    }
    if (auto const n = number_set("RAPTORS_FAIL_THREAD", "a number of threads"))
        fail_thread(static_cast<int64_t>(*n));
}

void set_num_threads(long long n) {
    process_threads =
        checked_threads(n < 0 ? 0 : static_cast<unsigned long long>(n), "set_num_threads");
}

namespace {
int followed;  // how many processors there were when somebody asked: to set it to that is to follow
}

int process_limit() { return process_threads ? process_threads : followed = processors(); }
void set_process_limit(long long n) {
    long long const most = n > most_threads ? most_threads : n < 1 ? 1 : n;
    process_threads = most == followed ? 0 : static_cast<int>(most);
}

py::object enter_threads(long long n) {
    return chosen_threads.enter(
        checked_threads(n < 0 ? 0 : static_cast<unsigned long long>(n), "threads"));
}
void leave_threads(const py::object& token) { chosen_threads.leave(token); }

void bind_figures(const py::object& load) { figures_loader = py::object(load).release().ptr(); }

py::tuple measure_costs() {
    return py::make_tuple(figures<Op>(n_ops), figures<Combine>(n_combines));
}
void set_costs(const py::dict& ops, const py::dict& combines) {
    set_figures<Op>(n_ops, ops);
    set_figures<Combine>(n_combines, combines);
    measured = true;
}

ptrdiff_t find_stream_from() {
    PyThreadState* const state = PyEval_SaveThread();
    ptrdiff_t const bytes = measure_stream_from(*process_active.table);
    take_gil(state);
    return bytes;
}

py::tuple find_hand_off() {
    PyThreadState* const state = PyEval_SaveThread();
    HandOff const h = measure_hand_off();
    take_gil(state);
    return py::make_tuple(h.hot_ns, h.parked_ns);
}

py::tuple hand_off_limits() {
    PoolLimits const limits = pool_limits();
    return py::make_tuple(limits.hot_ns, limits.parked_ns);
}
void set_hand_off_limits(double hot_ns, double parked_ns) {
    if (!forced) set_pool_limits({hot_ns, parked_ns});
}

py::dict pool_report() {
    PoolStats const s = pool_stats();
    py::dict d;
    d["workers"] = s.workers;
    d["shared"] = s.shared;
    d["lonely"] = s.lonely;
    d["chunks"] = s.chunks;
    d["helped"] = s.helped;
    d["stalls"] = s.stalls;
    return d;
}

}  // namespace raptors
