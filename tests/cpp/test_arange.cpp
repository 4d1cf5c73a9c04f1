// arange's kernel on every ISA: first + i * step, two roundings or wrapping integers, and nothing
// around them.
#include <cstring>
#include <initializer_list>
#include <type_traits>
#include <vector>

#include "api/table.h"
#include "check.h"
#include "dispatch.h"
#include "elementary.h"

using namespace raptors;

namespace {

constexpr char canary = 0x5a;
constexpr ptrdiff_t margin = 64;

template <class T>
T element(T first, T step, ptrdiff_t i) {
    if constexpr (std::is_floating_point_v<T>) {
        T const product = static_cast<T>(i) * step;
        return first + product;
    } else {
        return static_cast<T>(static_cast<uint64_t>(first) +
                              static_cast<uint64_t>(i) * static_cast<uint64_t>(step));
    }
}

template <class T>
void compare(Isa isa, DType dtype, T first, T step, ptrdiff_t n, ptrdiff_t offset) {
    ArangeFn const kernel = table(isa)->arange[static_cast<int>(dtype)];
    ptrdiff_t const bytes = n * static_cast<ptrdiff_t>(sizeof(T));
    std::vector<char> memory(static_cast<size_t>(bytes + offset + 2 * margin), canary);
    char* const out = memory.data() + margin + offset;
    kernel(&first, &step, out, n);
    ptrdiff_t wrong = 0;
    for (ptrdiff_t i = 0; i < n; ++i) {
        T const wanted = element(first, step, i);
        wrong += std::memcmp(out + i * static_cast<ptrdiff_t>(sizeof(T)), &wanted, sizeof(T)) != 0;
    }
    for (const char* p = memory.data(); p < out; ++p) wrong += *p != canary;
    for (const char* p = out + bytes; p < memory.data() + memory.size(); ++p) wrong += *p != canary;
    CHECK_MESSAGE(wrong == 0, "isa %d dtype %d n %td offset %td: %td", static_cast<int>(isa),
                  static_cast<int>(dtype), n, offset, wrong);
}

template <class T>
void all(Isa isa, DType dtype) {
    if constexpr (!std::is_same_v<T, boolean>)
        for (ptrdiff_t n : {0, 1, 2, 7, 8, 9, 31, 64, 65, 1000, 65535, 65536, 65537, 200003})
            for (ptrdiff_t offset : {0, 1, 8}) {
                compare<T>(isa, dtype, T{3}, T{2}, n, offset);
                compare<T>(isa, dtype, T{0}, static_cast<T>(-7), n, offset);
                if constexpr (std::is_floating_point_v<T>)
                    compare<T>(isa, dtype, static_cast<T>(-0.1), static_cast<T>(0.3), n, offset);
            }
}

}  // namespace

int main() {
    for (int i = 0; i < n_isas; ++i) {
        auto const isa = static_cast<Isa>(i);
        if (!table(isa)) continue;
        for (int t = 0; t < n_dtypes; ++t)
            with_elementary_type(static_cast<DType>(t),
                                 [&]<class T>(TypeTag<T>) { all<T>(isa, static_cast<DType>(t)); });
    }
    return checks.report("arange");
}
