// Any block -> contiguous runs. Operands of other layouts are packed piece by piece into buffers
// that stay in L1, so that every formula has its contiguous loops only and short rows are computed
// many at a time.
#include "isa/move/pack.h"

namespace raptors::RAPTORS_ISA {
namespace {

constexpr ptrdiff_t piece_bytes = 8192;  // of each operand
constexpr ptrdiff_t long_row = 64;       // elements: from here on a run per row costs little

// body(an unsigned value of `size` bytes)
template <class Body>
RAPTORS_INLINE void with_size(int size, Body body) {
    switch (size) {
        case 1:
            return body(uint8_t{});
        case 2:
            return body(uint16_t{});
        case 4:
            return body(uint32_t{});
        case 8:
            return body(uint64_t{});
        default:
            return body(UnsignedOf<16>::type{});
    }
}

void pack_any(int size, char* to, const char* from, const PackLayout& l) noexcept {
    with_size(size, [&](auto element) { pack<decltype(element)>(to, from, l); });
}

void unpack_any(int size, char* to, const char* from, const PackLayout& l) noexcept {
    with_size(size, [&](auto element) { unpack<decltype(element)>(to, from, l); });
}

// The core for the largest subset of `scalar_mask` that has one.
unsigned subset_with_core(const Cores& cores, unsigned scalar_mask) noexcept {
    if (cores.core[scalar_mask]) return scalar_mask;
    for (unsigned drop = 1; drop < 8; drop <<= 1)
        if ((scalar_mask & drop) && cores.core[scalar_mask & ~drop]) return scalar_mask & ~drop;
    return 0;
}

// Pieces of `rows` x `n` elements, at most `bytes` of each operand; a run per piece, or per row of
// it.
struct Tiling {
    ptrdiff_t rows, n, bytes;
    bool by_row;
};

Tiling choose_tiling(const Block& b, const Cores& cores) noexcept {
    int largest = 1, packed = 0;
    bool columns = false;
    for (int i = 0; i < cores.arguments(); ++i) {
        largest = cores.size[i] > largest ? cores.size[i] : largest;
        packed += b.inner[i] != cores.size[i];
        columns = columns || is_column_like(b.outer[i], b.inner[i]);
    }
    ptrdiff_t const capacity = piece_bytes / largest;
    if (columns && b.rows >= 4 && b.n >= long_row) {
        // Whole cache lines of the column-like operand: 128 bytes down, the rest across.
        ptrdiff_t const down = smaller(128 / largest, b.rows);
        ptrdiff_t const bytes =
            packed > 2 ? max_arguments * piece_bytes / packed / 64 * 64 : 2 * piece_bytes;
        return {down, bytes / largest / down, bytes, true};
    }
    if (b.n >= capacity / 2) return {1, capacity, piece_bytes, false};
    return {smaller(capacity / b.n, b.rows), b.n, piece_bytes, false};
}

enum class Access : uint8_t { direct, one, packed, repeated };

void drive_packed(const Block& b, const Cores& cores) noexcept {
    alignas(64) char memory[max_arguments * piece_bytes];
    char* buffer[max_arguments];
    int const inputs = cores.inputs, arguments = cores.arguments();
    Tiling const tile = choose_tiling(b, cores);
    bool const whole_rows = tile.n == b.n;

    // How each operand is read; `repeated`: the packed piece serves all later pieces, too.
    Access access[max_arguments];
    unsigned scalar_mask = 0;
    for (int i = 0; i < arguments; ++i) {
        bool const run = b.inner[i] == cores.size[i] &&
                         (tile.rows == 1 || tile.by_row || b.outer[i] == b.n * b.inner[i]);
        bool const one =
            i < inputs && b.inner[i] == 0 && (tile.rows == 1 || tile.by_row || b.outer[i] == 0);
        access[i] = run ? Access::direct : one ? Access::one : Access::packed;
        if (one) scalar_mask |= 1U << i;
    }
    unsigned const covered = subset_with_core(cores, scalar_mask);
    for (int i = 0; i < inputs; ++i) {
        if (access[i] == Access::one && !((covered >> i) & 1U)) access[i] = Access::packed;
        if (access[i] == Access::packed && b.outer[i] == 0 && (whole_rows || b.inner[i] == 0))
            access[i] = Access::repeated;
    }
    char* unused = memory;
    for (int i = 0; i < arguments; ++i) {
        buffer[i] = unused;
        if (access[i] == Access::packed || access[i] == Access::repeated) unused += tile.bytes;
    }
    Core const core = cores.core[covered];

    bool first = true;
    auto const piece = [&](ptrdiff_t r, ptrdiff_t c) {
        ptrdiff_t const rows = b.rows - r < tile.rows ? b.rows - r : tile.rows;
        ptrdiff_t const n = b.n - c < tile.n ? b.n - c : tile.n;
        char* data[max_arguments];
        for (int i = 0; i < arguments; ++i) {
            char* const p = b.data[i] + r * b.outer[i] + c * b.inner[i];
            data[i] = access[i] == Access::direct || access[i] == Access::one ? p : buffer[i];
            if (i < inputs &&
                (access[i] == Access::packed || (access[i] == Access::repeated && first)))
                pack_any(cores.size[i], buffer[i], p, {rows, n, b.outer[i], b.inner[i]});
        }
        first = false;
        if (!tile.by_row) {
            core(data, rows * n);
        } else {
            ptrdiff_t step[max_arguments];
            for (int i = 0; i < arguments; ++i)
                step[i] = access[i] == Access::direct || access[i] == Access::one
                              ? b.outer[i]
                              : n * cores.size[i];
            for (ptrdiff_t k = 0; k < rows; ++k) {
                char* row[max_arguments];
                for (int i = 0; i < arguments; ++i) {
                    row[i] = data[i] + k * step[i];
                    if (access[i] != Access::direct) continue;
                    const char* const next = row[i] + rows * step[i];  // of the piece below
                    for (ptrdiff_t line = 0; line < n * cores.size[i]; line += 64)
                        __builtin_prefetch(next + line);
                }
                core(row, n);
            }
        }
        for (int i = inputs; i < arguments; ++i)
            if (access[i] == Access::packed)
                unpack_any(cores.size[i], b.data[i] + r * b.outer[i] + c * b.inner[i], buffer[i],
                           {rows, n, b.outer[i], b.inner[i]});
    };
    if (tile.by_row) {  // down the lines of the column-like operand, where the prefetcher follows
        for (ptrdiff_t c = 0; c < b.n; c += tile.n)
            for (ptrdiff_t r = 0; r < b.rows; r += tile.rows) piece(r, c);
    } else {
        for (ptrdiff_t r = 0; r < b.rows; r += tile.rows)
            for (ptrdiff_t c = 0; c < b.n; c += tile.n) piece(r, c);
    }
}

// Operands that are stored in half precision are converted piece by piece; others are packed where
// they are no run.
void drive_converted(const Block& b, const Cores& cores) noexcept {
    constexpr ptrdiff_t piece = 512, largest = 8;
    int const inputs = cores.inputs, arguments = cores.arguments();
    alignas(64) char computed[max_arguments][piece * largest];
    alignas(64) char stored[piece * largest];
    ptrdiff_t const n_piece = smaller(b.n, piece);
    ptrdiff_t const row_piece = smaller(piece / n_piece, b.rows);
    unsigned scalar_mask = 0;
    for (int i = 0; i < inputs; ++i)
        if (b.inner[i] == 0 && (b.rows == 1 || b.outer[i] == 0)) scalar_mask |= 1U << i;
    scalar_mask = subset_with_core(cores, scalar_mask);
    bool first = true;
    for (ptrdiff_t r = 0; r < b.rows; r += row_piece)
        for (ptrdiff_t c = 0; c < b.n; c += n_piece) {
            ptrdiff_t const rows = smaller(row_piece, b.rows - r), n = smaller(n_piece, b.n - c);
            char* data[max_arguments];
            for (int i = 0; i < arguments; ++i) {
                bool const is_converted = (cores.converted >> i & 1U) != 0;
                bool const one = i < inputs && (scalar_mask >> i & 1U) != 0;
                bool const run =
                    b.inner[i] == cores.size[i] && (rows == 1 || b.outer[i] == n * b.inner[i]);
                char* const p = b.data[i] + r * b.outer[i] + c * b.inner[i];
                data[i] = is_converted || !(run || one) ? computed[i] : p;
                if (i >= inputs || data[i] == p || (one && !first)) continue;
                char* const packed = is_converted ? stored : computed[i];
                if (!run && !one)
                    pack_any(cores.size[i], packed, p, {rows, n, b.outer[i], b.inner[i]});
                if (is_converted) widen(run || one ? p : packed, computed[i], one ? 1 : rows * n);
            }
            first = false;
            cores.core[scalar_mask](data, rows * n);
            for (unsigned i = static_cast<unsigned>(inputs); i < static_cast<unsigned>(arguments);
                 ++i) {
                char* const p = b.data[i] + r * b.outer[i] + c * b.inner[i];
                if (data[i] == p) continue;
                bool const run =
                    b.inner[i] == cores.size[i] && (rows == 1 || b.outer[i] == n * b.inner[i]);
                bool const is_converted = (cores.converted >> i & 1U) != 0;
                if (is_converted) narrow(computed[i], run ? p : stored, rows * n);
                if (!run)
                    unpack_any(cores.size[i], p, is_converted ? stored : computed[i],
                               {rows, n, b.outer[i], b.inner[i]});
            }
        }
}

// The core that takes rows of this block as they are; nullptr: there is none.
RAPTORS_INLINE Core core_for_rows(const Block& b, const Cores& cores) {
    unsigned scalar_mask = 0;
    bool runs = true;
    for (int i = 0; i < cores.arguments(); ++i) {
        if (i < cores.inputs && b.inner[i] == 0)
            scalar_mask |= 1U << i;
        else
            runs = runs && b.inner[i] == cores.size[i];
    }
    return runs ? cores.core[scalar_mask] : nullptr;
}

// Whether rows go in steps, without being packed: those that the caches may not hold, and of 8
// bytes where several operands would be packed. Measured on Zen 4, packed against that, a[::2] +
// b[::2] in us: float64 10,000 5.9 and 4.0, 1M 1,900 and 970; float32 10,000 3.3 and 3.9, 1M 415
// and 370.
bool goes_in_steps(const Block& b, const Cores& cores) noexcept {
    constexpr ptrdiff_t line = 64, far = 16384;
    if (!cores.stepping) return false;
    int packed = 0;
    for (int i = 0; i < cores.arguments(); ++i) {
        if (b.inner[i] > line || b.inner[i] < -line) return false;
        packed += b.inner[i] != cores.size[i] && b.inner[i] != 0;
    }
    if (cores.steps_by_vectors) return packed > 0;
    return cores.size[0] == 8 ? b.n >= far || packed > 1 : b.n >= far && packed > 1;
}

}  // namespace

void drive(const Block& block, const Cores& cores) noexcept {
    if (block.n <= 0 || block.rows <= 0) return;
    if (block.rows == 1 && !cores.converted)  // such as a scalar operand
        if (Core const core = core_for_rows(block, cores)) return core(block.data, block.n);
    int const arguments = cores.arguments();
    Block b = block;
    bool one_run = true;
    for (int i = 0; i < arguments; ++i) one_run = one_run && b.outer[i] == b.n * b.inner[i];
    if (b.rows > 1 && (one_run || b.n == 1)) {
        if (b.n == 1)
            for (int i = 0; i < arguments; ++i) b.inner[i] = b.outer[i];
        b.n *= b.rows;
        b.rows = 1;
    }
    if (cores.converted) return drive_converted(b, cores);
    Core const core = core_for_rows(b, cores);
    bool const short_rows = b.rows > 1 && b.n < long_row;
    if (!core && !short_rows && goes_in_steps(b, cores)) {
        for (ptrdiff_t r = 0; r < b.rows; ++r) {
            cores.stepping(b.data, b.inner, b.n);
            for (int i = 0; i < arguments; ++i) b.data[i] += b.outer[i];
        }
        return;
    }
    if (!core || short_rows) return drive_packed(b, cores);
    for (ptrdiff_t r = 0; r < b.rows; ++r) {
        core(b.data, b.n);
        for (int i = 0; i < arguments; ++i) b.data[i] += b.outer[i];
    }
}

}  // namespace raptors::RAPTORS_ISA
