#include "frame/memory/streaming.h"

#if defined(__x86_64__)
#include <emmintrin.h>
#include <string.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "api/table.h"
#include "frame/memory/caching_allocator.h"
#include "frame/nest/axes.h"
#include "frame/run/blocks.h"
#include "frame/threads/clock.h"
#include "frame/threads/processors.h"
#endif

namespace raptors {

#if defined(__x86_64__)
namespace {

// Bytes of all operands in a piece, and how far behind the next piece inputs are fetched. Measured
// on Zen 4 for 128 MiB of float64, in ms, x * 2 and x + y, against 8.6 and 12.0 without streaming:
// 4096 of each operand, nothing more ahead, 5.7 and 13.3, since the pieces share the sets of L1;
// 1024 of each, 6.0 and 9.8, and 2048 ahead 5.6 and 9.3; 2048 of each, and 2048 ahead, 5.3
// and 12.0.
constexpr ptrdiff_t in_turn = 4096, ahead = 2048;
constexpr ptrdiff_t line = 64;
constexpr ptrdiff_t largest_buffer = in_turn;

std::atomic<ptrdiff_t> chosen_from{0};  // 0: what is built in

// Of a bigger cache many cores have a part each.
ptrdiff_t built_in() noexcept {
    constexpr ptrdiff_t most = ptrdiff_t{64} << 20;
    ptrdiff_t const bytes = cache_sizes().l3 * 2;
    return bytes < most ? bytes : most;
}

// Whether an input is one of those before it.
bool is_again(const Block& block, int input) noexcept {
    for (int i = 0; i < input; ++i)
        if (block.data[i] == block.data[input] && block.inner[i] == block.inner[input]) return true;
    return false;
}

// Elements of a piece: whole lines of output.
ptrdiff_t piece_of(const Kernel& kernel, const Block& block) noexcept {
    ptrdiff_t width = kernel.size(kernel.inputs);
    for (int i = 0; i < kernel.inputs; ++i)
        if (block.inner[i] && !is_again(block, i)) width += kernel.size(i);
    ptrdiff_t const n = in_turn / width / line * line;
    return n ? n : line;
}

// What is fetched for each line of output: one line after the other of each input.
struct Fetches {
    static constexpr int most = 8;
    int n = 0;
    const char* from[most];
    ptrdiff_t step[most];

    Fetches(const Block& next, int inputs, int out_size) noexcept {
        for (int i = 0; i < inputs; ++i) {
            ptrdiff_t const by = next.inner[i] * (line / out_size), sign = by < 0 ? -1 : 1;
            if (is_again(next, i)) continue;
            for (ptrdiff_t j = 0; j < magnitude(by) && n < most; j += line) {
                from[n] = next.data[i] + sign * (ahead + j);
                step[n++] = by;
            }
        }
    }
};

// A piece of output to memory. Meanwhile the inputs of a later piece are fetched, `ahead` of the
// next one: reading and writing would otherwise take turns.
void store_past_caches(char* to, const char* from, ptrdiff_t bytes, Fetches fetches) noexcept {
    for (ptrdiff_t k = 0; k < bytes; k += line) {
        for (int i = 0; i < fetches.n; ++i) {
            __builtin_prefetch(fetches.from[i]);
            fetches.from[i] += fetches.step[i];
        }
        for (ptrdiff_t j = k; j < k + line; j += 16)
            _mm_stream_si128(reinterpret_cast<__m128i*>(to + j),
                             _mm_load_si128(reinterpret_cast<const __m128i*>(from + j)));
    }
}

// One row; its output is contiguous, of elements that lie evenly in cache lines.
void stream_row(const Kernel& kernel, const Block& row) noexcept {
    int const out = kernel.inputs, operands = kernel.arguments(), out_size = kernel.size(out);
    alignas(line) char buffer[largest_buffer];
    ptrdiff_t const piece = piece_of(kernel, row);
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
    for (; left >= piece; left -= piece) {
        char* const to = part.data[out];
        part.n = piece;
        part.data[out] = buffer;
        kernel(part);
        part.data[out] = to;
        advance(piece);
        store_past_caches(to, buffer, piece * out_size, {part, out, out_size});
    }
    part.n = left;
    if (left) kernel(part);
}

// Whole cache lines past the caches, what is before and after them as usual; a source that comes
// from memory is fetched so many bytes ahead.
void copy_run_past_caches(char* to, const char* from, ptrdiff_t bytes, ptrdiff_t fetched) noexcept {
    auto const off = static_cast<ptrdiff_t>(reinterpret_cast<uintptr_t>(to) % line);
    ptrdiff_t i = off ? std::min(line - off, bytes) : 0;
    memcpy(to, from, static_cast<size_t>(i));
    for (; i + line <= bytes; i += line) {
        if (fetched) __builtin_prefetch(from + i + fetched);
        for (ptrdiff_t j = i; j < i + line; j += 16)
            _mm_stream_si128(reinterpret_cast<__m128i*>(to + j),
                             _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + j)));
    }
    memcpy(to + i, from + i, static_cast<size_t>(bytes - i));
}

