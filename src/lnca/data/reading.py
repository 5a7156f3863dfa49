"""Reading many pictures of a folder: all that are broken are named at once, or left out where that is asked for."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from ..errors import LncaError
from ..images.eight_bit import look_into

T = TypeVar("T")
LISTED = 20


class Unreadable(LncaError):
    """Pictures that cannot be read.

    Args:
        problems: one sentence each.
    """

    def __init__(self, problems: Sequence[str]):
        self.problems = list(dict.fromkeys(problems))
        count = len(self.problems)
        which = "1 picture cannot be read" if count == 1 else f"{count} pictures cannot be read"
        super().__init__(f"{which}; mend this, or go on without with --skip-broken:\n{listing(self.problems)}")


def listing(problems: Sequence[str], most: int = LISTED) -> str:
    """Problems as one indented list."""
    shown = ["  " + problem.replace("\n", "\n    ") for problem in problems[:most]]
    return "\n".join(shown + ([f"  ... and {len(problems) - most} more"] if len(problems) > most else []))


def pictures_in(folder: Path, skip_broken: bool) -> tuple[list[Path], list[str]]:
    """Pictures in a folder and those below it, sorted by name, and what was left out, one sentence each.

    Args:
        skip_broken: go on where something cannot be looked at.

    Raises:
        Unreadable: something cannot be looked at.
        LncaError: no folder, or no picture in it.
    """
    paths, failed, others = sorted_out(folder)
    if failed and not skip_broken:
        raise Unreadable(failed)
    return paths, [*failed, *others]


def sorted_out(folder: Path) -> tuple[list[Path], list[str], list[str]]:
    """Pictures in a folder and those below it, sorted by name, what cannot be looked at, and what is no picture.

    Raises:
        LncaError: no folder, or no picture in it.
    """
    found = look_into(folder)
    failed = [f"{each.file} {each.reason}" for each in found.left if each.failed]
    return found.pictures, failed, [f"{each.file} is left out: {each.reason}" for each in found.left if not each.failed]


def read_all(paths: Iterable[Path], read: Callable[[Path], T], skip_broken: bool) -> tuple[list[T], list[str]]:
    """What is read of each file, and what is wrong with those that cannot be.

    Raises:
        Unreadable: some cannot be read, and they are not to be skipped; it names all of them.
    """
    done: list[T] = []
    problems: list[str] = []
    for path in paths:
        try:
            done.append(read(path))
        except LncaError as error:
            problems.append(str(error))
    if problems and not skip_broken:
        raise Unreadable(problems)
    return done, problems
