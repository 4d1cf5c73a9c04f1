#include "numpy/registry.h"

#include <unordered_map>

#include "array/broadcasting.h"
#include "array/choosing.h"
#include "array/indexing.h"
#include "array/masked.h"
#include "array/selection.h"
#include "array/splitting.h"
#include "array/views.h"
#include "creation/from_objects.h"
#include "creation/from_shape.h"
#include "creation/grids.h"
#include "creation/joining.h"
#include "creation/repeating.h"
#include "creation/shaping.h"
#include "creation/splicing.h"
#include "creation/triangles.h"
#include "linalg/einsum.h"
#include "linalg/matrix_chain.h"
#include "linalg/product.h"
#include "linalg/solve.h"
#include "linalg/tensordot.h"
#include "ops/elementwise.h"
#include "ops/interpolation.h"
#include "ops/isclose.h"
#include "ops/reduce.h"
#include "ops/rounding.h"
#include "ops/scan.h"
#include "ops/searching.h"
#include "ops/sorting.h"
#include "ops/statistics.h"

namespace py = pybind11;

namespace raptors {
namespace {

template <class What>
constexpr int id(What what) {
    return static_cast<int>(what);
}

namespace reasons {
#define REASON(id, text) constexpr const char* id = text;
#include "numpy/names.def"
}  // namespace reasons

const NameRow rows[] = {
#define SUBMODULE(name, view, reason) \
    {#name, NameKind::submodule, ViewMode::view, nullptr, 0, false, reasons::reason},
#define FUNCTION(name, view, native, which, array, reason) \
    {#name, NameKind::function, ViewMode::view, native, which, array, reasons::reason},
#define NUMPY(name, view, reason) \
    {#name, NameKind::function, ViewMode::view, nullptr, 0, false, reasons::reason},
#define UFUNC(name, reason) \
    {#name, NameKind::ufunc, ViewMode::deep, nullptr, 0, false, reasons::reason},
#include "numpy/names.def"
};

const NameRow family_rows[] = {
#define FAMILY(prefix, view, reason) \
    {#prefix, NameKind::family, ViewMode::view, nullptr, 0, false, reasons::reason},
#include "numpy/names.def"
};

const NameRow own_method_rows[] = {
#define OWN_METHOD(name, code, reason) \
    {#name, NameKind::method, ViewMode::original, nullptr, 0, true, reasons::reason},
#include "numpy/methods.def"
};

// What no row knows.
const NameRow new_function = {nullptr, NameKind::function, ViewMode::deep, nullptr, 0, false,
                              nullptr};
const NameRow part_of_class = {nullptr, NameKind::function, ViewMode::original, nullptr, 0,
                               false,   reasons::class_code};

constexpr const char* view_names[] = {"deep", "top", "original", "as it is"};
constexpr const char* kind_names[] = {"submodule", "family", "function", "ufunc", "method"};

}  // namespace

const NameRow method_rows[n_method_rows] = {
#define METHOD(name, view, native, which, reason) \
    {#name, NameKind::method, ViewMode::view, native, which, true, reasons::reason},
#define NUMPY_METHOD(name, view, reason) \
    {#name, NameKind::method, ViewMode::view, nullptr, 0, true, reasons::reason},
#include "numpy/methods.def"
};

const NameRow& name_row(std::string_view path) {
    static auto* const by_name = [] {
        auto* const all = new std::unordered_map<std::string_view, const NameRow*>;
        for (const NameRow& row : rows) all->try_emplace(row.name, &row);
        return all;
    }();
    constexpr std::string_view package = "raptors.";
    if (path.starts_with(package)) path.remove_prefix(package.size());
    if (auto const own = by_name->find(path); own != by_name->end()) return *own->second;
    if (path.find('.') == path.npos) {
        for (const NameRow& family : family_rows)
            if (path.starts_with(family.name)) return family;
        return new_function;
    }
    for (auto dot = path.rfind('.'); dot != path.npos; dot = path.substr(0, dot).rfind('.')) {
        auto const home = by_name->find(path.substr(0, dot));
        if (home != by_name->end() && home->second->kind == NameKind::submodule)
            return *home->second;
    }
    return part_of_class;
}

const char* view_mode(const std::string& path) {
    return view_names[static_cast<int>(name_row(path).view)];
}

py::list name_rows() {
    py::list out;
    auto add = [&](const NameRow& row) {
        py::dict d;
        d["name"] = row.name;
        d["kind"] = kind_names[static_cast<int>(row.kind)];
        d["native"] = row.native != nullptr;
        d["view"] = view_names[static_cast<int>(row.view)];
        d["reason"] = row.reason;
        out.append(d);
    };
    for (const NameRow& row : rows) add(row);
    for (const NameRow& row : family_rows) add(row);
    for (const NameRow& row : method_rows) add(row);
    for (const NameRow& row : own_method_rows) add(row);
    return out;
}

}  // namespace raptors
