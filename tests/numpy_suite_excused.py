"""Tests of NumPy that raptors does not pass, each with its reason; a test that passes must not be listed.

EXCUSED: no drop-in can pass them. OPEN: raptors could; they count as failures.

A key is a test, which covers all its parameters, or with a final `*` everything that begins so.
"""

from __future__ import annotations

_EXACT = "a private C helper that takes nothing but exact numpy.ndarray objects: "
_CAST = f"{_EXACT}_simple_strided_call"
_LIKE = (
    "asks that a foreign __array_function__ receives raptors' function object; it gets NumPy's, since the "
    "libraries that define the protocol compare with numpy's (raptors' is equal to it, with the same hash)"
)
_PICKLE = (
    "a pickle that names NumPy's private module gives NumPy's own ufunc, which equals raptors' but is not it"
)
_FOUND = (
    "sets an attribute of the module under test, where pickle then should find a class of the module numpy"
)
_SCALAR = "a method of NumPy's own scalar types, which raptors shares: they name the module numpy"
_CONSTRUCTOR = "calls NumPy's own scalar type, which raptors shares: given no array, it makes a numpy.ndarray"
_MODULE = "asks that functions name raptors as __module__; they keep 'numpy', which programs read"

_ZERO = "asks a 0-d array for exactly the class of raptors: it stays numpy.ndarray, for which libraries ask"
_POLICY = "sets a memory policy in C, which counts for the arrays that NumPy makes"

_ITERATOR = (
    "numpy.nditer, which no class can derive from, allocates in the class of the highest priority above 0; "
    "raptors' arrays have -1, so that user classes win over them"
)

_CASTING = "_core/tests/test_casting_unittests.py::TestCasting::"
_ARRAYMETHOD = "_core/tests/test_arraymethod.py::TestSimpleStridedCall::test_invalid_arguments"
_OVERRIDES = "_core/tests/test_overrides.py::"
_MULTIARRAY = "_core/tests/test_multiarray.py::"
_REGRESSION = "_core/tests/test_regression.py::TestRegression::"
_UMATH = "_core/tests/test_umath.py::"
_PUBLIC = "tests/test_public_api.py::"

EXCUSED: dict[str, str] = {
    # Private functions.
    **{
        f"{_CASTING}{test}[{dtype}*": _CAST
        for test in ("test_simple_direct_casts", "test_simple_string_casts_roundtrip")
        for dtype in ("bool", "int", "uint", "float", "complex")  # of swapped byte order: nothing is cast
    },
    f"{_CASTING}test_numeric_to_times": _CAST,
    f"{_CASTING}test_time_to_time": _CAST,
    f"{_ARRAYMETHOD}[args6-ValueError]": _CAST,
    f"{_ARRAYMETHOD}[args7-ValueError]": _CAST,
    f"{_ARRAYMETHOD}[args8-ValueError]": _CAST,
    "_core/tests/test_nditer.py::test_iter_too_large_with_multiindex": f"{_EXACT}test_nditer_too_large",
    f"{_UMATH}TestAdd_newdoc_ufunc::test_ufunc_arg": (
        "the private _add_newdoc_ufunc takes nothing but exact numpy.ufunc objects"
    ),
    f"{_UMATH}TestReplaceLoopBySignature::test_replace_loop": (
        "the private _replace_loop_by_signature takes nothing but exact numpy.ufunc objects"
    ),
    f"{_OVERRIDES}test_function_like": (
        "asks for the exact private type of NumPy's functions, which cannot be subclassed"
    ),
    "lib/tests/test_stride_tricks.py::test_subclasses": (
        "imports as_strided from a private module: what it makes is plain"
    ),
    # Other types' protocols receive NumPy's objects.
    f"{_OVERRIDES}TestArrayLike::test_array_like[False-*": _LIKE,
    f"{_OVERRIDES}TestArrayLike::test_array_like_fromfile[False]": _LIKE,
    f"{_OVERRIDES}TestArrayLike::test_array_like_not_implemented": _LIKE,
    # Pickles.
    f"{_REGRESSION}test_load_ufunc_pickle": _PICKLE,
    "_core/tests/test_ufunc.py::TestUfunc::test_pickle_withstring": _PICKLE,
    f"{_REGRESSION}test_pickle_module[5-val0]": (
        "looks for the name of NumPy's private constructor in the pickle; that one makes a numpy.ndarray, so "
        "raptors' pickles name another"
    ),
    "_core/tests/test_custom_dtypes.py::TestSFloat::test_np_save_load": _FOUND,
    "_core/tests/test_custom_dtypes.py::test_type_pickle": _FOUND,
    # Libraries ask whether the namespace of an array is the module numpy.
    f"{_REGRESSION}test__array_namespace__": "asks that __array_namespace__() is raptors: it is NumPy's",
    # NumPy's own scalar types.
    "_core/tests/test_scalar_methods.py::TestDevice::test___array_namespace__": _SCALAR,
    f"{_REGRESSION}test_for_object_scalar_creation": _CONSTRUCTOR,
    "_core/tests/test_scalar_ctors.py::test_void_arraylike_trumps_byteslike": _CONSTRUCTOR,
    # Arrays without axes.
    "_core/tests/test_arrayobject.py::test_array_wrap[MyArr-ndarray]": _ZERO,
    "_core/tests/test_arrayobject.py::test_array_wrap[MyArrNoWrap-ndarray]": _ZERO,
    f"{_MULTIARRAY}TestSubscripting::test_test_zero_rank": _ZERO,
    f"{_MULTIARRAY}TestZeroRank::test_real_imag": _ZERO,
    f"{_OVERRIDES}TestArrayLike::test_array_like[True-genfromtxt-args15-kwargs15]": _ZERO,
    f"{_REGRESSION}test_squeeze_type": _ZERO,
    "_core/tests/test_ufunc.py::TestUfunc::test_output_ellipsis[array]": _ZERO,
    "_core/tests/test_ufunc.py::TestUfunc::test_output_ellipsis[scalar]": _ZERO,
    # The package numpy itself.
    f"{_PUBLIC}test_numpy_namespace": _MODULE,
    f"{_PUBLIC}test_numpy_linalg": _MODULE,
    f"{_PUBLIC}test_numpy_fft": _MODULE,
    f"{_PUBLIC}test___module___attribute": _MODULE,
    f"{_PUBLIC}test___qualname___and___module___attribute": _MODULE,
    f"{_PUBLIC}test_functions_single_location": (
        "allows aliases such as np.abs only in a module whose name is 'numpy'"
    ),
    f"{_PUBLIC}test_array_api_entry_point": (
        "loads the entry point that NumPy's package declares: it is the module numpy"
    ),
    f"{_PUBLIC}test_main_namespace_all_dir_coherence": (
        "raptors' own names (simd, report ...) are in dir() and not in __all__: a star import brings NumPy's"
    ),
    f"{_PUBLIC}test_all_modules_are_expected": (
        "asks that the package holds no public module but NumPy's; raptors.memory is raptors' own"
    ),
    # numpy.nditer, which cannot be derived from.
    "matrixlib/tests/test_interaction.py::test_iter_allocate_output_subtype": _ITERATOR,
}

OPEN: dict[str, str] = {
    "_core/tests/test_mem_policy.py::test_policy_propagation": _POLICY,
    "_core/tests/test_mem_policy.py::test_set_policy": _POLICY,
}
