"""A derivation in print: steps, notation, line breaks, LaTeX and text."""
