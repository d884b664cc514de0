"""Results made by hand, for tests of what is done with results."""

from __future__ import annotations

import math

from saddle.points.results import Iteration, SaddlePoint, Status, Threshold

NAN = math.nan


def rs_point(
    kappa: float = 0.0,
    free_entropy: float = 0.25,
    *,
    alpha: float = 0.5,
    status: Status = Status.CONVERGED,
    stable: bool | None = True,
    error: float = 1e-13,
) -> SaddlePoint:
    value = status.has_value
    return SaddlePoint(
        model="binary-perceptron",
        ansatz="rs",
        parameters={"alpha": alpha, "kappa": kappa},
        order_parameters={"q": 0.1 + 0.2, "qhat": 0.5} if value else {"q": NAN, "qhat": NAN},
        free_entropy=free_entropy if value else NAN,
        residual=1e-14 if value else 0.3,
        quadrature_error=1e-15 if value else NAN,
        error=error if value else NAN,
        status=status,
        message="Converged." if value else "The residuals stall.",
        iterations=(Iteration(0, 0.5, 1.0, "newton"), Iteration(1, 0.3, 0.5, "newton")),
        observables={"overlap": 0.3, "distance": 0.35, "replicon": 0.4, "stable": stable if value else None},
        kernel="k1",
        rule="sinh h=0.15",
        tolerance=1e-12,
    )


def fp_point(distance: float, free_entropy: float = 0.1, *, reference_kappa: float = 0.2) -> SaddlePoint:
    return SaddlePoint(
        model="binary-perceptron",
        ansatz="franz-parisi",
        parameters={"alpha": 0.5, "kappa": 0.0, "reference_kappa": reference_kappa, "distance": distance},
        order_parameters=dict.fromkeys(("q", "qhat", "t", "that", "p", "phat", "qr", "qrhat"), 0.5),
        free_entropy=free_entropy,
        residual=1e-14,
        quadrature_error=1e-15,
        error=1e-12,
        status=Status.CONVERGED if free_entropy >= 0 else Status.NEGATIVE_ENTROPY,
        message="Converged.",
        observables={"slope": 1.0, "bound": 0.4},
        kernel="k2",
        rule="sinh h=0.15",
        tolerance=1e-12,
    )


def capacity(kappa: float = 0.0, value: float = 0.833, warnings: tuple[str, ...] = ()) -> Threshold:
    return Threshold(
        name="capacity",
        model="binary-perceptron",
        ansatz="rs",
        parameters={"kappa": kappa},
        value=value,
        error=1e-12,
        residual=1e-14,
        quadrature_error=1e-15,
        order_parameters={"q": 0.56, "qhat": 2.6},
        status=Status.CONVERGED,
        message="The entropy vanishes.",
        warnings=warnings,
        kernel="k1",
        rule="sinh h=0.15",
        tolerance=1e-12,
    )
