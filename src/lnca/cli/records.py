"""What `lnca restore` says and writes down of many pictures."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ..errors import LncaError
from .plain import plain
from .progress import progress_bar

if TYPE_CHECKING:
    from ..restoration.batch import Lines, Record

# Failed pictures that are listed in the end.
MOST_LISTED = 20


@dataclass(frozen=True)
class Talk:
    """How much is said.

    Args:
        quiet: nothing but errors.
        json: a line of JSON for each picture.
        steps: the steps that a cell took.
    """

    quiet: bool
    json: bool
    steps: bool = False

    def of(self, record: "Record", *, errors: bool = True) -> None:
        """Says what became of one picture."""
        if self.json:
            print(record.line())
        if record.error is not None and errors:
            print(f"lnca: {_reason(record)}", file=sys.stderr)
        if not self.quiet:
            for note in record.notes:
                print(plain(f"{record.file}: {note}"), file=sys.stderr)
            if self.steps and record.steps is not None:
                print(plain(f"{record.file}: {record.steps:.1f} steps a cell"), file=sys.stderr)

    def of_all(self, failed: "list[Record]", total: int, done: int, folder: object) -> None:
        """Says how it ended, and again which pictures failed; raises `typer.Exit` when one did.

        Where nothing but errors is said, they stand together as they are.
        """
        if not self.quiet and not self.json:
            print(f"{total - len(failed)} of {total} pictures restored{f' to {folder}' if folder else ''}")
            if done:
                print(f"{done} were there already; --overwrite restores them again")
        if not failed:
            return
        if not self.quiet:
            print(f"lnca: {len(failed)} of {total} pictures failed:", file=sys.stderr)
            for record in failed[:MOST_LISTED]:
                print(f"  {_reason(record)}", file=sys.stderr)
            if len(failed) > MOST_LISTED:
                print(f"  and {len(failed) - MOST_LISTED} more", file=sys.stderr)
        raise typer.Exit(1)


def _reason(record: "Record") -> str:
    """Why a picture failed, in one line with the name of its file."""
    error = str(record.error)
    return plain(error if record.file in error else f"{record.file}: {error}")


@contextmanager
def lines_of(manifest: Path | None, folder: Path | None) -> "Iterator[Lines | None]":
    """The manifest that was asked for, or that of a folder, open for more lines; None where there is neither."""
    from ..restoration.batch import MANIFEST

    path = manifest or (None if folder is None else folder / MANIFEST)
    if path is None:
        yield None
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _end_last_line(path)
        with path.open("a", encoding="utf-8") as file:
            yield file
    except OSError as error:
        raise LncaError(f"cannot write {path}: {error.strerror or error}") from error


def _end_last_line(path: Path) -> None:
    """Ends the last line of a file, which the killing of an earlier process may have cut off."""
    if not path.is_file() or not path.stat().st_size:
        return
    with path.open("rb+") as file:
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            file.write(b"\n")


def followed(records: "Iterable[Record]", total: int, lines: "Lines | None", shown: bool = True) -> "Iterator[Record]":
    """The records, written to a manifest if there is one, with a bar of pictures, megapixels a second and time left
    where there are several and it is to be `shown`."""
    from ..restoration.batch import write_manifest

    with progress_bar("{task.fields[megapixels]:.2f} MP/s", shown=shown and total > 1) as progress:
        bar = progress.add_task("restoring", total=total, megapixels=0.0)
        pixels = 0.0
        for record in write_manifest(lines, records) if lines else records:
            pixels += record.megapixels
            elapsed = progress.tasks[bar].elapsed or 1e-9
            progress.update(bar, advance=1, megapixels=pixels / elapsed)
            yield record
