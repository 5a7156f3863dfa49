"""`lnca restore --engine ray`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import LncaError
from .plain import plain
from .records import Talk, followed, lines_of

if TYPE_CHECKING:
    from ..restoration.batch import Lines, Way


def restore_in_bulk(
    sources: list[str],
    output: str | None,
    way: "Way",
    *,
    overwrite: bool,
    dry_run: bool,
    manifest: Path | None,
    address: str | None,
    workers: int | None,
    talk: Talk,
) -> None:
    """Restores pictures on a Ray cluster; each output that is there in the end has a line in the manifest."""
    from ..restoration.batch import Record, write_manifest
    from ..restoration.cluster import restore_on_cluster
    from ..restoration.stores import is_address, manifests, plan_files, plan_stored, written_down

    stored = [text for text in (*sources, output) if text is not None and is_address(text)]
    if stored and output is None:
        raise LncaError(f"say where pictures of {stored[0]} go: -o s3://bucket/folder, or a folder here")
    if stored and output is not None:
        plan = plan_stored(sources, output, overwrite)
    else:
        plan = plan_files([Path(source) for source in sources], output, overwrite)
    if dry_run:
        for job in plan.jobs:
            print(plain(f"{job.source} -> {job.output}"))
        return
    folder = plan.folder
    left = [Record.of_left_out(each, way.model) for each in plan.left]
    talk.of_left_out(left)
    failed = sum(record.error is not None for record in left)
    total = len(plan.jobs) + failed
    if manifest is not None:
        earlier = [str(manifest)] if manifest.exists() else []
    else:
        earlier = [] if folder is None else manifests(folder)
    known = set(written_down(earlier)) if plan.done else set()
    with _lines_of(manifest, folder) as lines:
        if lines is not None:
            # Those of a run that was killed before it wrote them down.
            there = (Record(job.source, job.output, way.model, notes=["was there already"]) for job in plan.done)
            for _ in write_manifest(lines, (*(record for record in there if record.output not in known), *left)):
                pass
        for record in followed(
            lambda _: restore_on_cluster(plan.jobs, way, address, workers), len(plan.jobs), lines, not talk.quiet
        ):
            failed += record.error is not None
            talk.of(record)
    talk.of_all(failed, total, len(plan.done), folder)


@contextmanager
def _lines_of(manifest: Path | None, folder: str | None) -> "Iterator[Lines | None]":
    """`lines_of`, also of a folder in a store."""
    from ..restoration.stores import StoredManifest, is_address

    if manifest is None and folder is not None and is_address(folder):
        stored = StoredManifest(folder)
        try:
            yield stored
        finally:
            stored.close()
        return
    with lines_of(manifest, None if folder is None else Path(folder)) as lines:
        yield lines
