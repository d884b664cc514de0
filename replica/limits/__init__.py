"""Limits taken by the engine: vanishing and infinite multiplicities, overlaps that reach 1."""
