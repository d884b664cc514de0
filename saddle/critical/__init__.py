"""Where something begins or ends: capacities, transitions, overlap gaps, flat minima, and their diagrams."""
