"""Arrays of other libraries next to ours: the same results and types as next to NumPy's arrays.

Every case is an expression in `np` (the library), `a` (its array), `b` (its Boolean array), `i` (its integer
array) and `f` (the foreign object). Where foreign code makes the result, or NumPy's own function is called, a
plain array may be either library's.
"""

from __future__ import annotations

import array
import collections.abc
import ctypes
import decimal
import fractions
import importlib
import io
import operator
import pickle
import re
import types
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import pytest
from helpers import Mismatches, Rules, mine, numpys_class, same_as_numpy

import raptors

NEAR = Rules(rtol=1e-12)
UNNAMED = re.compile(r"0x[0-9a-fA-F]+")


class Inner(numpy.ndarray):
    """Marks what a foreign object holds: its values count, not which library's array they are in."""


def need(name: str) -> Any:
    """The module, or the test is skipped."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(name)
        except ImportError:
            pytest.skip(f"{name} is not installed")


# ---- what a program can see of a result ----------------------------------------------------------


def held(x: Any) -> Any:
    return numpy.array(x, subok=False, order="C").view(Inner)


def class_name(x: Any) -> str:
    cls = numpys_class(type(x))
    return f"{cls.__module__}.{cls.__qualname__}"


def seen(x: Any, own: bool) -> Any:
    """A foreign object as tuples that `difference` can compare; exact arrays stay if they must be `own`."""
    if type(x) in (numpy.ndarray, raptors.ndarray):
        if x.dtype.hasobject and x.dtype.names is None:
            items = [seen(y, False) for y in x.ravel().tolist()]
            return (type(x) if own else "array", x.shape, items)
        return x if own else ("array", held(x))
    if x is None or isinstance(x, (bool, int, float, complex, str, bytes, numpy.generic, numpy.dtype)):
        return x
    if type(x) in (list, tuple) or (isinstance(x, tuple) and hasattr(x, "_fields")):
        return [type(x).__name__, *(seen(y, own) for y in x)]
    if isinstance(x, dict):
        return {key: seen(value, own) for key, value in x.items()}
    if isinstance(x, type):
        return x if x not in (numpy.ndarray, raptors.ndarray) else "ndarray"
    if isinstance(x, numpy.ma.MaskedArray):
        if x.dtype.hasobject:
            return (class_name(x), seen(numpy.asarray(x.filled(None)), False), held(x.mask))
        data = held(x.filled(x.dtype.type(0)))
        return (class_name(x), x._baseclass.__name__, data, held(x.mask), x.fill_value)
    module = class_name(x).split(".")[0]
    if module in _PARTS:
        return (class_name(x), *(seen(y, False) for y in _PARTS[module](x)))
    if isinstance(x, numpy.ndarray):
        return (class_name(x), held(x))
    if hasattr(x, "parts"):
        return (class_name(x), *(seen(y, False) for y in x.parts()))
    return (class_name(x), UNNAMED.sub("0x", repr(x)).replace("raptors.ndarray", "numpy.ndarray"))


def _pandas(x: Any) -> Sequence[Any]:
    if hasattr(x, "columns"):
        return [list(map(str, x.columns)), x.index, *(x.iloc[:, k] for k in range(x.shape[1]))]
    if hasattr(x, "index") and not callable(x.index):
        return [str(x.name), str(x.dtype), x.index, _pandas_values(x)]
    if hasattr(x, "dtype"):
        return [str(x.dtype), _pandas_values(x)]
    return [repr(x)]


def _pandas_values(x: Any) -> Any:
    values = numpy.asarray(x)
    return [repr(v) for v in values] if values.dtype.kind == "O" else values


def _astropy(x: Any) -> Sequence[Any]:
    return [str(x.unit), held(x)] if hasattr(x, "unit") else [repr(x)]


def _xarray(x: Any) -> Sequence[Any]:
    if hasattr(x, "data_vars"):
        return [repr(x)]
    coordinates = {str(k): numpy.asarray(v) for k, v in getattr(x, "coords", {}).items()}
    return [str(x.dims), str(x.attrs), coordinates, numpy.asarray(x)]


def _dask(x: Any) -> Sequence[Any]:
    if not hasattr(x, "chunks"):
        return [repr(x)]
    return [str(x.dtype), str(x.chunks), type(x._meta).__name__, x.compute(scheduler="synchronous")]


def _scipy(x: Any) -> Sequence[Any]:
    if hasattr(x, "toarray"):
        return [str(x.dtype), str(x.shape), x.format, x.toarray()]
    return [repr(x)] if not hasattr(x, "__dict__") else [{k: v for k, v in vars(x).items() if k[0] != "_"}]


def _torch(x: Any) -> Sequence[Any]:
    return [str(x.dtype), str(tuple(x.shape)), str(x.tolist())] if hasattr(x, "tolist") else [repr(x)]


_PARTS: dict[str, Callable[[Any], Sequence[Any]]] = {
    "pandas": _pandas,
    "astropy": _astropy,
    "xarray": _xarray,
    "dask": _dask,
    "scipy": _scipy,
    "torch": _torch,
}


# ---- foreign objects -----------------------------------------------------------------------------


class Aloof:
    """Wants to be left alone."""

    __array_ufunc__ = None

    def __init__(self, data: Any) -> None:
        self.data = data

    def parts(self) -> Sequence[Any]:
        return [self.data]


def _reflected(name: str) -> Callable[[Any, Any], Any]:
    return lambda self, other: (name, type(other))


_DUNDERS = [
    f"__{prefix}{name}__"
    for name in (
        "add",
        "sub",
        "mul",
        "truediv",
        "floordiv",
        "mod",
        "pow",
        "matmul",
        "and",
        "lshift",
        "divmod",
    )
    for prefix in ("", "r", "i")
    if (prefix, name) != ("i", "divmod")
] + ["__lt__", "__le__", "__eq__", "__ne__", "__gt__", "__ge__"]
_ANSWERS: dict[str, Any] = {name: _reflected(name) for name in _DUNDERS} | {"__hash__": None}
AloofOperators = type("AloofOperators", (Aloof,), _ANSWERS)


class OnlyArray:
    """Nothing but __array__."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return numpy.array(self.data, dtype=dtype, copy=copy)

    def parts(self) -> Sequence[Any]:
        return [self.data]


class OldArray:
    """An __array__ that knows neither dtype nor copy."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __array__(self) -> Any:
        return self.data


class WrapsArray(OnlyArray):
    """Puts results of ufuncs into its own type."""

    __array_priority__ = 10.0

    def __array_wrap__(self, result: Any, context: Any = None, return_scalar: bool = False) -> Any:
        return (type(self).__name__, context[0].__name__ if context else None, return_scalar, result)


class Interface:
    def __init__(self, data: Any) -> None:
        self.data = data
        self.__array_interface__ = data.__array_interface__

    def parts(self) -> Sequence[Any]:
        return [self.data]


class Struct:
    def __init__(self, data: Any) -> None:
        self.data = data
        self.__array_struct__ = data.__array_struct__


class Exchange:
    """Only DLPack."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __dlpack__(self, **keywords: Any) -> Any:
        return self.data.__dlpack__(**keywords)

    def __dlpack_device__(self) -> Any:
        return self.data.__dlpack_device__()


class Important(OnlyArray):
    """A high priority and reflected operators: arrays return NotImplemented."""

    __array_priority__ = 1000.0


for _name in _DUNDERS:
    setattr(Important, _name, _ANSWERS[_name])


class Modest(OnlyArray):
    """A low priority and reflected operators: arrays compute."""

    __array_priority__ = -1000.0
    __radd__ = _reflected("__radd__")
    __rmul__ = _reflected("__rmul__")
    __gt__ = _reflected("__gt__")


class Silent:
    """Reflected operators alone: NumPy asks each element."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __add__(self, other: Any) -> Any:
        return ("add", other)

    def __radd__(self, other: Any) -> Any:
        return ("radd", other)

    def __rmul__(self, other: Any) -> Any:
        return ("rmul", other)


class Mixin(numpy.lib.mixins.NDArrayOperatorsMixin):
    """The duck array of NumPy's documentation."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return numpy.array(self.data, dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        out = keywords.get("out", ())
        for x in (*inputs, *out):
            if not isinstance(x, (numpy.ndarray, numpy.generic, int, float, list, Mixin)):
                return NotImplemented
        if out:
            keywords["out"] = tuple(x.data if isinstance(x, Mixin) else x for x in out)
        where = keywords.get("where", True)
        if isinstance(where, Mixin):
            keywords["where"] = where.data
        result = getattr(ufunc, method)(*(x.data if isinstance(x, Mixin) else x for x in inputs), **keywords)
        if isinstance(result, tuple):
            return tuple(type(self)(x) for x in result)
        return type(self)(result) if method != "at" else None

    def parts(self) -> Sequence[Any]:
        return [self.data]


class Duck(Mixin):
    """Both protocols; knows a few functions."""

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if not all(issubclass(t, (numpy.ndarray, Duck)) for t in types):
            return NotImplemented
        if func not in _DUCK:
            return NotImplemented
        return _DUCK[func](*args, **kwargs)


def _bare(x: Any) -> Any:
    if isinstance(x, (list, tuple)):
        return type(x)(map(_bare, x))
    return x.data if isinstance(x, Duck) else x


