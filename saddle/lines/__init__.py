"""From a saddle point to lines of them: branches, folds and events, in one parameter and in two."""
