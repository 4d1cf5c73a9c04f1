"""Rules for trading, tried on synthetic prices: masks, rolling windows and cumulative extremes.

Shares follow a common market factor with volatility that comes in clusters; some quotations are missing
and are filled with the last known one. Two classical rules, crossing moving averages and reversion to the
rolling mean, are judged by Sharpe ratio and drawdown.

Sources: R. S. Tsay, Analysis of Financial Time Series, 3rd ed., Wiley 2010, chapter 3; W. Brock,
J. Lakonishok, B. LeBaron, Simple technical trading rules, Journal of Finance 47 (1992), 1731-1764.
"""

import argparse

import numpy as np

YEAR = 252


def market(days, shares, rng):
    """Prices with gaps (NaN), one column a share."""
    shocks = rng.standard_normal(days)
    variance = np.empty(days)
    variance[0] = 1e-4
    for day in range(1, days):  # GARCH(1, 1)
        variance[day] = 2e-6 + variance[day - 1] * (0.08 * shocks[day - 1] ** 2 + 0.9)
    factor = np.sqrt(variance) * shocks
    betas = rng.uniform(0.5, 1.5, shares)
    own = rng.normal(0.0002, 0.012, (days, shares))
    prices = rng.uniform(20.0, 200.0, shares) * np.exp(np.cumsum(factor[:, np.newaxis] * betas + own, axis=0))
    gaps = rng.random(prices.shape) < 0.01
    gaps[0] = False
    prices[gaps] = np.nan
    return prices


def filled(prices):
    """Prices with each gap filled by the last known price."""
    days = np.arange(len(prices))[:, np.newaxis]
    known = np.maximum.accumulate(np.where(np.isnan(prices), 0, days), axis=0)
    return np.take_along_axis(prices, known, axis=0)


def rolling_mean(values, window):
    """Means of the last `window` rows, from the first full window on."""
    sums = np.cumsum(values, axis=0)
    sums[window:] -= sums[:-window].copy()
    return sums[window - 1 :] / window


def rolling_scores(values, window):
    """How many standard deviations each value lies above the mean of its window, at most 4."""
    windows = np.lib.stride_tricks.sliding_window_view(values, window, axis=0)
    means, deviations = windows.mean(axis=-1), windows.std(axis=-1)
    return np.clip((values[window - 1 :] - means) / np.maximum(deviations, 1e-12), -4.0, 4.0)


def judged(positions, returns):
    """Wealth, Sharpe ratio and deepest drawdown of positions held from one day to the next."""
    daily = (positions[:-1] * returns[1:]).mean(axis=1)
    wealth = np.cumprod(1.0 + daily)
    drawdown = 1.0 - wealth / np.maximum.accumulate(wealth)
    return wealth, np.sqrt(YEAR) * daily.mean() / daily.std(), drawdown.max()


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=2520, help="days")
    parser.add_argument("--size", type=int, default=500, help="shares")
    options = parser.parse_args(arguments)

    short, long, window = 20, 100, 20
    quoted = market(options.steps, options.size, np.random.default_rng(1992))
    missing = np.isnan(quoted)
    prices = filled(quoted)
    returns = np.zeros_like(prices)
    returns[1:] = prices[1:] / prices[:-1] - 1.0

    fast, slow = rolling_mean(prices, short)[long - short :], rolling_mean(prices, long)
    trend = np.where(fast > slow * 1.001, 1.0, np.where(fast < slow * 0.999, -1.0, 0.0))
    crossings = np.count_nonzero(np.diff(np.sign(fast - slow), axis=0), axis=0)
    scores = rolling_scores(np.log(prices), window)[long - window :]
    reversion = np.where(np.abs(scores) > 1.5, -np.sign(scores), 0.0)
    late = returns[long - 1 :]

    print(f"{options.steps} days, {options.size} shares, {missing.sum()} gaps filled")
    print(f"volatility {np.sqrt(YEAR) * returns[~missing].std():.9f} a year,", end=" ")
    print(f"worst day {returns.min():.9f}, {np.mean(np.abs(returns) > 0.05):.3%} of days beyond 5 %")
    print(f"crossings a share: median {np.median(crossings):.1f}, at most {crossings.max()}")
    for name, positions in (("hold", np.ones_like(trend)), ("trend", trend), ("reversion", reversion)):
        wealth, sharpe, drawdown = judged(positions, late)
        print(f"{name:9} wealth {wealth[-1]:.8f}, Sharpe ratio {sharpe: .7f}, drawdown {drawdown:.7f}")
    print(
        f"digest {np.nansum(quoted):.4f} {np.linalg.norm(scores):.6f} {trend.sum():.0f} {reversion.sum():.0f}"
    )


if __name__ == "__main__":
    main()
