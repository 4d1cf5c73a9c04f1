"""What NumPy serves, and why.

A borrowed function is NumPy's function, called with base-class views of the arguments (also inside lists and
tuples), its results made ours. `TOP_LEVEL`, `ORIGINAL` and `MASKS` are the exceptions from that.
"""

from __future__ import annotations

import numpy

from raptors import _raptors_core as _core

_GROUPS = {
    "complex numbers have no kernels": """
        conj conjugate angle imag real iscomplex isreal real_if_close sort_complex
    """,
    "linear algebra: NumPy calls BLAS": """
        einsum_path cross trace
    """,
    "sorting and searching: no kernels": """
        sort argsort partition argpartition lexsort searchsorted digitize median nanmedian
        percentile nanpercentile quantile nanquantile unique unique_all unique_counts
        unique_inverse unique_values intersect1d union1d setdiff1d setxor1d isin in1d
    """,
    "cumulative: no kernels": "cumsum cumprod cumulative_sum cumulative_prod nancumsum nancumprod",
    "counting and binning: no kernels": """
        bincount histogram histogram2d histogramdd histogram_bin_edges count_nonzero
    """,
    "selection by index or mask: no kernels": """
        take take_along_axis put put_along_axis place putmask choose compress extract nonzero
        flatnonzero argwhere select delete insert append trim_zeros repeat fill_diagonal copyto
    """,
    "NumPy's Python code over several calls": """
        array_equiv average corrcoef cov convolve correlate diff ediff1d
        gradient interp iscomplexobj isneginf isposinf isrealobj fix i0 nan_to_num
        nanargmax nanargmin nanmax nanmean nanmin nanprod nanstd nansum nanvar sinc
        trapezoid trapz unwrap geomspace logspace vander tri tril triu apply_along_axis
        apply_over_axes piecewise fromfunction
    """,
    "rearranges: NumPy's views and copies": """
        array_split atleast_1d atleast_2d atleast_3d block broadcast_arrays column_stack diag
        diagflat diagonal dsplit dstack flip fliplr flipud hsplit matrix_transpose meshgrid
        moveaxis pad resize roll rollaxis rot90 row_stack split tile unstack vsplit
        asfortranarray require asarray_chkfinite astype bmat asmatrix
    """,
    "indices as arrays or tuples": """
        diag_indices diag_indices_from indices ix_ mask_indices ravel_multi_index unravel_index
        tril_indices tril_indices_from triu_indices triu_indices_from
    """,
    "polynomials of the old interface": """
        poly polyadd polyder polydiv polyfit polyint polymul polysub polyval roots
    """,
    "window functions: short arrays": """
        bartlett blackman hamming hanning kaiser
    """,
    "reads and writes files and text": """
        array2string array_repr array_str format_float_positional format_float_scientific
        base_repr binary_repr fromfile fromregex fromstring genfromtxt load loadtxt save savetxt
        savez savez_compressed info
    """,
    "calendars": "busday_count busday_offset datetime_as_string datetime_data is_busday",
    "bits packed into bytes: no kernels": "packbits unpackbits",
    "types, shapes and settings: no elements are touched": """
        broadcast_shapes can_cast common_type get_include get_printoptions getbufsize geterr
        geterrcall isdtype isfortran isscalar issubdtype iterable may_share_memory
        min_scalar_type mintypecode ndim printoptions promote_types result_type set_printoptions
        setbufsize seterr seterrcall shape shares_memory size typename
    """,
    "other objects' protocols and callbacks": "from_dlpack frompyfunc nested_iters",
}

#: Top-level functions and ufuncs of NumPy (2.0 to 2.5) without native code -> why NumPy serves them.
BORROWED = {name: reason for reason, names in _GROUPS.items() for name in names.split()}
_KERNELS = {name for row in _core.ops() for name in (row["name"], *row["aliases"])}
for _name, _value in vars(numpy).items():
    if isinstance(_value, numpy.ufunc) and not _value.signature and _name not in _KERNELS:
        BORROWED.setdefault(_name, "no kernel: NumPy's own loop")

#: The functions of a submodule are borrowed for one reason.
SUBMODULES = {
    "linalg": "LAPACK through NumPy",
    "fft": "NumPy's pocketfft",
    "random": "NumPy's generators: their streams are bit-exact",
    "lib": "NumPy's tools",
    "polynomial": "NumPy's Python code over several calls",
    "strings": "strings have no kernels",
    "char": "strings have no kernels",
    "rec": "records have no kernels",
    "emath": "complex results where the domain asks: NumPy's Python code",
    "ma": "masked arrays: NumPy's Python code, whose ufuncs on the data are ours",
    "matlib": "matrices: NumPy's Python code",
}


def reason(name: str) -> str | None:
    """Why NumPy serves the function "name" or "submodule.name"; None if it is native or unknown."""
    return BORROWED.get(name) or (SUBMODULES.get(name.split(".")[0]) if "." in name else None)


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

# The originals: ownership matters, or user code sees the array. So are those of raptors.ma.
ORIGINAL = {
    "require": "returns its argument when that owns its data",
    "apply_along_axis": "a callback sees the array",
    "apply_over_axes": "a callback sees the array",
    "piecewise": "a callback sees the array",
    "fromfunction": "a callback sees the array",
    "info": "prints the object itself",
}

# Of raptors.ma, NumPy's own functions: a masked array keeps the very mask that it is given if that is plain.
MASKS = {
    *("make_mask", "make_mask_none", "make_mask_descr", "getmask", "getmaskarray", "mask_or"),
    "flatten_mask",
}

# Submodules that stay NumPy's own module objects.
MODULES = {
    "testing": "compares arrays of any type",
    "f2py": "a tool",
    "core": "NumPy's private names",
    "_core": "NumPy's private names; programs use np._core",
    "ctypeslib": "works on any array",
    "exceptions": "classes only",
    "dtypes": "classes only",
    "version": "NumPy's version",
}
