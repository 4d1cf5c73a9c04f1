// Casts around a kernel, as expressions.
#include "frame/run/expression.h"

namespace raptors {
namespace {

bool any_cast(const Conversion* conversions, int arguments) noexcept {
    for (int i = 0; conversions && i < arguments; ++i)
        if (conversions[i].cast) return true;
    return false;
}

void convert(const Kernel& kernel, const Conversion* conversions, Expression& program) noexcept {
    Expression::Value inputs[max_inputs];
    for (int i = 0; i < max_inputs; ++i) {
        if (i == kernel.inputs) break;
        Expression::Value const own = program.operand(i, 0);
        inputs[i] =
            conversions[i].cast ? program.cast(conversions[i].cast, own, conversions[i].size) : own;
    }
    Expression::Value const results = program.apply(kernel, inputs);
    for (int o = 0; o < kernel.outputs; ++o) {
        int const slot = kernel.inputs + o;
        Expression::Value result = program.output(results, o);
        if (conversions[slot].cast) result = program.cast(conversions[slot].cast, result, 0);
        program.store(result, slot);
    }
}

}  // namespace

bool run(const Kernel& kernel, const Nest& nest, const Conversion* conversions,
         WorkSplit split) noexcept {
    if (!any_cast(conversions, kernel.arguments())) {
        run(kernel, nest, split);
        return true;
    }
    Expression program;
    convert(kernel, conversions, program);
    return program.run(nest, split_of(kernel, split));
}

bool run_masked(const Kernel& kernel, const Nest& nest, const Conversion* conversions,
                WorkSplit split) noexcept {
    if (!any_cast(conversions, kernel.arguments()))
        return for_parts(nest, split_of(kernel, split), [&](const Nest& part) {
            run_masked(kernel, part);
            return true;
        });
    Expression program;
    convert(kernel, conversions, program);
    program.where_last_operand();
    return program.run(nest, split_of(kernel, split));
}

}  // namespace raptors
