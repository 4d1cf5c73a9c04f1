// The slots of matrix products.
#include "isa/linalg/dot_tile.h"
#include "isa/linalg/gemv.h"
#include "isa/linalg/small.h"
#include "isa/linalg/tile.h"
#include "isa/table.h"
#include "isa/values.h"

namespace raptors::RAPTORS_ISA {
namespace {

template <class T>
struct Kernels {
    using E = typename std::conditional_t<std::is_integral_v<T>, std::make_unsigned<T>,
                                          std::type_identity<T>>::type;
    using C = std::conditional_t<std::is_same_v<E, uint8_t>, uint16_t, E>;
    static constexpr bool has_small = sizeof(E) >= 4;
    static constexpr int bits = 8 * int{sizeof(Value<C>)};

    static constexpr Gemm make() {
        Gemm gemm{};
        gemm.mr = tile_rows;
        gemm.nr = tile_columns<C>;
        gemm.a_size = sizeof(Spread<C>);
        gemm.b_size = sizeof(Value<C>);
        gemm.kc = sizeof(C) == 8 ? 384 : 512;
        // A vector a cycle of a third of a nanosecond; 64-bit integers take several instructions.
        gemm.ns = 0.33 / lanes<Value<C>> * (std::is_same_v<C, uint64_t> ? 3 : 1) / 2;
        gemm.pack_a = pack_a<E, C>;
        gemm.pack_b = pack_b<E, C>;
        if constexpr (std::is_floating_point_v<E>) {
            gemm.pack_pairs_a = pack_pairs_a<C>;
            gemm.pack_pairs_b = pack_pairs_b<C>;
        }
        gemm.packed = packed<E, C>;
        if constexpr (has_small) {
            gemm.small = small<C>;
            gemm.dot_tile = dot_tile<C>;
        }
        gemm.dot = dot<E>;
        gemm.by_rows = by_rows<E>;
        gemm.by_columns = by_columns<E>;
        return gemm;
    }
    static constexpr Gemm value = make();
};

template <class T>
void fill(GemmTable& table, DType t) {
    if constexpr (is_elementary<T>) table.gemm[static_cast<int>(t)] = &Kernels<T>::value;
}

}  // namespace

void fill_gemm(GemmTable& table) noexcept {
#define DTYPE(id, type, ...) fill<type>(table, DType::id);
#include "tables/dtypes.def"
}

}  // namespace raptors::RAPTORS_ISA
