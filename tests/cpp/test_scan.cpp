// Every scan and dtype on every ISA of this machine, and the driver, against a loop over elements.
#include <cmath>
#include <cstring>
#include <random>
#include <type_traits>
#include <vector>

#include "api/table.h"
#include "check.h"
#include "dispatch.h"
#include "elementary.h"
#include "frame/run/scan.h"

using namespace raptors;

namespace {

std::mt19937_64 generator(20240613);

template <class E>
size_t index(E e) {
    return static_cast<size_t>(e);
}

// Small numbers, some of them special.
void put_random(DType t, char* to) {
    with_elementary_type(t, [&](auto tag) {
        using T = typename decltype(tag)::type;
        T x;
        if constexpr (std::is_floating_point_v<T>) {
            constexpr double special[] = {0.0, -0.0, INFINITY, -INFINITY, 1e300};
            uint64_t const which = generator() % 64;
            x = static_cast<T>(which < 5     ? special[which]
                               : which == 63 ? std::nan("")
                                             : std::normal_distribution<double>()(generator));
        } else {
            x = static_cast<T>(generator() % 4 ? generator() % 2 : generator());
        }
        memcpy(to, &x, sizeof x);
    });
}

// NaNs are alike; zeros are told apart.
bool is_same(DType t, const char* a, const char* b) {
    bool same = false;
    with_elementary_type(t, [&](auto tag) {
        using T = typename decltype(tag)::type;
        T x, y;
        memcpy(&x, a, sizeof x);
        memcpy(&y, b, sizeof y);
        if constexpr (std::is_floating_point_v<T>)
            same =
                (std::isnan(x) && std::isnan(y)) || (x == y && std::signbit(x) == std::signbit(y));
        else if constexpr (std::is_same_v<T, boolean>)
            same = (x != 0) == (y != 0);
        else
            same = x == y;
    });
    return same;
}

// What one run must be, side by side: by the elementwise kernel, element by element.
std::vector<char> expected_run(Scan scan, DType t, const char* in, ptrdiff_t n, ptrdiff_t stride,
                               const char* before) {
    auto const size = static_cast<size_t>(item_size(t));
    Kernel const combine = kernel_of(*table(Isa::scalar), scan_info[index(scan)].combine, t);
    std::vector<char> out(static_cast<size_t>(n) * size);
    for (ptrdiff_t i = 0; i < n; ++i) {
        char* const to = &out[static_cast<size_t>(i) * size];
        Element x;
        memcpy(x, in + i * stride, size);
        if (i == 0 && !before) {
            memcpy(to, x, size);
            continue;
        }
        Element last;
        memcpy(last, i ? to - size : before, size);
        Block block{};
        block.data[0] = last;
        block.data[1] = x;
        block.data[2] = to;
        block.n = block.rows = 1;
        combine(block);
    }
    return out;
}

// Memory of rows x n elements: how far apart they lie, and where the first one is.
struct Layout {
    ptrdiff_t stride, row;
    size_t bytes;
    ptrdiff_t first;
};
Layout make_layout(int kind, ptrdiff_t size, ptrdiff_t n, ptrdiff_t rows) {
    ptrdiff_t const lengths[][2] = {{size, size * n},              // along rows
                                    {size * rows, size},           // down columns
                                    {-size * rows, -size},         // backwards
                                    {size * 3, size * 3 * n + 1},  // at odd addresses
                                    {size * (rows + 2), size}};    // columns of a wider matrix
    ptrdiff_t const stride = lengths[kind][0], row = lengths[kind][1];
    ptrdiff_t const along = stride * (n - 1), across = row * (rows - 1);
    ptrdiff_t const low = (along < 0 ? along : 0) + (across < 0 ? across : 0);
    ptrdiff_t const high = (along > 0 ? along : 0) + (across > 0 ? across : 0);
    return {stride, row, static_cast<size_t>(high - low + size), -low};
}
constexpr int layouts = 5;

struct Case {
    Scan scan;
    DType t;
    ptrdiff_t n, rows;
    int in_layout, out_layout;
    bool continues, in_place;
};

void check_call(const Case& c) {
    ptrdiff_t const size = item_size(c.t);
    // One more element before each run, for `continues`.
    Layout const in = make_layout(c.in_layout, size, c.n, c.rows);
    Layout const out = make_layout(c.out_layout, size, c.n + 1, c.rows);
    std::vector<char> from(in.bytes);
    std::vector<char> start(out.bytes, 0x55);
    for (ptrdiff_t r = 0; r < c.rows; ++r) {
        for (ptrdiff_t i = 0; i < c.n; ++i)
            put_random(c.t, from.data() + in.first + r * in.row + i * in.stride);
        for (ptrdiff_t i = 0; i <= c.n; ++i)
            put_random(c.t, start.data() + out.first + r * out.row + i * out.stride);
    }
    for (int isa = 0; isa < n_isas; ++isa) {
        const Table* const t = table(static_cast<Isa>(isa));
        if (!t) continue;
        std::vector<char> to = start;
        char* const first = to.data() + out.first + out.stride;
        ScanBlock block{from.data() + in.first,
                        first,
                        c.n,
                        in.stride,
                        out.stride,
                        c.rows,
                        in.row,
                        out.row,
                        c.continues};
        if (c.in_place) {
            block.in = first;
            block.in_stride = out.stride;
            block.in_row = out.row;
        }
        t->scan[index(c.scan)][index(c.t)](block);
        const char* const own = c.in_place ? start.data() + out.first + out.stride : block.in;
        bool same = true;
        for (ptrdiff_t r = 0; r < c.rows; ++r) {
            const char* const before = start.data() + out.first + r * out.row;
            auto const run = expected_run(c.scan, c.t, own + r * block.in_row, c.n, block.in_stride,
                                          c.continues ? before : nullptr);
            const char* const got = first + r * out.row;
            same &= memcmp(got - out.stride, before, static_cast<size_t>(size)) == 0;
            for (ptrdiff_t i = 0; i < c.n; ++i)
                same &= is_same(c.t, got + i * out.stride, &run[static_cast<size_t>(i * size)]);
        }
        CHECK_MESSAGE(same, "%s, scan %d, %s, n %td, rows %td, layouts %d %d, %d %d",
                      isa_name(static_cast<Isa>(isa)), static_cast<int>(c.scan),
                      dtype_info[index(c.t)].name, c.n, c.rows, c.in_layout, c.out_layout,
                      c.continues, c.in_place);
    }
}

void check_calls(Scan scan, DType t) {
    for (ptrdiff_t n : {1, 2, 3, 17})
        for (ptrdiff_t rows : {1, 2, 3, 4, 5, 7, 8, 9, 33, 70})
            for (int in = 0; in < layouts; ++in)
                for (int out = 0; out < layouts; ++out) {
                    check_call({scan, t, n, rows, in, out, false, false});
                    check_call({scan, t, n, rows, in, out, true, false});
                    if (in == out) check_call({scan, t, n, rows, in, out, n % 2 == 0, true});
                }
    // More columns than are done at a time.
    if (!emulated) check_call({scan, t, 3, 9000, 1, 1, false, false});
}

// The driver: any axis of three, cast from int8, by one thread and several.
void check_driver(Scan scan, DType t) {
    constexpr ptrdiff_t shape[] = {5, 130, 70};
    constexpr ptrdiff_t total = shape[0] * shape[1] * shape[2];
    DType const given = DType::int8;
    const Table& scalar = *table(Isa::scalar);
    ptrdiff_t const size = item_size(t);
    std::vector<char> small(total), own(static_cast<size_t>(total * size));
    for (char& x : small) x = static_cast<char>(generator() % 7 - 3);
    KernelFn const cast = scalar.cast[index(given)][index(t)];
    Block whole{};
    whole.data[0] = small.data();
    whole.data[1] = own.data();
    whole.inner[0] = 1;
    whole.inner[1] = size;
    whole.n = total;
    whole.rows = 1;
    cast(whole, nullptr);
    WorkSplit const splits[] = {unsplit, {{4, true}, 500}};
    for (const WorkSplit& split : splits)
        for (int axis = 0; axis < 3; ++axis)
            for (bool casting : {false, true}) {
                std::vector<char> out(own.size());
                Nest nest;
                nest.ndim = 3;
                nest.operands = 2;
                nest.data[0] = casting ? small.data() : own.data();
                nest.data[1] = out.data();
                for (int a = 2, step = 1; a >= 0; --a) {
                    nest.shape[a] = shape[a];
                    nest.strides[0][a] = casting ? step : step * size;
                    nest.strides[1][a] = step * size;
                    step *= static_cast<int>(shape[a]);
                }
                Conversion const conversion = {casting ? cast : nullptr, static_cast<int>(size)};
                ScanFn const kernel = table(best_isa())->scan[index(scan)][index(t)];
                CHECK(run_scan(kernel, nest, axis, conversion, split));
                ptrdiff_t const stride = nest.strides[1][axis];
                bool same = true;
                for (ptrdiff_t i = 0; i < total; ++i) {
                    if (i * size / stride % shape[axis]) continue;  // no run begins here
                    auto const run = expected_run(scan, t, &own[static_cast<size_t>(i * size)],
                                                  shape[axis], stride, nullptr);
                    for (ptrdiff_t k = 0; k < shape[axis]; ++k)
                        same &= is_same(t, &out[static_cast<size_t>(i * size + k * stride)],
                                        &run[static_cast<size_t>(k * size)]);
                }
                CHECK_MESSAGE(same, "driver, scan %d, %s, axis %d, cast %d", static_cast<int>(scan),
                              dtype_info[index(t)].name, axis, casting);
            }
}

// Every row has the kernels that it says, and no others, on every ISA.
void check_rows() {
    for (int isa = 0; isa < n_isas; ++isa) {
        const Table* const t = table(static_cast<Isa>(isa));
        for (int scan = 0; t && scan < n_scans; ++scan)
            for (int type = 0; type < n_dtypes; ++type) {
                bool const has = t->scan[scan][type] != nullptr;
                CHECK(has == ((scan_info[scan].kernels >> type & 1U) != 0));
                auto const own = static_cast<DType>(type);
                if (scan_info[scan].types >> type & 1U)
                    CHECK(t->scan[scan][index(accumulator(static_cast<Scan>(scan), own))]);
            }
    }
}

}  // namespace

int main() {
    check_rows();
    for (int scan = 0; scan < n_scans; ++scan)
        for (int type = 0; type < n_dtypes; ++type) {
            if (!(scan_info[scan].kernels >> type & 1U)) continue;
            check_calls(static_cast<Scan>(scan), static_cast<DType>(type));
            check_driver(static_cast<Scan>(scan), static_cast<DType>(type));
        }
    return checks.report("test_scan");
}
