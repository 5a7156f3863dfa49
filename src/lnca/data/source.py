"""Interface of the readers of data sets: samples (pictures or pairs), and problems with the files."""

import io
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from ..corruption import Task
from ..errors import LncaError
from ..images.eight_bit import SUFFIXES, decode_picture, open_rgb

# Largest size in bytes of a picture in an archive after unpacking.
MEMBER_LIMIT = 256 * 10**6


class Picture(Protocol):
    """A picture that is read when it is needed; small and picklable, so that it can be sent to a worker."""

    def read(self) -> np.ndarray:
        """uint8 (H, W, 3); raises `LncaError` with the name of the file if it cannot be read."""


@dataclass(frozen=True)
class FilePicture:
    """A picture file."""

    path: Path

    def read(self) -> np.ndarray:
        return np.asarray(open_rgb(self.path))


@dataclass(frozen=True)
class ZipPicture:
    """A picture file inside a zip archive, which is never unpacked."""

    archive: Path
    member: str

    def read(self) -> np.ndarray:
        name = f"{self.archive}:{self.member}"
        try:
            archive = open_archive(self.archive)
            size = archive.getinfo(self.member).file_size
            # Unpacking never gives more bytes than the archive says here.
            content = archive.read(self.member) if size <= MEMBER_LIMIT else b""
        # Decompressors raise exceptions of any kind for a damaged archive.
        except Exception as error:
            raise LncaError(f"{name} cannot be read ({error}); get a whole copy of the archive") from error
        if size > MEMBER_LIMIT:
            raise LncaError(f"{name} has {size / 1e6:.0f} MB unpacked and the limit is {MEMBER_LIMIT / 1e6:.0f} MB")
        return np.asarray(decode_picture(io.BytesIO(content), name).convert("RGB"))


@lru_cache(4)
def open_archive(path: Path) -> zipfile.ZipFile:
    """A zip archive, kept open; raises `OSError` or `zipfile.BadZipFile`."""
    return zipfile.ZipFile(path)


@dataclass(frozen=True)
class Sample:
    """A clean picture, and its corrupted version if the set has one.

    Args:
        name: unique name in the set.
        group: pictures of one group (a scene, a film) never lie in different splits.
    """

    name: str
    group: str
    clean: Picture
    corrupted: Picture | None = None


@dataclass
class Found:
    """Result of a reader: samples in a fixed order; problems and other files, one sentence each; a note on the samples
    that belongs beside every score."""

    samples: list[Sample] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    note: str = ""


def archived(path: Path, suffix: str, found: Found) -> list[str]:
    """Names of the files in a zip archive that end in `suffix`, sorted; names that lead out of it become problems.

    Raises:
        OSError, zipfile.BadZipFile: the archive cannot be read.
    """
    names = sorted(name for name in open_archive(path).namelist() if name.lower().endswith(suffix))
    kept = [name for name in names if is_below(name)]
    found.problems += [
        f"{path}: {name!r} leads out of the archive; it is left out" for name in names if name not in kept
    ]
    return kept


def is_below(name: str) -> bool:
    """Whether a name from an archive or a list, with / between its parts, stays inside the folder."""
    parts = name.replace("\\", "/").split("/")
    return not name.startswith(("/", "\\")) and ".." not in parts and ":" not in parts[0]


@dataclass(frozen=True)
class About:
    """How to get a data set.

    Args:
        title: its name.
        home: where it is published.
        licence: its terms.
        size: pictures and bytes.
        tree: the expected files below ROOT.
        checksums: checksums of the archives, if they are published.
    """

    title: str
    home: str
    licence: str
    size: str
    tree: str
    checksums: str = "none published"


@dataclass(frozen=True)
class DataSet:
    """The reader of a data set.

    Args:
        name: its name in `lnca data`.
        about: how to get it.
        scan: returns samples and problems of a root folder; reads names, not pictures.
        task: the corruption of the pairs; None for clean pictures and pairs of any kind.
        side: side of the squares the pictures are cut into before shrinking, in pixels; None shrinks whole pictures.
    """

    name: str
    about: About
    scan: Callable[[Path], Found]
    task: Task | None = None
    side: int | None = None


def missing(about: About, path: Path, what: str) -> Found:
    """The result if the tree does not exist at all."""
    return Found(problems=[f"{path} {what}; get {about.title} from {about.home}; expected below ROOT:\n{about.tree}"])


def below(root: Path, *names: str) -> Path | None:
    """`root` itself if it has one of the names, else the first of them inside it; None if there is none."""
    if root.name in names and root.is_dir():
        return root
    return next((root / name for name in names if (root / name).is_dir()), None)


def folders(path: Path) -> list[Path]:
    """Folders in a folder, sorted."""
    return sorted(entry for entry in path.iterdir() if entry.is_dir()) if path.is_dir() else []


def pictures(path: Path, suffixes: Iterable[str] = SUFFIXES) -> list[Path]:
    """Picture files in a folder (not in subfolders), sorted."""
    wanted = tuple(suffixes)
    if not path.is_dir():
        return []
    return sorted(p for p in path.iterdir() if p.suffix.lower() in wanted and p.is_file() and p.name[0] != ".")


def matched(
    clean: Iterable[Path],
    corrupted: Iterable[Path],
    key: Callable[[Path], str],
    found: Found,
    kinds: tuple[str, str] = ("clean", "corrupted"),
) -> Iterator[tuple[str, Path, Path]]:
    """Pairs files with equal keys; the others become problems."""
    first, second = {key(path): path for path in clean}, {key(path): path for path in corrupted}
    for name in sorted(first.keys() | second.keys()):
        if name not in second:
            found.problems.append(f"{first[name]} has no {kinds[1]} partner")
        elif name not in first:
            found.problems.append(f"{second[name]} has no {kinds[0]} partner")
        else:
            yield name, first[name], second[name]
