// Floating-point status of the calling thread, in NumPy's bits.
#pragma once
#if defined(__x86_64__)
#include <xmmintrin.h>
#elif defined(__aarch64__)
#include <cstdint>
#else
#include <cfenv>
#endif

namespace raptors {

// The values of NPY_FPE_*.
enum FpStatus : int { fp_divide_by_zero = 1, fp_overflow = 2, fp_underflow = 4, fp_invalid = 8 };

#if defined(__x86_64__)
// Invalid, divide by zero, overflow, underflow: inexact and denormal are not looked at, and may
// stay set (writing the register is slow). The control bits stay as they are.
constexpr unsigned mxcsr_status = 0x1dU;
inline void clear_fp_status() noexcept {
    unsigned const csr = _mm_getcsr();
    if (csr & mxcsr_status) [[unlikely]]
        _mm_setcsr(csr & ~mxcsr_status);
}
inline int fp_status_of(unsigned csr) noexcept {
    if (!(csr & mxcsr_status)) [[likely]]
        return 0;
    return (csr & 0x04U ? fp_divide_by_zero : 0) | (csr & 0x08U ? fp_overflow : 0) |
           (csr & 0x10U ? fp_underflow : 0) | (csr & 0x01U ? fp_invalid : 0);
}
inline int fp_status() noexcept { return fp_status_of(_mm_getcsr()); }
// The status word of the x87 unit, whose bits are the same: feraiseexcept() sets some of them
// there.
inline unsigned x87_status() noexcept {
    unsigned short word;
    __asm__ volatile("fnstsw %0" : "=a"(word));
    return word;
}
inline void raise_fp_status(int status) noexcept {
    _mm_setcsr(_mm_getcsr() | (status & fp_divide_by_zero ? 0x04U : 0) |
               (status & fp_overflow ? 0x08U : 0) | (status & fp_underflow ? 0x10U : 0) |
               (status & fp_invalid ? 0x01U : 0));
}
// Rounds to nearest, keeps denormals, masks exceptions: a new thread inherits its creator's ways.
inline void reset_fp_control() noexcept { _mm_setcsr(0x1f80U); }
#elif defined(__aarch64__)
inline void clear_fp_status() noexcept {
    __asm__ volatile("msr fpsr, %0" ::"r"(uint64_t{0}) : "memory");
}
inline int fp_status() noexcept {
    uint64_t fpsr;
    __asm__ volatile("mrs %0, fpsr" : "=r"(fpsr)::"memory");
    return (fpsr & 2 ? fp_divide_by_zero : 0) | (fpsr & 4 ? fp_overflow : 0) |
           (fpsr & 8 ? fp_underflow : 0) | (fpsr & 1 ? fp_invalid : 0);
}
inline void raise_fp_status(int status) noexcept {
    uint64_t fpsr;
    __asm__ volatile("mrs %0, fpsr" : "=r"(fpsr)::"memory");
    fpsr |= (status & fp_divide_by_zero ? 2U : 0) | (status & fp_overflow ? 4U : 0) |
            (status & fp_underflow ? 8U : 0) | (status & fp_invalid ? 1U : 0);
    __asm__ volatile("msr fpsr, %0" ::"r"(fpsr) : "memory");
}
inline void reset_fp_control() noexcept {
    __asm__ volatile("msr fpcr, %0" ::"r"(uint64_t{0}) : "memory");
    clear_fp_status();
}
#else
inline void clear_fp_status() noexcept { std::feclearexcept(FE_ALL_EXCEPT); }
inline int fp_status() noexcept {
    int const raised = std::fetestexcept(FE_ALL_EXCEPT);
    return (raised & FE_DIVBYZERO ? fp_divide_by_zero : 0) |
           (raised & FE_OVERFLOW ? fp_overflow : 0) | (raised & FE_UNDERFLOW ? fp_underflow : 0) |
           (raised & FE_INVALID ? fp_invalid : 0);
}
inline void raise_fp_status(int status) noexcept {
    std::feraiseexcept(
        (status & fp_divide_by_zero ? FE_DIVBYZERO : 0) | (status & fp_overflow ? FE_OVERFLOW : 0) |
        (status & fp_underflow ? FE_UNDERFLOW : 0) | (status & fp_invalid ? FE_INVALID : 0));
}
inline void reset_fp_control() noexcept { std::fesetenv(FE_DFL_ENV); }
#endif

// The same where code runs that is not ours and raises what it likes.
inline void clear_any_fp_status() noexcept {
    clear_fp_status();
#if defined(__x86_64__)
    if (x87_status() & mxcsr_status) [[unlikely]] {
        __asm__ volatile("fnclex");
    }
#endif
}
inline int any_fp_status() noexcept {
#if defined(__x86_64__)
    return fp_status_of(_mm_getcsr() | x87_status());
#else
    return fp_status();
#endif
}

}  // namespace raptors
