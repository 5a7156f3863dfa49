"""Finds the pictures in a folder, and its other files; the first bytes of a file tell its format."""

import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import LncaError
from ..files import TEMPORARY, kind_of, opened
from .formats import TIFF, Format, format_of, other_kind

# Files that lnca writes beside the pictures of a folder.
MANIFEST = "lnca.jsonl"
OURS = re.compile(r"lnca(-\d{6})?\.jsonl")


@dataclass(frozen=True)
class LeftOut:
    """A file or folder that is left out.

    Args:
        file: its path or address.
        reason: why it is left out, a phrase.
        failed: whether it counts as a failure, because it should be restored but cannot be opened.
    """

    file: str
    reason: str
    failed: bool = False


@dataclass
class Found:
    """Picture files, sorted by name, and everything that is left out."""

    pictures: list[Path] = field(default_factory=list)
    left: list[LeftOut] = field(default_factory=list)


def is_ours(name: str) -> bool:
    """Whether lnca writes files with this name beside pictures."""
    return name.startswith(TEMPORARY) or OURS.fullmatch(name) is not None


def format_at(path: Path) -> Format | None:
    """The format of a file, by its content alone; raises `LncaError` if it cannot be read."""
    with opened(path) as file:
        return format_of(file, "", raw=False)


def find(folder: Path, suffixes: Collection[str], kinds: Collection[str]) -> Found:
    """Pictures in a folder and its subfolders.

    Hidden files and folders, whose names begin with a dot, are left out, and so are links to folders, which may lead
    anywhere.

    Args:
        suffixes: files with these suffixes are pictures, whatever their content.
        kinds: files of these formats are pictures under other names too; TIFF only without a suffix, since raw files
            of cameras begin like TIFF.
    """
    found = Found()
    for path, reason, failed in _walk(folder):
        if reason is None:
            reason, failed = _reason(path, suffixes, kinds)
        if reason is None:
            found.pictures.append(path)
        else:
            found.left.append(LeftOut(str(path), reason, failed))
    found.pictures.sort()
    found.left.sort(key=lambda left: left.file)
    return found


def chosen(path: Path, suffixes: Collection[str], kinds: Collection[str]) -> LeftOut | None:
    """The reason why `find` leaves a file out; None if it does not."""
    reason, failed = _reason(path, suffixes, kinds)
    return None if reason is None else LeftOut(str(path), reason, failed)


def _walk(folder: Path) -> Iterator[tuple[Path, str | None, bool]]:
    """Yields files, and for everything else the reason why it is left out and whether that is a failure."""
    try:
        with os.scandir(folder) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except OSError as error:
        yield folder, f"cannot be read: {error.strerror or error}", True
        return
    for entry in entries:
        path = folder / entry.name
        if is_ours(entry.name):
            continue
        if entry.name.startswith("."):
            yield path, "hidden", False
        elif entry.is_dir(follow_symlinks=False):
            yield from _walk(path)
        elif entry.is_symlink() and not os.path.exists(path):
            yield path, "a link to what is not there", True
        elif entry.is_symlink() and os.path.isdir(path):
            yield path, "a link to a folder; name it to have it restored", False
        elif not os.path.isfile(path):
            yield path, f"{kind_of(path)}, not a file", False
        else:
            yield path, None, False


def _reason(path: Path, suffixes: Collection[str], kinds: Collection[str]) -> tuple[str | None, bool]:
    suffix = path.suffix.lower()
    if suffix in suffixes:
        return None, False
    try:
        with opened(path) as file:
            found, other = format_of(file, "", raw=False), other_kind(file)
    except LncaError as error:
        return str(error), True
    if found is not None and found.name in kinds and (found is not TIFF or not suffix):
        return None, False
    named = found.name if found is not None else other and other.partition(";")[0]
    return "another kind of file" + (f" ({named})" if named else ""), False
