// What calls cost, for choosing who works on them.
#pragma once
#include "api/types.h"
#include "frame/threads/pool.h"

namespace raptors {

enum class Op : uint8_t;
enum class Combine : uint8_t;
struct Table;

// Nanoseconds that one thread takes for an element, its operands in L2.
double cost_of(Op op, DType t) noexcept;
double cost_of(Combine combine, DType t) noexcept;

// Replaces the built-in figure by a measured one.
void set_cost(Op op, DType t, double ns) noexcept;
void set_cost(Combine combine, DType t, double ns) noexcept;

// Measures a kernel: nanoseconds for an element, the least of several runs. 0: there is none.
double measure_cost(const Table& table, Op op, DType t) noexcept;
double measure_cost(const Table& table, Combine combine, DType t) noexcept;

// How a call's work is shared out.
struct WorkSplit {
    Team team;
    ptrdiff_t grain;  // elements of a chunk
};
constexpr WorkSplit unsplit = {alone, PTRDIFF_MAX};
WorkSplit split_for(ptrdiff_t elements, double ns, int threads) noexcept;
// The same of operands that are gone through once: one thread takes a long call in chunks, too, in
// alternating order, since it finds there what the call before left in its caches.
WorkSplit split_in_turn(ptrdiff_t elements, double ns, int threads) noexcept;

}  // namespace raptors
