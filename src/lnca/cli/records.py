"""What `lnca restore` says and writes down of many pictures."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ..errors import LncaError
from .plain import plain
from .progress import progress_bar

if TYPE_CHECKING:
    from ..restoration.batch import Lines, Record


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
            print(json.dumps(asdict(record)))
        if record.error is not None and errors:
            print(f"lnca: {plain(record.error)}", file=sys.stderr)
        if not self.quiet:
            for note in record.notes:
                print(plain(f"{record.file}: {note}"), file=sys.stderr)
            if self.steps and record.steps is not None:
                print(plain(f"{record.file}: {record.steps:.1f} steps a cell"), file=sys.stderr)

    def of_all(self, failed: int, total: int, done: int, folder: object) -> None:
        """Says how it ended; raises `typer.Exit` when a picture failed."""
        if not self.quiet and not self.json:
            print(f"{total - failed} of {total} pictures restored{f' to {folder}' if folder else ''}")
            if done:
                print(f"{done} were there already; --overwrite restores them again")
        if failed:
            raise typer.Exit(1)


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
        with path.open("a", encoding="utf-8") as file:
            yield file
    except OSError as error:
        raise LncaError(f"cannot write {path}: {error.strerror or error}") from error


def followed(records: "Iterable[Record]", total: int, lines: "Lines | None") -> "Iterator[Record]":
    """The records, with a bar of pictures, megapixels a second and time left, written to a manifest if there is one."""
    from ..restoration.batch import write_manifest

    with progress_bar("{task.fields[megapixels]:.2f} MP/s") as progress:
        bar = progress.add_task("restoring", total=total, visible=total > 1, megapixels=0.0)
        pixels = 0.0
        for record in write_manifest(lines, records) if lines else records:
            pixels += record.megapixels
            elapsed = progress.tasks[bar].elapsed or 1e-9
            progress.update(bar, advance=1, megapixels=pixels / elapsed)
            yield record
