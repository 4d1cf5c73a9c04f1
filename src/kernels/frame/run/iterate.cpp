#include "frame/run/iterate.h"

#include <string.h>

#include "frame/memory/scratch.h"
#include "frame/nest/for_each_index.h"

namespace raptors {
namespace {

ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) noexcept { return a < b ? a : b; }
ptrdiff_t most(ptrdiff_t a, ptrdiff_t b) noexcept { return a > b ? a : b; }

void copy_axis(const Nest& from, int axis, Nest& to, int place) noexcept {
    to.shape[place] = from.shape[axis];
    for (int i = 0; i < from.operands; ++i) to.strides[i][place] = from.strides[i][axis];
}

// Only the axes in use: a whole Nest is 2.5 KB.
void copy_nest(const Nest& from, Nest& to) noexcept {
    to.ndim = from.ndim;
    to.operands = from.operands;
    for (int a = 0; a < from.ndim; ++a) copy_axis(from, a, to, a);
    for (int i = 0; i < from.operands; ++i) to.data[i] = from.data[i];
}

}  // namespace

void k_order(const Nest& nest, int inputs, int* perm) noexcept {
    auto const stride = [&](int operand, int axis) {
        return nest.shape[axis] == 1 ? 0 : magnitude(nest.strides[operand][axis]);
    };
    k_order(nest.ndim, inputs, stride, perm);
}

void simplify(Nest& nest) noexcept {
    int const operands = nest.operands;
    int ndim = 0;
    ptrdiff_t weight[max_dims];  // bytes all operands move by along an axis
    for (int a = 0; a < nest.ndim; ++a) {
        ptrdiff_t const length = nest.shape[a];
        if (length == 0) {
            nest.ndim = 1;
            nest.shape[0] = 0;
            for (int i = 0; i < operands; ++i) nest.strides[i][0] = 0;
            return;
        }
        if (length == 1) continue;
        ptrdiff_t total = 0;
        bool forwards = false;
        for (int i = 0; i < operands; ++i) {
            total += magnitude(nest.strides[i][a]);
            forwards |= nest.strides[i][a] > 0;
        }
        if (!forwards && total) {
            for (int i = 0; i < operands; ++i) {
                nest.data[i] += nest.strides[i][a] * (length - 1);
                nest.strides[i][a] = -nest.strides[i][a];
            }
        }
        // Stable insertion: on equal weights the axis that was inner stays inner.
        int place = ndim++;
        ptrdiff_t strides[max_operands];
        for (int i = 0; i < operands; ++i) strides[i] = nest.strides[i][a];
        for (; place > 0 && weight[place - 1] < total; --place) {
            weight[place] = weight[place - 1];
            copy_axis(nest, place - 1, nest, place);
        }
        weight[place] = total;
        nest.shape[place] = length;
        for (int i = 0; i < operands; ++i) nest.strides[i][place] = strides[i];
    }
    int last = 0;
    for (int a = 1; a < ndim; ++a) {
        bool joined = true;
        for (int i = 0; i < operands; ++i)
            joined &= nest.strides[i][last] == nest.shape[a] * nest.strides[i][a];
        if (joined) {
            nest.shape[last] *= nest.shape[a];
            for (int i = 0; i < operands; ++i) nest.strides[i][last] = nest.strides[i][a];
        } else if (++last != a) {
            copy_axis(nest, a, nest, last);
        }
    }
    nest.ndim = ndim ? last + 1 : 0;
}

ptrdiff_t count(const Nest& nest) noexcept {
    ptrdiff_t total = 1;
    for (int a = 0; a < nest.ndim; ++a) total *= nest.shape[a];
    return total;
}

