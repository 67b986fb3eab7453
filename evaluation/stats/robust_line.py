"""Robust errors-in-variables line (York, Deming): the fit behind a common scale."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from plenary.preferences import FloatArray

BIWEIGHT, ROUNDS, MAD_TO_SD = 4.685, 50, 1.4826


class RobustLine(NamedTuple):
    """y = offset + slope * x for what did not move; weight [K] in 0..1: how much each one anchors.

    centre: weighted mean of x; height_sd, slope_sd: errors of the line's height there and its
    slope.
    """

    offset: float
    slope: float
    weight: FloatArray
    centre: float
    height_sd: float
    slope_sd: float

    def inverse(self, y: FloatArray) -> FloatArray:
        """Values [K] on the scale of x."""
        return (y - self.offset) / self.slope

    def error(self, y: FloatArray) -> FloatArray:
        """Standard error [K] that the line itself adds to `inverse`, in units of x."""
        away = self.inverse(y) - self.centre
        return np.hypot(self.height_sd, away * self.slope_sd) / self.slope


def _theil_sen(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    """Median slope and offset: a start that a third of moved outcomes cannot drag away."""
    i, j = np.triu_indices(len(x), 1)
    apart = np.abs(x[i] - x[j]) > 0
    slope = float(np.median((y[i] - y[j])[apart] / (x[i] - x[j])[apart])) if apart.any() else 1.0
    slope = slope if slope > 0 else float(y.std() / x.std())
    return float(np.median(y - slope * x)), slope


def _deming(
    x: FloatArray, y: FloatArray, x_sd: FloatArray, y_sd: FloatArray, slope: float, w: FloatArray
) -> RobustLine:
    """One weighted errors-in-variables update (York) from `slope`."""
    precision = w / (y_sd**2 + slope**2 * x_sd**2)
    total = precision.sum()
    u, v = x - precision @ x / total, y - precision @ y / total
    latent = (u * y_sd**2 + slope * v * x_sd**2) / (y_sd**2 + slope**2 * x_sd**2)
    slope = float((precision * latent) @ v / ((precision * latent) @ u))
    centre = float(precision @ x / total)
    errors = 1 / np.sqrt(total), 1 / np.sqrt(precision @ latent**2)
    offset = float(precision @ y / total) - slope * centre
    return RobustLine(offset, slope, w, centre, float(errors[0]), float(errors[1]))


def robust_line(x: FloatArray, y: FloatArray, x_sd: FloatArray, y_sd: FloatArray) -> RobustLine:
    """Errors-in-variables line through (x, y) [K] with redescending (biweight) weights.

    Residuals are judged by their own standard errors or, where those are too small, by their median
    spread.
    """
    offset, slope = _theil_sen(x, y)
    line = _deming(x, y, x_sd, y_sd, slope, np.ones(len(x)))
    for _ in range(ROUNDS):
        z = (y - offset - slope * x) / np.sqrt(y_sd**2 + slope**2 * x_sd**2)
        spread = max(1.0, MAD_TO_SD * float(np.median(np.abs(z))))
        weight = np.clip(1 - (z / (BIWEIGHT * spread)) ** 2, 0, None) ** 2
        line = _deming(x, y, x_sd, y_sd, slope, weight)
        done = abs(line.slope - slope) + abs(line.offset - offset) < 1e-8
        offset, slope = line.offset, line.slope
        if done or slope <= 0:
            break
    return line
