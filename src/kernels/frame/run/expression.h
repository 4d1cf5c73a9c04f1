// Expressions: programs of kernels, run piece by piece in L1 over any layout.
#pragma once
#include <string.h>

#include <initializer_list>

#include "frame/threads/work_split.h"

namespace raptors {

// A program is built once for a call: values are loaded, kernels applied to them, results stored or
// reduced. Operands of the nest are inputs and outputs, and the mask of where=; they have the very
// dtypes that the kernels take, casts are instructions.
class Expression {
public:
    static constexpr int most_instructions = 16, most_constants = 4;

    // What an instruction reads: an operand, a constant or an output of another instruction, in
    // this order.
    struct Value {
        uint8_t number;
        uint8_t size;  // bytes of an element

        bool is_operand() const noexcept { return number < first_constant; }
        bool is_result() const noexcept { return number >= first_result; }
        int instruction() const noexcept { return (number - first_result) / max_outputs; }
        int output() const noexcept { return (number - first_result) % max_outputs; }
    };

    Value operand(int index, int size) noexcept { return value(index, size); }
    // `element` is copied.
    Value constant(const void* element, int size) noexcept;
    // The first output; output(value, 1) is the second.
    Value apply(const Kernel& kernel, std::initializer_list<Value> inputs) noexcept {
        return apply(kernel, inputs.begin());
    }
    Value apply(const Kernel& kernel, const Value* inputs) noexcept;
    Value output(Value first, int number) const noexcept;
    // Another element in its place: a program may be copied and run again.
    void set_constant(int index, const Element& element) noexcept { constants_[index] = element; }
    // A cast to a dtype of `size` bytes.
    Value cast(KernelFn kernel, Value x, int size) noexcept;

    // The instruction writes its result straight to an operand, all elements of it. No later
    // instruction may read an operand that shares memory with that one.
    void store(Value result, int operand) noexcept;
    // Operand 1, with stride 0 along the reduced axes, takes the reduction of a result and holds
    // its initial value; operand 0 decides the order of axes. The last thing of a program. `piece`:
    // elements that a kernel call reduces, on which the rounding of sums depends. `stops`: of a
    // single result, which is final as soon as it is another one than in the beginning.
    void reduce(ReduceFn kernel, Value result, ptrdiff_t piece = piece_of_sums,
                bool stops = false) noexcept;
    static constexpr ptrdiff_t piece_of_sums = 4096;

    // where=: the last operand of the nest is a mask; only selected elements are computed. Not with
    // a reduction.
    void where_last_operand() noexcept { masked_ = true; }

    // Before the first run, if the program is to be copied and run more than once.
    void prepare() noexcept { assign_registers(); }

    // The number of an instruction, for its status.
    static int number(Value result) noexcept { return result.instruction(); }
    int length() const noexcept { return length_; }

    // Over a simplified nest; with a reduction, its axes may come in any order. False: out of
    // memory, outputs may be partly written. `status`, if not null: the floating-point status of
    // each instruction, and at [length()] of the reduction, is added to what it holds, and the
    // thread's is cleared; otherwise what is raised stays in the thread's. Results do not depend on
    // the split.
    [[nodiscard]] bool run(const Nest& nest, WorkSplit split = unsplit,
                           int* status = nullptr) noexcept;

private:
    friend class ExpressionRun;
    static constexpr int first_constant = max_nest_operands;
    static constexpr int first_result = first_constant + most_constants;
    static constexpr int most_values = first_result + most_instructions * max_outputs;

    static constexpr Value value(int number, int size) noexcept {
        return {static_cast<uint8_t>(number), static_cast<uint8_t>(size)};
    }
    static constexpr int number_of_result(int instruction, int output) noexcept {
        return first_result + instruction * max_outputs + output;
    }

    struct Instruction {
        KernelFn function;
        const void* context;
        uint8_t inputs, outputs;
        bool is_whole;  // an output is stored or reduced: nothing of it is left out
        Value arguments[max_inputs];
        uint8_t sizes[max_outputs];
        int8_t stored[max_outputs];     // the operand that takes the output; -1: a register
        int8_t registers[max_outputs];  // of those that are not stored
    };
    void assign_registers() noexcept;

    Instruction instructions_[most_instructions];
    Element constants_[most_constants];
    int length_ = 0, n_constants_ = 0, n_registers_ = 0, widest_ = 1;
    bool masked_ = false, stops_ = false, assigned_ = false;
    ReduceFn reduce_ = nullptr;
    Value reduced_{};
    ptrdiff_t reduce_piece_ = 0;
};

// ---- Building: within a call, where it must cost next to nothing

inline Expression::Value Expression::constant(const void* element, int size) noexcept {
    memcpy(constants_[n_constants_].bytes, element, static_cast<size_t>(size));
    return value(first_constant + n_constants_++, size);
}

inline Expression::Value Expression::output(Value first, int number) const noexcept {
    return value(first.number + number, instructions_[first.instruction()].sizes[number]);
}

inline Expression::Value Expression::cast(KernelFn kernel, Value x, int size) noexcept {
    Kernel one;
    one.function = kernel;
    one.inputs = one.outputs = 1;
    Value result = apply(one, &x);
    result.size = instructions_[result.instruction()].sizes[0] = static_cast<uint8_t>(size);
    return result;
}

inline void Expression::store(Value result, int operand) noexcept {
    Instruction& of = instructions_[result.instruction()];
    of.stored[result.output()] = static_cast<int8_t>(operand);
    of.is_whole = true;
}

inline void Expression::reduce(ReduceFn kernel, Value result, ptrdiff_t piece,
                               bool stops) noexcept {
    reduce_ = kernel;
    reduced_ = result;
    reduce_piece_ = piece;
    stops_ = stops;
    instructions_[result.instruction()].is_whole = true;
}

}  // namespace raptors
