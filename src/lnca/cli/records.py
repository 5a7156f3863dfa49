"""What `lnca restore` says and writes down of many pictures."""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ..files import Appended
from .plain import plain

if TYPE_CHECKING:
    from ..restoration.batch import Lines, Record
    from ..restoration.jobs import Job
    from ..restoration.stores import StoredJob

RATE = "{task.fields[megapixels]:.2f} MP/s"
# Files of other kinds that are named; a manifest names all.
MOST_NAMED = 5


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

    def of_left_out(self, records: "list[Record]") -> None:
        """Says what in folders is no picture to be read, some of it by name."""
        others = [record for record in records if record.error is None]
        for record in records:
            if self.json:
                print(record.line())
            if record.error is not None:
                print(f"lnca: {_reason(record)}", file=sys.stderr)
        if others and not self.quiet:
            named = ", ".join(f"{plain(record.file)} ({record.left_out})" for record in others[:MOST_NAMED])
            more = f", and {len(others) - MOST_NAMED} more" if len(others) > MOST_NAMED else ""
            which = "1 file of another kind was" if len(others) == 1 else f"{len(others)} files of other kinds were"
            print(f"{which} left out: {named}{more}", file=sys.stderr)

    def of_all(self, failed: int, total: int, done: int, folder: object) -> None:
        """Says how it ended; raises `typer.Exit` when a picture failed. Which one it was has been said."""
        if not self.quiet and not self.json:
            print(f"{total - failed} of {total} pictures restored{f' to {folder}' if folder else ''}")
            if done:
                print(f"{done} were there already; --overwrite restores them again")
        if not failed:
            return
        if not self.quiet:
            print(f"lnca: {failed} of {total} pictures failed", file=sys.stderr)
        raise typer.Exit(1)


def _reason(record: "Record") -> str:
    """Why a picture failed, in one line with the name of its file."""
    error = str(record.error)
    return plain(error if record.file in error else f"{record.file}: {error}")


@contextmanager
def lines_of(manifest: Path | None, folder: Path | None) -> "Iterator[Lines | None]":
    """The manifest that was asked for, or that of a folder, open for more lines; None where there is neither."""
    from ..images.finding import MANIFEST

    path = manifest or (None if folder is None else folder / MANIFEST)
    if path is None:
        yield None
        return
    with Appended(path) as file:
        yield file


@dataclass(frozen=True, kw_only=True)
class Work:
    """Pictures to be restored, by this machine or by a cluster.

    Args:
        jobs: each with a source and an output.
        written_first: what the manifest has of others.
        restored: an executor: gives a record for each job as it is done, and calls what it is given with the share of
            the picture that is under way.
    """

    jobs: "Sequence[Job | StoredJob]"
    written_first: "Sequence[Record]"
    restored: "Callable[[Callable[[float], None]], Iterable[Record]]"

    def show(self) -> None:
        """Prints what would be restored, and where to."""
        for job in self.jobs:
            print(plain(f"{job.source} -> {job.output}"))

    def carry_out(
        self, lines: "AbstractContextManager[Lines | None]", talk: Talk, *, errors: bool = True
    ) -> "Iterator[Record]":
        """Yields the records, written to a manifest, and said, as the pictures are done.

        Args:
            lines: the manifest.
            errors: whether errors are said here.
        """
        from ..restoration.batch import write_manifest

        with lines as file:
            if file is not None:
                deque(write_manifest(file, self.written_first), 0)
            for record in followed(self.restored, len(self.jobs), file, not talk.quiet):
                talk.of(record, errors=errors)
                yield record


def followed(
    restoring: "Callable[[Callable[[float], None]], Iterable[Record]]",
    total: int,
    lines: "Lines | None",
    shown: bool = True,
) -> "Iterator[Record]":
    """The records, written to a manifest if there is one, with a bar where it is to be `shown`: of a single picture's
    share and time left, of several pictures' number, megapixels a second and time left.

    Args:
        restoring: gives the records, and calls what it is given with the share of the picture that is under way.
    """
    from ..restoration.batch import write_manifest
    from .progress import progress_bar, share_bar

    bars = share_bar(shown) if total == 1 else progress_bar(RATE, shown=shown and total > 1)
    with bars as progress:
        bar = progress.add_task("restoring", total=total, megapixels=0.0)
        pixels, done = 0.0, 0
        records = restoring(lambda share: progress.update(bar, completed=done + share))
        for record in write_manifest(lines, records) if lines else records:
            done += 1
            pixels += record.megapixels
            elapsed = progress.tasks[bar].elapsed or 1e-9
            progress.update(bar, completed=done, megapixels=pixels / elapsed)
            yield record
