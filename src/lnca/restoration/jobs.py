"""Plans which pictures to restore, and the output of each."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ..errors import LncaError
from ..files import opened
from ..images.finding import Found, LeftOut, chosen, find, format_at, is_ours
from ..images.formats import BY_NAME, FORMATS, READ_SUFFIXES, other_kind

# Suffix of the output for formats that are only read.
READ_ONLY_AS = ".tif"
# Names of films end so; `film` restores them.
FILM_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")
SIGNS = "*?["


@dataclass(frozen=True)
class Job:
    """A picture file to restore, and its output; `root` is the file or folder that the user named."""

    source: Path
    output: Path
    root: Path


class Planned(NamedTuple):
    """The jobs, the number of pictures that are already done, whether the user named one file, the folder of all
    outputs if there is one, and the files that are left out."""

    jobs: list[Job]
    done: int
    single: bool
    folder: Path | None
    left: list[LeftOut]


@dataclass
class _Named:
    """The files and folders that the sources name, whether a pattern is among them, and what patterns leave out."""

    paths: list[Path] = field(default_factory=list)
    pattern: bool = False
    left: list[LeftOut] = field(default_factory=list)


def is_film(path: Path) -> bool:
    """Whether a file's name is that of a film."""
    return path.suffix.lower() in FILM_SUFFIXES


def plan(sources: list[Path], output: Path | str | None, overwrite: bool) -> Planned:
    """One job for each picture. The outputs of a folder have the same tree.

    Args:
        sources: picture files, folders, and patterns such as photos/*.jpg if no file has that name.
        output: a file for one picture; a folder, which need not exist, for several pictures, for a pattern, or if it
            ends in a slash; None means each source with "-restored" added to its name.
        overwrite: restore pictures again that are already done.

    Raises:
        LncaError: there are no pictures, two would have the same output, the format of an output is unknown, or the
            output of a single picture exists.
    """
    named = _named(sources)
    several = len(named.paths) > 1
    single = not several and not named.pattern and not named.paths[0].is_dir()
    into = _is_folder(output, several or named.paths[0].is_dir(), named.pattern)
    output = None if output is None else Path(output)
    if output is not None and into:
        for path in (output, *output.parents):
            if path.is_file():
                raise LncaError(f"{path} is a file; give a folder for the pictures of {sources[0]}")
    jobs: list[Job] = []
    left = list(named.left)
    for path in named.paths:
        if path.is_dir():
            base = _beside(path) if output is None else output
            base = base / path.resolve().name if several and output is not None else base
            found = _outside(find(path, READ_SUFFIXES, BY_NAME), base if output is None else output)
            jobs += [Job(each, written_as(base / each.relative_to(path), each), base) for each in found.pictures]
            left += found.left
            continue
        try:
            jobs.append(_job(path, output, into))
        except LncaError as error:
            if single:
                raise
            left.append(LeftOut(str(path), str(error), failed=True))
    _check(jobs, sources[0], left)
    if single and jobs[0].output.exists() and not overwrite:
        raise LncaError(f"{jobs[0].output} exists; add --overwrite to replace it")
    undone = [job for job in jobs if overwrite or not job.output.exists()]
    folder = output if into else None
    if folder is None and not several and named.paths[0].is_dir():
        folder = jobs[0].root
    return Planned(undone, len(jobs) - len(undone), single, folder, left)


def _job(path: Path, output: Path | None, into: bool) -> Job:
    """The job of one file; its output lies beside it, in a folder, or where the user said."""
    if output is None:
        beside = written_as(_beside(path), path)
        return Job(path, beside, beside)
    return Job(path, written_as(output / path.name, path) if into else output, output)