// Tiles of a block whose output goes along the rows and an input down: so high that whole cache
// lines of that input are taken, four at a time; so small that L1 holds them. Measured on Ice Lake,
// ms for the transposed copy of 2000 x 2000 float32, by bytes across: 128 1.9, 256 2.0, 512 3.5;
// the same where no line of the output begins with a cache line: 4.1, 3.0, 2.1.
struct Tile {
    ptrdiff_t rows, n, step;  // of the buffer, whose rows share no sets of a cache
    static constexpr ptrdiff_t most_rows = 64, most_bytes = most_rows * (512 + line);

    Tile(const Block& block, int out, int out_size) noexcept {
        bool const in_lines = reinterpret_cast<uintptr_t>(block.data[out]) % line == 0 &&
                              block.outer[out] % line == 0;
        rows = std::min(4 * line / out_size, most_rows);
        n = std::max((in_lines ? 256 : 512) / out_size, 64);
        step = n * out_size + line;
    }
};

// Fetches part `i`, of as many as there are rows, of what inputs have below the tile.
void fetch_below(const Kernel& kernel, const Block& tile, ptrdiff_t i) noexcept {
    for (int input = 0; input < kernel.inputs; ++input) {
        const char* const below = tile.data[input] + tile.rows * tile.outer[input];
        ptrdiff_t const per_line = line / kernel.size(input), inner = tile.inner[input];
        if (is_column_like(tile, input)) {
            for (ptrdiff_t k = i * tile.n / tile.rows; k < (i + 1) * tile.n / tile.rows; ++k)
                for (ptrdiff_t j = 0; j < tile.rows; j += per_line)
                    __builtin_prefetch(below + k * inner + j * tile.outer[input]);
        } else if (inner) {
            for (ptrdiff_t k = 0; k < tile.n; k += per_line)
                __builtin_prefetch(below + i * tile.outer[input] + k * inner);
        }
    }
}

// The block with its output along the rows.
Block along_output(Block block, int out) noexcept {
    if (is_column_like(block, out)) {
        std::swap(block.rows, block.n);
        std::swap(block.inner, block.outer);
    }
    return block;
}

// Bytes of a result from which on tiles pay. Off Intel copies by whole lines keep up with them (Zen
// 3, ms in tiles and without: float32 1000 x 1000 0.26 and 0.20, 2000 x 2000 1.7 and 1.6, float64
// 3.8 and 2.8), unless the lines of the input fall into few sets of the caches (2048 x 2048 1.8 and
// 2.7, 4.0 and 4.9), and so do sums up to some megabytes (float64 1000 x 1000 1.1 and 0.9, 2500 x
// 2500 14 and 16).
ptrdiff_t tiles_from(const Kernel& kernel, const Block& block) noexcept {
    constexpr ptrdiff_t one_set = 4096, few_sets = 256;  // bytes between lines
    ptrdiff_t const least = 2 * cache_sizes().l2;
    if (__builtin_cpu_is("intel")) return least;
    if (kernel.inputs > 1) return stream_from() / 4;
    if (block.inner[0] % one_set == 0) return least;
    return block.inner[0] % few_sets == 0 ? stream_from() / 8 : PTRDIFF_MAX;
}

void stream_tiles(const Kernel& kernel, const Block& block) noexcept {
    constexpr ptrdiff_t band = 512;  // rows whose pages the processor remembers
    int const out = kernel.inputs, operands = kernel.arguments(), out_size = kernel.size(out);
    Tile const tile(block, out, out_size);
    alignas(line) char buffer[Tile::most_bytes];
    for (ptrdiff_t top = 0; top < block.rows; top += band)
        for (ptrdiff_t c = 0; c < block.n; c += tile.n)
            for (ptrdiff_t r = top; r < std::min(top + band, block.rows); r += tile.rows) {
                ptrdiff_t const n = std::min(tile.n, block.n - c);
                ptrdiff_t const rows = std::min(tile.rows, std::min(top + band, block.rows) - r);
                Block part = part_of(block, operands, r, rows, c, n);
                char* const to = part.data[out];
                part.data[out] = buffer;
                part.outer[out] = tile.step;
                kernel(part);
                for (ptrdiff_t i = 0; i < rows; ++i) {
                    fetch_below(kernel, part, i);
                    copy_run_past_caches(to + i * block.outer[out], buffer + i * tile.step,
                                         n * out_size, 0);
                }
            }
}

}  // namespace

ptrdiff_t stream_from() noexcept {
    ptrdiff_t const bytes = chosen_from.load(std::memory_order_relaxed);
    return bytes ? bytes : built_in();
}
void set_stream_from(ptrdiff_t bytes) noexcept {
    chosen_from.store(bytes, std::memory_order_relaxed);
}

