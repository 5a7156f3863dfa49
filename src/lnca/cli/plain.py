"""Makes text with arbitrary file names safe to print on a terminal."""


def plain(text: str) -> str:
    """The text in one line, with unprintable characters escaped, such as a newline in a file's name.

    The items of a list, which begin with a newline and two spaces, stay as they are.
    """
    return "\n  ".join("".join(map(_shown, line)) for line in text.split("\n  "))


def _shown(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
