"""Many points on many cores: units of work, executors, and the store that loses nothing."""
