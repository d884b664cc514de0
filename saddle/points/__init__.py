"""From a kernel to a saddle point: problem, coordinates, solver, and the result with its errors."""
