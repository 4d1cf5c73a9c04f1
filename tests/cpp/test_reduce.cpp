// Every combine and dtype on every ISA of this machine against plain loops.
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <type_traits>
#include <vector>

#include "api/table.h"
#include "check.h"
#include "dispatch.h"
#include "elementary.h"
#include "frame/fp/fpstatus.h"

using namespace raptors;

namespace {

std::mt19937_64 generator(20240611);

template <class T>
constexpr DType dtype_of() {
#define DTYPE(id, type, ...) \
    if (std::is_same_v<T, type>) return DType::id;
#include "tables/dtypes.def"
    return DType::count;
}

template <class T>
T get(const char* p) {
    T x;
    memcpy(&x, p, sizeof x);
    return x;
}

template <class T>
std::vector<char> random_bytes(size_t elements) {
    std::vector<char> bytes(elements * sizeof(T) + 64);
    std::normal_distribution<double> normal;
    for (size_t i = 0; i < elements; ++i) {
        T x;
        if constexpr (std::is_floating_point_v<T>)
            x = static_cast<T>(normal(generator));
        else if constexpr (std::is_same_v<T, boolean>)
            x = static_cast<T>(generator() % 3 ? 0 : generator() % 256);
        else
            x = static_cast<T>(generator());
        memcpy(&bytes[i * sizeof(T)], &x, sizeof x);
    }
    return bytes;
}

// One combine as its elements, in order.
template <class T>
std::vector<T> elements(const ReduceBlock& r, ptrdiff_t row) {
    std::vector<T> x;
    for (ptrdiff_t i = 0; i < r.n; ++i)
        x.push_back(get<T>(r.in + row * r.in_row + i * r.in_stride));
    return x;
}

// NumPy's pairwise summation as its source has it.
template <class T>
T pairwise(const T* a, ptrdiff_t n) {
    if (n < 8) {
        T s = T(-0.0);
        for (ptrdiff_t i = 0; i < n; ++i) s += a[i];
        return s;
    }
    if (n <= 128) {
        T r[8];
        for (int k = 0; k < 8; ++k) r[k] = a[k];
        ptrdiff_t i = 8;
        for (; i < n - n % 8; i += 8)
            for (int k = 0; k < 8; ++k) r[k] += a[i + k];
        T s = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
        for (; i < n; ++i) s += a[i];
        return s;
    }
    ptrdiff_t half = n / 2;
    half -= half % 8;
    return pairwise(a, half) + pairwise(a + half, n - half);
}

template <class T>
bool is_nan(T x) {
    if constexpr (std::is_floating_point_v<T>) return std::isnan(x);
    return false;
}
template <class T>
bool same_value(T a, T b) {
    return (is_nan(a) && is_nan(b)) || a == b;
}
template <class T>
uint64_t wide(T x) {
    if constexpr (std::is_same_v<T, boolean>) return x != 0;
    return static_cast<uint64_t>(static_cast<int64_t>(x));
}
template <class T>
auto comparable(T x) {
    if constexpr (std::is_same_v<T, boolean>)
        return static_cast<int>(x != 0);
    else
        return x;
}

ptrdiff_t distance(ptrdiff_t stride) { return stride < 0 ? -stride : stride; }

// Is out (8 bytes) what reducing r's row into `before` must give?
template <class T>
bool expected(Combine combine, const ReduceBlock& r, ptrdiff_t row, const char* before,
              const char* out) {
    auto const x = elements<T>(r, row);
    switch (combine) {
        case Combine::add:
            if constexpr (std::is_floating_point_v<T>) {
                bool const by_row =
                    r.rows == 1 || (r.n > 1 && distance(r.in_stride) <= distance(r.in_row));
                T const got = get<T>(out);
                if (by_row) return same_value(got, get<T>(before) + pairwise(x.data(), r.n));
                long double exact = get<T>(before), size = std::fabs(exact);
                for (T v : x) {
                    exact += v;
                    size += std::fabs(v);
                }
                if (size > std::numeric_limits<T>::max() / 4 && std::isfinite(exact))
                    return true;  // bytes read at odd addresses: overflow comes where the order has
                                  // it
                if (std::isnan(exact) || std::isinf(exact))
                    return same_value(got, static_cast<T>(exact));
                long double const depth = 24 + std::log2(static_cast<long double>(r.n));
                return std::fabs(got - exact) <=
                       depth * std::numeric_limits<T>::epsilon() / 2 * size;
            } else {
                uint64_t s = get<uint64_t>(before);
                for (T v : x) s += wide(v);
                return s == get<uint64_t>(out);
            }
        case Combine::multiply:
            if constexpr (std::is_floating_point_v<T>) {
                T p = get<T>(before);
                for (T v : x) p *= v;
                return same_value(p, get<T>(out));
            } else {
                uint64_t p = get<uint64_t>(before);
                for (T v : x) p *= wide(v);
                return p == get<uint64_t>(out);
            }
        case Combine::minimum:
        case Combine::maximum: {
            auto m = comparable(get<T>(before));
            for (T v : x) {
                auto const c = comparable(v);
                if (!is_nan(m) && (is_nan(c) || (combine == Combine::minimum ? c < m : c > m)))
                    m = c;
            }
            return same_value(m, comparable(get<T>(out)));
        }
        case Combine::fmin:
        case Combine::fmax: {
            auto m = comparable(get<T>(before));
            for (T v : x) {
                auto const c = comparable(v);
                if (is_nan(m) || (combine == Combine::fmin ? c < m : c > m)) m = c;
            }
            return same_value(m, comparable(get<T>(out)));
        }
        case Combine::logical_or:
        case Combine::logical_and: {
            bool t = *before != 0;
            for (T v : x) t = combine == Combine::logical_or ? (v != T{} || t) : (v != T{} && t);
            return *out == t;
        }
        case Combine::argmin:
        case Combine::argmax: {
            size_t best = 0;
            for (size_t i = 1; i < x.size(); ++i) {
                auto const a = comparable(x[best]), b = comparable(x[i]);
                if (!is_nan(a) && (is_nan(b) || (combine == Combine::argmin ? b < a : b > a)))
                    best = i;
            }
            return get<int64_t>(out) == static_cast<int64_t>(best);
        }
        default:
            return false;
    }
}

template <class T>
void initial(Combine combine, const ReduceBlock& r, ptrdiff_t row, char* out) {
    memset(out, 0, 8);
    if (combine == Combine::add && std::is_floating_point_v<T>) {
        T const zero = static_cast<T>(std::is_floating_point_v<T> ? -0.0 : 0);
        memcpy(out, &zero, sizeof zero);
    } else if (combine == Combine::multiply) {
        T const one = static_cast<T>(1);
        uint64_t const wide_one = 1;
        if (std::is_floating_point_v<T>)
            memcpy(out, &one, sizeof one);
        else
            memcpy(out, &wide_one, sizeof wide_one);
    } else if (combine_info[static_cast<int>(combine)].accumulator == CombineInfo::SAME) {
        memcpy(out, r.in + row * r.in_row, sizeof(T));
    } else if (combine == Combine::logical_and) {
        *out = 1;
    }
}

size_t result_size(Combine combine, size_t element, bool is_float) {
    if (combine == Combine::logical_or || combine == Combine::logical_and) return 1;
    if (combine_info[static_cast<int>(combine)].accumulator == CombineInfo::SAME) return element;
    if (combine == Combine::argmin || combine == Combine::argmax || !is_float) return 8;
    return element;
}

// By Isa; of those that the CPU does not have, which takes a microsecond to find out, nullptr.
std::vector<const Table*> const tables = [] {
    std::vector<const Table*> all;
    for (int isa = 0; isa < n_isas; ++isa) all.push_back(table(static_cast<Isa>(isa)));
    return all;
}();

// All ISAs on one call: right, and the same bits.
template <class T>
void check_call(Combine combine, ReduceBlock r, ptrdiff_t out_row = 0) {
    size_t const size = result_size(combine, sizeof(T), std::is_floating_point_v<T>);
    if (out_row == 0) out_row = static_cast<ptrdiff_t>(size);
    std::vector<char> first;
    for (int isa = 0; isa < n_isas; ++isa) {
        const Table* const t = tables[static_cast<size_t>(isa)];
        if (!t) continue;
        ReduceFn const kernel =
            t->reduce[static_cast<int>(combine)][static_cast<int>(dtype_of<T>())];
        CHECK(kernel != nullptr);
        if (!kernel) continue;
        std::vector<char> out(static_cast<size_t>((r.rows - 1) * out_row) + size + 8, 0x55), before;
        for (ptrdiff_t row = 0; row < r.rows; ++row) {
            char start[8];
            initial<T>(combine, r, row, start);
            memcpy(&out[static_cast<size_t>(row * out_row)], start, size);
            before.insert(before.end(), start, start + 8);
        }
        r.out = out.data();
        r.out_row = out_row;
        kernel(r);
        for (ptrdiff_t row = 0; row < r.rows; ++row)
            CHECK_MESSAGE(expected<T>(combine, r, row, &before[static_cast<size_t>(row * 8)],
                                      &out[static_cast<size_t>(row * out_row)]),
                          "isa %d combine %d dtype %d n %td stride %td rows %td in_row %td row %td",
                          isa, static_cast<int>(combine), static_cast<int>(dtype_of<T>()), r.n,
                          r.in_stride, r.rows, r.in_row, row);
        CHECK(out.back() == 0x55);  // nothing behind the outputs
        if (first.empty()) first = out;
        bool finite = true;
        if constexpr (std::is_floating_point_v<T>)
            for (ptrdiff_t row = 0; row < r.rows && finite; ++row)
                for (T v : elements<T>(r, row)) finite &= std::isfinite(v) != 0;
        if (finite) CHECK(first == out);
    }
}

std::vector<ptrdiff_t> lengths() {
    std::vector<ptrdiff_t> n;
    for (ptrdiff_t i = 1; i <= 300; ++i) n.push_back(i);
    for (ptrdiff_t i : {511, 512, 520, 536, 543, 544, 545, 552, 777, 1000, 1016, 1024, 1025, 1032,
                        2048, 4097, 9999})
        n.push_back(i);
    return n;
}

template <class T>
void check_dtype() {
    constexpr ptrdiff_t size = sizeof(T);
    for (int f = 0; f < n_combines; ++f) {
        Combine const combine = static_cast<Combine>(f);
        for (ptrdiff_t n : lengths()) {
            for (ptrdiff_t rows : {1, 2, 3, 17, 70}) {
                if (n * rows > 4000 && rows > 3) continue;
                bool const thinned = emulated ? n > 8 : n > 40 && rows > 1;
                if (thinned && n < 300 && (n * 7 + rows + f) % (emulated ? 10 : 5)) continue;
                auto const bytes = random_bytes<T>(static_cast<size_t>(n * rows * 2 + 8));
                const char* const p = bytes.data();
                ReduceBlock r{};
                r.n = n;
                r.rows = rows;
                auto with = [&](const char* in, ptrdiff_t stride, ptrdiff_t in_row,
                                ptrdiff_t out_row = 0) {
                    r.in = in;
                    r.in_stride = stride;
                    r.in_row = in_row;
                    check_call<T>(combine, r, out_row);
                };
                with(p, size, n * size);                              // rows
                with(p + 1, size, n * size, 24);                      // unaligned, spread output
                with(p, rows * size, size);                           // columns
                with(p + 1, rows * size, size, 16);                   // unaligned
                with(p, 2 * size, 2 * n * size);                      // every other
                with(p, 2 * rows * size, 2 * size);                   // columns, every other
                with(p + (n - 1) * size, -size, n * size);            // backwards
                with(p + (n - 1) * rows * size, -rows * size, size);  // columns from below
                with(p, 0, size);                                     // one element, repeated
            }
        }
        auto const bytes = random_bytes<T>(size_t{100003} * 3);
        check_call<T>(combine, {bytes.data(), nullptr, 100003, size, 1, 0, 0});
        check_call<T>(combine, {bytes.data(), nullptr, 100003, 3 * size, 3, size, 0});
        check_call<T>(combine, {bytes.data(), nullptr, 3, size, 20011, 3 * size, 0});
        check_call<T>(combine, {bytes.data(), nullptr, 3, 20011 * size, 20011, size, 0});
    }
}

// NaN, infinities and signed zeros at every place of short and some places of long rows.
template <class T>
void check_special() {
    T const specials[] = {std::numeric_limits<T>::quiet_NaN(), std::numeric_limits<T>::infinity(),
                          -std::numeric_limits<T>::infinity(), T(-0.0), T(0.0)};
    for (int f = 0; f < n_combines; ++f)
        for (ptrdiff_t n : {1, 2, 7, 8, 9, 33, 64, 100, 130, 1000, 5000})
            for (ptrdiff_t rows : {1, 3, 40})
                for (T special : specials) {
                    auto bytes = random_bytes<T>(static_cast<size_t>(n * rows));
                    for (int count = 1; count <= 3; ++count) {
                        size_t const at = generator() % static_cast<size_t>(n * rows);
                        memcpy(&bytes[at * sizeof(T)], &special, sizeof(T));
                        ReduceBlock r{bytes.data(),
                                      nullptr,
                                      n,
                                      sizeof(T),
                                      rows,
                                      n * static_cast<ptrdiff_t>(sizeof(T)),
                                      0};
                        check_call<T>(static_cast<Combine>(f), r);
                        r.in_stride = rows * static_cast<ptrdiff_t>(sizeof(T));
                        r.in_row = sizeof(T);
                        check_call<T>(static_cast<Combine>(f), r);
                    }
                }
    // all zeros of either sign: false
    std::vector<T> zeros(1000, T(-0.0));
    for (Combine combine :
         {Combine::logical_or, Combine::logical_and, Combine::argmax, Combine::argmin})
        check_call<T>(combine,
                      {reinterpret_cast<char*>(zeros.data()), nullptr, 1000, sizeof(T), 1, 0, 0});
    // -0.0 alone stays -0.0
    for (int isa = 0; isa < n_isas; ++isa) {
        const Table* const t = tables[static_cast<size_t>(isa)];
        if (!t) continue;
        for (ptrdiff_t n : {1, 5, 8, 100, 1000}) {
            T out = T(-0.0);
            t->reduce[static_cast<int>(Combine::add)][static_cast<int>(dtype_of<T>())](
                {reinterpret_cast<char*>(zeros.data()), reinterpret_cast<char*>(&out), n, sizeof(T),
                 1, 0, 0});
            CHECK(out == 0 && std::signbit(out));
        }
    }
}

// Reads stay inside the array: its first and last bytes lie next to pages that nobody may read.
template <class T>
void check_guarded() {
    size_t const page = static_cast<size_t>(sysconf(_SC_PAGESIZE)), room = 4 * page;
    char* const got = static_cast<char*>(
        mmap(nullptr, room + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK(mprotect(got + page, room, PROT_READ | PROT_WRITE) == 0);
    char *const low = got + page, *const high = low + room;
    memset(low, 0, room);
    constexpr ptrdiff_t size = sizeof(T);
    for (int f = 0; f < n_combines; ++f)
        for (ptrdiff_t n = 1; n <= 140; n += emulated && n >= 40 ? 5 : 1)
            for (ptrdiff_t rows : {1, 5}) {
                ptrdiff_t const bytes = n * rows * size;
                Combine const combine = static_cast<Combine>(f);
                for (const char* p :
                     {static_cast<const char*>(low), static_cast<const char*>(high - bytes)}) {
                    check_call<T>(combine, {p, nullptr, n, size, rows, n * size, 0});
                    check_call<T>(combine, {p, nullptr, n, rows * size, rows, size, 0});
                }
                if (n * 2 * size <= static_cast<ptrdiff_t>(room))
                    check_call<T>(combine,
                                  {high - (2 * n - 1) * size, nullptr, n, 2 * size, 1, 0, 0});
            }
    munmap(got, room + 2 * page);
}

// any and all stop early: the rest of the array may not even be readable.
void check_early_exit() {
    size_t const page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    char* const got = static_cast<char*>(
        mmap(nullptr, 9 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    memset(got, 1, page);
    CHECK(mprotect(got + 8 * page, page, PROT_NONE) == 0);
    for (int isa = 0; isa < n_isas; ++isa) {
        const Table* const t = tables[static_cast<size_t>(isa)];
        if (!t) continue;
        for (DType d : {DType::boolean, DType::int8, DType::int32, DType::float64}) {
            ptrdiff_t const size = dtype_info[static_cast<int>(d)].size;
            ptrdiff_t const n = static_cast<ptrdiff_t>(9 * page) / size;
            char out = 0;
            t->reduce[static_cast<int>(Combine::logical_or)][static_cast<int>(d)](
                {got, &out, n, size, 1, 0, 0});
            CHECK(out == 1);
            t->reduce[static_cast<int>(Combine::logical_and)][static_cast<int>(d)](
                {got, &out, n, size, 1, 0, 0});
            CHECK(out == 0);
        }
    }
    munmap(got, 9 * page);
}

// Sums raise what the data warrant, and nothing else.
void check_status() {
    double const infinity = std::numeric_limits<double>::infinity(),
                 huge = std::numeric_limits<double>::max();
    for (int isa = 0; isa < n_isas; ++isa) {
        const Table* const t = tables[static_cast<size_t>(isa)];
        if (!t) continue;
        ReduceFn const sum =
            t->reduce[static_cast<int>(Combine::add)][static_cast<int>(DType::float64)];
        for (ptrdiff_t n : {2, 9, 100, 1000, 3000}) {
            auto status = [&](double first, double last) {
                std::vector<double> x(static_cast<size_t>(n), 1.0);
                x.front() = first;
                x.back() = last;
                double out = -0.0;
                clear_fp_status();
                sum({reinterpret_cast<char*>(x.data()), reinterpret_cast<char*>(&out), n, 8, 1, 0,
                     0});
                int const row = fp_status();
                std::vector<double> wide;
                for (double v : x) wide.insert(wide.end(), {v, 0.5, v});
                double outs[3] = {-0.0, -0.0, -0.0};
                clear_fp_status();
                sum({reinterpret_cast<char*>(wide.data()), reinterpret_cast<char*>(outs), n, 24, 3,
                     8, 8});
                CHECK(fp_status() == row);
                return row;
            };
            CHECK(status(1, 2) == 0);
            CHECK(status(infinity, 1) == 0);
            CHECK(status(infinity, -infinity) == fp_invalid);
            CHECK(status(huge, huge) == fp_overflow);
            CHECK(status(std::nan(""), 1) == 0);
        }
    }
}

// Every row has the kernels that it says, and no others, on every ISA.
void check_rows() {
    for (int isa = 0; isa < n_isas; ++isa) {
        const Table* const t = table(static_cast<Isa>(isa));
        for (int combine = 0; t && combine < n_combines; ++combine)
            for (int type = 0; type < n_dtypes; ++type)
                if (computed(static_cast<DType>(type)) == static_cast<DType>(type))
                    CHECK((t->reduce[combine][type] != nullptr) ==
                          ((combine_info[combine].types >> type & 1U) != 0));
    }
}

}  // namespace

int main() {
    check_rows();
    for (int t = 0; t < n_dtypes; ++t)
        with_elementary_type(static_cast<DType>(t), []<class T>(TypeTag<T>) { check_dtype<T>(); });
    check_special<float>();
    check_special<double>();
    check_guarded<int8_t>();
    check_guarded<boolean>();
    check_guarded<int16_t>();
    check_guarded<uint32_t>();
    check_guarded<float>();
    check_guarded<double>();
    check_early_exit();
    check_status();
    return checks.report("test_reduce");
}
