"""Picture files: what is in them, at their own depth, with all that goes with them. Imports no torch."""
