"""Restores many pictures on a Ray cluster: Ray Data distributes the work, and repeats that of dead workers."""

import io
import json
import logging
import os
import socket
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from ..catalogue import locate, shipped_weights
from ..errors import LncaError
from ..files import stamp_of, write_whole
from ..images.photo import Photo
from ..images.reading import read_photo
from ..runtime import threads
from .batch import Record, RestoreOptions, check_inside, note_other_kind, recorded
from .stores import StoredJob, is_address, read_bytes, save_stored

# Most pictures of a task, and fewest tasks of each core, so that no core waits long for the others.
TASK, TASKS = 16, 8
# How often a task is tried again after its worker died.
RETRIES = 3
# Seconds within which a cluster has to answer.
PATIENCE = 10


@contextmanager
def connected(address: str | None) -> Iterator[Any]:
    """A context with Ray, in a cluster or, without an address, only on this machine.

    Raises:
        LncaError: Ray is not installed, or there is no cluster at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise LncaError("--engine ray needs Ray: pip install 'lnca[ray]'") from error
    address = address or os.environ.get("RAY_ADDRESS")
    if address:
        _check_answers(address)
    # On this machine alone, listen only on the loopback address.
    alone = {} if address else {"_node_ip_address": "127.0.0.1", "include_dashboard": False}
    try:
        ray.init(address or "local", log_to_driver=False, logging_level=logging.ERROR, **alone)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise LncaError(f"there is no Ray cluster at {address or 'this machine'}: {reason}") from error
    try:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        # Work that is lost with a worker is repeated below, picture by picture.
        context.max_errored_blocks = -1
        for name in ("ray.data", "ray.data._internal.execution.streaming_executor"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        yield ray
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Raises `LncaError` if nothing listens at the address: Ray would try for minutes, and then end the process."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise LncaError(f"there is no Ray cluster at {address}: {error}") from error


def restore_on_cluster(
    jobs: list[StoredJob], options: RestoreOptions, address: str | None = None, workers: int | None = None
) -> Iterator[Record]:
    """Yields one record for each finished job. Whatever dies, an output is whole or does not exist.

    Args:
        jobs: jobs with addresses, or with paths that all machines share.
        options: settings; a weight file is sent to the machines.
        address: address of a Ray cluster; None starts Ray on this machine.
        workers: most pictures at a time; None means the number of the cluster's cores, or of its GPUs if it has some.

    Raises:
        LncaError: see `connected`.
    """
    weights = None if options.model in shipped_weights() else Path(locate(options.model)).read_bytes()
    if not jobs:
        return
    with connected(address) as ray:
        resources = ray.cluster_resources()
        options, needs = _placed(options, bool(resources.get("GPU")))
        places = int(resources.get("GPU" if "num_gpus" in needs else "CPU", 1))
        left = {job.output: job for job in jobs}
        size = max(1, min(TASK, len(jobs) // (TASKS * places)))
        # If a task's worker dies repeatedly, all its pictures fail with it: try each of them once more, alone.
        for rows in (size, 1):
            items = [{"job": json.dumps(asdict(job))} for job in left.values()]
            with warnings.catch_warnings():
                # Needed until Ray 2.64 has another setting for the number of retries.
                warnings.simplefilter("ignore", DeprecationWarning)
                results = ray.data.from_items(items, override_num_blocks=-(-len(items) // rows)).map(
                    restore_row, fn_args=(options, weights), concurrency=workers, max_retries=RETRIES, **needs
                )
            for row in results.iter_rows():
                record = Record(**json.loads(row["record"]))
                if left.pop(record.output, None):
                    yield record
            if not left:
                return
        for job in left.values():
            reason = f"{job.source} ended its worker {RETRIES + 1} times, perhaps for want of memory; see --max-memory"
            yield Record(job.source, job.output, options.model, error=reason)


def _placed(options: RestoreOptions, gpus: bool) -> tuple[RestoreOptions, dict[str, float]]:
    """The settings with a device, and the resources that Ray reserves for each picture."""
    if options.device.startswith("cuda") or (options.device == "auto" and gpus):
        return replace(options, device="cuda"), {"num_cpus": 1, "num_gpus": 1}
    return replace(options, device="cpu" if options.device == "auto" else options.device), {"num_cpus": 1}


def restore_row(row: dict[str, Any], options: RestoreOptions, weights: bytes | None) -> dict[str, Any]:
    """Restores one picture in a worker."""
    threads.allow(1)
    job = StoredJob(**json.loads(row["job"]))
    record = Record(job.source, job.output, options.model)
    try:
        if weights is not None:
            options = replace(options, model=_written(Path(options.model).name, weights))
    except (LncaError, OSError) as error:
        record.error = f"{job.source} is not restored, since a worker cannot keep the weights: {error}"
        return {"record": json.dumps(asdict(record))}

    def read() -> Photo:
        if not is_address(job.output):
            check_inside(Path(job.output), Path(job.root))
        photo = read_photo(io.BytesIO(read_bytes(job.source)), job.source, options.max_pixels)
        note_other_kind(photo, PurePosixPath(job.source).suffix, PurePosixPath(job.output).suffix)
        return photo

    stamp = stamp_of(None if is_address(job.source) else Path(job.source), options.times)
    recorded(record, options, read, lambda photo: save_stored(photo, job.output, stamp))
    return {"record": json.dumps(asdict(record))}


@lru_cache(1)
def _own_folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="lnca-weights-")


@lru_cache(1)
def _written(name: str, weights: bytes) -> str:
    """Writes a weight file for this worker."""
    path = Path(_own_folder().name) / name
    write_whole(path, weights)
    return str(path)
