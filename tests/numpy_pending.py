"""Functions of the surface that have no row yet: who adds a row takes the name away.  The list shrinks to nothing."""

PENDING: list[str] = []
