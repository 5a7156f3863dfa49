"""Reads many pictures of a folder; names all broken ones at once, or leaves them out."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from ..errors import LncaError
from ..images.eight_bit import look_into

T = TypeVar("T")
LISTED = 20


class Unreadable(LncaError):
    """Some pictures cannot be read.

    Args:
        problems: one sentence for each picture.
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
    """Pictures in a folder and its subfolders, sorted by name, and one sentence for each file that was left out.

    Args:
        skip_broken: leave out files and folders that cannot be opened.

    Raises:
        Unreadable: a file or folder cannot be opened.
        LncaError: the folder does not exist or has no picture.
    """
    paths, failed, others = sorted_out(folder)
    if failed and not skip_broken:
        raise Unreadable(failed)
    return paths, [*failed, *others]


def sorted_out(folder: Path) -> tuple[list[Path], list[str], list[str]]:
    """Pictures in a folder and its subfolders, sorted by name; files that cannot be opened; files that are not
    pictures.

    Raises:
        LncaError: the folder does not exist or has no picture.
    """
    found = look_into(folder)
    failed = [f"{each.file} {each.reason}" for each in found.left if each.failed]
    return found.pictures, failed, [f"{each.file} is left out: {each.reason}" for each in found.left if not each.failed]


def read_all(paths: Iterable[Path], read: Callable[[Path], T], skip_broken: bool) -> tuple[list[T], list[str]]:
    """The contents of the files, and one sentence for each file that cannot be read.

    Raises:
        Unreadable: some files cannot be read and `skip_broken` is false; it names all of them.
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
