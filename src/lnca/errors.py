"""Errors that a user can act on."""

# How to install PyTorch, which training and GPUs need.
HOW_TO_GET_TORCH = "pip install 'lnca[train]'"


class LncaError(Exception):
    """A sentence that says what is wrong and what to do; the command line prints it and exits with status 2."""


def in_short(error: BaseException, most: int = 200) -> str:
    """The message of an error in one line of at most `most` characters; its type if it has no message."""
    return " ".join(str(error).split())[:most] or type(error).__name__


class NotAPicture(LncaError):
    """The input is not a picture in a known format."""


class TooLarge(LncaError):
    """A picture has more pixels than are allowed."""