Chunks::Chunks(const Nest& nest, ptrdiff_t grain) noexcept
    : nest_(nest), axis_(0), per_(0), pieces_(1), count_(0) {
    ptrdiff_t const total = raptors::count(nest);
    if (total == 0) return;
    if (total <= grain || nest.ndim == 0) {
        count_ = 1;
        return;
    }
    // The outermost axis whose steps are no longer than the grain.
    ptrdiff_t step = total / nest.shape[0];
    while (step > grain) step /= nest.shape[++axis_];
    ptrdiff_t const length = nest.shape[axis_];
    per_ = most(1, grain / step);
    pieces_ = (length + per_ - 1) / per_;
    per_ = (length + pieces_ - 1) / pieces_;
    if (step == 1 && per_ >= 64)
        per_ = (per_ + 63) & ~ptrdiff_t{63};  // parts begin on cache lines if the array does
    pieces_ = (length + per_ - 1) / per_;
    count_ = total / step / length * pieces_;
}

void Chunks::part(ptrdiff_t number, Nest& to) const noexcept {
    if (count_ == 1) return copy_nest(nest_, to);
    to.ndim = nest_.ndim - axis_;
    to.operands = nest_.operands;
    for (int a = axis_; a < nest_.ndim; ++a) copy_axis(nest_, a, to, a - axis_);
    ptrdiff_t const first = number % pieces_ * per_;
    to.shape[0] = least(per_, nest_.shape[axis_] - first);
    for (int i = 0; i < nest_.operands; ++i)
        to.data[i] = nest_.data[i] + first * nest_.strides[i][axis_];
    number /= pieces_;
    for (int a = axis_ - 1; a >= 0; --a) {
        ptrdiff_t const at = number % nest_.shape[a];
        number /= nest_.shape[a];
        for (int i = 0; i < nest_.operands; ++i) to.data[i] += at * nest_.strides[i][a];
    }
}

// ---- Blocks of two axes, the rest walked

namespace {

// Calls body(block) over the whole nest; the block's data pointers are moved in between.
template <class Body>
inline void for_each_block(const Nest& nest, Body body) noexcept {
    int const ndim = nest.ndim, operands = nest.operands;
    Block block{};
    for (int i = 0; i < operands; ++i) block.data[i] = nest.data[i];
    block.rows = block.n = 1;
    if (ndim <= 1) {
        if (ndim == 1) {
            block.n = nest.shape[0];
            if (block.n == 0) return;
            for (int i = 0; i < operands; ++i) block.inner[i] = nest.strides[i][0];
        }
        body(block);
        return;
    }
    int inner = ndim - 1, outer = ndim - 2;
    // A block of a few elements would be all call: the longest axis becomes the rows.
    if (ndim > 2 && nest.shape[inner] * nest.shape[outer] < 64)
        for (int a = 0; a < ndim - 2; ++a)
            if (nest.shape[a] > nest.shape[outer]) outer = a;
    block.n = nest.shape[inner];
    block.rows = nest.shape[outer];
    for (int i = 0; i < operands; ++i) {
        block.inner[i] = nest.strides[i][inner];
        block.outer[i] = nest.strides[i][outer];
    }
    if (ndim == 2) {
        if (block.n && block.rows) body(block);
        return;
    }
    ptrdiff_t shape[max_dims], strides[max_dims][max_operands];
    int axes = 0;
    for (int a = 0; a < ndim; ++a) {
        if (nest.shape[a] == 0) return;
        if (a == inner || a == outer) continue;
        shape[axes] = nest.shape[a];
        for (int i = 0; i < operands; ++i) strides[axes][i] = nest.strides[i][a];
        ++axes;
    }
    walk(axes, shape, strides, operands, block.data, [&] { body(block); });
}

// `block` limited to rows [row, row + rows) and elements [first, first + n).
Block part_of(const Block& block, int operands, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t first,
              ptrdiff_t n) noexcept {
    Block part = block;
    part.rows = rows;
    part.n = n;
    for (int i = 0; i < operands; ++i)
        part.data[i] += row * block.outer[i] + first * block.inner[i];
    return part;
}

// body(part) for parts of at most `piece` elements.
template <class Body>
inline void for_each_piece(const Block& block, int operands, ptrdiff_t piece, Body body) noexcept {
    if (block.n <= piece) {
        ptrdiff_t const per = piece / block.n;
        for (ptrdiff_t row = 0; row < block.rows; row += per)
            body(part_of(block, operands, row, least(per, block.rows - row), 0, block.n));
        return;
    }
    for (ptrdiff_t row = 0; row < block.rows; ++row)
        for (ptrdiff_t first = 0; first < block.n; first += piece)
            body(part_of(block, operands, row, 1, first, least(piece, block.n - first)));
}

// body(first, n) for each run of set mask elements.
template <class Body>
inline void for_each_run(const char* mask, ptrdiff_t stride, ptrdiff_t n, Body body) noexcept {
    if (stride == 0) {
        if (*mask) body(ptrdiff_t{0}, n);
        return;
    }
    constexpr uint64_t ones = 0x0101010101010101u;
    auto word = [&](ptrdiff_t i) {
        uint64_t w;
        memcpy(&w, mask + i, sizeof w);
        return w;
    };
    ptrdiff_t i = 0;
    while (i < n) {
        if (stride == 1)
            while (i + 8 <= n && word(i) == 0) i += 8;
        while (i < n && !mask[i * stride]) ++i;
        if (i == n) return;
        ptrdiff_t const first = i;
        while (i < n && mask[i * stride]) {
            if (stride == 1)  // eight nonzero bytes: no byte borrows
                while (i + 8 <= n && !((word(i) - ones) & ~word(i) & (ones << 7))) i += 8;
            if (i < n && mask[i * stride]) ++i;
        }
        body(first, i - first);
    }
}

// Casts a piece's inputs into buffers, calls the kernel, casts its outputs out of theirs.
struct Converter {
    const Kernel& kernel;
    const Conversion* conversions;
    char* buffers[max_arguments];

