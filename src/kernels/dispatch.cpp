#include "dispatch.h"

#include <atomic>
#include <cstring>
#include <mutex>

#include "api/table.h"
#include "cpu.h"

// isas.def has ISA(name) for each ISA of this build; CMake writes it.
namespace raptors {
#define ISA(name)                           \
    namespace name {                        \
    void fill_table(Table& table) noexcept; \
    }
#include "isas.def"

namespace {

using Fill = void (*)(Table&) noexcept;

constexpr Fill fill_of(Isa isa) {
    switch (isa) {
#define ISA(name)   \
    case Isa::name: \
        return &name::fill_table;
#include "isas.def"
        default:
            return nullptr;
    }
}

constexpr const char* names[n_isas] = {"scalar", "avx2", "avx512", "neon"};

// Constant-initialised, so usable from any static constructor and at any time after.
constinit Table tables[n_isas] = {};
constinit std::atomic<bool> filled[n_isas] = {};
constinit std::mutex filling;

bool is_isa(Isa isa) { return static_cast<unsigned>(isa) < static_cast<unsigned>(n_isas); }

}  // namespace

bool isa_compiled(Isa isa) noexcept { return is_isa(isa) && fill_of(isa) != nullptr; }

const Table* table(Isa isa) noexcept {
    if (!isa_compiled(isa)) return nullptr;
    auto const i = static_cast<size_t>(isa);
    if (!filled[i].load(std::memory_order_acquire)) {
        if (!cpu_supports(isa)) return nullptr;
        std::lock_guard<std::mutex> const lock(filling);
        if (!filled[i].load(std::memory_order_relaxed)) {
            fill_of(Isa::scalar)(tables[i]);
            if (isa != Isa::scalar) fill_of(isa)(tables[i]);
            filled[i].store(true, std::memory_order_release);
        }
    }
    return &tables[i];
}

Isa best_isa() noexcept {
    Isa best = Isa::scalar;
    for (int i = 0; i < n_isas; ++i) {
        auto const isa = static_cast<Isa>(i);
        if (isa_compiled(isa) && cpu_supports(isa)) best = isa;
    }
    return best;
}

const char* isa_name(Isa isa) noexcept {
    return is_isa(isa) ? names[static_cast<size_t>(isa)] : "unknown";
}

bool parse_isa(const char* text, Isa* isa) noexcept {
    for (int i = 0; i < n_isas; ++i) {
        if (text && std::strcmp(text, names[i]) == 0) {
            *isa = static_cast<Isa>(i);
            return true;
        }
    }
    return false;
}

}  // namespace raptors
