// The kernels of a[mask] and a[mask] = values on every ISA: which elements, and no other is
// written.
#include <cstring>
#include <random>
#include <vector>

#include "api/table.h"
#include "check.h"
#include "dispatch.h"

using namespace raptors;

namespace {

constexpr char canary = 0x5a;

template <class T>
void compare(Isa isa, const std::vector<char>& mask, size_t offset, std::mt19937& random) {
    const Table& kernels = *table(isa);
    size_t const n = mask.size() - offset;
    std::vector<char> in((n + 1) * sizeof(T)), wanted;
    for (char& c : in) c = static_cast<char>(random());
    const char* const from = in.data() + 1;  // unaligned
    for (size_t i = 0; i < n; ++i)
        if (mask[offset + i])
            wanted.insert(wanted.end(), from + i * sizeof(T), from + (i + 1) * sizeof(T));
    auto const length = static_cast<ptrdiff_t>(n);
    ptrdiff_t const total = kernels.count_true(mask.data() + offset, length);
    CHECK(static_cast<size_t>(total) * sizeof(T) == wanted.size());
    std::vector<char> out(wanted.size() + 65, canary);
    kernels.compress(mask.data() + offset, from, out.data() + 1, length, total, sizeof(T));
    CHECK(wanted.empty() || std::memcmp(out.data() + 1, wanted.data(), wanted.size()) == 0);
    std::vector<int64_t> positions(static_cast<size_t>(total) + 8, -1);
    kernels.nonzero(mask.data() + offset, positions.data(), length, total);
    size_t k = 0;
    for (size_t i = 0; i < n; ++i)
        if (mask[offset + i]) CHECK(positions[k++] == static_cast<int64_t>(i));
    for (; k < positions.size(); ++k) CHECK(positions[k] == -1);
    bool untouched = out[0] == canary;
    for (size_t i = wanted.size() + 1; i < out.size(); ++i) untouched &= out[i] == canary;
    CHECK(untouched);
}

template <class T>
void assign(Isa isa, const std::vector<char>& mask, size_t offset, std::mt19937& random) {
    const Table& kernels = *table(isa);
    size_t const n = mask.size() - offset;
    size_t const size = sizeof(T);
    std::vector<char> before((n + 2) * size + 1), values((n + 1) * size + 1);
    for (char& c : before) c = static_cast<char>(random());
    for (char& c : values) c = static_cast<char>(random());
    std::vector<char> filled = before, copied = before, expanded = before;
    std::vector<char> wanted_filled = before, wanted_copied = before, wanted_expanded = before;
    size_t total = 0;
    for (size_t i = 0; i < n; ++i) {
        if (!mask[offset + i]) continue;
        std::memcpy(wanted_filled.data() + 1 + i * size, values.data() + 1, size);
        std::memcpy(wanted_copied.data() + 1 + i * size, values.data() + 1 + i * size, size);
        std::memcpy(wanted_expanded.data() + 1 + i * size, values.data() + 1 + total++ * size,
                    size);
    }
    auto const length = static_cast<ptrdiff_t>(n);
    kernels.copy_masked(mask.data() + offset, values.data() + 1, 0, filled.data() + 1, length,
                        sizeof(T));
    CHECK(filled == wanted_filled);
    kernels.copy_masked(mask.data() + offset, values.data() + 1, sizeof(T), copied.data() + 1,
                        length, sizeof(T));
    CHECK(copied == wanted_copied);
    kernels.expand(mask.data() + offset, values.data() + 1, expanded.data() + 1, length,
                   static_cast<ptrdiff_t>(total), sizeof(T));
    CHECK(expanded == wanted_expanded);
}

template <int size>
struct Bytes {
    char bytes[size];
};

char random_truth(std::mt19937& random, unsigned share) {
    if (random() % 100 >= share) return 0;
    return static_cast<char>(random() % 5 ? 1 : random() % 255 + 1);
}

void check_all(Isa isa, const std::vector<char>& mask, std::mt19937& random) {
    compare<uint8_t>(isa, mask, 0, random);
    compare<uint16_t>(isa, mask, 1, random);
    compare<uint32_t>(isa, mask, 2, random);
    compare<uint64_t>(isa, mask, 3, random);
    compare<Bytes<16>>(isa, mask, 1, random);
    assign<uint8_t>(isa, mask, 0, random);
    assign<uint16_t>(isa, mask, 1, random);
    assign<uint32_t>(isa, mask, 2, random);
    assign<uint64_t>(isa, mask, 3, random);
    assign<Bytes<16>>(isa, mask, 2, random);
    compare<Bytes<3>>(isa, mask, 0, random);
    compare<Bytes<12>>(isa, mask, 1, random);
    compare<Bytes<40>>(isa, mask, 2, random);
    assign<Bytes<3>>(isa, mask, 0, random);
    assign<Bytes<12>>(isa, mask, 1, random);
    assign<Bytes<40>>(isa, mask, 2, random);
}

// Counts in bytes, and pieces of a mask: all, none, one and some of 256 elements.
void check_long(Isa isa, std::mt19937& random) {
    for (char const value : {char{0}, char{1}, static_cast<char>(0x80)})
        for (ptrdiff_t n : {255 * 64, 255 * 256 + 1, 300000}) {
            std::vector<char> const mask(static_cast<size_t>(n), value);
            CHECK(table(isa)->count_true(mask.data(), n) == (value ? n : 0));
        }
    for (int round = 0; round < 20; ++round) {
        std::vector<char> mask(1000 + random() % 3000);
        unsigned share = 0;
        for (size_t i = 0; i < mask.size(); ++i) {
            constexpr unsigned shares[] = {0, 1, 50, 100};
            if (i % 256 == 3) share = shares[random() % 4];
            mask[i] = random_truth(random, share);
        }
        check_all(isa, mask, random);
    }
}

}  // namespace

int main() {
    std::mt19937 random(1);
    for (int i = 0; i < n_isas; ++i) {
        Isa const isa = static_cast<Isa>(i);
        if (!table(isa)) continue;
        for (size_t n = 0; n < 400; n += n < 70 ? 1 : 37)
            for (unsigned share : {0u, 10u, 50u, 90u, 100u}) {
                std::vector<char> mask(n + 3);
                for (char& m : mask) m = random_truth(random, share);
                check_all(isa, mask, random);
            }
        check_long(isa, random);
    }
    return checks.report("test_compress");
}
