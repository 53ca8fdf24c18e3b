#!/usr/bin/env python3
"""Prints backends/cpu/kernels/gelu_table.h: GELU's gate and GELU's derivative by cubic pieces.

Each piece goes through four Chebyshev points of its interval. Python's own library is enough:
    python3 backends/cpu/kernels/gelu_table.py > backends/cpu/kernels/gelu_table.h
"""
import math

PIECES = 32
WIDTH = 0.17
SHAPE = 4  # coefficients of a piece


def gate(x):
    return 1.0 / (1.0 + math.exp(-2.0 * math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def slope(x):
    inner = 2.0 * math.sqrt(2.0 / math.pi) * (1.0 + 3.0 * 0.044715 * x * x)
    return gate(x) + x * gate(x) * (1.0 - gate(x)) * inner


def through(points, values):
    """Newton's divided differences, turned into coefficients of powers."""
    steps = list(values)
    for k in range(1, len(points)):
        for i in range(len(points) - 1, k - 1, -1):
            steps[i] = (steps[i] - steps[i - 1]) / (points[i] - points[i - k])
    powers = [0.0] * len(points)
    for point, step in zip(reversed(points), reversed(steps)):
        powers = [step - powers[0] * point] + [
            powers[i - 1] - powers[i] * point for i in range(1, len(points))
        ]
    return powers


def pieces(function):
    points = [0.5 * math.cos(math.pi * (2 * i + 1) / (2 * SHAPE)) for i in range(SHAPE)]
    table = [through(points, [function((n + r) * WIDTH) - 0.5 for r in points]) for n in range(PIECES - 1)]
    return table + [[0.5, 0.0, 0.0, 0.0]]  # beyond: 1


def show(name, comment, function):
    table = pieces(function)
    print(f"\n/** {comment} */\nstatic const float {name}[{SHAPE}][{PIECES}] = {{")
    for power in range(SHAPE):
        row = ", ".join(f"{piece[power]:.9e}F" for piece in table)
        print(f"    {{{row}}},")
    print("};")


print("/* Made by backends/cpu/kernels/gelu_table.py: cubic pieces of GELU's gate and derivative, read by gelu_pieces.h. */")
print("#ifndef TTM_CPU_KERNELS_GELU_TABLE_H\n#define TTM_CPU_KERNELS_GELU_TABLE_H\n")
print(f"#define GELU_PIECES {PIECES}\n/** Width of a piece. */\n#define GELU_PIECE_WIDTH {WIDTH}F")
show("gelu_gate_pieces", "gelu(x)/x − 1/2 at x = (n + r)·width, |r| ≤ 1/2: [power of r][n]", gate)
show("gelu_slope_pieces", "gelu'(x) − 1/2, likewise.", slope)
print("\n#endif")
