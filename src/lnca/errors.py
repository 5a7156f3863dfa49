"""Errors a user can act on."""


class LncaError(Exception):
    """A sentence that says what is wrong and what to do; the command line prints it and exits with status 2."""


class NotAPicture(LncaError):
    """What was given is no picture in a format that is known here."""


class TooLarge(LncaError):
    """A picture has more pixels than are allowed."""