_DUCK: dict[Any, Any] = {
    f: (lambda *args, _f=f, **kwargs: Duck(_f(*map(_bare, args), **{k: _bare(v) for k, v in kwargs.items()})))
    for f in (
        numpy.concatenate,
        numpy.stack,
        numpy.mean,
        numpy.sum,
        numpy.where,
        numpy.sort,
        numpy.dot,
        numpy.clip,
        numpy.ones_like,
        numpy.asarray,
    )
}


class Recorder:
    """Answers both protocols with what it was asked."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        return (repr(ufunc), method, [type(x) for x in inputs], sorted(keywords))

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return (func.__name__, sorted({t.__name__ for t in types}), len(args), sorted(kwargs))

    def parts(self) -> Sequence[Any]:
        return []


class OldSequence(collections.abc.Sequence[Any]):
    def __init__(self, data: Any) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, k: Any) -> Any:
        return self.data[k]

    def parts(self) -> Sequence[Any]:
        return [self.data]


class Float(float):
    """A subclass of a Python scalar."""


class Indexed:
    """Only __index__."""

    def __index__(self) -> int:
        return 1


class Real:
    """Only __float__."""

    def __float__(self) -> float:
        return 1.5


class NumpySub(numpy.ndarray):
    """An ordinary subclass."""


class UnitLike(numpy.ndarray):
    """A subclass with both protocols in the way of units: super() on plain views."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        plain = [x.view(numpy.ndarray) if isinstance(x, UnitLike) else x for x in inputs]
        out = keywords.pop("out", None)
        if out is not None:
            keywords["out"] = tuple(x.view(numpy.ndarray) if isinstance(x, UnitLike) else x for x in out)
        result = super().__array_ufunc__(ufunc, method, *plain, **keywords)
        if result is NotImplemented:
            return NotImplemented
        if out is not None:
            return out[0]
        return result.view(type(self)) if isinstance(result, numpy.ndarray) else result

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        result = super().__array_function__(func, types, args, kwargs)
        return result.view(type(self)) if isinstance(result, numpy.ndarray) else result


@dataclass(frozen=True)
class Kind:
    """How to make a foreign object of an array, the module it needs, and the shape of its data."""

    make: Callable[[Any, Any], Any]
    module: str = "numpy"
    shape: tuple[int, ...] = (3,)
    over: bool = True  # holds the array it is made of
    answers: bool = False  # computes what operators give

    def data(self, dtype: str = "f8") -> Any:
        n = int(numpy.prod(self.shape))
        return (numpy.arange(n) % 5 + 1).astype(dtype).reshape(self.shape)


def _pd(make: Callable[[Any, Any], Any], over: bool = False, shape: tuple[int, ...] = (3,)) -> Kind:
    return Kind(lambda xp, d: make(need("pandas"), d), "pandas", shape, over, answers=True)


def _sparse(name: str) -> Kind:
    return Kind(lambda xp, d: getattr(need("scipy.sparse"), name)(d), "scipy.sparse", (3, 3), answers=True)


def need_torch() -> Any:
    torch = need("torch")
    torch.set_warn_always(True)  # else the library that comes second gets no warning
    return torch


def _torch_tensor(xp: Any, d: Any) -> Any:
    return need_torch().from_numpy(d)


def _dask_array(xp: Any, d: Any) -> Any:
    return need("dask.array").from_array(d, chunks=2)


def _quantity(unit: str) -> Callable[[Any, Any], Any]:
    return lambda xp, d: need("astropy.units").Quantity(d, unit)


def _memmap(xp: Any, d: Any) -> Any:
    import tempfile

    with tempfile.TemporaryFile() as file:
        m = xp.memmap(file, d.dtype, "w+", shape=d.shape)
        m[...] = d
        return m


KINDS: dict[str, Kind] = {
    "pandas.Series": _pd(lambda pd, d: pd.Series(d, index=list("xyz"), name="s"), True),
    "pandas.Series:view": _pd(lambda pd, d: pd.Series(d, copy=False), True),
    "pandas.Series:Int64": _pd(lambda pd, d: pd.Series([1, None, 3], dtype="Int64")),
    "pandas.Series:datetime": _pd(lambda pd, d: pd.Series(pd.date_range("2020", periods=3))),
    "pandas.Series:category": _pd(lambda pd, d: pd.Series([1.0, 2.0, 1.0], dtype="category")),
    "pandas.Series:text": _pd(lambda pd, d: pd.Series(["a", "b", "c"])),
    "pandas.Series:object": _pd(lambda pd, d: pd.Series([1, 2.5, None], dtype=object)),
    "pandas.Index": _pd(lambda pd, d: pd.Index(d), True),
    "pandas.RangeIndex": _pd(lambda pd, d: pd.RangeIndex(3)),
    "pandas.DatetimeIndex": _pd(lambda pd, d: pd.date_range("2020", periods=3)),
    "pandas.Categorical": _pd(lambda pd, d: pd.Categorical([2.0, 1.0, 2.0], ordered=True)),
    "pandas.array:Float64": _pd(lambda pd, d: pd.array([1.0, None, 3.0], dtype="Float64")),
    "pandas.DataFrame": _pd(lambda pd, d: pd.DataFrame(d, columns=list("xyz")), True, (3, 3)),
    "pandas.DataFrame:mixed": _pd(
        lambda pd, d: pd.DataFrame({"x": d[:, 0], "t": pd.date_range("2020", periods=3), "k": list("abc")}),
        True,
        (3, 3),
    ),
    "pandas.Timestamp": _pd(lambda pd, d: pd.Timestamp("2020-01-02")),
    "pandas.NA": _pd(lambda pd, d: pd.NA),
    "xarray.DataArray": Kind(
        lambda xp, d: need("xarray").DataArray(d, dims=["t"], coords={"t": [1, 2, 3]}), "xarray"
    ),
    "xarray.DataArray:2-d": Kind(
        lambda xp, d: need("xarray").DataArray(d, dims=["t", "u"]), "xarray", (3, 3)
    ),
    "xarray.Variable": Kind(lambda xp, d: need("xarray").Variable(["t"], d), "xarray"),
    "xarray.Dataset": Kind(lambda xp, d: need("xarray").Dataset({"v": ("t", d)}), "xarray"),
    "dask.array": Kind(_dask_array, "dask.array"),
    "dask.array:2-d": Kind(_dask_array, "dask.array", (3, 3)),
    "scipy.csr_array": _sparse("csr_array"),
    "scipy.csr_matrix": _sparse("csr_matrix"),
    "scipy.coo_array": _sparse("coo_array"),
    "astropy.Quantity": Kind(_quantity("m"), "astropy.units"),
    "astropy.Quantity:plain": Kind(_quantity(""), "astropy.units"),
    "astropy.Quantity:angle": Kind(_quantity("deg"), "astropy.units"),
    "astropy.Unit": Kind(lambda xp, d: need("astropy.units").Unit("m"), "astropy.units", over=False),
    "astropy.Time": Kind(lambda xp, d: need("astropy.time").Time(d, format="mjd"), "astropy.time"),
    "torch.Tensor": Kind(_torch_tensor, "torch"),
    "torch.Tensor:2-d": Kind(_torch_tensor, "torch", (3, 3)),
    "torch.Tensor:grad": Kind(
        lambda xp, d: need_torch().tensor([1.0, 2.0, 3.0], requires_grad=True), "torch", over=False
    ),
    "numpy.ma": Kind(lambda xp, d: numpy.ma.array(d, mask=[0, 1, 0])),
    "numpy.ma:2-d": Kind(lambda xp, d: numpy.ma.masked_equal(d, 2), shape=(3, 3)),
    "ma": Kind(lambda xp, d: xp.ma.masked_greater(d, 2)),
    "numpy.ma.masked": Kind(lambda xp, d: numpy.ma.masked, over=False),
    "numpy.matrix": Kind(lambda xp, d: numpy.matrix(d), shape=(3, 3)),
    "matrix": Kind(lambda xp, d: xp.matrix(d), shape=(3, 3)),
    "numpy.recarray": Kind(lambda xp, d: numpy.rec.fromarrays([d, d + 1], names="x,y")),
    "recarray": Kind(lambda xp, d: xp.rec.fromarrays([d, d + 1], names="x,y")),
    "memmap": Kind(_memmap),
    "chararray": Kind(lambda xp, d: xp.char.array(["a", "b", "c"]), over=False),
    "numpy subclass": Kind(lambda xp, d: d.view(NumpySub)),
    "unit-like subclass": Kind(lambda xp, d: d.view(UnitLike)),
    "__array_ufunc__ = None": Kind(lambda xp, d: Aloof(d)),
    "__array_ufunc__ = None, operators": Kind(lambda xp, d: AloofOperators(d)),
    "__array__": Kind(lambda xp, d: OnlyArray(d)),
    "__array__, __array_wrap__": Kind(lambda xp, d: WrapsArray(d)),
    "__array_interface__": Kind(lambda xp, d: Interface(d)),
    "__array_struct__": Kind(lambda xp, d: Struct(d)),
    "__dlpack__": Kind(lambda xp, d: Exchange(d)),
    "__array_priority__ high": Kind(lambda xp, d: Important(d)),
    "__array_priority__ low": Kind(lambda xp, d: Modest(d)),
    "operators only": Kind(lambda xp, d: Silent(d)),
    "NEP 13": Kind(lambda xp, d: Mixin(d)),
    "NEP 18": Kind(lambda xp, d: Duck(d)),
    "NEP 13 and 18": Kind(lambda xp, d: Recorder(d)),
    "sequence": Kind(lambda xp, d: OldSequence(d)),
    "list of arrays": Kind(lambda xp, d: [d, d]),
    "tuple": Kind(lambda xp, d: (1.0, 2.0, 3.0), over=False),
    "range": Kind(lambda xp, d: range(3), over=False),
    "memoryview": Kind(lambda xp, d: memoryview(d)),
    "array.array": Kind(lambda xp, d: array.array("d", [1.0, 2.0, 3.0]), over=False),
    "ctypes": Kind(lambda xp, d: (ctypes.c_double * 3)(1.0, 2.0, 3.0), over=False),
    "Fraction": Kind(lambda xp, d: fractions.Fraction(3, 2), over=False),
    "Decimal": Kind(lambda xp, d: decimal.Decimal(2), over=False),
    "float subclass": Kind(lambda xp, d: Float(1.5), over=False),
    "__index__": Kind(lambda xp, d: Indexed(), over=False),
    "__float__": Kind(lambda xp, d: Real(), over=False),
    "namespace": Kind(lambda xp, d: types.SimpleNamespace(x=1), over=False),
    "longdouble": Kind(lambda xp, d: numpy.longdouble(1.5), over=False),
    "bool_": Kind(lambda xp, d: numpy.True_, over=False),
    "datetime64": Kind(lambda xp, d: numpy.datetime64("2020-01-01"), over=False),
    "bytes": Kind(lambda xp, d: b"abc", over=False),
    "str": Kind(lambda xp, d: "abc", over=False),
}


