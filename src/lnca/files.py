"""Writes files whole or not at all, and appends whole lines to files.

The content goes to a temporary file beside the target, which is flushed, synced and closed; each of these may fail.
Then the file is renamed. Encoders write to memory or to the given file object, never to a path or a descriptor: if a
library ignored a short write, the file would be damaged.
"""

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from io import BufferedRandom, FileIO
from pathlib import Path
from typing import BinaryIO

from .errors import LncaError

TEMPORARY = ".lnca-"
# Error numbers of file systems that cannot sync a folder.
NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES)


@dataclass(frozen=True)
class Stamp:
    """Permissions and times that an output takes from its source.

    Args:
        mode: permissions before the umask.
        times: times of the last access and the last change in nanoseconds; None keeps the times of writing.
    """

    mode: int = 0o666
    times: tuple[int, int] | None = None


NEW = Stamp()


def stamp_of(source: Path | None, times: bool = False) -> Stamp:
    """The stamp of a file; that of a new file if it does not exist or is a pipe or a device.

    Args:
        times: whether the output gets the times too.
    """
    try:
        found = None if source is None else source.stat()
    except OSError:
        found = None
    if found is None or not stat.S_ISREG(found.st_mode):
        return NEW
    return Stamp(stat.S_IMODE(found.st_mode) & 0o777, (found.st_atime_ns, found.st_mtime_ns) if times else None)


@contextmanager
def written_whole(path: Path, stamp: Stamp = NEW) -> Iterator[BinaryIO]:
    """A context with a file to write to. The file is at `path` if the block ends without an error, and is removed
    otherwise.

    Raises:
        LncaError: the folder or the file cannot be written, the disk is full, or `path` is not a file.
    """
    with _explained(path), _Pending(path, stamp) as pending:
        yield pending.file
        pending.finish()
        pending.place()


def write_whole(path: Path, *content: bytes | memoryview, stamp: Stamp = NEW) -> None:
    """Writes a file from its parts, one after the other, with `written_whole`."""
    with written_whole(path, stamp) as file:
        for part in content:
            file.write(part)


