// Each element several times, one after the other.
#include "api/move.h"
#include "isa/move/element.h"
#include "isa/table.h"

namespace raptors::RAPTORS_ISA {
namespace {

template <class U, int times>
void repeat_few(const char* in, char* to, ptrdiff_t n) {
    auto const* const from = reinterpret_cast<const Unaligned<U>*>(in);
    auto* const out = reinterpret_cast<Unaligned<U>*>(to);
    RAPTORS_INDEPENDENT
    for (ptrdiff_t i = 0; i < n; ++i)
        for (int j = 0; j < times; ++j) out[times * i + j] = from[i];
}

void repeat(const char* in, char* out, ptrdiff_t n, ptrdiff_t times, ptrdiff_t size) noexcept {
    auto const one_by_one = [&](auto copy_one) {
        for (ptrdiff_t i = 0; i < n; ++i, in += size)
            for (ptrdiff_t j = 0; j < times; ++j, out += size) copy_one(out, in);
    };
    auto const whole = [&](auto tag) {
        using U = typename decltype(tag)::type;
        if (times == 2) return repeat_few<U, 2>(in, out, n);
        if (times == 3) return repeat_few<U, 3>(in, out, n);
        if (times == 4) return repeat_few<U, 4>(in, out, n);
        one_by_one(CopyWhole<U>{});
    };
    with_element(size, whole, one_by_one);
}

}  // namespace

void fill_repeat(MoveTable& table) noexcept { table.repeat = &repeat; }

}  // namespace raptors::RAPTORS_ISA
