"""Text that can be shown on a terminal whatever names are in it."""


def plain(text: str) -> str:
    """The text in one line, with escapes in place of what is not printable, such as a newline in a file's name.

    The items of a list, which begin with a newline and two spaces, stay as they are.
    """
    return "\n  ".join("".join(map(_shown, line)) for line in text.split("\n  "))


def _shown(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
