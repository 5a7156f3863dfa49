"""Errors a user can act on."""


class LncaError(Exception):
    """A sentence that says what is wrong and what to do; the command line prints it and exits with status 2."""
