#include "stream.h"

#if defined(__x86_64__)
#include <emmintrin.h>

#include <cstdio>
#endif

namespace raptors {

#if defined(__x86_64__)
namespace {

constexpr ptrdiff_t piece = 4096;  // bytes
constexpr ptrdiff_t line = 64;

// The last-level cache that this core shares. (sysconf adds up those of the whole machine.)
ptrdiff_t last_cache() noexcept {
    long kilobytes = 0;
    if (FILE* const file = fopen("/sys/devices/system/cpu/cpu0/cache/index3/size", "re")) {
        if (fscanf(file, "%ldK", &kilobytes) != 1) kilobytes = 0;
        fclose(file);
    }
    return static_cast<ptrdiff_t>(kilobytes > 0 ? kilobytes << 10 : 32L << 20);
}

// A piece of output to memory. Meanwhile the inputs of the next piece are fetched: reading and
// writing would otherwise take turns.
void store_past_caches(char* to, const char* from, const Block& next, int inputs,
                       int out_size) noexcept {
    ptrdiff_t step[max_operands];  // of an input, per line of output
    for (int i = 0; i < inputs; ++i) step[i] = next.inner[i] * (line / out_size);
    for (ptrdiff_t k = 0; k < piece / line; ++k) {
        for (int i = 0; i < inputs; ++i)
            if (step[i]) __builtin_prefetch(next.data[i] + k * step[i]);
        for (ptrdiff_t j = k * line; j < (k + 1) * line; j += 16)
            _mm_stream_si128(reinterpret_cast<__m128i*>(to + j),
                             _mm_load_si128(reinterpret_cast<const __m128i*>(from + j)));
    }
}

// One row; its output is contiguous, of elements that lie evenly in cache lines.
void stream_row(ElementwiseFn kernel, const Block& row, int operands, int out_size) noexcept {
    int const out = operands - 1;
    alignas(line) char buffer[piece];
    Block part = row;
    auto advance = [&](ptrdiff_t n) {
        for (int i = 0; i < operands; ++i) part.data[i] += n * part.inner[i];
    };
    auto const off = static_cast<ptrdiff_t>(reinterpret_cast<uintptr_t>(row.data[out]) % line);
    ptrdiff_t head = off ? (line - off) / out_size : 0;  // up to the first whole line
    if (head > row.n) head = row.n;
    part.n = head;
    if (head) kernel(part);
    advance(head);
    ptrdiff_t left = row.n - head;
    for (ptrdiff_t const n = piece / out_size; left >= n; left -= n) {
        char* const to = part.data[out];
        part.n = n;
        part.data[out] = buffer;
        kernel(part);
        part.data[out] = to;
        advance(n);
        store_past_caches(to, buffer, part, out, out_size);
    }
    part.n = left;
    if (left) kernel(part);
}

}  // namespace

ptrdiff_t stream_threshold() noexcept {
    static ptrdiff_t const bytes = last_cache() / 2 * 3;
    return bytes;
}

bool streams(const Block& block, int operands, int out_size) noexcept {
    int const out = operands - 1;
    ptrdiff_t width = 0;  // bytes of all operands per element
    for (int i = 0; i < operands; ++i)
        width += block.inner[i] < 0 ? -block.inner[i] : block.inner[i];
    if (block.n * block.rows * width < stream_threshold() || block.inner[out] != out_size ||
        block.n < 2 * piece / out_size ||
        reinterpret_cast<uintptr_t>(block.data[out]) % static_cast<unsigned>(out_size) ||
        block.outer[out] % out_size)
        return false;
    for (int i = 0; i < out; ++i)
        if (block.data[i] == block.data[out]) return false;  // in place: the lines are read anyway
    return true;
}

void run_streaming(ElementwiseFn kernel, const Block& block, int operands, int out_size) noexcept {
    Block row = block;
    row.rows = 1;
    for (ptrdiff_t r = 0; r < block.rows; ++r) {
        stream_row(kernel, row, operands, out_size);
        for (int i = 0; i < operands; ++i) row.data[i] += block.outer[i];
    }
    _mm_sfence();
}
#else
ptrdiff_t stream_threshold() noexcept { return PTRDIFF_MAX; }
bool streams(const Block&, int, int) noexcept { return false; }
void run_streaming(ElementwiseFn kernel, const Block& block, int, int) noexcept { kernel(block); }
#endif

}  // namespace raptors
