// Which kernels run for the calling context: the table of the chosen ISA, or none
// (RAPTORS_DISABLE).
#pragma once
#include "context.h"
#include "dispatch.h"

namespace raptors {

struct Active {
    const Table* table;  // nullptr: everything goes to NumPy
    Isa isa;
};

extern Active process_active;  // without any raptors.simd()
extern ContextNumber chosen_isa;
const Active& context_active();
inline const Active& active() {
    if (!chosen_isa.chosen()) [[likely]]
        return process_active;
    return context_active();
}

void register_policy(
    pybind11::module_& m);  // reads RAPTORS_SIMD and RAPTORS_DISABLE; raises on bad values

}  // namespace raptors
