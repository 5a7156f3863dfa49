"""Faster implementations of the steps. `select` chooses one; tests check each against the plain rule."""
