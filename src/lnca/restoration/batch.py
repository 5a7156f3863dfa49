"""Files in, files out: where each goes, and restoring them one after the other."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ..errors import LncaError
from .image_io import check_output, find_pictures, open_picture, save_picture


@dataclass(frozen=True)
class Job:
    """One picture file to restore, and where it goes; `root` is the file or folder the user named."""

    source: Path
    output: Path
    root: Path


def plan(source: Path, output: Path | None, overwrite: bool) -> list[Job]:
    """One job a picture. A folder's outputs form the same tree under `output`.

    Args:
        source: a picture file, or a folder with some.
        output: a file or folder; None for `source` with "-restored" added to its name.

    Raises:
        LncaError: no pictures, or an output that exists (unless `overwrite`) or has no picture format's suffix.
    """
    if not source.exists():
        raise LncaError(f"{source} does not exist")
    if output is None:
        named = source if source.name else source.resolve()
        stem, suffix = (named.name, "") if source.is_dir() else (named.stem, named.suffix)
        output = named.with_name(f"{stem}-restored{suffix}")
    if source.is_dir():
        if output.is_file():
            raise LncaError(f"{output} is a file; give a folder for the pictures of {source}")
        pictures = [path for path in find_pictures(source) if not path.is_relative_to(output)]
        jobs = [Job(path, output / path.relative_to(source), output) for path in pictures]
        if not jobs:
            raise LncaError(f"{source} holds no picture outside {output}")
    else:
        target = output / source.name if output.is_dir() else output
        jobs = [Job(source, target, target)]
    for job in jobs:
        check_output(job.output, overwrite)
    return jobs


def restore_files(
    jobs: list[Job],
    restore: Callable[[Image.Image], Image.Image],
    max_pixels: int,
    advance: Callable[[], object] = lambda: None,
) -> list[LncaError]:
    """Restores every job's file with `restore` and goes on when one fails; returns what failed."""
    failures = []
    for job in jobs:
        try:
            save_picture(restore(open_picture(job.source, max_pixels)), job.output)
        except LncaError as error:
            failures.append(error)
        advance()
    return failures
