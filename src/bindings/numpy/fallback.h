// What NumPy does for us: it gets base-class views of our arrays (its exact-type paths, ownership,
// scalars and messages are then its own), and what it returns becomes ours.
#pragma once
#include "array/free_lists.h"

namespace raptors {

// The base-class views of one call. The same array gives the same view, so NumPy sees overlaps.
class Views {
public:
    Views() = default;
    Views(const Views&) = delete;
    Views& operator=(const Views&) = delete;
    ~Views();
    PyObject* of(PyObject* a);  // borrowed; nullptr: error; `a` itself when there are too many
    // What NumPy is given for any argument: views of ours, NumPy's object for our proxies and, if
    // `deep`, new lists and tuples for exact lists and tuples that hold ours. Borrowed; nullptr:
    // error.
    PyObject* argument(PyObject* x, bool deep);
    // What NumPy returned becomes ours. Steals r; nullptr stays nullptr.
    PyObject* adopt(PyObject* r) { return r ? adopt(r, 0) : nullptr; }

private:
    static constexpr int max_views = 64, max_kept = 8;
    struct Pair {
        PyObject *view, *original;
    };
    PyObject* adopt(PyObject* r, int depth);
    Pair inline_[8];
    Pair* pairs_ = inline_;
    int n_ = 0, room_ = 8;
    PyObject* kept_[max_kept];  // rebuilt lists and tuples
    int n_kept_ = 0;
};

// Calls fn with base-class views for our arrays and adopts the result. kwnames as in vectorcall.
PyObject* call_numpy(PyObject* fn, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames,
                     bool deep);
// The same for a method of a ufunc.
PyObject* call_numpy_method(PyObject* ufunc, PyObject* name, PyObject* const* args,
                            Py_ssize_t nargs, PyObject* kwnames);
// Calls fn with the arguments as they are and adopts the result.
PyObject* call_original(PyObject* fn, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames);

// What NumPy returned becomes ours; no view was given. Steals r; nullptr stays nullptr.
PyObject* adopt(PyObject* r);

// Arrays of NumPy's class `numpy` that NumPy returns take the class `own`, of the same layout. If
// `views`, NumPy's functions get views of class `numpy` for those of class `own`.
void adopt_class(PyTypeObject* numpy, PyTypeObject* own, bool views);
// The class that stands for one of NumPy's; nullptr: none.
PyTypeObject* own_class(PyTypeObject* numpy);

// Does the type override the protocol with anything but NumPy's default and ours? (Looked up along
// the MRO, as NumPy does.)
bool overrides_ufunc(PyObject* x);
// The same for __array_function__; looks into lists and tuples, too. unknown: x may hold objects
// that NumPy's dispatch finds and this does not.
enum class Overriding : uint8_t { no, unknown, yes };
Overriding overriding_function(PyObject* x);
// What a function of NumPy's is given.
struct Arguments {
    Overriding overriding = Overriding::no;  // of any but `like`
    bool all_shown = true;                   // as they are, whatever the view mode
    PyObject* array = nullptr;               // the first one, or that begins a list or tuple
};
Arguments look_at_arguments(PyObject* const* args, Py_ssize_t n, PyObject* like);
inline bool overrides_function(PyObject* x) { return overriding_function(x) == Overriding::yes; }
// Whether `test` holds for an operand of a ufunc's call, as NumPy looks for overrides: the inputs,
// where=, and out=, which alone may be a tuple.
template <class Test>
bool any_operand(PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames, Test test) {
    for (Py_ssize_t i = 0; i < nargs; ++i)
        if (test(args[i])) return true;
    Py_ssize_t const keywords = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    for (Py_ssize_t k = 0; k < keywords; ++k) {
        PyObject* const name = PyTuple_GET_ITEM(kwnames, k);
        PyObject* const x = args[nargs + k];
        bool const is_out = PyUnicode_CompareWithASCIIString(name, "out") == 0;
        if (!is_out && PyUnicode_CompareWithASCIIString(name, "where") != 0) continue;
        if (test(x)) return true;
        if (is_out && PyTuple_CheckExact(x))
            for (Py_ssize_t j = 0; j < PyTuple_GET_SIZE(x); ++j)
                if (test(PyTuple_GET_ITEM(x, j))) return true;
    }
    return false;
}
bool any_overrides_ufunc(PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames);

// NumPy's default implementations and ours, for the identity tests; set when the array type exists.
struct Protocols {
    PyObject *numpy_ufunc, *numpy_function, *our_ufunc, *our_function;
    PyObject *name_ufunc, *name_function, *name_class;
};
extern Protocols protocols;

}  // namespace raptors
