// Copies of elements of any size and layout, and elements by their indices, on every ISA: against
// plain loops, and nothing else is written.
#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "check.h"
#include "dispatch.h"
#include "frame/run/take.h"

using namespace raptors;

namespace {

std::mt19937_64 generator(11);
ptrdiff_t below(ptrdiff_t n) {
    return static_cast<ptrdiff_t>(generator() % static_cast<uint64_t>(n));
}

// Rows x n elements of `size` bytes somewhere in a buffer: rows or columns first, with gaps,
// backwards, or all the same.
struct Operand {
    std::vector<char> bytes;
    ptrdiff_t start = 0, inner = 0, outer = 0;
};
Operand place(ptrdiff_t rows, ptrdiff_t n, ptrdiff_t size, bool may_repeat) {
    Operand o;
    bool const columns = below(3) == 0;
    ptrdiff_t const gap = below(3) ? 0 : below(9);
    o.inner = columns ? (size + gap) * rows : size + gap;
    o.outer = columns ? size + gap : (size + gap) * n + (below(3) ? 0 : below(40));
    if (may_repeat && below(6) == 0) o.inner = 0;
    if (may_repeat && below(6) == 0) o.outer = 0;
    ptrdiff_t const reach = o.inner * (n - 1) + o.outer * (rows - 1) + size;
    o.start = below(20);
    o.bytes.resize(static_cast<size_t>(o.start + reach + below(70)));
    for (char& c : o.bytes) c = static_cast<char>(generator());
    if (below(4) == 0) {
        o.start += o.inner * (n - 1);
        o.inner = -o.inner;
    }
    if (below(4) == 0) {
        o.start += o.outer * (rows - 1);
        o.outer = -o.outer;
    }
    return o;
}

void check_copies(const Table& table, ptrdiff_t size) {
    for (int turn = 0; turn < 150; ++turn) {
        ptrdiff_t const rows = below(4) ? 1 + below(6) : 1 + below(80),
                        n = 1 + below(below(3) ? 9 : 90);
        Operand from = place(rows, n, size, true), to = place(rows, n, size, false);
        std::vector<char> wanted = to.bytes;
        for (ptrdiff_t r = 0; r < rows; ++r)
            for (ptrdiff_t i = 0; i < n; ++i)
                std::memcpy(wanted.data() + to.start + r * to.outer + i * to.inner,
                            from.bytes.data() + from.start + r * from.outer + i * from.inner,
                            static_cast<size_t>(size));
        Block b{};
        b.data[0] = from.bytes.data() + from.start;
        b.data[1] = to.bytes.data() + to.start;
        b.inner[0] = from.inner;
        b.inner[1] = to.inner;
        b.outer[0] = from.outer;
        b.outer[1] = to.outer;
        b.n = n;
        b.rows = rows;
        if (size <= 16 && (size & (size - 1)) == 0)
            table.copy[__builtin_ctzll(static_cast<uint64_t>(size))](b, nullptr);
        else
            table.copy_sized(b, &size);
        CHECK(to.bytes == wanted);
    }
}

// Of an array, and of what is selected of each of its rows.
struct Sizes {
    ptrdiff_t rows, length, n;
    explicit Sizes(int turn)
        : rows(below(3) ? 1 + below(5) : 1 + below(90)),
          length(1 + below(50)),
          n(1 + below(turn % 3 ? 12 : 200)) {}
};

// Rows of an array and of values, as a kernel takes them, and as the frame does.
IndexBlock block_of(Operand& array, Operand& values, const std::vector<int64_t>& indices,
                    const Sizes& sizes, ptrdiff_t size, IndexMode mode) {
    return {array.bytes.data() + array.start,
            values.bytes.data() + values.start,
            indices.data(),
            sizes.n,
            sizes.length,
            array.inner,
            values.inner,
            sizes.rows,
            array.outer,
            values.outer,
            size,
            mode};
}
Nest rows_of(const IndexBlock& b) {
    Nest nest{};
    nest.ndim = b.rows == 1 ? 0 : 1;
    nest.operands = 2;
    nest.shape[0] = b.rows;
    nest.strides[0][0] = b.row;
    nest.strides[1][0] = b.values_row;
    nest.data[0] = b.array;
    nest.data[1] = b.values;
    return nest;
}

// The same by plain loops, over rows of one stride.
bool take_plainly(const IndexBlock& b, std::vector<char>& out, ptrdiff_t to) {
    for (ptrdiff_t r = 0; r < b.rows; ++r)
        for (ptrdiff_t i = 0; i < b.n; ++i) {
            int64_t at = b.indices[i];
            if (b.mode == IndexMode::clip)
                at = std::clamp<int64_t>(at, 0, b.length - 1);
            else if (b.mode == IndexMode::wrap)
                at = ((at % b.length) + b.length) % b.length;
            else if (at < 0)
                at += b.length;
            if (at < 0 || at >= b.length) return false;
            std::memcpy(out.data() + to + r * b.values_row + i * b.values_step,
                        b.array + r * b.row + at * b.step, static_cast<size_t>(b.size));
        }
    return true;
}

void check_takes(const Table& table, ptrdiff_t size, IndexMode mode) {
    for (int turn = 0; turn < 120; ++turn) {
        Sizes const sizes(turn);
        auto const [rows, length, n] = sizes;
        Operand from = place(rows, length, size, true), to = place(rows, n, size, false);
        bool const inside = mode == IndexMode::raise && turn % 4 != 0;
        std::vector<int64_t> indices(static_cast<size_t>(n));
        for (int64_t& x : indices) x = below(2 * length) - length;
        if (!inside && below(2)) {
            constexpr int64_t extremes[] = {INT64_MIN, INT64_MAX, INT64_MIN + 1, 1 << 20};
            indices[static_cast<size_t>(below(n))] = extremes[below(4)];
            indices[static_cast<size_t>(below(n))] = below(2) ? length : -length - 1;
        }
        IndexBlock const b = block_of(from, to, indices, sizes, size, mode);
        std::vector<char> wanted = to.bytes;
        bool const in_range = take_plainly(b, wanted, to.start);
        CHECK(in_range || !inside);
        Operand split = to;
        CHECK(table.take(b) == in_range);
        if (in_range) CHECK(to.bytes == wanted);
        // By the frame, in chunks of every size.
        IndexBlock const again = block_of(from, split, indices, sizes, size, mode);
        WorkSplit const cut = {alone, 1 + below(300)};
        CHECK(take(table, again, rows_of(again), rows * n, cut) == in_range);
        if (in_range) CHECK(split.bytes == wanted);
    }
}

void check_puts(const Table& table, ptrdiff_t size) {
    for (int turn = 0; turn < 120; ++turn) {
        Sizes const sizes(turn);
        auto const [rows, length, n] = sizes;
        Operand array = place(rows, length, size, false), values = place(rows, n, size, true);
        std::vector<int64_t> indices(static_cast<size_t>(n));
        for (int64_t& x : indices) x = below(2 * length) - length;
        bool inside = true;
        if (below(3) == 0) {
            constexpr int64_t extremes[] = {INT64_MIN, INT64_MAX, INT64_MIN + 1, 1 << 20};
            int64_t const beyond = below(2) ? length : -length - 1;
            indices[static_cast<size_t>(below(n))] = below(2) ? extremes[below(4)] : beyond;
            inside = false;
        }
        std::vector<char> wanted = array.bytes;
        if (inside)
            for (ptrdiff_t r = 0; r < rows; ++r)
                for (ptrdiff_t i = 0; i < n; ++i) {
                    int64_t const x = indices[static_cast<size_t>(i)];
                    std::memcpy(
                        wanted.data() + array.start + r * array.outer +
                            (x < 0 ? x + length : x) * array.inner,
                        values.bytes.data() + values.start + r * values.outer + i * values.inner,
                        static_cast<size_t>(size));
                }
        IndexBlock const b = block_of(array, values, indices, sizes, size, IndexMode::raise);
        CHECK(put(table, b, rows_of(b)) == inside);
        CHECK(array.bytes == wanted);
    }
}

void check_repeats(const Table& table, ptrdiff_t size) {
    for (int turn = 0; turn < 40; ++turn) {
        ptrdiff_t const n = below(70), times = 1 + below(turn % 2 ? 5 : 40);
        auto const length = static_cast<size_t>(n * times * size);
        std::vector<char> in(static_cast<size_t>(n * size) + 1), wanted, out(length + 2, 0x5a);
        for (char& c : in) c = static_cast<char>(below(256));
        for (ptrdiff_t i = 0; i < n; ++i)
            for (ptrdiff_t j = 0; j < times; ++j)
                wanted.insert(wanted.end(), in.begin() + 1 + i * size,
                              in.begin() + 1 + (i + 1) * size);
        table.repeat(in.data() + 1, out.data() + 1, n, times, size);
        CHECK(wanted.empty() || std::memcmp(out.data() + 1, wanted.data(), length) == 0);
        CHECK(out[0] == 0x5a && out[length + 1] == 0x5a);
    }
}

}  // namespace

int main() {
    for (int i = 0; i < n_isas; ++i) {
        const Table* const kernels = table(static_cast<Isa>(i));
        if (!kernels) continue;
        for (ptrdiff_t size :
             {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 48, 64, 100}) {
            check_copies(*kernels, size);
            check_puts(*kernels, size);
            check_repeats(*kernels, size);
            for (IndexMode mode : {IndexMode::raise, IndexMode::wrap, IndexMode::clip})
                check_takes(*kernels, size, mode);
        }
    }
    return checks.report("test_moves");
}