    // Input i, cast into its buffer. What repeats within the piece is cast once.
    void read(int i, const Block& own, Block& block) const noexcept {
        ptrdiff_t const size = conversions[i].size;
        bool const one = own.inner[i] == 0, same = own.outer[i] == 0;
        block.data[i] = buffers[i];
        block.inner[i] = one ? 0 : size;
        block.outer[i] = same ? 0 : one ? size : size * own.n;
        Block cast{};
        cast.data[0] = own.data[i];
        cast.inner[0] = own.inner[i];
        cast.outer[0] = own.outer[i];
        cast.data[1] = buffers[i];
        cast.inner[1] = size;
        cast.outer[1] = one ? size : size * own.n;
        cast.n = one ? 1 : own.n;
        cast.rows = same ? 1 : own.rows;
        if (one) {  // a column: one run
            cast.n = cast.rows;
            cast.rows = 1;
            cast.inner[0] = own.outer[i];
        }
        conversions[i].cast(cast, nullptr);
    }
    void write(int i, const Block& own) const noexcept {
        ptrdiff_t const size = conversions[i].size;
        Block cast{};
        cast.data[0] = buffers[i];
        cast.inner[0] = size;
        cast.outer[0] = size * own.n;
        cast.data[1] = own.data[i];
        cast.inner[1] = own.inner[i];
        cast.outer[1] = own.outer[i];
        cast.n = own.n;
        cast.rows = own.rows;
        conversions[i].cast(cast, nullptr);
    }
    void operator()(const Block& own) const noexcept {
        Block block = own;
        for (int i = 0; i < kernel.inputs; ++i)
            if (conversions[i].cast) read(i, own, block);
        for (int i = kernel.inputs; i < kernel.arguments(); ++i) {
            if (!conversions[i].cast) continue;
            block.data[i] = buffers[i];
            block.inner[i] = conversions[i].size;
            block.outer[i] = conversions[i].size * own.n;
        }
        kernel(block);
        for (int i = kernel.inputs; i < kernel.arguments(); ++i)
            if (conversions[i].cast) write(i, own);
    }
};

constexpr size_t piece_bytes = 8192;  // per operand: three of them and the source's lines fit L1
constexpr ptrdiff_t repeated_most =
    2048;  // elements of a broadcast operand that are cast once for the whole run

// Runs body(nest, converter, piece) with buffers for the operands that need casts. Broadcast inputs
// with few elements are cast beforehand. False: out of memory.
template <class Body>
bool with_buffers(const Kernel& kernel, const Nest& nest, const Conversion* conversions,
                  Body body) noexcept {
    int const inputs = kernel.inputs, arguments = kernel.arguments();
    Conversion wanted[max_arguments];
    Nest inside;
    copy_nest(nest, inside);
    int widest = 1;
    size_t kept[max_arguments] = {}, total = 0;
    ptrdiff_t const all = count(nest);
    for (int i = 0; i < arguments; ++i) {
        wanted[i] = conversions[i];
        if (!conversions[i].cast) continue;
        if (conversions[i].size > widest) widest = conversions[i].size;
        if (i >= inputs) continue;
        ptrdiff_t distinct = 1;
        for (int a = 0; a < nest.ndim; ++a)
            if (nest.strides[i][a]) distinct *= nest.shape[a];
        if (distinct > repeated_most || distinct > all / 2) continue;
        kept[i] = total + 1;
        total += (static_cast<size_t>(distinct) * static_cast<size_t>(conversions[i].size) + 63) &
                 ~size_t{63};
    }
    ptrdiff_t const piece = static_cast<ptrdiff_t>(piece_bytes) / widest;
    for (int i = 0; i < arguments; ++i)
        if (wanted[i].cast && !kept[i]) total += piece_bytes;
    Scratch scratch(total);
    if (!scratch.get()) return false;
    Converter converter{kernel, wanted, {}};
    char* next = scratch.get();
    for (int i = 0; i < inputs; ++i) {
        if (!kept[i]) continue;
        char* const copy = scratch.get() + (kept[i] - 1);
        Nest cast;
        cast.ndim = 0;
        cast.operands = 2;
        cast.data[0] = nest.data[i];
        cast.data[1] = copy;
        ptrdiff_t stride = conversions[i].size;
        for (int a = nest.ndim - 1; a >= 0; --a) {
            inside.strides[i][a] = nest.strides[i][a] ? stride : 0;
            if (nest.strides[i][a]) stride *= nest.shape[a];
        }
        for (int a = 0; a < nest.ndim; ++a) {
            if (!nest.strides[i][a]) continue;
            cast.shape[cast.ndim] = nest.shape[a];
            cast.strides[0][cast.ndim] = nest.strides[i][a];
            cast.strides[1][cast.ndim] = inside.strides[i][a];
            ++cast.ndim;
        }
        run({conversions[i].cast}, cast);
        inside.data[i] = copy;
        wanted[i].cast = nullptr;
        next = copy + ((stride + 63) & ~ptrdiff_t{63});
    }
    for (int i = 0; i < arguments; ++i) {
        if (!wanted[i].cast) continue;
        converter.buffers[i] = next;
        next += piece_bytes;
    }
    body(inside, converter, piece);
    return true;
}

bool any_cast(const Conversion* conversions, int operands) noexcept {
    if (!conversions) return false;
    for (int i = 0; i < operands; ++i)
        if (conversions[i].cast) return true;
    return false;
}

}  // namespace