def write_together(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Writes files that belong together: none gets its name before all of them are on the disk.

    Args:
        folder: their folder; created if it does not exist.
        contents: contents of the files, by name; the last file should be the one that marks the others as complete.

    Raises:
        LncaError: see `written_whole`.
    """
    with ExitStack() as stack:
        pending = []
        for name, content in contents.items():
            stack.enter_context(_explained(folder / name))
            pending.append(stack.enter_context(_Pending(folder / name, NEW)))
            pending[-1].file.write(content)
            pending[-1].finish()
        _placed(pending)


def _placed(pending: "list[_Pending]") -> None:
    """Gives all files their names, or none if one of them fails."""
    before: list[tuple[Path, Path | None]] = []
    try:
        for each in pending:
            with _explained(each.path):
                before.append((each.path, each.set_aside()))
                each.place()
    except BaseException:
        for path, old in reversed(before):
            with suppress(OSError):
                path.unlink(missing_ok=True) if old is None else os.replace(old, path)
        raise
    for _, old in before:
        if old is not None:
            with suppress(OSError):
                old.unlink()


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """A context that turns system errors for `path` into one sentence."""
    try:
        yield
    except OSError as error:
        raise LncaError(f"cannot write {path}: {error.strerror or error}") from error


class _Pending:
    """A temporary file beside its target, which is removed unless it is renamed to the target.

    Raises:
        OSError: the system refuses.
        LncaError: the target is a folder, a pipe or a device.
    """

    def __init__(self, path: Path, stamp: Stamp):
        self.path, self.stamp = path, stamp
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            raise LncaError(f"cannot write {path}: it is {kind_of(path)}; choose another name")
        # The system applies the umask, or the default permissions of the folder.
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        self.temporary = _temporary(path)
        handle = os.open(self.temporary, flags, stamp.mode)
        self.file: BinaryIO = BufferedRandom(FileIO(handle, "rb+"))

    def __enter__(self) -> "_Pending":
        return self

    def finish(self) -> None:
        """Flushes, syncs and closes the file."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        if self.stamp.times is not None:
            os.utime(self.temporary, ns=self.stamp.times)

    def set_aside(self) -> Path | None:
        """Moves an existing target aside; returns its new path, or None if there was none."""
        if not self.path.exists():
            return None
        old = _temporary(self.path)
        os.replace(self.path, old)
        return old

    def place(self) -> None:
        """Renames the file to its target."""
        os.replace(self.temporary, self.path)
        _sync_folder(self.path.parent)

    def __exit__(self, *_: object) -> None:
        # A file that could not be flushed raises the error again when it is closed.
        with suppress(OSError):
            self.file.close()
        with suppress(OSError):
            self.temporary.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    return path.with_name(TEMPORARY + os.urandom(8).hex())


def _sync_folder(folder: Path) -> None:
    """Syncs a folder, so that a new name survives a power failure, if the system supports it."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise
    finally:
        os.close(handle)


def kind_of(path: Path) -> str:
    """The kind of a path, for messages: "a file", "a folder", "a pipe", ..."""
    mode = path.stat().st_mode
    kinds = {stat.S_ISREG: "a file", stat.S_ISDIR: "a folder", stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket"}
    return next((name for test, name in kinds.items() if test(mode)), "a device")


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Opens a file for reading. Pipes and devices are refused, since reading them might never end.

    Raises:
        LncaError: the file does not exist, is a folder, a pipe or a device, or cannot be read.
    """
    try:
        kind = kind_of(path)
        if kind != "a file":
            raise LncaError(f"{path} is {kind}; give a file" + (f", or - < {path}" if kind == "a pipe" else ""))
        with path.open("rb") as file:
            yield file
    except FileNotFoundError as error:
        raise LncaError(f"{path} does not exist") from error
    except OSError as error:
        raise LncaError(f"{path} cannot be read: {error.strerror or error}") from error


class Appended:
    """A file to which parts, such as lines, are appended, each whole or not at all.

    Args:
        path: created with its folder if it does not exist. If the last line has no end, because an earlier process was
            killed, it gets one.

    Raises:
        LncaError: the file cannot be written; `write`, `flush` and `close` raise it too.
    """

    def __init__(self, path: Path):
        self.path = path
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            # A pipe or a terminal has nothing to read, to truncate or to sync.
            self._regular = not path.exists() or path.is_file()
            access = os.O_RDWR | os.O_CREAT if self._regular else os.O_WRONLY
            handle = os.open(path, access | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o666)
            self._file = FileIO(handle, "rb+" if self._regular else "wb")
        try:
            self._end_last_line()
        except BaseException:
            self._file.close()
            raise

    def _end_last_line(self) -> None:
        with _explained(self.path):
            size = os.fstat(self._file.fileno()).st_size if self._regular else 0
            last = os.pread(self._file.fileno(), 1, size - 1) if size else b"\n"
        if last != b"\n" and self.path.suffix == ".jsonl":
            self.write("\n")

    def write(self, part: str | bytes, /) -> None:
        """Appends a part."""
        left = memoryview(part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part)
        with _explained(self.path):
            before = os.fstat(self._file.fileno()).st_size
            try:
                while left:
                    left = left[self._file.write(left) or 0 :]
            except OSError:
                if self._regular:
                    os.ftruncate(self._file.fileno(), before)
                raise

    def flush(self) -> None:
        """Flushes and syncs the file."""
        if self._regular:
            with _explained(self.path):
                os.fsync(self._file.fileno())

    def close(self) -> None:
        """Flushes and closes the file."""
        with _explained(self.path):
            self._file.close()

    def __enter__(self) -> "Appended":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self.flush()
                self.close()
        finally:
            with suppress(OSError):
                self._file.close()
