#include "frame/run/expression.h"

#include <string.h>

#include "frame/fp/fpstatus.h"
#include "frame/memory/scratch.h"
#include "frame/run/blocks.h"
#include "frame/run/reduce_plan.h"

namespace raptors {

using Value = Expression::Value;

Value Expression::apply(const Kernel& kernel, const Value* inputs) noexcept {
    Instruction& own = instructions_[length_];
    own.function = kernel.function;
    own.context = kernel.context;
    own.inputs = kernel.inputs;
    own.outputs = kernel.outputs;
    own.is_whole = false;
    for (int i = 0; i < kernel.inputs; ++i) own.arguments[i] = inputs[i];
    for (int o = 0; o < kernel.outputs; ++o) {
        own.sizes[o] = static_cast<uint8_t>(kernel.size(kernel.inputs + o));
        own.stored[o] = -1;
    }
    return value(number_of_result(length_++, 0), own.sizes[0]);
}

// A register is free again after the last instruction that reads it. The outputs of an instruction
// take none of its inputs', which may repeat elements.
void Expression::assign_registers() noexcept {
    if (assigned_) return;
    int last_read[most_instructions][max_outputs];
    for (int k = 0; k < length_; ++k) {
        for (int o = 0; o < max_outputs; ++o) last_read[k][o] = k;
        for (int i = 0; i < instructions_[k].inputs; ++i)
            if (Value const v = instructions_[k].arguments[i]; v.is_result())
                last_read[v.instruction()][v.output()] = k;
    }
    if (reduce_) last_read[reduced_.instruction()][reduced_.output()] = length_;
    uint32_t taken = 0;
    auto const release = [&](int index, int output, int now) {
        const Instruction& of = instructions_[index];
        if (last_read[index][output] == now && of.stored[output] < 0)
            taken &= ~(1U << of.registers[output]);
    };
    for (int k = 0; k < length_; ++k) {
        Instruction& own = instructions_[k];
        for (int o = 0; o < own.outputs; ++o) {
            if (own.stored[o] >= 0) continue;
            int const free = __builtin_ctz(~taken);
            taken |= 1U << free;
            own.registers[o] = static_cast<int8_t>(free);
            if (free >= n_registers_) n_registers_ = free + 1;
            if (own.sizes[o] > widest_) widest_ = own.sizes[o];
        }
        for (int i = 0; i < own.inputs; ++i)
            if (Value const v = own.arguments[i]; v.is_result())
                release(v.instruction(), v.output(), k);
        for (int o = 0; o < own.outputs; ++o) release(k, o, k);
    }
    assigned_ = true;
}

// ---- Running

namespace {

// Bytes of a register: three of them and the source's lines fit L1, or six of half the size.
constexpr ptrdiff_t register_bytes = 8192;
constexpr int few_registers = 3;
// Elements of a broadcast operand that are cast once for the whole run.
constexpr ptrdiff_t most_repeated = 2048;

ptrdiff_t up_to_lines(ptrdiff_t bytes) { return (bytes + 63) & ~ptrdiff_t{63}; }

}  // namespace

// One thread's run over a part of the nest.
class ExpressionRun {
public:
    ExpressionRun(const Expression& program, int operands, bool watches) noexcept
        : program_(program), operands_(operands), watches_(watches) {
        for (int8_t& operand : moved_) operand = -1;
        for (int i = 0; i < program.n_constants_; ++i)
            places_[Expression::first_constant + i] = {
                const_cast<char*>(program.constants_[i].bytes), 0, 0};
        if (watches)
            for (int& status : status_) status = 0;
    }

    bool run_elementwise(const Nest& nest) noexcept;
    bool run_reduce(ReducePlan& plan, ptrdiff_t columns_of_a_tile) noexcept;

    void add_status_to(int* status) const noexcept {
        for (int k = 0; k <= program_.length_; ++k)
            if (status_[k]) __atomic_fetch_or(&status[k], status_[k], __ATOMIC_RELAXED);
    }

private:
    struct Location {
        char* data;
        ptrdiff_t inner, outer;
    };

