// The one registry of names: who serves each public function of NumPy and each method of the array.
// Its rows are in names.def and methods.def; they are looked up when callables are made, never by a
// call.
#pragma once
#include <string>
#include <string_view>

#include "python/signature.h"

namespace raptors {

// What NumPy's code is given for our arrays.
enum class ViewMode : uint8_t {
    deep,  // base-class views, also inside lists and tuples
    top,   // base-class views, inside lists none: object arrays must store the very objects of a
           // list
    original,  // the arrays themselves: ownership matters, or user code sees them
    as_is,     // NumPy's own object stands under the name, and sees the arrays themselves
};

enum class NameKind : uint8_t { submodule, family, function, ufunc, method };

struct NameRow {
    const char* name;  // with its submodule: "linalg.norm"
    NameKind kind;
    ViewMode view;
    Native native;  // nullptr: none; kernels and products of ufuncs are not told here
    int which;
    bool on_array;       // functions: the native code gets the first argument as its array
    const char* reason;  // why NumPy serves it; "": ufuncs with kernels
};

constexpr int n_method_rows = 0
#define METHOD(...) +1
#define NUMPY_METHOD(...) +1
#include "numpy/methods.def"
    ;
constexpr int n_own_method_rows = 0
#define OWN_METHOD(...) +1
#include "numpy/methods.def"
    ;
// Those of METHOD and NUMPY_METHOD.
extern const NameRow method_rows[n_method_rows];

// The row of the function, ufunc or submodule at "raptors.linalg.norm", or else of its family, or
// of the innermost submodule that it is in and that has one. Of what no row knows the arrays are
// viewed, but for what is in no submodule of NumPy: methods of its classes and helpers of our own
// see the arrays themselves.
const NameRow& name_row(std::string_view path);
// The view mode of what is at that path: "deep", "top", "original" or "as it is".
const char* view_mode(const std::string& path);
// A dict for each row: name, kind, native, view and reason.
pybind11::list name_rows();

}  // namespace raptors
