"""What :func:`saddle.check` compares a derivation with; one kind of comparison a module."""