void run(const Kernel& kernel, const Nest& nest) noexcept {
    for_each_block(nest, [&](const Block& block) { kernel(block); });
}

bool run(const Kernel& kernel, const Nest& nest, const Conversion* conversions) noexcept {
    int const operands = nest.operands;
    if (!any_cast(conversions, operands)) {
        run(kernel, nest);
        return true;
    }
    return with_buffers(kernel, nest, conversions,
                        [&](const Nest& inside, const Converter& converter, ptrdiff_t piece) {
                            for_each_block(inside, [&](const Block& block) {
                                for_each_piece(block, operands, piece, converter);
                            });
                        });
}

bool run_masked(const Kernel& kernel, const Nest& nest, const Conversion* conversions) noexcept {
    int const operands = nest.operands, mask = operands - 1;
    // body(part) for every run of selected elements
    auto masked = [&](const Block& block, auto body) {
        for (ptrdiff_t row = 0; row < block.rows; ++row)
            for_each_run(block.data[mask] + row * block.outer[mask], block.inner[mask], block.n,
                         [&](ptrdiff_t first, ptrdiff_t n) {
                             body(part_of(block, operands, row, 1, first, n));
                         });
    };
    if (!any_cast(conversions, mask)) {
        for_each_block(nest, [&](const Block& block) { masked(block, kernel); });
        return true;
    }
    return with_buffers(kernel, nest, conversions,
                        [&](const Nest& inside, const Converter& converter, ptrdiff_t piece) {
                            for_each_block(inside, [&](const Block& block) {
                                masked(block, [&](const Block& selected) {
                                    for_each_piece(selected, operands, piece, converter);
                                });
                            });
                        });
}

