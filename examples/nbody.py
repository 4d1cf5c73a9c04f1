"""The outer solar system for centuries: gravitation among few bodies in many small steps.

The sun and the four giant planets are integrated with the leapfrog scheme (kick, drift, kick), which
keeps the energy bounded for ever. The arrays are tiny, five bodies by three coordinates, so the time
goes into calling functions rather than into arithmetic.

Source: E. Hairer, C. Lubich, G. Wanner, Geometric Numerical Integration, Springer 2006, section
I.2.4, from which come the masses and the state of September 5, 1994 (astronomical units, days).
"""

import argparse

import numpy as np

G = 2.95912208286e-4
NAMES = ("sun", "Jupiter", "Saturn", "Uranus", "Neptune")
MASSES = np.array(
    [1.00000597682, 0.000954786104043, 0.000285583733151, 0.0000437273164546, 0.0000517759138449]
)
POSITIONS = np.array(
    [
        [0.0, 0.0, 0.0],
        [-3.5023653, -3.8169847, -1.5507963],
        [9.0755314, -3.0458353, -1.6483708],
        [8.3101420, -16.2901086, -7.2521278],
        [11.4707666, -25.7294829, -10.8169456],
    ]
)
VELOCITIES = np.array(
    [
        [0.0, 0.0, 0.0],
        [0.00565429, -0.00412490, -0.00190589],
        [0.00168318, 0.00483525, 0.00192462],
        [0.00354178, 0.00137102, 0.00055029],
        [0.00288930, 0.00114527, 0.00039677],
    ]
)
APART = 1.0 - np.eye(len(MASSES))  # 0 where a body meets itself


def accelerations(positions):
    """The pull of all bodies on each."""
    apart = positions[np.newaxis, :, :] - positions[:, np.newaxis, :]
    squares = (apart * apart).sum(axis=2) + np.eye(len(positions))
    weights = APART * MASSES / (squares * np.sqrt(squares))
    return G * (weights[:, :, np.newaxis] * apart).sum(axis=1)


def energy(positions, velocities):
    """Kinetic plus potential energy."""
    first, second = np.triu_indices(len(MASSES), k=1)
    distances = np.linalg.norm(positions[first] - positions[second], axis=1)
    kinetic = 0.5 * (MASSES * (velocities * velocities).sum(axis=1)).sum()
    return kinetic - G * (MASSES[first] * MASSES[second] / distances).sum()


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=80000, help="steps in time, of 10 days")
    options = parser.parse_args(arguments)

    dt = 10.0
    positions, velocities = POSITIONS.copy(), VELOCITIES.copy()
    velocities -= (MASSES[:, np.newaxis] * velocities).sum(axis=0) / MASSES.sum()
    start = energy(positions, velocities)
    momentum = (MASSES[:, np.newaxis] * np.cross(positions, velocities)).sum(axis=0)
    nearest = np.full(len(MASSES), np.inf)
    pull = accelerations(positions)
    for _ in range(options.steps):
        velocities += 0.5 * dt * pull
        positions += dt * velocities
        pull = accelerations(positions)
        velocities += 0.5 * dt * pull
        from_sun = positions - positions[0]
        nearest = np.minimum(nearest, (from_sun * from_sun).sum(axis=1))
    drift = abs(energy(positions, velocities) / start - 1.0)
    turned = (MASSES[:, np.newaxis] * np.cross(positions, velocities)).sum(axis=0)

    print(f"{options.steps} steps of {dt:g} days: {options.steps * dt / 365.25:.1f} years")
    for name, place, perihelion in zip(NAMES[1:], positions[1:], np.sqrt(nearest[1:]), strict=True):
        print(f"{name:8} at {place[0]:12.6f} {place[1]:12.6f} {place[2]:12.6f}, nearest {perihelion:.6f} au")
    print(f"energy {start:.10e}, off by {drift:.2e} of it")
    print(f"angular momentum kept to 1e-10: {np.allclose(turned, momentum, rtol=1e-10, atol=0.0)}")
    print(f"digest {np.abs(positions).sum():.7f} {np.linalg.norm(velocities):.9f}")


if __name__ == "__main__":
    main()
