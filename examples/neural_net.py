"""A small neural network learns to tell two rings apart: back-propagation by hand, in float32.

A perceptron with two hidden layers of tanh units is trained with stochastic gradient descent on the
cross entropy of its logistic output. The gradient is checked against finite differences first.

Source: I. Goodfellow, Y. Bengio, A. Courville, Deep Learning, MIT Press 2016, sections 6.5 and 8.3.
"""

import argparse
import itertools

import numpy as np

LAYERS = (2, 64, 64, 1)


def rings(count, rng):
    """Points on two noisy rings, and which ring each is from."""
    labels = rng.integers(2, size=count)
    radii = 0.6 + 0.9 * labels + rng.normal(0.0, 0.14, count)
    angles = rng.uniform(0.0, 2.0 * np.pi, count)
    points = np.stack((radii * np.cos(angles), radii * np.sin(angles)), axis=1)
    return points.astype(np.float32), labels.astype(np.float32)[:, np.newaxis]


def start(rng, dtype=np.float32):
    """Weights and biases of all layers, scaled as Glorot and Bengio advise."""
    return [
        (
            rng.normal(0.0, np.sqrt(2.0 / (inputs + outputs)), (inputs, outputs)).astype(dtype),
            np.zeros(outputs, dtype=dtype),
        )
        for inputs, outputs in itertools.pairwise(LAYERS)
    ]


def forward(network, inputs):
    """The values of all layers; the last is the logit."""
    values = [inputs]
    for weights, biases in network[:-1]:
        values.append(np.tanh(values[-1] @ weights + biases))
    weights, biases = network[-1]
    values.append(values[-1] @ weights + biases)
    return values


def loss(logits, labels):
    """Mean cross entropy, computed without overflow."""
    return (np.maximum(logits, 0) - logits * labels + np.log1p(np.exp(-np.abs(logits)))).mean()


def gradients(network, values, labels):
    """Derivatives of the loss by the weights and biases of all layers."""
    slope = 1 / (1 + np.exp(-np.clip(values[-1], -30, 30))) - labels
    slope /= len(labels)
    found = []
    for (weights, _), inputs in zip(reversed(network), reversed(values[:-1]), strict=True):
        found.append((inputs.T @ slope, slope.sum(axis=0)))
        slope = (slope @ weights.T) * (1 - inputs * inputs)
    return found[::-1]


def check(rng):
    """Largest deviation of back-propagation from finite differences, in float64."""
    network = start(rng, np.float64)
    points, labels = rng.normal(size=(16, 2)), rng.integers(2, size=(16, 1)).astype(float)
    found = gradients(network, forward(network, points), labels)
    worst = 0.0
    for (weights, _), (slopes, _) in zip(network, found, strict=True):
        for place in ((0, 0), (1, 0), (-1, -1)):
            kept, h = weights[place], 1e-5
            weights[place] = kept + h
            above = loss(forward(network, points)[-1], labels)
            weights[place] = kept - h
            below = loss(forward(network, points)[-1], labels)
            weights[place] = kept
            worst = max(worst, abs((above - below) / (2 * h) - slopes[place]))
    return worst


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=16000, help="points to learn from")
    parser.add_argument("--steps", type=int, default=60, help="passes over the points")
    options = parser.parse_args(arguments)

    rng = np.random.default_rng(1986)
    print(f"gradient as by finite differences: {check(rng) < 1e-8}")
    points, labels = rings(options.size, rng)
    tests, answers = rings(options.size // 4, rng)
    network = start(rng)
    rate, batch = np.float32(0.1), 50
    first = loss(forward(network, points)[-1], labels)
    for _ in range(options.steps):
        order = rng.permutation(len(points))
        for begin in range(0, len(points), batch):
            chosen = order[begin : begin + batch]
            values = forward(network, points[chosen])
            slopes = gradients(network, values, labels[chosen])
            for (weights, biases), (by_weights, by_biases) in zip(network, slopes, strict=True):
                weights -= rate * by_weights
                biases -= rate * by_biases
    logits = forward(network, tests)[-1]
    right = (logits > 0) == (answers > 0.5)

    parameters = sum(weights.size + biases.size for weights, biases in network)
    # Rounding in float32 depends on the order of sums; the digits shown do not.
    print(f"{options.size} points, {options.steps} passes, {parameters} parameters")
    print(f"loss before {first:.6f}, after {loss(logits, answers):.5f}")
    print(f"right on {np.count_nonzero(right)} of {len(tests)} new points; type {logits.dtype}")
    print("digest", *(f"{np.linalg.norm(weights):.3f}" for weights, _ in network))


if __name__ == "__main__":
    main()
