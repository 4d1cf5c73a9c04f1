// How many threads a call may use, and long calls without the GIL.
#pragma once
#include "python/pybind.h"

#include "frame/threads/work_split.h"

namespace raptors {

// Calls of fewer elements are not looked at: the calling thread does them, holding the GIL.
extern npy_intp long_from;

constexpr double cast_cost = 0.15;  // nanoseconds for an element that is converted on the way

// How a call that costs one thread `ns` is done.
struct Plan {
    WorkSplit split;
    bool release;  // whether others may have the GIL meanwhile
};
bool is_worth_planning(double ns);
int current_threads();  // that a call may use
Plan plan_call(WorkSplit split, double ns);

// PyEval_RestoreThread. Where the interpreter has ended meanwhile, that would end the thread and
// run the destructors of all that is around, without the GIL: it waits for the end of the process
// instead, as Python 3.14 has it.
void take_gil(PyThreadState* state);

// body(split) by the threads that are worth it, without the GIL where it takes long enough. Nothing
// in `body` may touch a Python object. share_by(threads): how the work is shared out. `waits`: the
// body may wait for other threads, however short it is, and must not keep the GIL meanwhile.
template <class ShareBy, class Body>
inline void run_work(double ns, const ShareBy& share_by, const Body& body, bool waits = false) {
    if (!waits && !is_worth_planning(ns)) [[likely]] {
        body(unsplit);
        return;
    }
    Plan const plan = plan_call(share_by(current_threads()), ns);
    if (!plan.release && !waits) {
        body(plan.split);
        end_call();
        return;
    }
    PyThreadState* const state = PyEval_SaveThread();
    body(plan.split);
    end_call();
    take_gil(state);
}
// The same for n elements that cost one thread `ns` each.
template <class Body>
inline void run_long(npy_intp n, double ns, const Body& body) {
    if (n < long_from) [[likely]] {
        body(unsplit);
        return;
    }
    double const total = static_cast<double>(n) * ns;
    run_work(total, [&](int threads) { return split_in_turn(n, total, threads); }, body);
}

// Reads RAPTORS_NUM_THREADS, OMP_NUM_THREADS, RAPTORS_MIN_PARALLEL and RAPTORS_FAIL_THREAD; raises
// on bad values of the first and the third.
void init_threads();

// Of all contexts without their own number; of this context until it leaves.
void set_num_threads(long long n);
pybind11::object enter_threads(long long n);
void leave_threads(const pybind11::object& token);
// The first, as threadpoolctl limits and restores it: any number is taken, and where the number
// followed that of the processors, it does so again once it is set back.
int process_limit();
void set_process_limit(long long n);

// What loads the figures of an earlier calibration: called without arguments by the first call that
// is long enough to share among threads.
void bind_figures(const pybind11::object& load);

// ({op: {dtype: nanoseconds for an element}}, {combine: ...}): measured, taken from now on.
pybind11::tuple measure_costs();
void set_costs(const pybind11::dict& ops, const pybind11::dict& combines);
ptrdiff_t find_stream_from();     // measure_stream_from() and
pybind11::tuple find_hand_off();  // measure_hand_off(), without the GIL
// (nanoseconds of work for a worker that waits, for one that sleeps): pool_limits(); to set, unless
// RAPTORS_MIN_PARALLEL has.
pybind11::tuple hand_off_limits();
void set_hand_off_limits(double hot_ns, double parked_ns);
pybind11::dict pool_report();  // pool_stats() by name

}  // namespace raptors
