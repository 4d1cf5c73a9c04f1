#include "numpy/fallback.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <stdexcept>

#include "api/block.h"
#include "numpy/proxies.h"

namespace raptors {

Protocols protocols;

namespace {

// NumPy's array classes and what stands for them; see raptors/_classes.py.
constexpr int max_classes = 8;
struct ClassPair {
    PyTypeObject *numpy, *own;
    bool views;
};
ClassPair classes[max_classes];
int n_classes;

const ClassPair* find_class(PyTypeObject* ClassPair::*side, PyTypeObject* t) {
    for (int i = 0; i < n_classes; ++i)
        if (classes[i].*side == t) return classes + i;
    return nullptr;
}

// A view of class `t`, made without showing __array_finalize__ the original: it might call
// functions on that (memmap's does), and so come back here.
PyObject* new_class_view(PyObject* a, PyTypeObject* t) {
    Fields const* f = fields(a);
    Py_INCREF(f->descr);
    PyObject* const view = PyArray_NewFromDescr(t, f->descr, f->nd, f->dimensions, f->strides,
                                                f->data, f->flags & NPY_ARRAY_WRITEABLE, nullptr);
    if (!view) return nullptr;
    PyObject* const from = PyObject_GenericGetDict(a, nullptr);
    PyObject* const to = from ? PyObject_GenericGetDict(view, nullptr) : nullptr;
    bool const done = to && PyDict_Update(to, from) == 0 &&
                      PyArray_SetBaseObject(as_array(view), new_ref(a)) == 0;
    Py_XDECREF(from);
    Py_XDECREF(to);
    if (done) return view;
    Py_DECREF(view);
    return nullptr;
}

// What is to know of an object's type.
enum TypeFact : uint8_t {
    viewed = 1,               // NumPy is shown a view
    overriding_ufunc = 2,     // it has an __array_ufunc__ that is neither NumPy's nor ours
    overriding_function = 4,  // the same of __array_function__
    container = 8,            // an exact list or tuple
    stand_in = 16,            // a proxy
    leaf = 32,                // no container of objects that NumPy looks into for overrides
    array = 64,               // of any class
    opaque = 128,             // nothing in it can become ours
};

bool has_own(PyTypeObject* t, PyObject* name, PyObject* numpy, PyObject* ours) {
    PyObject* const found = _PyType_Lookup(t, name);
    return found && found != numpy && found != ours;
}

// Types of Python and NumPy that hold nothing which NumPy's dispatch looks into.
bool is_leaf(PyTypeObject* t) {
    static const PyTypeObject* const leaves[] = {
        &PyFloat_Type,    &PyLong_Type,         &PyBool_Type,  &PyComplex_Type,
        &PyUnicode_Type,  &PyBytes_Type,        &PySlice_Type, &PyType_Type,
        Py_TYPE(Py_None), Py_TYPE(Py_Ellipsis), &PyArray_Type, array_type,
    };
    return std::find(std::begin(leaves), std::end(leaves), t) != std::end(leaves) ||
           find_class(&ClassPair::own, t) || PyType_IsSubtype(t, &PyGenericArrType_Type) ||
           PyType_IsSubtype(t, &PyArrayDescr_Type);
}

uint8_t look_at(PyTypeObject* t) {
    if (t == function_type || t == ufunc_type || t == builtin_type) return stand_in | leaf | opaque;
    if (t == &PyList_Type || t == &PyTuple_Type) return container;
    bool const is_array = PyType_IsSubtype(t, &PyArray_Type);
    const ClassPair* const pair = is_array ? find_class(&ClassPair::own, t) : nullptr;
    bool const is_viewed = t == array_type || (pair && pair->views);
    bool const function =
        has_own(t, protocols.name_function, protocols.numpy_function, protocols.our_function);
    bool const ufunc = has_own(t, protocols.name_ufunc, protocols.numpy_ufunc, protocols.our_ufunc);
    bool const is_opaque = !is_array && !PyType_IsSubtype(t, &PyVoidArrType_Type) &&
                           !PyType_IsSubtype(t, &PyTuple_Type) && t != &PyUFunc_Type;
    return static_cast<uint8_t>((is_viewed ? viewed : 0) | (is_array ? array : 0) |
                                (is_opaque ? opaque : 0) | (ufunc ? overriding_ufunc : 0) |
                                (function ? overriding_function : 0) | (is_leaf(t) ? leaf : 0));
}

// Types that were looked at, until they change.
struct KnownType {
    PyTypeObject* type;
    unsigned version;
    uint8_t facts;
};
KnownType known_types[256];

[[gnu::noinline]] uint8_t look_again(PyTypeObject* t, KnownType& known) {
    uint8_t const facts = look_at(t);  // which makes a version, if there is none
    known = {t->tp_version_tag ? t : nullptr, t->tp_version_tag, facts};
    return facts;
}

[[gnu::always_inline]] inline uint8_t facts_of(PyObject* x) {
    PyTypeObject* const t = Py_TYPE(x);
    auto const at = reinterpret_cast<uintptr_t>(t);
    KnownType& known = known_types[(at >> 4 ^ at >> 11) % std::size(known_types)];
    return known.type == t && known.version == t->tp_version_tag ? known.facts
                                                                 : look_again(t, known);
}

Overriding function_override(PyObject* x, uint8_t facts, int depth) {
    if (facts & overriding_function) return Overriding::yes;
    if (facts & leaf) return Overriding::no;
    if (!(facts & container) || depth == 2) return Overriding::unknown;
    constexpr Py_ssize_t max_items = Py_ssize_t{max_operands} * 16;
    Py_ssize_t const n = PySequence_Fast_GET_SIZE(x);
    PyObject** const items = PySequence_Fast_ITEMS(x);
    Overriding all = n > max_items ? Overriding::unknown : Overriding::no;
    for (Py_ssize_t i = 0; i < std::min(n, max_items); ++i) {
        Overriding const one = function_override(items[i], facts_of(items[i]), depth + 1);
        if (one == Overriding::yes) return one;
        all = std::max(all, one);
    }
    return all;
}

}  // namespace

void adopt_class(PyTypeObject* numpy, PyTypeObject* own, bool views) {
    if (n_classes == max_classes) throw std::length_error("too many array classes");
    Py_INCREF(numpy);
    Py_INCREF(own);
    classes[n_classes++] = {numpy, own, views};
    std::fill(std::begin(known_types), std::end(known_types), KnownType{});
}

PyTypeObject* own_class(PyTypeObject* numpy) {
    const ClassPair* const pair = find_class(&ClassPair::numpy, numpy);
    return pair ? pair->own : nullptr;
}

bool overrides_ufunc(PyObject* x) { return (facts_of(x) & overriding_ufunc) != 0; }

Overriding overriding_function(PyObject* x) { return function_override(x, facts_of(x), 0); }

[[gnu::hot]] Arguments look_at_arguments(PyObject* const* args, Py_ssize_t n, PyObject* like) {
    Arguments all;
    for (Py_ssize_t i = 0; i < n; ++i) {
        PyObject* x = args[i];
        uint8_t facts = facts_of(x);
        all.all_shown = all.all_shown && !(facts & (viewed | stand_in | container));
        if (x != like && (facts & (leaf | TypeFact::overriding_function)) != leaf)
            all.overriding = std::max(all.overriding, function_override(x, facts, 0));
        if (all.array) continue;
        if (facts & container && PySequence_Fast_GET_SIZE(x)) {
            x = PySequence_Fast_GET_ITEM(x, 0);
            facts = facts_of(x);
        }
        if (facts & array) all.array = x;
    }
    return all;
}

bool any_overrides_ufunc(PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    return any_operand(args, nargs, kwnames, overrides_ufunc);
}

[[gnu::hot]] PyObject* Views::of(PyObject* a) {
    for (int i = 0; i < n_; ++i)
        if (pairs_[i].original == a) return pairs_[i].view;
    if (n_ == room_) {
        if (room_ == max_views) return a;
        auto* more = static_cast<Pair*>(PyMem_Malloc(sizeof(Pair) * max_views));
        if (!more) return PyErr_NoMemory();
        std::memcpy(more, pairs_, sizeof(Pair) * static_cast<size_t>(n_));
        pairs_ = more;
        room_ = max_views;
    }
    PyObject* view = is_ours(a) ? new_base_view(a)
                                : new_class_view(a, find_class(&ClassPair::own, Py_TYPE(a))->numpy);
    if (!view) return nullptr;
    pairs_[n_++] = {view, a};
    return view;
}

[[gnu::hot]] Views::~Views() {
    for (int i = 0; i < n_kept_; ++i) Py_DECREF(kept_[i]);
    for (int i = n_ - 1; i >= 0; --i) release_base_view(pairs_[i].view, pairs_[i].original);
    if (pairs_ != inline_) PyMem_Free(pairs_);
}

[[gnu::hot]] PyObject* Views::argument(PyObject* x, bool deep) {
    uint8_t const facts = facts_of(x);
    if (facts & viewed) return of(x);
    if (facts & stand_in) return wrapped(x);
    if (!(facts & container) || !deep || n_kept_ == max_kept) return x;
    Py_ssize_t const n = PySequence_Fast_GET_SIZE(x);
    // Longer ones go as they are: NumPy treats ours as a subclass, which is correct but slower.
    if (n > max_views) return x;
    Py_ssize_t i = 0;
    while (i < n && !(facts_of(PySequence_Fast_ITEMS(x)[i]) & viewed)) ++i;
    if (i == n) return x;
    bool const list = PyList_CheckExact(x);
    PyObject* copy = list ? PyList_New(n) : PyTuple_New(n);
    if (!copy) return nullptr;
    kept_[n_kept_++] = copy;
    for (i = 0; i < n; ++i) {
        PyObject* item = PySequence_Fast_ITEMS(x)[i];
        if (facts_of(item) & viewed) item = of(item);
        if (!item) return nullptr;
        Py_INCREF(item);
        if (list)
            PyList_SET_ITEM(copy, i, item);
        else
            PyTuple_SET_ITEM(copy, i, item);
    }
    return copy;
}

[[gnu::hot]] PyObject* Views::adopt(PyObject* r, int depth) {
    uint8_t const facts = facts_of(r);
    if (facts & opaque) return r;
    if (facts & array) {
        Fields* f = fields(r);
        for (int i = 0; i < n_; ++i) {
            if (r == pairs_[i].view) {  // NumPy returned its argument: so do we
                Py_INCREF(pairs_[i].original);
                Py_DECREF(r);
                return pairs_[i].original;
            }
            if (f->base == pairs_[i].view) {  // a view of its argument: of the original, chains
                                              // collapsed as NumPy does
                PyObject* base = pairs_[i].original;
                while (is_ours(base) && !(fields(base)->flags & NPY_ARRAY_OWNDATA) &&
                       fields(base)->base && is_ours(fields(base)->base))
                    base = fields(base)->base;
                Py_INCREF(base);
                PyObject* old = f->base;
                f->base = base;
                Py_DECREF(old);
            }
        }
        // Shared ones (cached by NumPy, constants) stay what they are.
        if (Py_REFCNT(r) != 1 || is_ours(r)) return r;
        if (is_plain(r)) {
            retype(r);
        } else if (const ClassPair* const pair = find_class(&ClassPair::numpy, Py_TYPE(r))) {
            if (PyObject_GenericSetAttr(r, protocols.name_class,
                                        reinterpret_cast<PyObject*>(pair->own)) < 0)
                PyErr_Clear();
        }
        return r;
    }
    if (PyArray_IsScalar(r, Void)) {  // of a structured array: it shows its array as .base
        PyObject*& base = reinterpret_cast<PyVoidScalarObject*>(r)->base;
        for (int i = 0; base && i < n_; ++i)
            if (base == pairs_[i].view) {
                base = new_ref(pairs_[i].original);
                Py_DECREF(pairs_[i].view);
            }
        return r;
    }
    bool const tuple = PyTuple_Check(r);
    if (depth < 3 && (tuple || PyList_CheckExact(r)) &&
        Py_REFCNT(r) == 1) {  // a fresh container: in place
        Py_ssize_t const n = Py_SIZE(r);
        PyObject** items = tuple ? reinterpret_cast<PyTupleObject*>(r)->ob_item
                                 : reinterpret_cast<PyListObject*>(r)->ob_item;
        for (Py_ssize_t i = 0; i < n; ++i) {
            PyObject* const item = items[i];
            if (!item) continue;
            // Several times the same, and nowhere else.
            if (is_plain(item) && Py_REFCNT(item) > 1 &&
                Py_REFCNT(item) == std::count(items, items + n, item))
                retype(item);
            else if (PyArray_Check(item) || PyTuple_Check(item) || PyList_CheckExact(item))
                items[i] = adopt(item, depth + 1);
        }
    }
    return r;
}

namespace {

// call(given) with what NumPy is given for the arguments; the place in front of `given` is free.
template <class Call>
[[gnu::hot]] PyObject* with_views(PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames,
                                  bool deep, const Call& call) {
    Py_ssize_t const total = nargs + (kwnames ? PyTuple_GET_SIZE(kwnames) : 0);
    PyObject* stack[16];
    PyObject** given = stack;
    if (total >= 16) {
        given = static_cast<PyObject**>(
            PyMem_Malloc(static_cast<size_t>(total + 1) * sizeof(PyObject*)));
        if (!given) return PyErr_NoMemory();
    }
    PyObject* result = nullptr;
    {
        Views views;
        Py_ssize_t i = 0;
        while (i < total && (given[i + 1] = views.argument(args[i], deep))) ++i;
        if (i == total) result = views.adopt(call(given + 1));
    }
    if (given != stack) PyMem_Free(given);
    return result;
}

}  // namespace

[[gnu::hot]] PyObject* call_numpy(PyObject* fn, PyObject* const* args, Py_ssize_t nargs,
                                  PyObject* kwnames, bool deep) {
    return with_views(args, nargs, kwnames, deep, [&](PyObject** given) {
        return PyObject_Vectorcall(
            fn, given, static_cast<size_t>(nargs) | PY_VECTORCALL_ARGUMENTS_OFFSET, kwnames);
    });
}

PyObject* call_numpy_method(PyObject* self, PyObject* name, PyObject* const* args, Py_ssize_t nargs,
                            PyObject* kwnames) {
    return with_views(args, nargs, kwnames, true, [&](PyObject** given) {
        given[-1] = self;
        return PyObject_VectorcallMethod(name, given - 1, static_cast<size_t>(nargs) + 1, kwnames);
    });
}

[[gnu::hot]] PyObject* adopt(PyObject* r) {
    Views none;
    return none.adopt(r);
}

[[gnu::hot]] PyObject* call_original(PyObject* fn, PyObject* const* args, Py_ssize_t nargs,
                                     PyObject* kwnames) {
    return adopt(PyObject_Vectorcall(fn, args, static_cast<size_t>(nargs), kwnames));
}

}  // namespace raptors
