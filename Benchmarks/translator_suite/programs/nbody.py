"""Five bodies under gravity, step by step."""
from math import sqrt

bodies = [
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 39.47],
    [4.84, -1.16, -0.10, 0.606, 2.81, -0.02, 0.037],
    [8.34, 4.12, -0.40, -1.01, 1.82, 0.008, 0.011],
    [12.89, -15.11, -0.22, 1.08, 0.868, -0.01, 0.0017],
    [15.37, -25.9, 0.179, 0.979, 0.594, -0.034, 0.002],
]
pairs = [(a, b) for i, a in enumerate(bodies) for b in bodies[i + 1:]]


def advance(step, count):
    for _ in range(count):
        for a, b in pairs:
            dx, dy, dz = a[0] - b[0], a[1] - b[1], a[2] - b[2]
            square = dx * dx + dy * dy + dz * dz
            pull = step / (square * sqrt(square))
            one, two = b[6] * pull, a[6] * pull
            a[3] -= dx * one
            a[4] -= dy * one
            a[5] -= dz * one
            b[3] += dx * two
            b[4] += dy * two
            b[5] += dz * two
        for body in bodies:
            body[0] += step * body[3]
            body[1] += step * body[4]
            body[2] += step * body[5]


advance(0.01, 2500)
for body in bodies:
    print(" ".join(f"{value:.9f}" for value in body[:3]))
