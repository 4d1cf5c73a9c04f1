#include "runtime/isa_choice.h"

#include <cstdlib>
#include <string>

#include "python/environment.h"

namespace py = pybind11;

namespace raptors {

Active process_active;
ContextNumber chosen_isa;

namespace {

Active by_isa[n_isas];
bool disabled;
Isa process_isa;

std::string available_text() {
    std::string text;
    for (int i = 0; i < n_isas; ++i)
        if (table(static_cast<Isa>(i)))
            text += (text.empty() ? "" : ", ") + std::string(isa_name(static_cast<Isa>(i)));
    return text + ", auto";
}

Isa checked_isa(const std::string& text, const char* who) {
    if (text == "auto" || text.empty()) return best_isa();
    Isa isa;
    if (text.find('\0') != std::string::npos || !parse_isa(text.c_str(), &isa))
        throw py::value_error(std::string(who) + ": " + quoted(text) +
                              " is not an instruction set; this machine has " + available_text());
    if (!table(isa)) {
        auto const message =
            std::string(who) + ": " + quoted(text) +
            (isa_compiled(isa) ? " is not supported by this CPU" : " is not part of this build") +
            "; this machine has " + available_text();
        PyErr_SetString(PyExc_RuntimeError, message.c_str());
        throw py::error_already_set();
    }
    return isa;
}

int current_isa() { return static_cast<int>(chosen_isa.get(static_cast<long>(process_isa))); }

}  // namespace

const Active& context_active() { return by_isa[current_isa()]; }

void init_policy() {
    chosen_isa.make("raptors_simd");
    const char* env = std::getenv("RAPTORS_SIMD");
    process_isa = checked_isa(env ? env : "", "RAPTORS_SIMD");
    disabled = flag_set("RAPTORS_DISABLE").value_or(false);
    for (int i = 0; i < n_isas; ++i) {
        auto const isa = static_cast<Isa>(i);
        by_isa[i] = {disabled ? nullptr : table(isa), isa};
    }
    process_active = by_isa[static_cast<int>(process_isa)];
}

bool is_disabled() { return disabled; }

const char* simd() { return isa_name(static_cast<Isa>(current_isa())); }
py::object enter_simd(const std::string& name) {
    return chosen_isa.enter(static_cast<long>(checked_isa(name, "simd")));
}
void leave_simd(const py::object& token) { chosen_isa.leave(token); }

py::tuple available_isas() {
    py::list names;
    for (int i = 0; i < n_isas; ++i)
        if (table(static_cast<Isa>(i))) names.append(isa_name(static_cast<Isa>(i)));
    return py::tuple(names);
}

}  // namespace raptors
