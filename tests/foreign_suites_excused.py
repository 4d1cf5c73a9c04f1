"""Tests of other projects that raptors does not pass, each with its reason; none that passes is listed.

A key is a test, which covers all its parameters, or with a final `*` everything that begins so.
"""

from __future__ import annotations

_EXACT = "asks for exactly numpy's class: the library made the array, from no array of raptors'"
_C = "C code that takes nothing but exact numpy.ndarray objects (PyArray_CheckExact)"
_IDENTITY = (
    "copies, or not, by `numpy.asarray(x) is x`, which holds for no subclass: asarray makes a view in C"
)
_NAME = "compares a message that names the class: raptors.ndarray, not numpy.ndarray"
_ROUNDING = "compares NumPy's LU with raptors' exactly: the last place is rounded differently"

_UNITS = "astropy/units/tests/"
_FUNCTIONS = f"{_UNITS}test_quantity_non_ufuncs.py::TestLinAlg::"
_UNCERTAINTY = "astropy/uncertainty/tests/test_functions.py::"
_MASKED = "astropy/utils/masked/tests/"
_DASK = "dask/array/tests/test_"
_BOTTLENECK = "bottleneck/tests/nonreduce_test.py::"
_PANDAS = "pandas/tests/"
_NOCOPY = f"{_PANDAS}frame/test_constructors.py::TestDataFrameConstructors::test_dict_nocopy"
_NUMBERS = ("Float32", "Float64", *(f"{kind}{bits}" for kind in ("Int", "UInt") for bits in (8, 16, 32, 64)))

EXCUSED: dict[str, str] = {
    # astropy
    f"{_FUNCTIONS}test_det": _ROUNDING,
    f"{_FUNCTIONS}test_inv": _ROUNDING,
    f"{_FUNCTIONS}test_matrix_inv_power": _ROUNDING,
    f"{_UNITS}test_structured.py::TestStructuredQuantity::test_conversion": _EXACT,
    f"{_UNITS}test_structured.py::TestStructuredQuantity::test_value": _EXACT,
    f"{_UNITS}test_logarithmic.py::TestLogQuantityViews::test_value_view": _EXACT,
    f"{_UNCERTAINTY}TestBroadcast::test_broadcast_arrays_subok_false": _EXACT,
    f"{_UNCERTAINTY}TestQuantityDistributionBroadcast::test_broadcast_arrays_subok_false": _EXACT,
    f"{_MASKED}test_functions.py::TestMaskedArrayBroadcast::test_broadcast_arrays_subok_false": _EXACT,
    f"{_MASKED}test_functions.py::TestMaskedLongitudeBroadcast::test_broadcast_arrays_subok_false": _EXACT,
    f"{_MASKED}test_functions.py::TestMaskedQuantityBroadcast::test_broadcast_arrays_subok_false": _EXACT,
    f"{_MASKED}test_masked.py::TestMaskedRecarray::test_recarray_represent_as_dict": _EXACT,
    # bottleneck
    f"{_BOTTLENECK}test_nonreduce[replace]": _C,
    f"{_BOTTLENECK}test_replace_nan_int": _C,
    f"{_BOTTLENECK}test_replace_unsafe_cast": _C,
    # dask
    f"{_DASK}array_core.py::test_from_array_no_asarray[False-True-ndarray]": _EXACT,
    f"{_DASK}array_core.py::test_from_array_no_asarray[True-True-ndarray]": _EXACT,
    f"{_DASK}array_core.py::test_getter": _EXACT,
    f"{_DASK}array_expr_incompatible.py::test_concatenate3_nep18_dispatching": _EXACT,
    f"{_DASK}routines.py::test_isnull_result_is_an_array": _EXACT,
    f"{_DASK}array_core.py::test_matmul_array_ufunc": (
        "calls dask's __array_ufunc__ itself with raptors' ufunc, where raptors would hand it NumPy's"
    ),
    # pandas
    f"{_PANDAS}arrays/test_array.py::test_array_copy": _IDENTITY,
    f"{_PANDAS}arrays/test_array.py::test_masked_array_kinds[True-complex128-data1-mask1]": _IDENTITY,
    f"{_PANDAS}arrays/test_array.py::test_masked_array_kinds[True-float16-data1-mask1]": _IDENTITY,
    f"{_PANDAS}arrays/numpy_/test_numpy.py::test_to_numpy": _IDENTITY,
    f"{_PANDAS}arrays/timedeltas/test_constructors.py::TestTimedeltaArrayConstructor::test_copy": _IDENTITY,
    **{
        f"{_NOCOPY}[{number}-{delta}-False]": _IDENTITY
        for number in _NUMBERS
        for delta in ("m8[ns]", "timedelta64[ns]")
    },
    f"{_PANDAS}arrays/categorical/test_operators.py::TestCategoricalOps::test_comparisons": _NAME,
    f"{_PANDAS}series/methods/test_argsort.py::TestSeriesArgsort::test_argsort_stable": _NAME,
    # scipy
    "scipy/sparse/csgraph/tests/test_traversal.py::test_return_type": _EXACT,
    # statsmodels
    "statsmodels/regression/tests/test_lme.py::TestMixedLM::test_default_re": (
        "the library asks for exactly numpy's class: type(x) is np.ndarray"
    ),
    # xarray
    "xarray/tests/test_computation.py::test_output_wrong_number": _NAME,
}
