"""Pictures in object stores, by fsspec: finding them, planning their outputs, and reading and writing whole files.

An address has a protocol, such as s3://bucket/folder; anything else is a path on this machine. fsspec takes the access
to a store and its keys from its own settings and environment.
"""

import io
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec

from ..errors import LncaError, in_short
from ..files import NEW, TEMPORARY, Stamp, write_whole
from ..images.finding import MANIFEST, LeftOut, is_ours
from ..images.formats import FORMATS, READ_SUFFIXES
from ..images.photo import Photo
from ..images.writing import write_photo
from .jobs import plan

# Protocols of stores whose objects appear whole or not at all.
WHOLE = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "memory")
# Seconds after which lines of a manifest are written to the store.
MANIFEST_EVERY = 60.0


@dataclass(frozen=True)
class StoredJob:
    """A picture to restore and its output, as addresses or paths; `root` is the folder of the outputs or a parent of
    it."""

    source: str
    output: str
    root: str


@dataclass(frozen=True)
class StoredPlan:
    """The jobs, the jobs that are already done, the address or path of the folder of all outputs if there is one, and
    the files that are left out."""

    jobs: list[StoredJob]
    done: list[StoredJob]
    folder: str | None
    left: list[LeftOut]


def is_address(text: str) -> bool:
    """Whether it is the address of a store and not a path."""
    return "://" in text


def plan_stored(sources: list[str], output: str, overwrite: bool) -> StoredPlan:
    """One job for each picture, like `jobs.plan`: the outputs of a folder have the same tree.

    Args:
        sources: addresses or paths of pictures and folders.
        output: address or path of a folder.
        overwrite: restore pictures again that are already done.

    Raises:
        LncaError: there are no pictures, two would have the same output, a name leads out of the folder, or a store
            cannot be reached.
    """
    folder = _absolute(output).rstrip("/")
    outputs: dict[str, str] = {}
    left: list[LeftOut] = []
    for source in map(_absolute, sources):
        named = PurePosixPath(source.rstrip("/")).name
        pictures, others = _pictures(source)
        left += [each for each in others if not each.file.startswith(f"{folder}/")]
        for name in pictures:
            inside = PurePosixPath(named, name) if len(sources) > 1 and name else PurePosixPath(name or named)
            if inside.is_absolute() or ".." in inside.parts:
                raise LncaError(f"{source} holds a picture named {name!r}, which leads out of the output; rename it")
            if inside.suffix.lower() not in FORMATS:
                inside = inside.with_suffix(".tif")
            target = f"{folder}/{inside}"
            given = f"{source.rstrip('/')}/{name}" if name else source
            if given.startswith(f"{folder}/"):
                continue
            if outputs.setdefault(target, given) != given:
                raise LncaError(f"{outputs[target]} and {given} would both become {target}; restore them apart")
    if not outputs:
        raise LncaError(f"{sources[0]} holds no picture outside the output; looked for {', '.join(READ_SUFFIXES)}")
    there = set() if overwrite else {f"{folder}/{name}" for name in _names(folder)}
    jobs = [StoredJob(source, target, folder) for target, source in outputs.items()]
    undone, done = ([job for job in jobs if (job.output in there) == is_done] for is_done in (False, True))
    return StoredPlan(undone, done, folder, left)


def plan_files(sources: list[Path], output: Path | str | None, overwrite: bool) -> StoredPlan:
    """Like `jobs.plan`, with paths that are valid on all machines that share the folders."""
    planned = plan(sources, output, overwrite)
    left = {job.output for job in planned.jobs}
    jobs: dict[bool, list[StoredJob]] = {True: [], False: []}
    for job in plan(sources, output, overwrite=True).jobs:
        paths = (str(path.absolute()) for path in (job.source, job.output, job.root))
        jobs[job.output in left].append(StoredJob(*paths))
    folder = None if planned.folder is None else str(planned.folder.absolute())
    return StoredPlan(jobs[True], jobs[False], folder, planned.left)


def _absolute(text: str) -> str:
    return text if is_address(text) else str(Path(text).absolute())