    void clear_status() const noexcept {
        if (watches_) clear_fp_status();
    }
    void note_status(int number) noexcept {
        if (!watches_) return;
        if (int const raised = fp_status()) {
            status_[number] |= raised;
            clear_fp_status();
        }
    }
    void execute(const WideBlock& own) noexcept;
    ptrdiff_t find_repeated(const Nest& nest, ptrdiff_t* bytes) const noexcept;
    void load_repeated(const Nest& nest, const ptrdiff_t* bytes, char* memory,
                       Nest& inside) noexcept;

    const Expression& program_;
    int operands_;
    bool const watches_;
    char* registers_ = nullptr;
    ptrdiff_t register_bytes_ = 0;
    Location places_[Expression::most_values];     // of the piece at hand
    int8_t moved_[Expression::most_instructions];  // operand that holds a result already; -1: none
    int status_[Expression::most_instructions + 1];  // if it watches
};

namespace {

// A column becomes a row, rows without gaps become one.
void lengthen(Block& block, int arguments) noexcept {
    bool one = true;
    for (int a = 0; a < arguments; ++a)
        one &= block.n == 1 || block.outer[a] == block.inner[a] * block.n;
    if (!one) return;
    if (block.n == 1)
        for (int a = 0; a < arguments; ++a) block.inner[a] = block.outer[a];
    block.n *= block.rows;
    block.rows = 1;
}

}  // namespace

void ExpressionRun::execute(const WideBlock& own) noexcept {
    for (int i = 0; i < operands_; ++i) places_[i] = {own.data[i], own.inner[i], own.outer[i]};
    for (int k = 0; k < program_.length_; ++k) {
        const Expression::Instruction& instruction = program_.instructions_[k];
        Location* const results = &places_[Expression::number_of_result(k, 0)];
        if (moved_[k] >= 0) {
            results[0] = places_[moved_[k]];
            continue;
        }
        Block block;
        // What repeats along an axis of the piece is computed once.
        ptrdiff_t along = instruction.is_whole, down = instruction.is_whole;
        int a = 0;
        for (; a < instruction.inputs; ++a) {
            const Location& from = places_[instruction.arguments[a].number];
            block.data[a] = from.data;
            along |= block.inner[a] = from.inner;
            down |= block.outer[a] = from.outer;
        }
        block.n = along ? own.n : 1;
        block.rows = down ? own.rows : 1;
        for (int o = 0; o < instruction.outputs; ++o, ++a) {
            if (instruction.stored[o] >= 0) {
                results[o] = places_[instruction.stored[o]];
            } else {
                ptrdiff_t const size = instruction.sizes[o];
                results[o] = {registers_ + instruction.registers[o] * register_bytes_,
                              along ? size : 0, down ? size * block.n : 0};
            }
            block.data[a] = results[o].data;
            block.inner[a] = results[o].inner;
            block.outer[a] = results[o].outer;
        }
        if (block.rows > 1) lengthen(block, a);
        instruction.function(block, instruction.context);
        note_status(k);
    }
}

// Instructions that cast a broadcast operand of few elements: bytes of their results, 0 for others.
// The sum of them.
ptrdiff_t ExpressionRun::find_repeated(const Nest& nest, ptrdiff_t* bytes) const noexcept {
    ptrdiff_t const all = count(nest);
    ptrdiff_t total = 0;
    int operands = nest.operands;
    for (int k = 0; k < program_.length_; ++k) {
        const Expression::Instruction& own = program_.instructions_[k];
        bytes[k] = 0;
        if (own.inputs != 1 || own.outputs != 1 || own.is_whole || operands == max_nest_operands ||
            !own.arguments[0].is_operand())
            continue;
        ptrdiff_t distinct = 1;
        for (int a = 0; a < nest.ndim; ++a)
            if (nest.strides[own.arguments[0].number][a]) distinct *= nest.shape[a];
        if (distinct > most_repeated || distinct > all / 2) continue;
        bytes[k] = up_to_lines(distinct * own.sizes[0]);
        total += bytes[k];
        ++operands;
    }
    return total;
}

void ExpressionRun::load_repeated(const Nest& nest, const ptrdiff_t* bytes, char* memory,
                                  Nest& inside) noexcept {
    copy_used_axes(nest, inside);
    // The mask stays the last operand.
    int const mask = nest.operands - 1;
    for (int k = 0; k < program_.length_; ++k) {
        if (!bytes[k]) continue;
        const Expression::Instruction& own = program_.instructions_[k];
        int const from = own.arguments[0].number;
        int const to = program_.masked_ ? inside.operands - 1 : inside.operands;
        moved_[k] = static_cast<int8_t>(to);
        ++inside.operands;
        Nest once;
        once.ndim = 0;
        once.operands = 2;
        once.data[0] = nest.data[from];
        once.data[1] = inside.data[to] = memory;
        ptrdiff_t stride = own.sizes[0];
        for (int a = nest.ndim - 1; a >= 0; --a) {
            inside.strides[to][a] = nest.strides[from][a] ? stride : 0;
            if (nest.strides[from][a]) stride *= nest.shape[a];
        }
        for (int a = 0; a < nest.ndim; ++a) {
            if (!nest.strides[from][a]) continue;
            once.shape[once.ndim] = nest.shape[a];
            once.strides[0][once.ndim] = nest.strides[from][a];
            once.strides[1][once.ndim] = inside.strides[to][a];
            ++once.ndim;
        }
        for_each_block<Block>(once, [&](const Block& block) { own.function(block, own.context); });
        note_status(k);
        memory += bytes[k];
    }
    if (!program_.masked_) return;
    int const last = inside.operands - 1;
    inside.data[last] = nest.data[mask];
    for (int a = 0; a < nest.ndim; ++a) inside.strides[last][a] = nest.strides[mask][a];
}

bool ExpressionRun::run_elementwise(const Nest& nest) noexcept {
    register_bytes_ = program_.n_registers_ > few_registers ? register_bytes / 2 : register_bytes;
    ptrdiff_t const piece = register_bytes_ / program_.widest_;
    // A piece computes once what repeats in it.
    ptrdiff_t bytes[Expression::most_instructions];
    bool const is_short = nest.ndim < 2 && count(nest) <= piece;
    if (is_short) register_bytes_ = up_to_lines(count(nest) * program_.widest_);
    ptrdiff_t const repeated = is_short ? 0 : find_repeated(nest, bytes);
    Scratch scratch(static_cast<size_t>(repeated + program_.n_registers_ * register_bytes_));
    if (!scratch.get()) return false;
    registers_ = scratch.get() + repeated;
    clear_status();
    Nest inside;
    if (repeated) load_repeated(nest, bytes, scratch.get(), inside);
    const Nest& own = repeated ? inside : nest;
    operands_ = own.operands;
    auto const run_pieces = [&](const WideBlock& block) {
        for_each_piece(block, own.operands, piece, [&](const WideBlock& part) { execute(part); });
    };
    for_each_block<WideBlock>(own, [&](const WideBlock& block) {
        if (program_.masked_)
            for_each_selected(block, own.operands, run_pieces);
        else
            run_pieces(block);
    });
    return true;
}

namespace {

constexpr ptrdiff_t tile_columns = 64;  // of a piece of a reduction

// How the call of a reduction is cut into pieces that are computed, then reduced.
struct ReducePieces {
    bool by_row;
    ptrdiff_t n, rows;

