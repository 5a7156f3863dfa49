"""Broken and hostile input, by Hypothesis: pictures, weight files, checkpoints, recipes and command lines.

What must come of each is a result or one sentence (`LncaError`): no other exception, no file where none belongs, no
leftover, no hang, no memory beyond a limit. `targets` says what is tried, `__main__` runs it to large figures.
"""
