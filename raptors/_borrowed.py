"""Names that NumPy serves in a particular way, each with its reason.

Every other public function of NumPy that has no native code is borrowed plainly: NumPy's function on
base-class views of the arguments (also inside lists and tuples), its results made ours.
"""

from __future__ import annotations

# Top-level arguments only: NumPy stores or inspects the very objects inside a list.
TOP_LEVEL = {
    "array": "object arrays store the objects of a list",
    "asarray": "as array",
    "asanyarray": "as array",
    "ascontiguousarray": "as array",
    "asfortranarray": "as array",
    "fromiter": "stores the objects of an iterable",
    "full": "the fill value may be a list that is stored",
    "full_like": "as full",
    "empty_like": "one argument",
    "zeros_like": "one argument",
    "ones_like": "one argument",
    "copyto": "stores objects",
    "put": "stores objects",
    "place": "stores objects",
    "putmask": "stores objects",
}

# The originals: ownership matters, or user code sees the array.
ORIGINAL = {
    "require": "returns its argument when that owns its data",
    "apply_along_axis": "a callback sees the array",
    "apply_over_axes": "a callback sees the array",
    "piecewise": "a callback sees the array",
    "fromfunction": "a callback sees the array",
    "info": "prints the object itself",
}

# Submodules that stay NumPy's own module objects.
MODULES = {
    "testing": "compares arrays of any type",
    "ma": "masked arrays are NumPy's own class",
    "f2py": "a tool",
    "core": "NumPy's private names",
    "_core": "NumPy's private names; programs use np._core",
    "ctypeslib": "works on any array",
    "exceptions": "classes only",
    "dtypes": "classes only",
    "version": "NumPy's version",
    "matlib": "makes numpy.matrix",
}
