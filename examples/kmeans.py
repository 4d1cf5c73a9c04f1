"""Clustering: Lloyd's k-means with k-means++ seeding.

Points from several Gaussian clouds are grouped by moving each centre to the mean of its points until
nothing changes. The best of several starts is kept. Distances come from a matrix product.

Sources: S. Lloyd, Least squares quantization in PCM, IEEE Trans. Inf. Theory 28 (1982), 129-137;
D. Arthur and S. Vassilvitskii, k-means++: the advantages of careful seeding, SODA 2007, 1027-1035.
"""

import argparse

import numpy as np


def squared_distances(points, centres):
    """Squared distances of all points to all centres."""
    cross = points @ centres.T
    lengths = (points * points).sum(axis=1)[:, np.newaxis] + (centres * centres).sum(axis=1)
    return np.maximum(lengths - 2.0 * cross, 0.0)


def seeds(points, k, rng):
    """First centres: points drawn with the square of their distance to the nearest one as weight."""
    chosen = [int(rng.integers(len(points)))]
    nearest = squared_distances(points, points[chosen])[:, 0]
    while len(chosen) < k:
        steps = np.cumsum(nearest)
        chosen.append(int(np.searchsorted(steps, rng.random() * steps[-1])))
        nearest = np.minimum(nearest, squared_distances(points, points[chosen[-1:]])[:, 0])
    return points[chosen]


def lloyd(points, centres, limit=100):
    """Centres, labels, the sum of squared distances and the number of rounds."""
    labels = np.full(len(points), -1)
    rounds = 0
    while rounds < limit:
        rounds += 1
        distances = squared_distances(points, centres)
        previous, labels = labels, distances.argmin(axis=1)
        if np.array_equal(previous, labels):
            break
        for j in range(len(centres)):
            members = points[labels == j]
            if len(members):
                centres[j] = members.mean(axis=0)
    return centres, labels, np.take_along_axis(distances, labels[:, np.newaxis], 1).sum(), rounds


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=50000, help="number of points")
    options = parser.parse_args(arguments)

    k, dimensions, starts = 8, 6, 6
    rng = np.random.default_rng(20070107)
    clouds = rng.uniform(-6.0, 6.0, (k, dimensions))
    truth = rng.integers(k, size=options.size)
    points = clouds[truth] + rng.normal(0.0, 1.3, (options.size, dimensions))
    points -= points.mean(axis=0)
    points /= points.std(axis=0)

    best = min((lloyd(points, seeds(points, k, rng)) for _ in range(starts)), key=lambda run: run[2])
    centres, labels, inertia, rounds = best
    order = np.lexsort(centres.T[::-1])
    sizes = np.bincount(labels, minlength=k)[order]
    table = np.zeros((k, k), dtype=int)
    np.add.at(table, (truth, labels), 1)

    print(f"{options.size} points, {k} clusters, best of {starts} starts after {rounds} rounds")
    print("sizes", *sizes)
    for centre in centres[order]:
        print("centre", *(f"{value: .8f}" for value in centre))
    print(f"explained variance {1.0 - inertia / (points * points).sum():.9f}")
    print(f"points in their cloud's main cluster: {table.max(axis=1).sum()}")
    print(f"digest {inertia:.6f} {np.linalg.norm(centres):.9f}")


if __name__ == "__main__":
    main()