def _opened(address: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it."""
    try:
        return fsspec.core.url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise LncaError(f"{address} cannot be reached: {in_short(error)}") from error


def _names(folder: str) -> list[str]:
    """Names of all files in a folder and its subfolders, relative to the folder; none if it does not exist."""
    files, root = _opened(folder)
    try:
        found = files.find(root)
    except FileNotFoundError:
        return []
    # Every store has its own errors.
    except Exception as error:
        raise LncaError(f"{folder} cannot be listed: {in_short(error)}") from error
    start = root.rstrip("/") + "/"
    return [path.removeprefix(start) if path != root else "" for path in found]


def _pictures(source: str) -> tuple[list[str], list[LeftOut]]:
    """Sorted names of the pictures in a folder, or "" for a picture itself, and the files that are left out. Only
    suffixes count here, since reading the first bytes would need a request for each file."""
    found = _names(source)
    if not found:
        raise LncaError(f"{source} does not exist, or is empty")
    pictures, left = [], []
    for name in sorted(found):
        path = PurePosixPath(name or source)
        if is_ours(path.name):
            continue
        if name and any(part[0] == "." and part != ".." for part in path.parts):
            left.append(LeftOut(f"{source.rstrip('/')}/{name}", "hidden"))
        elif path.suffix.lower() in READ_SUFFIXES:
            pictures.append(name)
        else:
            left.append(LeftOut(f"{source.rstrip('/')}/{name}".rstrip("/"), "another kind of file, by its name"))
    return pictures, left


def read_bytes(address: str) -> bytes:
    """A file's content; raises `LncaError` if it cannot be read."""
    files, path = _opened(address)
    try:
        return files.cat_file(path)
    except FileNotFoundError as error:
        raise LncaError(f"{address} does not exist") from error
    except Exception as error:
        raise LncaError(f"{address} cannot be read: {in_short(error)}") from error


def write_bytes(address: str, content: bytes, stamp: Stamp = NEW) -> None:
    """Writes a file, whole or not at all; raises `LncaError` if it cannot be written. Only local paths get the
    stamp."""
    files, path = _opened(address)
    protocols = (files.protocol,) if isinstance(files.protocol, str) else tuple(files.protocol)
    if "file" in protocols:
        write_whole(Path(path), content, stamp=stamp)
        return
    folder = path.rpartition("/")[0]
    whole = any(protocol in WHOLE for protocol in protocols)
    written = path if whole else f"{folder}/{TEMPORARY}{uuid.uuid4().hex}"
    try:
        if not whole:
            files.makedirs(folder, exist_ok=True)
        files.pipe_file(written, content)
        if not whole:
            there = files.info(written).get("size")
            if there not in (None, len(content)):
                raise OSError(f"{there} of {len(content)} bytes arrived")
            files.mv(written, path)
    except Exception as error:
        if not whole:
            with suppress(Exception):
                files.rm_file(written)
        raise LncaError(f"cannot write {address}: {in_short(error)}") from error


def save_stored(photo: Photo, address: str, stamp: Stamp = NEW) -> list[str]:
    """Like `save_photo`, for an address."""
    room = io.BytesIO()
    notes = write_photo(photo, room, FORMATS[PurePosixPath(address).suffix.lower()], address)
    write_bytes(address, room.getvalue(), stamp)
    return notes


class StoredManifest:
    """A manifest in a store, which cannot append to a file: its lines are divided among lnca-000000.jsonl, ...

    Args:
        folder: address of the folder of outputs.
        every: seconds after which lines are written, so that little is lost if this process is killed.
    """

    def __init__(self, folder: str, every: float = MANIFEST_EVERY):
        self.folder, self.every = folder, every
        self._number = len(manifests(folder))
        self._lines: list[str] = []
        self._stored = time.monotonic()

    def write(self, text: str, /) -> None:
        """Adds a line."""
        self._lines.append(text)

    def flush(self) -> None:
        """Writes lines to the store, if it is time."""
        if time.monotonic() - self._stored >= self.every:
            self.close()

    def close(self) -> None:
        """Writes the remaining lines to the store."""
        if self._lines:
            stem, suffix = MANIFEST.split(".")
            write_bytes(f"{self.folder}/{stem}-{self._number:06d}.{suffix}", "".join(self._lines).encode())
            self._number, self._lines = self._number + 1, []
        self._stored = time.monotonic()


def written_down(addresses: list[str]) -> Iterator[str]:
    """The outputs in some manifests, without failed ones."""
    for address in addresses:
        for line in read_bytes(address).decode("utf-8", "replace").splitlines():
            try:
                record = json.loads(line)
                if record["error"] is None:
                    yield record["output"]
            # An incomplete last line of a process that was killed.
            except (ValueError, TypeError, KeyError):
                continue


def manifests(folder: str) -> list[str]:
    """Addresses of the manifests in a folder."""
    files, root = _opened(folder)
    stem, suffix = MANIFEST.split(".")
    try:
        found = files.ls(root, detail=False)
    except FileNotFoundError:
        return []
    except Exception as error:
        raise LncaError(f"{folder} cannot be listed: {in_short(error)}") from error
    names = (PurePosixPath(path).name for path in found)
    return sorted(f"{folder}/{name}" for name in names if name.startswith(stem) and name.endswith(f".{suffix}"))
