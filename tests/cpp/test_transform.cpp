// isa/transform.h with a function of two inputs: values, memory and floating-point status.
#define RAPTORS_ISA scalar
#include "isa/transform.h"

#include <limits>
#include <vector>

#include "check.h"
#include "frame/fp/fpstatus.h"

using namespace raptors;

namespace {

struct Quotient {
    static constexpr double filler = 1;
    template <class V>
    static RAPTORS_INLINE V apply(V x, V y) {
        return x / y;
    }
};

template <class T>
void run(const T* x, ptrdiff_t x_step, const T* y, ptrdiff_t y_step, T* out, ptrdiff_t out_step,
         ptrdiff_t n) {
    auto const bytes = [](const T* p) {
        return const_cast<char*>(reinterpret_cast<const char*>(p));
    };
    constexpr auto size = static_cast<ptrdiff_t>(sizeof(T));
    scalar::BinaryTransform<Quotient, T>::run({{bytes(x), bytes(y), bytes(out)},
                                               {x_step * size, y_step * size, out_step * size},
                                               {},
                                               n,
                                               1},
                                              nullptr);
}

// 0 / 0 lies beyond the end of each run.
template <class T>
void test_binary() {
    constexpr ptrdiff_t longest = 130;
    T const untouched = T(123.25);
    for (ptrdiff_t n = 0; n <= longest; ++n)
        for (ptrdiff_t const x_step : {0, 1, 2})
            for (ptrdiff_t const y_step : {0, 1, 3})
                for (ptrdiff_t const out_step : {1, 2}) {
                    std::vector<T> x(4 * longest), y(4 * longest), out(4 * longest, untouched);
                    for (ptrdiff_t i = 0; i < n || i < 1; ++i) {
                        x[static_cast<size_t>(i * x_step)] = static_cast<T>(i + 1);
                        y[static_cast<size_t>(i * y_step)] = static_cast<T>(2 * i + 3);
                    }
                    clear_fp_status();
                    run(x.data(), x_step, y.data(), y_step, out.data(), out_step, n);
                    bool same = fp_status() == 0;
                    for (ptrdiff_t i = 0; i < n; ++i)
                        same = same && out[static_cast<size_t>(i * out_step)] ==
                                           x[static_cast<size_t>(i * x_step)] /
                                               y[static_cast<size_t>(i * y_step)];
                    CHECK_MESSAGE(same && out[static_cast<size_t>(n * out_step)] == untouched,
                                  "n=%td steps %td %td %td", n, x_step, y_step, out_step);
                    if (n == 0) continue;
                    y[static_cast<size_t>((n - 1) * y_step)] = 0;
                    clear_fp_status();
                    run(x.data(), x_step, y.data(), y_step, out.data(), out_step, n);
                    CHECK(fp_status() == fp_divide_by_zero);
                    x.assign(x.size(), T(1));
                    y.assign(y.size(), T(2));
                    run(x.data(), 1, y.data(), y_step, x.data(), 1, n);  // in place
                    CHECK(x[static_cast<size_t>(n - 1)] == T(0.5) &&
                          x[static_cast<size_t>(n)] == T(1));
                }
}

}  // namespace

int main() {
    test_binary<float>();
    test_binary<double>();
    return checks.report("test_transform");
}
