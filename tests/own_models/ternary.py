"""Models that do not ship: weights -1, 0, 1, and a few levels with a prior."""

from replica import DiscreteWeights, Model


def ternary() -> Model:
    """Return the ternary perceptron: every level counts alike, and the norm is not fixed."""
    return Model("ternary-perceptron", DiscreteWeights((-1, 0, 1)), description="weights -1, 0, 1")


sparse = Model("sparse-perceptron", DiscreteWeights((-1, 0, 1), prior=(0.25, 0.5, 0.25)))
zero_one = Model("zero-one-perceptron", DiscreteWeights((0, 1)))
