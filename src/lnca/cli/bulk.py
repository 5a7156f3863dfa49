"""`lnca restore --engine ray`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import LncaError
from .records import Talk, Work, lines_of

if TYPE_CHECKING:
    from ..restoration.batch import Lines, Record, RestoreOptions
    from ..restoration.stores import StoredPlan


def restore_in_bulk(
    sources: list[str],
    output: str | None,
    options: "RestoreOptions",
    *,
    overwrite: bool,
    dry_run: bool,
    manifest: Path | None,
    address: str | None,
    workers: int | None,
    talk: Talk,
) -> None:
    """Restores pictures on a Ray cluster; at the end, each output has a line in the manifest."""
    from ..restoration.batch import Record
    from ..restoration.cluster import restore_on_cluster
    from ..restoration.stores import is_address, plan_files, plan_stored

    stored = [text for text in (*sources, output) if text is not None and is_address(text)]
    if stored and output is None:
        raise LncaError(f"say where pictures of {stored[0]} go: -o s3://bucket/folder, or a folder here")
    if stored and output is not None:
        plan = plan_stored(sources, output, overwrite)
    else:
        plan = plan_files([Path(source) for source in sources], output, overwrite)
    folder = plan.folder
    left = [Record.of_left_out(each, options.model) for each in plan.left]
    work = Work(
        jobs=plan.jobs,
        written_first=[*_there_before(plan, manifest, options.model), *left],
        restored=lambda _: restore_on_cluster(plan.jobs, options, address, workers),
    )
    if dry_run:
        work.show()
        return
    talk.of_left_out(left)
    failed = sum(record.error is not None for record in left)
    total = len(plan.jobs) + failed
    for record in work.carry_out(_lines_of(manifest, folder), talk):
        failed += record.error is not None
    talk.of_all(failed, total, len(plan.done), folder)


def _there_before(plan: "StoredPlan", manifest: Path | None, model: str) -> "list[Record]":
    """Records of outputs that exist but are in no manifest, because an earlier run was killed."""
    from ..restoration.batch import Record
    from ..restoration.stores import manifests, written_down

    if not plan.done:
        return []
    if manifest is not None:
        earlier = [str(manifest)] if manifest.exists() else []
    else:
        earlier = [] if plan.folder is None else manifests(plan.folder)
    known = set(written_down(earlier))
    there = (Record(job.source, job.output, model, notes=["was there already"]) for job in plan.done)
    return [record for record in there if record.output not in known]


@contextmanager
def _lines_of(manifest: Path | None, folder: str | None) -> "Iterator[Lines | None]":
    """Like `lines_of`, also for a folder in a store."""
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
