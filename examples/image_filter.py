"""Finding the bright spots of a noisy picture: classical filters written with shifted slices.

A synthetic micrograph (spots, a slanted background, noise and dead pixels) is cleaned with a 3 x 3
median, smoothed with a binomial blur, its edges are found with Sobel's operator, and Otsu's threshold
separates spots from background; an opening (minimum, then maximum) removes single pixels.

Sources: R. C. Gonzalez and R. E. Woods, Digital Image Processing, 4th ed., Pearson 2018, chapters 3,
9 and 10; the median's exchanges are A. W. Paeth's, Graphics Gems, Academic Press 1990, 171-175.
"""

import argparse

import numpy as np

# Exchanges that bring the median of nine values to place 4.
EXCHANGES = (
    *((1, 2), (4, 5), (7, 8), (0, 1), (3, 4), (6, 7), (1, 2), (4, 5), (7, 8)),
    *((0, 3), (5, 8), (4, 7), (3, 6), (1, 4), (2, 5), (4, 7), (4, 2), (6, 4), (4, 2)),
)


def shifts(picture):
    """The nine neighbourhood views of a picture whose rim is repeated outwards."""
    padded = np.pad(picture, 1, mode="edge")
    n, m = picture.shape
    return [padded[i : i + n, j : j + m] for i in range(3) for j in range(3)]


def median(picture):
    """3 x 3 median."""
    values = shifts(picture)
    for i, j in EXCHANGES:
        values[i], values[j] = np.minimum(values[i], values[j]), np.maximum(values[i], values[j])
    return values[4]


def blur(picture):
    """5 x 5 binomial blur, first along one axis, then along the other."""
    for _ in range(2):
        padded = np.pad(picture, ((2, 2), (0, 0)), mode="reflect")
        blurred = padded[:-4] + padded[4:]
        blurred += 4.0 * (padded[1:-3] + padded[3:-1])
        blurred += 6.0 * padded[2:-2]
        picture = (blurred / 16.0).T
    return picture


def sobel(picture):
    """Size of the gradient."""
    nw, n, ne, w, _, e, sw, s, se = shifts(picture)
    along = (ne + 2.0 * e + se) - (nw + 2.0 * w + sw)
    across = (sw + 2.0 * s + se) - (nw + 2.0 * n + ne)
    return np.sqrt(along**2 + across**2) / 8.0


def otsu(picture):
    """The threshold that separates the grey levels best into two classes."""
    counts, edges = np.histogram(picture, bins=256, range=(0.0, 1.0))
    levels = 0.5 * (edges[:-1] + edges[1:])
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    first = np.cumsum(counts * levels)
    gap = first[:-1] / np.maximum(below, 1) - (first[-1] - first[:-1]) / np.maximum(above, 1)
    return edges[1 + np.argmax(below * above * gap**2)]


def opened(mask):
    """The mask without what is smaller than 3 x 3 pixels."""
    eroded = np.logical_and.reduce(shifts(mask))
    return np.logical_or.reduce(shifts(eroded))


def micrograph(n, rng):
    """A picture of n x n pixels with grey levels from 0 to 1, in steps of 1/255."""
    y, x = np.mgrid[0:n, 0:n] / n
    picture = 0.15 + 0.1 * x + 0.05 * y
    for cy, cx, size in rng.uniform((0.05, 0.05, 0.01), (0.95, 0.95, 0.03), (40, 3)):
        picture += 0.6 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2.0 * size**2))
    picture += rng.normal(0.0, 0.03, picture.shape)
    picture[rng.random(picture.shape) < 0.01] = 1.0
    return np.floor(np.clip(picture, 0.0, 1.0) * 255.0 + 0.5) / 255.0


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=1440, help="pixels along a side")
    options = parser.parse_args(arguments)

    raw = micrograph(options.size, np.random.default_rng(1979))
    clean = blur(median(raw))
    edges = sobel(clean)
    threshold = otsu(clean)
    spots = opened(clean > threshold)
    contour = spots & ~np.logical_and.reduce(shifts(spots))
    stretched = np.clip((clean - 0.1) / 0.8, 0.0, 1.0)
    marked = np.where(contour, 1.0, np.where(spots, stretched, 0.5 * stretched))

    print(f"{raw.shape[0]} x {raw.shape[1]} pixels, {np.count_nonzero(raw == 1.0)} saturated")
    print(f"noise (mean step to the next pixel): {np.abs(np.diff(raw)).mean():.9f}", end=" -> ")
    print(f"{np.abs(np.diff(clean)).mean():.9f}")
    print(f"threshold {threshold:.6f}: {spots.mean():.3%} bright, {contour.sum()} pixels of contour")
    print(f"brightness {clean[spots].mean():.9f} in spots, {clean[~spots].mean():.9f} elsewhere")
    print(f"steepest edge {edges.max():.9f}, mean edge on contours {edges[contour].mean():.9f}")
    print(f"digest {clean.sum():.6f} {edges.sum():.6f} {marked.sum():.6f}")


if __name__ == "__main__":
    main()
