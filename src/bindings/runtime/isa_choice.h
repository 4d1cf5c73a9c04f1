// Which kernels run for the calling context: the table of the chosen ISA, or none
// (RAPTORS_DISABLE).
#pragma once
#include "dispatch.h"
#include "python/context.h"

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

void init_policy();  // reads RAPTORS_SIMD and RAPTORS_DISABLE; raises on bad values
bool is_disabled();  // RAPTORS_DISABLE

// The ISA of the context; of this context until it leaves; all that this machine has.
const char* simd();
pybind11::object enter_simd(const std::string& name);
void leave_simd(const pybind11::object& token);
pybind11::tuple available_isas();

}  // namespace raptors