# ---- expressions ---------------------------------------------------------------------------------


def put(target: Any, key: Any, value: Any) -> Any:
    target[key] = value
    return target


def also(*values: Any) -> Any:
    """What an in-place call gave and left behind."""
    return list(values)


_SYMBOLS = ("+", "-", "*", "/", "//", "%", "**", "@", "&", "<<", "<", "<=", "==", "!=", ">", ">=")
_IN_PLACE = ("iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "ipow", "imatmul", "iand")

OURS_LEFT = [
    *(f"a {s} f" for s in _SYMBOLS),
    "divmod(a, f)",
    "i & f",
    "i + f",
    "b | f",
    "a[:0] + f",
    "np.float32(a) + f",
    *(f"also(operator.{name}(a, f), a)" for name in _IN_PLACE),
    "also(operator.iadd(i, f), i)",
    "a.dot(f)",
    "a.clip(1, f)",
    "a.searchsorted(f)",
    "f in a",
    "a[f]",
    "a[i[f]]",
    "put(a, f, 0)",
    "put(a, ..., f)",
    "put(a, 0, f)",
    "put(a, slice(0, 2), f[:2])",
    "put(a, a > 1, f)",
    "put(a, b, f[b])",
    "a.put([0, 1], f)",
    "a.fill(f)",
    "a.take(f)",
    "a.repeat(f)",
    "a.choose([f, f])",
    "a.compress(f > 1)",
    "a.sum(initial=f)",
    "a.mean(where=f)",
    "a.astype('f4') - f",
    "a.__setitem__(f, f)",
    "a.view(type(f))",
    "a.T == f",
    "round(a) + f",
    "a.item(f)",
    "a.reshape(f)",
    "a.argsort(axis=f)",
]

FOREIGN_LEFT = [
    *(f"f {s} a" for s in _SYMBOLS),
    "divmod(f, a)",
    "f + a[:1]",
    "f * a[0]",
    "f == b",
    "a[0] * f",
    "a[0] < f",
    "a.tolist() + f",
    *(f"also(operator.{name}(f, a), f)" for name in _IN_PLACE),
    "f.__add__(a)",
    "f.__eq__(a)",
    "f.dot(a)",
    "f[b]",
    "f[i - 1]",
    "f[a]",
    "put(f, b, a[b])",
    "put(f, ..., a)",
    "put(f, slice(None), a)",
    "put(f, 0, a[0])",
    "put(f, i - 1, a)",
    "a[0] in f",
    "f.isin(a)",
    "f.where(b, a)",
    "f.clip(a, a + 1)",
    "f.mask(b)",
    "f.fillna(a)",
    "f.searchsorted(a)",
    "f.take(i - 1)",
    "f.add(a)",
    "f.add_(need('torch').from_numpy(a))",
    "f.equals(a)",
    "f.map(lambda x: a)",
    "f.iloc[i - 1]",
    "f.loc[b]",
    "f.assign(new=a)",
    "f.apply(lambda x: x + a)",
    "f.groupby(i).sum()",
    "f.sum()",
    "f.mean()",
    "f.std()",
    "f.min(axis=0)",
    "f.copy()",
    "f.astype('f4')",
    "f.reshape(-1)",
    "f.T @ a",
    "f.multiply(a)",
    "f.to(a.dtype)",
    "f.to_numpy()",
    "f.values",
    "f.to_numpy() + a",
    "f.values * a",
    "f.compute()",
    "f.map_blocks(numpy.sqrt)",
    "f.map_blocks(lambda x: x + a[0])",
    "f.numpy() + a",
    "f.value * a",
    "f.to_value() + a",
    "pickle.loads(pickle.dumps(f))",
    "isinstance(f, numpy.ndarray)",
]

#: NumPy asks the right operand's class first if that derives from the left one's, but here it is called.
EXPLICIT = [
    "a.__add__(f)",
    "a.__radd__(f)",
    "a.__iadd__(f)",
    "a.__eq__(f)",
    "a.__lt__(f)",
    "a.__matmul__(f)",
    "a.__pow__(f)",
    "a.__divmod__(f)",
]

_UNARY = (
    "negative",
    "absolute",
    "sqrt",
    "exp",
    "isnan",
    "sin",
    "square",
    "logical_not",
    "rint",
    "modf",
    "floor",
)
_BINARY = (
    "add",
    "subtract",
    "multiply",
    "divide",
    "power",
    "maximum",
    "less",
    "equal",
    "arctan2",
    "logical_and",
)

UFUNCS = [
    *(f"np.{name}(f)" for name in _UNARY),
    *(f"np.{name}(a, f)" for name in _BINARY),
    *(f"np.{name}(f, a)" for name in _BINARY),
    "np.add(f, f)",
    "np.add(f, 1)",
    "np.add(1, f)",
    "np.bitwise_and(i, f)",
    "np.matmul(a, f)",
    "np.matmul(f, a)",
    "np.vecdot(f, a)",
    "np.heaviside(f, a)",
    "np.hypot(a, f, dtype='f4')",
    "np.add(a, f, casting='no')",
    "np.add(a, f, subok=False)",
    "np.add(f, a, subok=False)",
    "np.add(a, f, out=np.empty(a.shape))",
    "np.add(a, f, np.empty(a.shape))",
    "np.add(f, f, out=np.empty(a.shape))",
    "np.sqrt(f, out=np.zeros(a.shape))",
    "also(np.add(a, f, out=a), a)",
    "also(np.add(a, a, out=f), f)",
    "also(np.add(a, a, f), f)",
    "also(np.sqrt(a, out=f), f)",
    "also(np.sqrt(a, out=(f,)), f)",
    "also(np.less(a, 2, out=f), f)",
    "np.add(a, f, out=np.zeros(a.shape), where=b)",
    "np.add(a, a, out=np.zeros(a.shape), where=f)",
    "np.add(a, a, out=np.zeros(a.shape), where=f > 1)",
    "np.multiply(f, f, out=np.zeros(a.shape), where=b)",
    "also(np.multiply(a, 2, out=f, where=b), f)",
    "np.add.reduce(f)",
    "np.add.reduce(a, out=f)",
    "np.add.reduce(f, axis=0, keepdims=True)",
    "np.add.reduce(a, where=f)",
    "np.add.reduce(a, where=f > 1)",
    "np.add.reduce(a, initial=f)",
    "np.maximum.reduce(f, where=b, initial=0)",
    "np.add.accumulate(f)",
    "np.add.reduceat(f, [0, 1])",
    "np.add.reduceat(a, f)",
    "np.add.outer(a, f)",
    "np.add.outer(f, a)",
    "also(np.add.at(a, [0, 1], f), a)",
    "also(np.add.at(f, [0, 1], 1), f)",
    "also(np.add.at(a, f, 1), a)",
    "np.frompyfunc(lambda x, y: x, 2, 1)(a, f)",
    "np.vectorize(lambda x, y: x)(a, f)",
    "np.divmod(a, f)",
    "np.divmod(f, a)",
    "np.add(a, f, dtype=object)",
    "np.isnat(f)",
    "np.ldexp(f, i)",
]

FUNCTIONS = [
    *(
        f"np.{name}([{pair}])"
        for name in ("concatenate", "stack", "hstack", "vstack", "block")
        for pair in ("a, f", "f, a", "f, f")
    ),
    "np.concatenate([a, f], axis=None)",
    "np.concatenate([a, f], dtype='f4')",
    "np.concatenate([a, f], out=np.empty(a.size * 2))",
    "np.concatenate([a, a], out=f)",
    "np.concatenate(f)",
    "np.append(a, f)",
    "np.append(f, a)",
    "np.where(b, a, f)",
    "np.where(b, f, a)",
    "np.where(f, a, 0)",
    "np.where(f > 1, f, a)",
    "np.where(f)",
    "np.dot(a, f)",
    "np.dot(f, a)",
    "np.dot(a, f, out=a)",
    "np.inner(a, f)",
    "np.outer(f, a)",
    "np.vdot(a, f)",
    "np.tensordot(a, f, 1)",
    "np.einsum('i...,i...->...', a, f)",
    "np.einsum('...->...', f)",
    "np.kron(a, f)",
    "np.cross(a, f)",
    *(
        f"np.{name}(f)"
        for name in (
            "sum",
            "prod",
            "mean",
            "std",
            "var",
            "min",
            "max",
            "amax",
            "ptp",
            "any",
            "all",
            "argmax",
            "argmin",
            "argsort",
            "sort",
            "unique",
            "unique_values",
            "median",
            "nansum",
            "nanmean",
            "nanmax",
            "nanmin",
            "nan_to_num",
            "cumsum",
            "cumulative_sum",
            "diff",
            "round",
            "count_nonzero",
            "nonzero",
            "flatnonzero",
            "argwhere",
            "ravel",
            "transpose",
            "squeeze",
            "flip",
            "copy",
            "atleast_1d",
            "atleast_2d",
            "asarray",
            "asanyarray",
            "array",
            "ascontiguousarray",
            "asfortranarray",
            "require",
            "zeros_like",
            "ones_like",
            "shape",
            "ndim",
            "size",
            "result_type",
            "min_scalar_type",
            "isscalar",
            "isreal",
            "isrealobj",
            "iscomplexobj",
            "real",
            "imag",
            "angle",
            "fix",
            "isneginf",
            "real_if_close",
            "histogram",
            "bincount",
            "gradient",
            "trapezoid",
            "diag",
            "triu",
            "trace",
            "cov",
            "asarray_chkfinite",
            "array_repr",
            "array_str",
            "array2string",
            "linalg.norm",
            "linalg.inv",
            "linalg.det",
            "linalg.svd",
            "linalg.eigvalsh",
            "fft.fft",
            "fft.rfft",
            "fft.fftshift",
            "iterable",
            "unwrap",
            "i0",
            "sinc",
            "ediff1d",
            "poly",
            "from_dlpack",
            "frombuffer",
            "tril_indices_from",
        )
    ),
    "np.sum(a, out=f)",
    "np.sum(a, axis=0, out=f)",
    "np.sum(f, axis=0)",
    "np.sum(f, axis=-1, keepdims=True)",
    "np.sum(f, dtype='f4')",
    "np.sum(f, where=b)",
    "np.sum(a, where=f)",
    "np.sum(a, initial=f)",
    "np.mean(f, axis=0)",
    "np.mean(f, out=np.empty(()))",
    "np.mean(a, where=f > 1)",
    "np.std(f, ddof=1)",
    "np.std(a, mean=f)",
    "np.max(f, axis=0, initial=2)",
    "np.argmax(f, axis=0)",
    "np.argmax(a, out=f)",
    "np.median(f, axis=0)",
    "np.percentile(f, 50)",
    "np.percentile(a, f)",
    "np.quantile(f, a / 10)",
    "np.average(a, weights=f)",
    "np.average(f, weights=a)",
    "np.clip(f, 1, 2)",
    "np.clip(a, f, 3)",
    "np.clip(a, 1, f)",
    "np.clip(a, 1, 2, out=f)",
    "np.clip(f, a, a + 1)",
    "np.sort(f, axis=0)",
    "np.lexsort([a, f])",
    "np.searchsorted(a, f)",
    "np.searchsorted(f, a)",
    "np.digitize(f, [1, 2])",
    "np.digitize(a, f)",
    "np.isin(a, f)",
    "np.isin(f, a)",
    "np.union1d(a, f)",
    "np.intersect1d(f, a)",
    "np.setdiff1d(a, f)",
    "np.unique(f, return_inverse=True, return_counts=True)",
    "np.histogram(a, bins=f)",
    "np.histogram(a, weights=f)",
    "np.histogram(f, bins=2, range=(0, 4))",
    "np.interp(f, a, a)",
    "np.interp(a, f, f)",
    "np.array_equal(a, f)",
    "np.array_equal(f, a)",
    "np.array_equiv(a, f)",
    "np.allclose(a, f)",
    "np.allclose(f, a)",
    "np.isclose(a, f)",
    "np.isclose(f, a, equal_nan=True)",
    "np.testing.assert_array_equal(a, f)",
    "np.testing.assert_allclose(f, a)",
    "np.asarray(f, dtype='f4')",
    "np.asarray(f, copy=True)",
    "np.asarray(f, copy=False)",
    "np.array(f, copy=None)",
    "np.array(f, subok=True)",
    "np.array(f, ndmin=3)",
    "np.array(f, dtype=object)",
    "np.array([f, f])",
    "np.array([a, f])",
    "np.array([f, None], dtype=object)",
    "np.asarray([[f], [f]])",
    "np.array(f, order='F')",
    "np.empty_like(f).shape",
    "np.full_like(f, 7)",
    "np.full_like(a, f)",
    "np.zeros_like(f, subok=False)",
    "np.ones_like(f, dtype='i4')",
    "np.zeros_like(a, shape=f)",
    "np.full(a.shape, f)",
    "np.full(3, f)",
    "also(np.copyto(a, f), a)",
    "also(np.copyto(f, a), f)",
    "also(np.copyto(a, f, where=b), a)",
    "also(np.copyto(a, 0, where=f), a)",
    "also(np.put(a, [0], f), a)",
    "also(np.putmask(a, f, 0), a)",
    "also(np.putmask(a, b, f), a)",
    "also(np.place(a, b, f), a)",
    "also(np.put_along_axis(a, i - 1, f, 0), a)",
    "also(np.fill_diagonal(f, 9), f)",
    "also(np.random.default_rng(0).shuffle(f), f)",
    "np.random.default_rng(0).permutation(f)",
    "np.random.default_rng(0).choice(f, 2)",
    "np.random.default_rng(0).normal(f, 1)",
    "np.random.default_rng(0).choice(a, 2, p=f)",
    "np.take(a, f)",
    "np.take(f, [0, 1])",
    "np.take_along_axis(f, i - 1, 0)",
    "np.choose([0, 1, 0], [a, f])",
    "np.select([b, ~b], [a, f])",
    "np.select([f > 1], [a])",
    "np.compress(f > 1, a)",
    "np.compress([True, False, True], f)",
    "np.extract(b, f)",
    "np.piecewise(f, [b], [lambda x: x + 1, 0])",
    "np.apply_along_axis(numpy.sum, 0, f)",
    "np.apply_over_axes(numpy.sum, f, 0)",
    "np.broadcast_arrays(a, f)",
    "np.broadcast_arrays(a, f, subok=True)",
    "np.broadcast_to(f, (2, *a.shape))",
    "np.broadcast(a, f).shape",
    "np.broadcast_shapes(a.shape, numpy.shape(f))",
    "np.reshape(f, -1)",
    "np.reshape(a, f)",
    "np.expand_dims(f, 0)",
    "np.swapaxes(f, 0, -1)",
    "np.moveaxis(f, 0, -1)",
    "np.roll(f, 1)",
    "np.tile(f, 2)",
    "np.tile(a, f)",
    "np.repeat(f, 2)",
    "np.repeat(a, f)",
    "np.pad(f, 1)",
    "np.pad(a, 1, constant_values=f)",
    "np.split(f, 3)",
    "np.array_split(f, 2)",
    "np.insert(a, 1, f)",
    "np.insert(f, 1, 0, axis=0)",
    "np.delete(a, f)",
    "np.delete(f, 0, axis=0)",
    "np.resize(f, (2, 2))",
    "np.trim_zeros(f)",
    "np.convolve(a, f)",
    "np.correlate(f, a)",
    "np.polyfit(a, f, 1)",
    "np.polyval(f, a)",
    "np.poly1d(f)(a)",
    "np.corrcoef(a, f)",
    "np.meshgrid(a, f)",
    "np.ix_(f)",
    "np.linspace(a, f, 3)",
    "np.linspace(f, 5, 3)",
    "np.arange(f)",
    "np.zeros(f)",
    "np.linalg.solve(a, f)",
    "np.linalg.solve(f, a)",
    "np.linalg.lstsq(f, a)",
    "np.linalg.multi_dot([a, f, a])",
    "np.linalg.norm(f, axis=0)",
    "np.fft.ifft(np.fft.fft(f)).real",
    "np.result_type(a, f)",
    "np.result_type(f, np.float32)",
    "np.can_cast(f, 'f4')",
    "np.promote_types(f, 'f4')",
    "np.common_type(a, f)",
    "np.shares_memory(a, f)",
    "np.may_share_memory(f, a)",
    "np.fromiter(f, 'f8')",
    "np.nditer([a, f]).shape",
    "list(np.ndindex(f))",
    "[x for _, x in np.ndenumerate(f)]",
    "np.r_[a, f]",
    "np.r_[f, 0]",
    "np.c_[a, f]",
    "np.s_[f]",
    "np.unravel_index(f, (5, 5))",
    "np.ravel_multi_index((f, f), (9, 9))",
    "np.lib.stride_tricks.sliding_window_view(f, 2, axis=0)",
    "np.lib.stride_tricks.as_strided(f)",
    "np.array(a, like=f)",
    "np.ones(3, like=f)",
    "np.asarray([1.0], like=f)",
    "np.ma.add(a, f)",
    "np.ma.asarray(f)",
    "np.ma.array(a, mask=f)",
    "np.ma.concatenate([a, f])",
    "np.ma.masked_where(f, a)",
    "np.ma.where(b, a, f)",
    "np.strings.upper(f)",
    "np.char.add(f, 'x')",
    "np.bmat([[f, f]])",
    "np.isfortran(f)",
    "np.iscomplex(f)",
    "np.astype(f, 'f4')",
    "np.matrix_transpose(f)",
    "np.vander(f)",
    "np.nanpercentile(f, 50)",
    "np.nanstd(f)",
    "np.rot90(f)",
    "np.histogram2d(a, f)",
    "np.histogram_bin_edges(f)",
    "also(np.save(file := io.BytesIO(), f), file.seek(0), np.load(file))[2:]",
    "also(np.savetxt(file := io.BytesIO(), f), file.getvalue())",
    "isinstance(f, np.ndarray)",
    "issubclass(type(f), np.ndarray)",
    "isinstance(np.asarray(f), np.ndarray)",
    "np.ndarray((2,), 'f8', f).shape",
    "np.dtype(f)",
]

#: May give an array that the foreign object holds: that stays what it is, as a plain argument does.
HELD = {
    *(
        f"np.{name}(f)"
        for name in (
            "asarray",
            "asanyarray",
            "ascontiguousarray",
            "asfortranarray",
            "asarray_chkfinite",
            "require",
            "atleast_1d",
            "atleast_2d",
            "real",
            "real_if_close",
            "squeeze",
        )
    ),
    "np.asarray(f, copy=False)",
    "np.array(f, copy=None)",
    "np.broadcast_arrays(a, f)",
    "np.broadcast_arrays(a, f, subok=True)",
    "np.histogram(a, bins=f)",
    "np.full_like(a, f)",
    "np.random.default_rng(0).permutation(f)",
    "np.s_[f]",
    "also(np.random.default_rng(0).shuffle(f), f)",
}

#: torch takes an index as an array only if its class is exactly numpy.ndarray, else as a sequence.
UNREACHABLE = {("torch.Tensor:2-d", text) for text in ("f[b]", "f[i - 1]", "f[a]", "put(a, b, f[b])")}
#: astropy passes what it is given on to NumPy's array(), which fails for every subclass of numpy.ndarray.
UNREACHABLE |= {(f"astropy.Quantity{kind}", "np.array(a, like=f)") for kind in ("", ":plain", ":angle")}

_SCOPE = {
    "numpy": numpy,
    "operator": operator,
    "pickle": pickle,
    "io": io,
    "put": put,
    "also": also,
    "need": need,
}


def answer(expression: str, scope: dict[str, Any], own: bool) -> Any:
    """The value as tuples, or the exception with its text, in which our class may be named as itself.

    A subclass on the right of a comparison is asked first, with the mirrored operator: so ours is, too.
    """
    try:
        return seen(eval(compile(expression, "<expression>", "eval"), {**_SCOPE, **scope}), own)
    except Exception as error:
        text = UNNAMED.sub("0x", str(error)).replace("raptors.ndarray", "numpy.ndarray")
        mirrored = re.search("not supported between|did not contain a loop", text)
        return ("raised", type(error), "" if mirrored or isinstance(error, RecursionError) else text)


def case(kind: Kind, expression: str, over: str, module: str, own: bool) -> Callable[[Any], Any]:
    """The same expression for both libraries; the foreign object holds our array or a plain one."""

    def body(xp: Any) -> Any:
        d = kind.data()
        scope = {
            "np": xp if module == "own" else numpy,
            "a": mine(xp, d.copy()),
            "b": mine(xp, d > 1),
            "i": mine(xp, d.astype("i8") % 3 + 1),
            "f": kind.make(xp, mine(xp, d) if over == "over ours" else d),
        }
        return answer(expression, scope, own)

    return body


def combinations() -> list[Any]:
    return [
        pytest.param(name, over, id=f"{name}-{over}")
        for name, kind in KINDS.items()
        for over in (("plain", "over ours") if kind.over else ("plain",))
    ]


def run_all(name: str, over: str, expressions: Sequence[str], module: str, own: bool) -> None:
    kind = KINDS[name]
    need(kind.module)
    found = Mismatches()
    for expression in expressions:
        if (name, expression) in UNREACHABLE:
            continue
        mine_ = own and expression not in HELD
        found.check(f"{name} ({over}): {expression}", case(kind, expression, over, module, mine_), NEAR)
    found.done(len(expressions) // 2)


@pytest.mark.parametrize(("name", "over"), combinations())
def test_our_array_on_the_left(name: str, over: str) -> None:
    run_all(name, over, OURS_LEFT, "own", not KINDS[name].answers)


@pytest.mark.parametrize(("name", "over"), combinations())
def test_explicit_calls(name: str, over: str) -> None:
    kind = KINDS[name]
    need(kind.module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # numpy.matrix
        made = kind.make(numpy, kind.data())
    if not isinstance(made, numpy.ndarray):
        run_all(name, over, EXPLICIT, "own", not kind.answers)


@pytest.mark.parametrize(("name", "over"), combinations())
def test_our_array_on_the_right(name: str, over: str) -> None:
    run_all(name, over, FOREIGN_LEFT, "own", False)


@pytest.mark.parametrize(("name", "over"), combinations())
def test_our_ufuncs(name: str, over: str) -> None:
    run_all(name, over, UFUNCS, "own", True)


@pytest.mark.parametrize(("name", "over"), combinations())
def test_our_functions(name: str, over: str) -> None:
    run_all(name, over, FUNCTIONS, "own", True)


@pytest.mark.parametrize(("name", "over"), combinations())
def test_numpys_ufuncs(name: str, over: str) -> None:
    run_all(name, over, UFUNCS, "numpy", False)


@pytest.mark.parametrize(("name", "over"), combinations())
def test_numpys_functions(name: str, over: str) -> None:
    run_all(name, over, FUNCTIONS, "numpy", False)


# ---- classes that derive from numpy.ndarray ------------------------------------------------------


class Told(numpy.ndarray):
    """Notes every call of its protocols and hooks, with the types it sees."""

    log: Any = None

    def __array_finalize__(self, obj: Any) -> None:
        self.log = getattr(obj, "log", None)
        if self.log is not None:
            self.log.append(("finalize", type(obj).__name__))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        self.log.append((ufunc.__name__, method, [type(x).__name__ for x in inputs], sorted(keywords)))
        return ufunc.__name__

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        self.log.append((func.__name__, sorted({t.__name__ for t in types}), len(args), sorted(kwargs)))
        return func.__name__


TOLD = [
    *(f"also({text}, f.log)" for text in OURS_LEFT if text.startswith(("a ", "i ", "b ", "divmod"))),
    *(f"also({text}, f.log)" for text in FOREIGN_LEFT if text.startswith(("f ", "divmod"))),
    *(f"also(operator.{name}(a, f), f.log)" for name in _IN_PLACE),
    *(f"also(operator.{name}(f, a), f.log)" for name in _IN_PLACE),
    *(f"also({text}, f.log)" for text in UFUNCS if text.startswith("np.") and "vectorize" not in text),
    *(
        f"also({text}, f.log)"
        for text in FUNCTIONS
        if text.startswith(("np.concat", "np.where", "np.dot", "np.clip", "np.sum", "np.isin", "np.sort"))
    ),
]


@pytest.mark.parametrize("module", ["own", "numpy"])
def test_what_a_subclass_is_told(module: str) -> None:
    """The same calls in the same order; NumPy's own arrays have the name of ours."""

    def told(xp: Any, d: Any) -> Any:
        f = d.view(Told)
        f.log = []
        return f

    found = Mismatches()
    for expression in TOLD:
        found.check(expression, case(Kind(told), expression, "plain", module, False))
    found.done(len(TOLD))


class Picky(numpy.ndarray):
    """Recognises arrays by their class alone, as several libraries do, and reads the dict of all others."""

    unit: Any = None

    def __array_finalize__(self, obj: Any) -> None:
        if obj is None or obj.__class__ is numpy.ndarray:
            return
        self.unit = obj.__dict__.get("unit")


PICKY = [
    "a.view(T)",
    "a[1:].view(T)",
    "a.view(type=T)",
    "a.view('i8', T)",
    "a.view(T).base is a",
    "np.asarray(a).view(T)",
    "np.array(a).view(T)",
    "numpy.asarray(a).view(T)",
    "numpy.array(a, subok=True).view(T)",
    "np.ndarray.view(a, T)",
    "T(a.shape, a.dtype, a)",
    "np.ndarray.__new__(T, a.shape, a.dtype, a)",
    "a + a.view(T)",
    "a.view(T) + a",
    "np.add(a, a.view(T))",
    "np.add(a, a, out=a.view(T))",
    "np.concatenate([a, a.view(T)])",
    "np.sqrt(a.view(T))",
    "a.view(T)[1:]",
    "a.view(T)[b]",
    "a.view(T).astype('f4')",
    "a.view(T).sum(axis=0, keepdims=True)",
    "a.view(T).copy()",
    "a.view(T).view(np.ndarray)",
    "np.zeros_like(a.view(T))",
    "np.broadcast_arrays(a, a.view(T), subok=True)",
    "a.view(T).__array_wrap__(a)",
    "np.lib.stride_tricks.as_strided(a.view(T), subok=True)",
    "pickle.loads(pickle.dumps(a.view(T)))",
]


def test_views_as_a_subclass_of_numpys() -> None:
    """__array_finalize__ of such a class sees the same class as under NumPy."""
    found = Mismatches()
    for expression in PICKY:

        def body(xp: Any, expression: str = expression) -> Any:
            d = numpy.arange(3.0)
            return answer(expression, {"np": xp, "a": mine(xp, d), "b": mine(xp, d > 1), "T": Picky}, False)

        found.check(expression, body)
    found.done(len(PICKY))


# ---- pandas --------------------------------------------------------------------------------------

PANDAS = [
    "pd.DataFrame(m)",
    "pd.DataFrame(m, copy=False)",
    "pd.DataFrame({'x': a, 'y': i})",
    "pd.DataFrame({'x': a}).assign(y=i, z=a > 1)",
    "pd.DataFrame(m).to_numpy()",
    "pd.DataFrame(m).to_numpy() + m",
    "m @ pd.DataFrame(m).values",
    "pd.DataFrame(m) @ m",
    "m @ pd.DataFrame(m)",
    "pd.DataFrame(m, index=a, columns=i)",
    "pd.DataFrame(m).loc[b]",
    "pd.DataFrame(m).iloc[i - 1]",
    "pd.DataFrame(m)[b]",
    "pd.DataFrame(m).apply(lambda c: np.sum(c))",
    "pd.DataFrame(m).apply(np.sqrt)",
    "pd.DataFrame(m).apply(np.sum, axis=1)",
    "pd.DataFrame(m).agg([np.sum, np.mean])",
    "pd.DataFrame(m).transform(np.exp)",
    "pd.DataFrame({'k': i % 2, 'v': a}).groupby('k').agg(np.sum)",
    "pd.DataFrame({'k': i % 2, 'v': a}).groupby('k').v.apply(np.mean)",
    "pd.DataFrame({'k': i, 'v': a}).pivot_table(values='v', index='k', aggfunc=np.mean)",
    "pd.DataFrame({'k': i, 'v': a}).merge(pd.DataFrame({'k': i, 'w': a * 2}), on='k')",
    "pd.DataFrame({'v': a}).rolling(2).apply(np.sum, raw=True)",
    "pd.DataFrame({'v': a}).rolling(2).mean()",
    "pd.DataFrame({'v': a}).eval('v + 1')",
    "pd.DataFrame({'v': a}).query('v in @i')",
    "pd.DataFrame({'o': np.array([a, a], dtype=object).tolist()})",
    "pd.DataFrame(np.array([(1, 2.0)], dtype='i4,f8'))",
    "pd.DataFrame(np.array(['a', 'b']))",
    "pd.DataFrame(m).to_records()",
    "pd.DataFrame(m).to_dict('list')",
    "pd.DataFrame(m).to_csv()",
    "pd.DataFrame(m).describe()",
    "pd.DataFrame(m).corr()",
    "pd.DataFrame(m).where(m > 2, -m)",
    "pd.DataFrame(m).mask(m > 2)",
    "pd.DataFrame(m).mul(a, axis=0)",
    "pd.DataFrame(m).dot(a)",
    "pd.DataFrame(m).stack()",
    "pd.DataFrame(m).sort_values(0, key=np.negative)",
    "pd.Series(a).map(np.sqrt)",
    "pd.Series(a).combine(pd.Series(a), np.maximum)",
    "pd.Series(a).isin(i)",
    "pd.Series(a).searchsorted(a)",
    "pd.Series(a, index=i).reindex(i[::-1])",
    "pd.Series(a, index=i).loc[i[:2]]",
    "pd.Series(a).value_counts()",
    "pd.Series(a).interpolate()",
    "pd.Series(a).astype('Int64')",
    "pd.Series(a.astype('M8[s]'))",
    "pd.Series(a.astype('m8[s]')).dt.total_seconds()",
    "pd.Series(list(a))",
    "pd.Series(np.array([None, 'x', 1.5], dtype=object))",
    "pd.Series(np.array(['a', 'b']))",
    "pd.Series(np.float16([1, 2]))",
    "pd.Series(a * 1j)",
    "pd.Series(b) | b",
    "pd.Index(i).get_indexer(i[::-1])",
    "pd.Index(a.astype('M8[D]'))",
    "pd.MultiIndex.from_arrays([i, a])",
    "pd.MultiIndex.from_product([i, a])",
    "pd.Categorical(i)",
    "pd.Categorical.from_codes(i - 1, ['x', 'y', 'z'])",
    "pd.cut(a, np.linspace(0, 4, 3))",
    "pd.cut(a, 3)",
    "pd.qcut(a, 2)",
    "pd.unique(a)",
    "pd.factorize(i)",
    "pd.isna(a)",
    "pd.notna(m)",
    "pd.to_datetime(i)",
    "pd.to_numeric(np.array(['1', '2']))",
    "pd.to_timedelta(i, unit='s')",
    "pd.concat([pd.Series(a), pd.Series(i)])",
    "pd.get_dummies(i)",
    "pd.crosstab(i, i)",
    "pd.array(a)",
    "pd.array(i, dtype='Int64')",
    "pd.arrays.NumpyExtensionArray(a) + a",
    "pd.arrays.IntegerArray(i, b)",
    "pd.arrays.BooleanArray(b, ~b) & b",
    "pd.arrays.SparseArray(a) + a",
    "pd.arrays.SparseArray(a).to_dense()",
    "pd.IntervalIndex.from_breaks(a)",
    "pd.period_range('2020', periods=3).to_timestamp().to_numpy()",
    "pd.api.types.is_list_like(a)",
    "pd.api.types.infer_dtype(a)",
    "pd.api.types.is_float_dtype(a)",
    "pd.testing.assert_series_equal(pd.Series(a), pd.Series(numpy.asarray(a)))",
    "pd.testing.assert_frame_equal(pd.DataFrame(m), pd.DataFrame(numpy.asarray(m)))",
    "pickle.loads(pickle.dumps(pd.DataFrame(m, copy=False)))",
    "pickle.loads(pickle.dumps(pd.DataFrame({'x': a, 'y': i}), 5))",
    "pickle.loads(pickle.dumps(pd.Series([a, a]))).iloc[0]",
    "pd.util.hash_array(a)",
    "pd.util.hash_pandas_object(pd.Series(a))",
    "np.asarray(pd.DataFrame({'x': a, 'y': i}))",
    "np.array(pd.Series(['x', 'y'], dtype='category'))",
    "np.where(pd.Series(a) > 1, 'x', 'y')",
    "np.select([pd.Series(a) > 1, pd.Series(a) > 0], [pd.Series(a), 0], default=-1)",
    "np.concatenate([pd.Series(a), pd.Series(i)])",
    "np.vstack([pd.Series(a), pd.Series(i)])",
    "np.polyfit(pd.Series(a), pd.Series(i), 1)",
    "np.corrcoef(pd.DataFrame(m))",
    "np.histogram(pd.Series(a), bins=pd.Series(a))",
    "np.datetime64('2020') + pd.Series(i.astype('m8[D]'))",
    "np.busday_count(pd.date_range('2020', periods=3).values.astype('M8[D]'), np.datetime64('2021'))",
]


def frame_scope(xp: Any) -> dict[str, Any]:
    d = numpy.array([1.0, 2.0, 4.0])
    m = numpy.array([[1.0, 2.0, 3.0], [4.0, 5.5, 6.0], [7.0, 8.0, 1.0]])
    return {
        "np": xp,
        "a": mine(xp, d),
        "i": mine(xp, numpy.array([3, 1, 2])),
        "b": mine(xp, d > 1),
        "m": mine(xp, m),
    }


@pytest.mark.parametrize("expression", PANDAS)
def test_pandas(expression: str) -> None:
    pd = need("pandas")
    same_as_numpy(lambda xp: answer(expression, {"pd": pd, **frame_scope(xp)}, False), NEAR)


def test_pandas_in_place() -> None:
    pd = need("pandas")
    found = Mismatches()
    statements = (
        "f['n'] = a",
        "f.loc[:, 'x'] = a",
        "f.loc[b, 'x'] = a[b]",
        "f.iloc[0] = a",
        "f.iloc[:, 1] = i",
        "f[f > 2] = 0",
        "f[b] = 1.0",
        "f += a",
        "f *= m",
        "f['x'] += i",
        "f.index = i",
        "f.columns = np.array(['u', 'v', 'w'])",
        "f.values[...] = 1.0",
        "f.insert(0, 'n', a)",
        "f.update(pd.DataFrame({'x': a}))",
        "f.at[0, 'x'] = a[2]",
        "a[...] = f['x']",
        "a += f['x']",
        "a[f['x'] > 1] = 9",
        "m[f > 2] = 0",
        "m[:, 0] = f['y']",
        "m -= f",
        "a[f['x'].astype(int) % 3] = 5",
    )
    for statement in statements:

        def body(xp: Any, statement: str = statement) -> Any:
            scope = {**frame_scope(xp), "pd": pd}
            scope |= {key: scope[key].copy() for key in "aibm"}
            scope["f"] = pd.DataFrame(scope["m"], columns=list("xyz"))
            try:
                exec(compile(statement, "<statement>", "exec"), scope)
            except Exception as error:
                return type(error), str(error).replace("raptors.ndarray", "numpy.ndarray")
            return [seen(scope[key], False) for key in "faibm"]

        found.check(statement, body)
    found.done(len(statements))


# ---- SciPy ---------------------------------------------------------------------------------------

SCIPY: dict[str, list[str]] = {
    "linalg": [
        "s.solve(m, a)",
        "s.inv(m)",
        "s.det(m)",
        "s.lu(m)",
        "s.lu_factor(m)",
        "s.qr(m)",
        "s.svd(m)[1]",
        "s.eigh(m + m.T)[0]",
        "s.cholesky(m @ m.T)",
        "s.expm(m / 9)",
        "s.norm(m)",
        "s.toeplitz(a)",
        "s.block_diag(m, a)",
        "s.solve_triangular(m, a)",
        "s.solve_banded((1, 1), m, a)",
        "s.lstsq(m, a)[0]",
        "s.pinv(m)",
        "s.solve(m, a, overwrite_a=True, overwrite_b=True)",
        "s.blas.ddot(a, a)",
        "s.blas.dgemm(1.0, m, m)",
        "s.null_space(m)",
    ],
    "fft": ["s.fft(a)", "s.rfft(a)", "s.ifft2(m)", "s.dct(a)", "s.fftshift(a)", "s.fftfreq(4)", "s.fftn(m)"],
    "optimize": [
        "s.minimize(lambda x: np.sum((x - a) ** 2), a * 0).x.round(4)",
        "s.minimize(lambda x: np.sum((x - a) ** 2), a * 0, method='Nelder-Mead').x.round(2)",
        "s.root(lambda x: x ** 2 - a, a).x.round(8)",
        "s.least_squares(lambda x: x - a, a * 0).x.round(8)",
        "s.curve_fit(lambda x, p, q: p * x + q, a, 2 * a + 1)[0].round(6)",
        "s.linprog(a, A_ub=-m, b_ub=-a).fun",
        "s.linear_sum_assignment(m)",
        "s.nnls(m, a)[0]",
        "s.brentq(lambda x: np.cos(x) - x, 0.0, 1.0)",
        "s.approx_fprime(a, lambda x: np.dot(x, x), 1e-6).round(3)",
        "s.minimize_scalar(lambda x: np.square(x - 1)).x.round(5)",
        "s.fsolve(lambda x: np.array([x[0] - 1, x[1] - 2]), np.zeros(2)).round(6)",
    ],
    "stats": [
        "s.norm.pdf(a)",
        "s.norm.cdf(a, loc=a, scale=2)",
        "s.norm.rvs(size=3, random_state=np.random.default_rng(0))",
        "s.norm.fit(a)",
        "s.ttest_ind(a, a + 1).pvalue",
        "s.pearsonr(a, i).statistic",
        "s.linregress(a, i).slope",
        "s.describe(a).variance",
        "s.zscore(a)",
        "s.rankdata(a)",
        "s.mode(i).mode",
        "s.gaussian_kde(a)(a)",
        "s.iqr(a)",
        "s.skew(m, axis=0)",
        "s.trim_mean(a, 0.1)",
        "s.entropy(a)",
        "s.binned_statistic(a, a, bins=2).statistic",
        "s.ks_2samp(a, a + 1).statistic",
        "s.multivariate_normal(mean=a, cov=np.eye(3)).pdf(m)",
        "s.bootstrap((a,), np.mean, n_resamples=9, rng=np.random.default_rng(0)).standard_error",
        "s.poisson.pmf(i, 2)",
    ],
    "ndimage": [
        "s.gaussian_filter(m, 1)",
        "s.convolve(m, m)",
        "s.label(m > 2)",
        "s.rotate(m, 45)",
        "s.zoom(m, 2)",
        "s.map_coordinates(m, [[0.5, 1], [1, 1]])",
        "s.generic_filter(m, np.mean, 3)",
        "s.generic_filter(m, lambda w: w.sum(), 3)",
        "s.center_of_mass(m)",
        "s.uniform_filter(a, 2)",
        "s.binary_dilation(m > 5)",
        "s.gaussian_filter(m, 1, output=np.zeros((3, 3)))",
        "s.sum_labels(m, np.ones((3, 3), int), [1])",
        "s.maximum_filter(m, 2)",
    ],
    "interpolate": [
        "s.interp1d(a, i)(a + 0)",
        "s.CubicSpline(a, i)(a + 0.1)",
        "s.UnivariateSpline(np.arange(6.0), np.arange(6.0) ** 2)(a)",
        "s.RegularGridInterpolator((a, a), m)(m[:, :2] % 3 + 1)",
        "s.griddata(m[:, :2], a, m[:, :2], method='nearest')",
        "s.make_interp_spline(a, i, k=1)(a)",
        "s.PchipInterpolator(a, i)(a)",
        "s.RBFInterpolator(m, a)(m)",
        "s.BSpline(np.arange(7.0), a, 2)(a)",
    ],
    "signal": [
        "s.convolve(a, i)",
        "s.lfilter(a, 1.0, i)",
        "s.butter(2, 0.3)",
        "s.filtfilt(*s.butter(1, 0.3), np.arange(30.0))",
        "s.find_peaks(np.array([0.0, 1, 0, 2, 0]))",
        "s.welch(np.arange(16.0), nperseg=8)",
        "s.hilbert(a)",
        "s.fftconvolve(a, a)",
        "s.resample(a, 6)",
        "s.savgol_filter(np.arange(9.0), 5, 2)",
        "s.medfilt(a, 3)",
    ],
    "integrate": [
        "s.quad(np.sin, 0, 1)[0]",
        "s.trapezoid(a, i)",
        "s.simpson(a)",
        "s.cumulative_trapezoid(a)",
        "s.solve_ivp(lambda t, y: -y, (0, 1), a).y[:, -1]",
        "s.odeint(lambda y, t: -y, a, np.linspace(0, 1, 3))",
    ],
    "spatial": [
        "s.distance.cdist(m, m)",
        "s.distance.pdist(m)",
        "s.distance.euclidean(a, i)",
        "s.cKDTree(m).query(m)",
        "s.KDTree(m).query_ball_point(m, 4.0)",
        "s.ConvexHull(np.array([[0.0, 0], [1, 0], [0, 1], [0.1, 0.1]])).vertices",
        "s.Delaunay(np.array([[0.0, 0], [1, 0], [0, 1], [1, 1.1]])).simplices.shape",
        "s.transform.Rotation.from_rotvec(a).apply(m)",
    ],
    "special": [
        "s.gamma(a)",
        "s.erf(m)",
        "s.expit(a, out=np.zeros(3))",
        "s.logsumexp(m, axis=0)",
        "s.softmax(a)",
        "s.comb(i, 1)",
        "s.jv(1, a)",
        "s.xlogy(a, a)",
        "s.binom(i, i)",
        "s.erf(i)",
    ],
    "sparse": [
        "s.csr_array(m) @ a",
        "a @ s.csr_array(m)",
        "s.csr_array(m) @ m",
        "s.csr_matrix(m) * a",
        "m + s.csr_matrix(m)",
        "m @ s.csc_array(m)",
        "s.csr_array((a, (i - 1, i - 1)))",
        "s.csr_array((a, i - 1, np.array([0, 1, 2, 3])), shape=(3, 3))",
        "s.coo_array(m).toarray()",
        "s.coo_array(m).row",
        "s.diags_array(a)",
        "s.kron(m, m)",
        "s.hstack([s.csr_array(m), s.csr_array(m)])",
        "s.csr_array(m)[b]",
        "s.csr_array(m)[i - 1]",
        "s.csr_array(m)[:, i - 1]",
        "s.csr_array(m).multiply(a)",
        "s.csr_array(m) * m",
        "s.csr_array(m) / a",
        "s.csr_array(m).sum(axis=0)",
        "s.csr_matrix(m).sum(axis=0)",
        "s.csr_matrix(m).todense() + m",
        "s.csr_array(m).max(axis=1)",
        "s.csr_array(m).data * 2",
        "s.csr_array(m).toarray(out=np.zeros((3, 3)))",
        "s.csr_array(m) == s.csr_array(m)",
        "s.csr_array(m) > 2",
        "s.csr_array(m).power(2)",
        "s.csr_array(m).maximum(m)",
        "s.lil_array(m)[[0], :]",
        "s.dok_array(m)[0, 1]",
        "np.dot(s.csr_array(m), a)[0]",
        "np.sqrt(s.csr_array(m))",
        "np.asarray(s.csr_array(m).todense())",
        "pickle.loads(pickle.dumps(s.csr_array(m)))",
    ],
    "sparse.linalg": [
        "s.spsolve(sparse.csc_array(m), a)",
        "s.cg(sparse.csr_array(m @ m.T), a)[0].round(3)",
        "s.splu(sparse.csc_array(m)).solve(a)",
        "s.eigsh(sparse.csr_array(m @ m.T), k=1, v0=a)[0]",
        "s.LinearOperator((3, 3), matvec=lambda v: m @ v).matvec(a)",
        "s.LinearOperator((3, 3), matvec=lambda v: m @ v) @ a",
        "s.norm(sparse.csr_array(m))",
        "s.gmres(m, a)[0].round(5)",
    ],
    "sparse.csgraph": ["s.shortest_path(m)", "s.connected_components(m > 5)", "s.minimum_spanning_tree(m)"],
    "cluster": ["s.vq.kmeans2(m, m[:2].copy(), minit='matrix')", "s.hierarchy.linkage(m)", "s.vq.whiten(m)"],
    "io": ["(lambda w: (s.savemat(w, {'a': a}), s.loadmat(w)['a'])[1])(io.BytesIO())"],
}


@pytest.mark.parametrize(("part", "expression"), [(p, e) for p, es in SCIPY.items() for e in es])
def test_scipy(part: str, expression: str) -> None:
    need("scipy")
    if part == "cluster":
        need("scipy.cluster.vq"), need("scipy.cluster.hierarchy")
    if part == "spatial":
        need("scipy.spatial.distance"), need("scipy.spatial.transform")
    sparse, s = need("scipy.sparse"), need(f"scipy.{part}")
    scope = {"s": s, "sparse": sparse}
    same_as_numpy(lambda xp: answer(expression, {**scope, **frame_scope(xp)}, False), NEAR)


# ---- sharing memory ------------------------------------------------------------------------------

_SHARED_DTYPES = ("float64", "float32", "int64", "int32", "uint8", "bool", "complex64", "float16")


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("dtype", _SHARED_DTYPES)
def test_torch_shares_memory(dtype: str) -> None:
    torch = need("torch")
    for make in (
        torch.from_numpy,
        torch.as_tensor,
        torch.from_dlpack,
        torch.asarray,
        lambda x: torch.utils.dlpack.from_dlpack(x),
    ):
        a = raptors.zeros((2, 3), dtype)
        t = make(a)
        assert t.shape == (2, 3)
        assert t.data_ptr() == a.ctypes.data, make
        a[0, 0] = 1
        assert bool(t[0, 0]) is True
        t[1, 1] = 1
        assert bool(a[1, 1]) is True
    t = torch.ones((2, 3)).to(getattr(torch, dtype))
    for back in (raptors.asarray, raptors.from_dlpack, raptors.array):
        b = back(t)
        assert type(b) is raptors.ndarray, back
        assert b.dtype == dtype
        assert b.shape == (2, 3)
        assert (b.ctypes.data == t.data_ptr()) == (back is not raptors.array), back


def test_torch() -> None:
    torch = need_torch()
    found = Mismatches()
    expressions = (
        "torch.tensor(a)",
        "torch.tensor([a, a])",
        "torch.tensor(a[0])",
        "torch.as_tensor(a[::2])",
        "torch.from_numpy(a[1:])",
        "torch.from_numpy(a[::-1])",
        "torch.from_numpy(m.T)",
        "torch.stack([torch.from_numpy(a)] * 2).numpy() + m[:2]",
        "torch.from_numpy(a) + a",
        "torch.from_numpy(a) @ torch.from_numpy(m)",
        "torch.from_numpy(a)[b]",
        "torch.from_numpy(a)[i - 1]",
        "put(torch.zeros(3), b, 1.0)",
        "put(torch.zeros(3, dtype=torch.float64), slice(None), torch.from_numpy(a))",
        "put(a.copy(), slice(None), torch.ones(3))",
        "np.asarray(torch.ones(3)) + a",
        "np.array([torch.tensor(1.0), torch.tensor(2.0)])",
        "np.stack([torch.ones(3), torch.zeros(3)])",
        "np.concatenate([a, torch.ones(3)])",
        "np.mean(torch.ones(3))",
        "np.sum(torch.ones(3))",
        "np.allclose(torch.from_numpy(a), a)",
        "np.testing.assert_allclose(torch.from_numpy(a), a)",
        "np.full(3, torch.tensor(2.0))",
        "torch.utils.data.default_collate([a, a])",
        "torch.nn.functional.relu(torch.from_numpy(a - 2))",
        "torch.full((2,), a[0])",
        "torch.zeros(tuple(i))",
        "torch.zeros(i[0], i[1])",
        "torch.from_numpy(a).apply_(lambda x: x)",
        "torch.tensor(a.astype('U'))",
    )
    for expression in expressions:

        def body(xp: Any, expression: str = expression) -> Any:
            return answer(expression, {"torch": torch, **frame_scope(xp)}, False)

        found.check(expression, body)
    found.done(len(expressions))


def test_torch_indexing_with_two_dimensional_arrays() -> None:
    """A known limit: torch accepts arrays of exactly numpy.ndarray here. `numpy.asarray` helps."""
    torch = need("torch")
    m = raptors.arange(9.0).reshape(3, 3)
    t = torch.from_numpy(m)
    assert t[numpy.asarray(m > 6)].tolist() == [7.0, 8.0]


@pytest.mark.parametrize("dtype", _SHARED_DTYPES)
@pytest.mark.parametrize("key", [slice(None), slice(None, None, 2), slice(None, None, -1), 0])
def test_dlpack(dtype: str, key: Any) -> None:
    a = raptors.ones((4, 3), dtype)[key]
    p = numpy.from_dlpack(a)
    assert isinstance(p, numpy.ndarray)
    assert numpy.shares_memory(p, a)
    assert p.strides == a.strides
    q = raptors.from_dlpack(numpy.ones((4, 3), dtype)[key])
    assert type(q) is raptors.ndarray
    r = raptors.from_dlpack(a, copy=True)
    assert not raptors.shares_memory(r, a)
    assert a.__dlpack_device__() == numpy.ones(2).__dlpack_device__()
    capsule = a.__dlpack__(max_version=(1, 0))
    assert "dltensor" in repr(capsule)
    read_only = raptors.ones(3, dtype)
    read_only.flags.writeable = False
    same_as_numpy(lambda xp: xp.from_dlpack(mine(xp, read_only)).flags.writeable)


def test_dlpack_errors() -> None:
    found = Mismatches()
    for p in (numpy.array(["x"]), numpy.array([None]), numpy.zeros(2, "i4,f8"), numpy.arange(3, dtype=">i4")):
        found.check(p.dtype, lambda xp, p=p: xp.from_dlpack(mine(xp, p)))
        found.check((p.dtype, "capsule"), lambda xp, p=p: mine(xp, p).__dlpack__())
    found.check("copy", lambda xp: xp.from_dlpack(mine(xp, numpy.ones(2)), copy=False))
    found.check("device", lambda xp: xp.from_dlpack(mine(xp, numpy.ones(2)), device="gpu"))
    found.done(10)


# ---- libraries that may be there -----------------------------------------------------------------


def test_matplotlib() -> None:
    matplotlib = need("matplotlib")
    matplotlib.use("agg")
    plt = need("matplotlib.pyplot")

    def body(xp: Any) -> Any:
        x = xp.linspace(0.0, 1.0, 20)
        figure, axes = plt.subplots(2, 2)
        try:
            axes[0, 0].plot(x, xp.sin(x))
            axes[0, 0].fill_between(x, x, xp.cos(x), where=x > 0.5)
            axes[0, 1].hist(xp.cos(x), bins=5)
            axes[0, 1].errorbar(x, x, yerr=x / 9)
            axes[1, 0].imshow(xp.outer(x, x))
            axes[1, 0].contour(xp.outer(x, x))
            axes[1, 1].scatter(x, x, c=x, s=x * 9)
            axes[1, 1].bar(xp.arange(3), xp.ones(3))
            figure.canvas.draw()
            return numpy.asarray(figure.canvas.buffer_rgba()).tobytes()
        finally:
            plt.close(figure)

    same_as_numpy(body)


def test_scikit_learn() -> None:
    need("sklearn")
    models = (
        ("linear_model", "LinearRegression", {}),
        ("linear_model", "LogisticRegression", {}),
        ("cluster", "KMeans", {"n_clusters": 2, "n_init": 1, "random_state": 0}),
        ("ensemble", "RandomForestClassifier", {"n_estimators": 3, "random_state": 0}),
        ("neighbors", "KNeighborsClassifier", {"n_neighbors": 3}),
        ("decomposition", "PCA", {"n_components": 2}),
        ("preprocessing", "StandardScaler", {}),
        ("svm", "SVC", {}),
    )
    found = Mismatches()
    for module, name, keywords in models:

        def body(xp: Any, module: str = module, name: str = name, keywords: Any = keywords) -> Any:
            rng = xp.random.default_rng(0)
            x, y = rng.normal(size=(40, 4)), rng.integers(0, 2, 40)
            model = getattr(need(f"sklearn.{module}"), name)(**keywords).fit(x, y)
            result = model.predict(x) if hasattr(model, "predict") else model.transform(x)
            return held(result)

        found.check(name, body, Rules(rtol=1e-7, atol=1e-10))
    found.done(len(models))