bool streams(const Kernel& kernel, const Block& any) noexcept {
    if (kernel.outputs != 1 || kernel.context) return false;
    Block const block = along_output(any, kernel.inputs);
    int const out = kernel.inputs, operands = kernel.arguments(), out_size = kernel.size(out);
    if (block.inner[out] != out_size || block.outer[out] % out_size ||
        reinterpret_cast<uintptr_t>(block.data[out]) % static_cast<unsigned>(out_size))
        return false;
    ptrdiff_t width = 0;  // bytes of all operands per element
    for (int i = 0; i < operands; ++i) {
        if (i < out && block.data[i] == block.data[out])
            return false;  // in place: the lines are read anyway
        if (i < out && is_again(block, i)) continue;
        ptrdiff_t const step = magnitude(block.inner[i]);
        width += step < line ? step : line;
        // A small part of the traffic.
        if (i < out && kernel.size(i) > 2 * out_size) return false;
    }
    ptrdiff_t const elements = block.n * block.rows;
    if (has_columns(block, operands)) {
        Tile const tile(block, out, out_size);
        return block.n >= tile.n && block.rows >= tile.rows &&
               elements * out_size > std::min(tiles_from(kernel, block), stream_from());
    }
    return elements * width >= stream_from() && block.n * out_size >= 2 * in_turn;
}

void run_streaming(const Kernel& kernel, const Block& any) noexcept {
    Block const block = along_output(any, kernel.inputs);
    if (block.inner[kernel.inputs] != kernel.size(kernel.inputs)) {
        kernel(block);  // one row of a part, down the output
    } else if (has_columns(block, kernel.arguments())) {
        stream_tiles(kernel, block);
    } else {
        Block row = block;
        row.rows = 1;
        for (ptrdiff_t r = 0; r < block.rows; ++r) {
            stream_row(kernel, row);
            for (int i = 0; i < kernel.arguments(); ++i) row.data[i] += block.outer[i];
        }
    }
    _mm_sfence();
}

void copy_streaming(char* to, const char* from, ptrdiff_t bytes) noexcept {
    copy_run_past_caches(to, from, bytes, ahead);
    _mm_sfence();
}

ptrdiff_t measure_stream_from(const Table& table) noexcept {
    constexpr ptrdiff_t least = ptrdiff_t{4} << 20, most = ptrdiff_t{128} << 20;
    constexpr int warm_up = 3, runs = 6, rounds = 2, float_size = 4;
    constexpr double better = 0.97;
    constexpr auto f32 = static_cast<int>(DType::float32);
    Kernel const add = kernel_of(table, Op::add, DType::float32);
    ReduceFn const sum = table.reduce[static_cast<int>(Combine::add)][f32];
    ptrdiff_t from = 0;
    for (ptrdiff_t bytes = least; bytes <= most; bytes *= 2) {
        ptrdiff_t const each = bytes / 3 / in_turn * in_turn;
        char* const memory = block_new(static_cast<size_t>(3 * each));
        if (!memory) break;
        memset(memory, 0, static_cast<size_t>(3 * each));
        Block const block = {{memory, memory + each, memory + 2 * each},
                             {float_size, float_size, float_size},
                             {},
                             each / float_size,
                             1};
        // Each way several times on end: the first runs find the cache as the other way left it.
        int64_t shortest[2] = {INT64_MAX, INT64_MAX};  // plain, streaming
        for (int round = 0; round < 2 * rounds; ++round) {
            for (int run = 0; run < warm_up + runs; ++run) {
                int64_t const begin = now_ns();
                if (round % 2)
                    run_streaming(add, block);
                else
                    add(block);
                float total = 0;
                sum({block.data[2], reinterpret_cast<char*>(&total), block.n, float_size, 1, 0, 0});
                int64_t const taken = now_ns() - begin;
                if (run >= warm_up && taken < shortest[round % 2]) shortest[round % 2] = taken;
            }
        }
        block_delete(memory);
        bool const pays =
            static_cast<double>(shortest[1]) < better * static_cast<double>(shortest[0]);
        from = !pays ? 0 : from ? from : bytes;
    }
    return from ? from : built_in();
}
#else
ptrdiff_t stream_from() noexcept { return PTRDIFF_MAX; }
void set_stream_from(ptrdiff_t) noexcept {}
ptrdiff_t measure_stream_from(const Table&) noexcept { return PTRDIFF_MAX; }
bool streams(const Kernel&, const Block&) noexcept { return false; }
void run_streaming(const Kernel& kernel, const Block& block) noexcept { kernel(block); }
void copy_streaming(char* to, const char* from, ptrdiff_t bytes) noexcept {
    __builtin_memcpy(to, from, static_cast<size_t>(bytes));
}
#endif

}  // namespace raptors
