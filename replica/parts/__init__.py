"""The parts of a model: weights, constraints, activations, a teacher, and how a user's own are found."""
