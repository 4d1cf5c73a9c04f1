"""Other libraries at work on our arrays: the same results as on NumPy's."""

from __future__ import annotations

import datetime
from typing import Any

import numpy
import pytest
from foreign import NEAR, answer, held, need, need_torch, seen
from helpers import Mismatches, Rules, mine, same_as_numpy

import raptors

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
    "pd.DataFrame(m).transform(np.log)",
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
    # C code of pandas unboxes 0-d arrays of exactly NumPy's class.
    "pd.Series(a).loc[np.array(1)]",
    "pd.to_timedelta(np.array(1), unit='D')",
    "pd.to_datetime(np.array('2020-01-01'))",
    "pd.date_range('2020', periods=3) <= np.array(np.datetime64('2020-01-02', 'ns'))",
    "pd.period_range('2020', periods=3, freq='D') <= np.array(pd.Period('2020-01-02', 'D'))",
    "pd.timedelta_range('1D', periods=3) * np.array(5)",
    "pd.timedelta_range('1D', periods=3) > np.array(np.timedelta64(1, 'D'))",
    "pd.Timestamp('2020') + np.array(np.timedelta64(1, 'D'))",
    "pd.Index(np.array([1, 2], 'u8')) * np.array(5)",
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


_DAYS = "np.array([datetime.datetime(2020, 1, day) for day in (1, 2, 3)])"
_SERIES = f"xr.Dataset({{'v': ('t', a)}}, {{'t': {_DAYS}}})"


@pytest.mark.parametrize(
    "expression",
    [
        f"xr.DataArray({_DAYS}).values",
        "xr.Variable('t', np.array([datetime.timedelta(1), datetime.timedelta(2)])).values",
        "xr.Variable((), np.array(np.datetime64('2020', 'D'))).values",
        f"{_SERIES}.sel(t='2020-01-02').v.values",
        f"{_SERIES}.resample(t='2D').mean().v.values",
    ],
)
def test_xarray_converts_objects(expression: str) -> None:
    """xarray makes dates of objects in arrays of exactly NumPy's class."""
    scope = {"xr": need("xarray"), "datetime": datetime}
    same_as_numpy(lambda xp: answer(expression, {**scope, **frame_scope(xp)}, False), NEAR)


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
