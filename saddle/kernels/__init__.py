"""From a derived free entropy to compiled quadrature: source, special functions, Newton's method, modules on disk."""
