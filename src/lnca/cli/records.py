"""Messages and manifest of `lnca restore` for many pictures."""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from click.exceptions import Exit

from ..files import Appended
from .plain import plain

if TYPE_CHECKING:
    from ..restoration.batch import Lines, Record
    from ..restoration.jobs import Job
    from ..restoration.stores import StoredJob

RATE = "{megapixels:.2f} MP/s"
# How many files of other kinds a message names; a manifest names all.
MOST_NAMED = 5


@dataclass(frozen=True)
class Talk:
    """How much `lnca restore` prints.

    Args:
        quiet: print only errors.
        json: print a line of JSON for each picture.
        steps: print how many steps a cell took on average.
    """

    quiet: bool
    json: bool
    steps: bool = False

    def of(self, record: "Record", *, errors: bool = True) -> None:
        """Prints the result of one picture."""
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
        """Reports files in folders that are not pictures, or cannot be read; names some of them."""
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
        """Prints a summary; raises `Exit` if a picture failed. The failed pictures are already reported."""
        if not self.quiet and not self.json:
            print(f"{total - failed} of {total} pictures restored{f' to {folder}' if folder else ''}")
            if done:
                print(f"{done} were there already; --overwrite restores them again")
        if not failed:
            return
        if not self.quiet:
            print(f"lnca: {failed} of {total} pictures failed", file=sys.stderr)
        raise Exit(1)


def _reason(record: "Record") -> str:
    """Why a picture failed, in one line with the name of its file."""
    error = str(record.error)
    return plain(error if record.file in error else f"{record.file}: {error}")


@contextmanager
def lines_of(manifest: Path | None, folder: Path | None) -> "Iterator[Lines | None]":
    """The manifest that the user named, or that of the folder, opened to append lines; None without both."""
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
        written_first: records that the manifest gets before those of the jobs.
        restored: restores the jobs and yields a record for each when it is done. It gets a function, and calls it
            with the finished share of the current picture.
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
        """Restores; writes each record to the manifest, prints it, and yields it.

        Args:
            lines: the manifest.
            errors: whether to print errors here.
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
    """Yields the records, writes them to the manifest if there is one, and shows a bar if `shown` is true.

    For one picture the bar has its share and remaining time, for several their number, megapixels a second and
    remaining time.

    Args:
        restoring: yields the records. It gets a function, and calls it with the finished share of the current picture.
    """
    from ..restoration.batch import write_manifest
    from .progress import Bar

    one = total == 1
    pixels, done = 0.0, 0
    with Bar("restoring", total, RATE, whole=one, shown=shown and total > 0, megapixels=0.0) as bar:
        records = restoring(lambda share: bar.update(done + share))
        for record in write_manifest(lines, records) if lines else records:
            done += 1
            pixels += record.megapixels
            bar.update(done, megapixels=pixels / bar.elapsed)
            with bar.away():
                yield record
