"""Broken and hostile input, by Hypothesis: pictures, weight files, checkpoints, recipes and command lines.

Each input must give a result or one sentence (`LncaError`): no other exception, no file where none belongs, no
leftover, no hang, no memory beyond a limit. `targets` defines the tests, `__main__` runs large numbers of them.
"""