    ReducePieces(const ReducePlan& plan, ptrdiff_t most, ptrdiff_t most_columns) noexcept {
        by_row = plan.row.length == 1 || (plan.reduced.length > 1 && !plan.columns());
        if (by_row) {
            n = std::min(plan.reduced.length, most);
            rows = plan.row.length == 1 ? 1 : most / n;
        } else {
            rows = std::min(most_columns, tile_columns);
            n = most / rows;
        }
    }
};

// Part of a plan's call, its rows in the direction in which they lie.
WideBlock piece_of(const ReducePlan& plan, bool by_row, ptrdiff_t row, ptrdiff_t rows,
                   ptrdiff_t first, ptrdiff_t n) noexcept {
    WideBlock block;
    for (int i = 0; i < plan.operands; ++i) {
        ptrdiff_t const down = plan.row.strides[i], along = plan.reduced.strides[i];
        block.data[i] = plan.data[i] + row * down + first * along;
        block.inner[i] = by_row ? along : down;
        block.outer[i] = by_row ? down : along;
    }
    block.n = by_row ? n : rows;
    block.rows = by_row ? rows : n;
    return block;
}

}  // namespace

bool ExpressionRun::run_reduce(ReducePlan& plan, ptrdiff_t columns_of_a_tile) noexcept {
    ReducePieces const pieces(plan, program_.reduce_piece_, columns_of_a_tile);
    ptrdiff_t const most = std::min(program_.reduce_piece_, plan.reduced.length * plan.row.length);
    register_bytes_ = up_to_lines(most * program_.widest_);
    Scratch scratch(static_cast<size_t>(program_.n_registers_ * register_bytes_));
    if (!scratch.get()) return false;
    registers_ = scratch.get();
    clear_status();
    ptrdiff_t const size = program_.reduced_.size, out_row = plan.row.strides[ReducePlan::out];
    char const before = *plan.data[ReducePlan::out];
    bool decided = false;
    auto const reduce = [&](ptrdiff_t row, ptrdiff_t rows, ptrdiff_t first, ptrdiff_t n) {
        WideBlock const own = piece_of(plan, pieces.by_row, row, rows, first, n);
        execute(own);
        const Location& from = places_[program_.reduced_.number];
        char* const out = plan.data[ReducePlan::out] + row * out_row;
        ptrdiff_t const outer = size * own.n;
        program_.reduce_({from.data, out, n, pieces.by_row ? size : outer, rows,
                          pieces.by_row ? outer : size, out_row});
        note_status(program_.length_);
        decided = program_.stops_ && *out != before;
    };
    for_each_call(plan, [&] {
        ptrdiff_t const n = plan.reduced.length, rows = plan.row.length;
        for (ptrdiff_t row = 0; row < rows; row += pieces.rows)
            for (ptrdiff_t first = 0; first < n && !decided; first += pieces.n)
                reduce(row, std::min(pieces.rows, rows - row), first,
                       std::min(pieces.n, n - first));
    });
    return true;
}

bool Expression::run(const Nest& nest, WorkSplit split, int* status) noexcept {
    assign_registers();
    auto const with = [&](auto body) {
        ExpressionRun own(*this, nest.operands, status != nullptr);
        if (!body(own)) return false;
        if (status) own.add_status_to(status);
        return true;
    };
    if (!reduce_)
        return for_parts(nest, split, [&](const Nest& part) {
            return with([&](ExpressionRun& own) { return own.run_elementwise(part); });
        });
    ReducePlan plan;
    if (!make_plan(nest, -1, plan)) return true;
    ptrdiff_t const columns = plan.row.length;
    auto const reduce = [&](ReducePlan& part) {
        return with([&](ExpressionRun& own) { return own.run_reduce(part, columns); });
    };
    std::atomic<bool> done{true};
    if (!stops_ && split.grain != unsplit.grain &&
        split_rows(plan, split, tile_columns, [&](ReducePlan& part) {
            if (!reduce(part)) done.store(false, std::memory_order_relaxed);
        }))
        return done.load(std::memory_order_relaxed);
    return reduce(plan);
}

}  // namespace raptors
