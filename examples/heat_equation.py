"""Heat spreading in a plate: the two-dimensional diffusion equation, solved explicitly.

The plate is a unit square whose rim is kept at temperature 0. The scheme takes forward steps in time
and central differences in space (FTCS), stable while ``alpha dt / h^2 <= 1/4``. One start is the
slowest mode of the plate, whose decay is known exactly and checks the solver; the other is a hot
square that cools.

Source: R. J. LeVeque, Finite Difference Methods for Ordinary and Partial Differential Equations,
SIAM 2007, chapter 9.
"""

import argparse

import numpy as np


def diffuse(u, number, steps):
    """Advance `u` in place; `number` is ``alpha dt / h^2``."""
    middle = u[1:-1, 1:-1]
    change = np.empty_like(middle)
    for _ in range(steps):
        np.add(u[:-2, 1:-1], u[2:, 1:-1], out=change)
        change += u[1:-1, :-2]
        change += u[1:-1, 2:]
        change -= 4.0 * middle
        change *= number
        middle += change


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=257, help="grid points along a side")
    parser.add_argument("--steps", type=int, default=5000, help="steps in time")
    options = parser.parse_args(arguments)

    n, steps = options.size, options.steps
    h = 1.0 / (n - 1)
    number = 0.2
    time = steps * number * h**2  # with alpha = 1
    x, y = np.meshgrid(np.linspace(0.0, 1.0, n), np.linspace(0.0, 1.0, n), indexing="ij")

    mode = np.sin(np.pi * x) * np.sin(np.pi * y)
    exact = mode * np.exp(-2.0 * np.pi**2 * time)
    diffuse(mode, number, steps // 2)
    diffuse(mode, number, steps - steps // 2)
    error = np.abs(mode - exact).max() / exact.max()

    plate = np.where((np.abs(x - 0.5) < 0.2) & (np.abs(y - 0.4) < 0.15), 100.0, 0.0)
    heat = plate.sum() * h**2
    diffuse(plate, number, steps)
    left = plate.sum() * h**2
    hottest = np.unravel_index(plate.argmax(), plate.shape)

    print(f"grid {n} x {n}, {steps} steps, time {time:.6f}")
    print(f"slowest mode: amplitude {mode.max():.9f}, relative error {error:.3e}")
    print(f"hot square:   heat {heat:.6f} -> {left:.9f}, hottest point {hottest[0]}, {hottest[1]}")
    print(f"              maximum {plate.max():.9f}, mean {plate.mean():.9f}")
    print(f"digest {np.linalg.norm(mode):.9f} {np.linalg.norm(plate):.9f}")


if __name__ == "__main__":
    main()
