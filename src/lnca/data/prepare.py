"""Prepares tiles from a published data set: in parallel, resumable, the same bytes for any number of workers."""

import hashlib
import io
import json
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from ..errors import LncaError
from ..files import write_whole, written_whole
from ..workers import QuietWorkers
from .prepared import DESCRIPTION, FORMAT, is_prepared
from .reading import listing
from .source import DataSet, Found, Sample
from .tiles import TILE_SIDE, tiles_of

# Folder for finished parts until all are done.
PARTS = "parts"


@dataclass(frozen=True)
class Part:
    """The tiles of a few samples, in their own file until all parts are done."""

    path: Path
    samples: list[Sample]
    group_numbers: list[int]

    def make(self, side: int | None) -> None:
        """Writes the part; it names samples that cannot be read."""
        clean, corrupted, group, broken = [], [], [], []
        for sample, number in zip(self.samples, self.group_numbers, strict=True):
            try:
                good, bad = tiles_of(sample, side)
            except LncaError as error:
                broken.append(str(error))
                continue
            clean.append(good)
            corrupted += [] if bad is None else [bad]
            group.append(np.full(len(good), number, np.int32))
        empty = np.empty((0, 3, TILE_SIDE, TILE_SIDE), np.uint8)
        with written_whole(self.path) as file:
            np.savez(
                file,
                clean=np.concatenate([empty, *clean]),
                corrupted=np.concatenate([empty, *corrupted]),
                group=np.concatenate([np.empty(0, np.int32), *group]),
                broken=np.array(broken, np.str_),
            )


def prepare(
    data_set: DataSet,
    root: Path,
    out: Path,
    *,
    side: int | None = None,
    workers: int = 1,
    skip_broken: bool = False,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> dict:
    """Cuts a data set into 32x32 tiles in `out`; uses the finished parts of an interrupted preparation.

    Args:
        side: side of the squares in pixels; the data set's own if None.
        workers: processes.
        skip_broken: leave out missing and broken pictures, and name them in tiles.json.
        progress: called with the number of finished samples and of all samples.

    Returns:
        The description in tiles.json.

    Raises:
        LncaError: pictures are missing or broken (it names all); `out` holds something else; the disk is full.
    """
    if is_prepared(out):
        if not (out / PARTS).exists():
            raise LncaError(f"{out} is already prepared; remove it to prepare it anew")
        # An earlier run was killed before this last step.
        shutil.rmtree(out / PARTS)
        return json.loads((out / DESCRIPTION).read_text("utf-8"))
    found = data_set.scan(root)
    if not found.samples or (found.problems and not skip_broken):
        raise LncaError(_refusal(data_set, found.problems))
    side = data_set.side if side is None else side
    parts = list(_parts(data_set, found, side, out / PARTS))
    pending = [part for part in parts if not part.path.exists()]
    done = sum(len(part.samples) for part in parts) - sum(len(part.samples) for part in pending)
    progress(done, len(found.samples))
    for part in _made(pending, side, workers):
        done += len(part.samples)
        progress(done, len(found.samples))
    broken = [str(line) for part in parts for line in _read(part, "broken")]
    if broken and not skip_broken:
        raise LncaError(_refusal(data_set, broken))
    description = {
        "format": FORMAT,
        "set": data_set.name,
        "task": data_set.task,
        "pairs": found.samples[0].corrupted is not None,
        "side": side,
        "samples": len(found.samples),
        **_merge(parts, out, found.samples[0].corrupted is not None),
        "groups": _group_names(found),
        "left_out": [*found.problems, *broken, *found.others],
        "note": found.note,
    }
    if not description["tiles"]:
        raise LncaError(f"no tile with any content in {root}; give pictures that are not flat")
    write_whole(out / DESCRIPTION, (json.dumps(description, indent=1) + "\n").encode())
    shutil.rmtree(out / PARTS)
    return description


def _refusal(data_set: DataSet, problems: list[str]) -> str:
    return (
        f"{data_set.about.title} is not whole; mend this, or go on without it with --skip-broken:\n{listing(problems)}"
    )


def _group_names(found: Found) -> list[str]:
    return sorted({sample.group for sample in found.samples})


def _parts(data_set: DataSet, found: Found, side: int | None, folder: Path) -> Iterator[Part]:
    """Parts with one sample to cut, or a thousand to shrink; the name of a part's file depends on its content."""
    number = {name: index for index, name in enumerate(_group_names(found))}
    size = 1000 if side is None else 1
    samples = iter(found.samples)
    for index in range(0, len(found.samples), size):
        chunk = list(islice(samples, size))
        holds = json.dumps([data_set.name, side, [repr(sample) for sample in chunk]])
        key = hashlib.sha256(holds.encode()).hexdigest()[:16]
        yield Part(folder / f"{index:08d}-{key}.npz", chunk, [number[sample.group] for sample in chunk])


def _made(parts: list[Part], side: int | None, workers: int) -> Iterator[Part]:
    if workers <= 1 or len(parts) <= 1:
        for part in parts:
            part.make(side)
            yield part
        return
    try:
        with QuietWorkers(workers) as pool:
            # Submit only a few parts ahead, so that an interrupt has to wait for only a few.
            waiting: deque[tuple[Part, Future]] = deque()
            for part in parts:
                waiting.append((part, pool.submit(part.make, side)))
                if len(waiting) > 2 * workers:
                    yield _finished(*waiting.popleft())
            for part, future in waiting:
                yield _finished(part, future)
    except BrokenProcessPool as error:
        raise LncaError("a worker died, perhaps for want of memory; try again with fewer --workers") from error


def _finished(part: Part, future: Future) -> Part:
    future.result()
    return part


def _read(part: Part, name: str) -> np.ndarray:
    with np.load(part.path, allow_pickle=False) as arrays:
        return arrays[name]


def _merge(parts: list[Part], out: Path, pairs: bool) -> dict:
    """Writes one array of each kind, in the order of the samples; returns their length and SHA-256."""
    groups = [_read(part, "group") for part in parts]
    count = sum(map(len, groups))
    hashes = {}
    for name in ("clean", *(["corrupted"] if pairs else [])):
        digest = hashlib.sha256()
        with written_whole(out / f"{name}.npy") as file:
            shape = (count, 3, TILE_SIDE, TILE_SIDE)
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for part in parts:
                content = _read(part, name).tobytes()
                file.write(content)
                digest.update(content)
        hashes[name] = digest.hexdigest()
    room = io.BytesIO()
    np.save(room, np.concatenate(groups))
    write_whole(out / "group.npy", room.getbuffer())
    return {"tiles": count, "sha256": hashes}
