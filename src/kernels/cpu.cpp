#include "cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace raptors {
namespace {

#if defined(__x86_64__)

constexpr unsigned bit(int n) { return 1U << n; }
constexpr bool has(unsigned word, unsigned wanted) { return (word & wanted) == wanted; }

// Which register states the operating system saves. Only valid with OSXSAVE.
unsigned saved_states() {
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

bool supports_avx2(bool with_avx512) {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return false;
    // FMA, POPCNT, OSXSAVE, AVX, F16C
    if (!has(c, bit(12) | bit(23) | bit(27) | bit(28) | bit(29))) return false;
    unsigned const states = saved_states();
    if (!has(states, bit(1) | bit(2))) return false;  // XMM, YMM
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
    if (!has(b, bit(3) | bit(5) | bit(8))) return false;  // BMI1, AVX2, BMI2
    // AVX-512 F, DQ, BW, VL; opmask, upper halves of ZMM0-15, ZMM16-31
    bool const avx512 =
        has(b, bit(16) | bit(17) | bit(30) | bit(31)) && has(states, bit(5) | bit(6) | bit(7));
    if (!__get_cpuid(0x80000001U, &a, &b, &c, &d)) return false;
    return has(c, bit(5)) && (avx512 || !with_avx512);  // LZCNT
}

#endif

}  // namespace

bool cpu_supports(Isa isa) noexcept {
    switch (isa) {
        case Isa::scalar:
            return true;
#if defined(__x86_64__)
        case Isa::avx2:
            return supports_avx2(false);
        case Isa::avx512:
            return supports_avx2(true);
#elif defined(__aarch64__) && defined(__linux__)
        case Isa::neon:
            return (getauxval(AT_HWCAP) & (1UL << 1)) != 0;  // ASIMD
#elif defined(__aarch64__)
        case Isa::neon:
            return true;
#endif
        default:
            return false;
    }
}

}  // namespace raptors
