"""Prices of options by Monte Carlo simulation, with antithetic variates.

The price of a share follows a geometric Brownian motion. A European call, whose price is known in
closed form (Black and Scholes), checks the simulation and serves as control variate for an Asian call,
which pays by the mean price, and a barrier call, which is void once the price has fallen too low.

Source: P. Glasserman, Monte Carlo Methods in Financial Engineering, Springer 2003, chapters 3 and 4.
"""

import argparse
import math

import numpy as np

SPOT, STRIKE, BARRIER = 100.0, 105.0, 85.0
RATE, VOLATILITY, YEARS = 0.03, 0.25, 1.0
DATES = 50


def black_scholes():
    """The European call's price."""
    spread = VOLATILITY * math.sqrt(YEARS)
    d1 = (math.log(SPOT / STRIKE) + (RATE + 0.5 * VOLATILITY**2) * YEARS) / spread
    first, second = (0.5 * (1.0 + math.erf(d / math.sqrt(2.0))) for d in (d1, d1 - spread))
    return SPOT * first - STRIKE * math.exp(-RATE * YEARS) * second


def payoffs(normals):
    """Discounted payoffs (European, Asian, barrier) of paths driven by the given normal numbers."""
    dt = YEARS / DATES
    steps = (RATE - 0.5 * VOLATILITY**2) * dt + VOLATILITY * math.sqrt(dt) * normals
    prices = SPOT * np.exp(np.cumsum(steps, axis=1))
    last = np.maximum(prices[:, -1] - STRIKE, 0.0)
    asian = np.maximum(prices.mean(axis=1) - STRIKE, 0.0)
    barrier = np.where(prices.min(axis=1) > BARRIER, last, 0.0)
    return math.exp(-RATE * YEARS) * np.stack((last, asian, barrier))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=400000, help="pairs of paths")
    options = parser.parse_args(arguments)

    rng = np.random.default_rng(1973)
    batch = 10000
    pairs = []
    for start in range(0, options.size, batch):
        normals = rng.standard_normal((min(batch, options.size - start), DATES))
        pairs.append(0.5 * (payoffs(normals) + payoffs(-normals)))
    values = np.concatenate(pairs, axis=1)

    exact = black_scholes()
    prices = values.mean(axis=1)
    errors = values.std(axis=1, ddof=1) / math.sqrt(options.size)
    covariance = np.cov(values)
    factors = covariance[:, 0] / covariance[0, 0]
    better = prices - factors * (prices[0] - exact)

    print(f"{options.size} pairs of paths with {DATES} dates")
    print(f"European call {prices[0]:.9f} +- {errors[0]:.6f}, Black-Scholes {exact:.9f}")
    for name, price, error, controlled in zip(
        ("Asian", "barrier"), prices[1:], errors[1:], better[1:], strict=True
    ):
        print(f"{name:7} call  {price:.9f} +- {error:.6f}, with control variate {controlled:.9f}")
    print(
        f"correlation with the European call {np.corrcoef(values)[0, 1]:.9f} {np.corrcoef(values)[0, 2]:.9f}"
    )
    print(f"95 % quantiles {' '.join(f'{q:.8f}' for q in np.quantile(values, 0.95, axis=1))}")
    print(f"digest {values.sum():.5f} {np.linalg.norm(values):.6f}")


if __name__ == "__main__":
    main()