def _check(jobs: list[Job], source: Path, left: list[LeftOut]) -> None:
    """Raises `LncaError` if there is nothing to do, an output has a wrong suffix, or two would have the same output."""
    if not jobs:
        others = f", but {len(left)} other things (the first: {left[0].file}, {left[0].reason})" if left else ""
        raise LncaError(f"{source} holds no picture outside the output{others}; looked for {', '.join(READ_SUFFIXES)}")
    seen: dict[Path, Path] = {}
    for job in jobs:
        if job.output.suffix.lower() not in FORMATS:
            folder = "" if job.output.suffix else f", or in a slash for a folder: {job.output}{os.sep}"
            raise LncaError(f"{job.output} should end in one of {', '.join(FORMATS)}{folder}")
        if seen.setdefault(job.output, job.source) != job.source:
            raise LncaError(f"{seen[job.output]} and {job.source} would both become {job.output}; restore them apart")


def _is_folder(output: Path | str | None, many: bool, pattern: bool) -> bool:
    """Whether the output is a folder, which need not exist."""
    if output is None:
        return False
    if many or str(output).endswith(("/", os.sep)) or Path(output).is_dir():
        return True
    return pattern and Path(output).suffix.lower() not in FORMATS


def _outside(found: Found, output: Path) -> Found:
    """The files that do not lie in the output, which may be a folder inside the source."""
    below = output.resolve()
    pictures = [path for path in found.pictures if not path.resolve().is_relative_to(below)]
    return Found(pictures, [each for each in found.left if not Path(each.file).absolute().is_relative_to(below)])


def _named(sources: list[Path]) -> _Named:
    """The files and folders that sources name; the matches of a pattern are treated like the files of a folder."""
    named = _Named()
    for source in sources:
        if source.exists():
            named.paths.append(source)
            continue
        if not any(sign in str(source) for sign in SIGNS):
            raise LncaError(f"{source} does not exist")
        matched = _matched(source)
        if not matched:
            raise LncaError(f"no file matches {source}")
        named.pattern = True
        for path in matched:
            left = None if path.is_dir() else chosen(path, READ_SUFFIXES, BY_NAME)
            if left is None:
                named.paths.append(path)
            else:
                named.left.append(left)
    if not named.paths:
        raise LncaError(f"{sources[0]} matches no picture; {named.left[0].file} is {named.left[0].reason}")
    return named


def _matched(pattern: Path) -> list[Path]:
    """The matches of a pattern, sorted; hidden files only match if the pattern names them, as in a shell."""
    given = (".", "..", *pattern.parts)
    dotted = any(part[0] == "." and any(sign in part for sign in SIGNS) for part in pattern.parts)

    def shown(path: Path) -> bool:
        hidden = any(part[0] == "." and part not in given for part in path.parts)
        return not is_ours(path.name) and (dotted or not hidden)

    found = Path(pattern.anchor or ".").glob(str(pattern.relative_to(pattern.anchor)))
    return sorted(path for path in found if shown(path))


def _beside(source: Path) -> Path:
    path = source if source.name else source.resolve()
    stem, suffix = (path.name, "") if source.is_dir() else (path.stem, path.suffix)
    return path.with_name(f"{stem}-restored{suffix}")


def written_as(path: Path, source: Path) -> Path:
    """The output for a picture whose name would give `path`: formats that are only read, such as raw files, become
    TIFF. If the name has no known suffix, the file's first bytes determine the format.

    Raises:
        LncaError: the source cannot be read, or is not a picture.
    """
    suffix = path.suffix.lower()
    if suffix in FORMATS:
        return path
    if suffix in READ_SUFFIXES:
        return path.with_suffix(READ_ONLY_AS)
    found = format_at(source)
    if found is None:
        raise LncaError(_unknown(source))
    return path.with_name(path.name + (READ_ONLY_AS if found.write is None else found.suffixes[0]))


def _unknown(source: Path) -> str:
    with opened(source) as file:
        other = other_kind(file)
    if other is not None:
        return f"{source} is {other}"
    return f"{source} is not a picture in a format that is known here; there are {', '.join(READ_SUFFIXES)}"