// ---- Overlap

namespace {

struct Extent {
    const char *low, *high;
};
Extent extent(const Nest& nest, int operand, int size) noexcept {
    Extent e{nest.data[operand], nest.data[operand] + size};
    for (int a = 0; a < nest.ndim; ++a) {
        ptrdiff_t const reach = nest.strides[operand][a] * (nest.shape[a] - 1);
        (reach < 0 ? e.low : e.high) += reach;
    }
    return e;
}

// Does no byte of the operand belong to two of its elements? Sufficient: every stride steps over
// all that smaller ones reach.
bool plain(const Nest& nest, int operand, int size) noexcept {
    ptrdiff_t reach = size, last = 0;
    int lasts = 0;  // axes with stride `last` are done
    for (;;) {
        ptrdiff_t next = 0, length = 0;
        int same = 0;
        for (int a = 0; a < nest.ndim; ++a) {
            if (nest.shape[a] == 1) continue;
            ptrdiff_t const stride = magnitude(nest.strides[operand][a]);
            if (stride == 0) return false;
            if (stride <= last && lasts) continue;
            if (next == 0 || stride < next) {
                next = stride;
                length = nest.shape[a];
                same = 1;
            } else if (stride == next) {
                ++same;
            }
        }
        if (next == 0) return true;
        if (same > 1 || next < reach) return false;
        reach += next * (length - 1);
        last = next;
        lasts = 1;
    }
}

ptrdiff_t common_divisor(ptrdiff_t a, ptrdiff_t b) noexcept {
    while (b) {
        ptrdiff_t const r = a % b;
        a = b;
        b = r;
    }
    return a;
}

}  // namespace

bool overlaps(const Nest& nest, int input, int input_size, int output, int output_size) noexcept {
    bool same = nest.data[input] == nest.data[output] && input_size == output_size;
    ptrdiff_t divisor = 0;
    for (int a = 0; a < nest.ndim; ++a) {
        if (nest.shape[a] == 0) return false;
        if (nest.shape[a] == 1) continue;
        ptrdiff_t const in = nest.strides[input][a], out = nest.strides[output][a];
        same &= in == out;
        divisor = common_divisor(common_divisor(divisor, magnitude(in)), magnitude(out));
    }
    Extent const in = extent(nest, input, input_size), out = extent(nest, output, output_size);
    if (in.high <= out.low || out.high <= in.low) return false;
    if (same) return !plain(nest, output, output_size);
    if (divisor == 0) return true;
    // Every element of the input begins at the same offset from the output's, modulo the divisor:
    // a[::2] and a[1::2].
    ptrdiff_t offset = (nest.data[output] - nest.data[input]) % divisor;
    if (offset < 0) offset += divisor;
    return offset < input_size || divisor - offset < output_size;
}

}  // namespace raptors
