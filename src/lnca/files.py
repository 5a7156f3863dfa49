"""Files that are whole or not there, and files that whole lines are added to.

What is written goes to a temporary file beside its place, is flushed, synced and closed, each of which may fail, and is
then renamed. Encoders write to memory or to the file object they are given, never to a path or a descriptor of their
own: a short write that a library overlooks would be a damaged file.
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
# What a file system says that cannot sync a folder.
NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES)


@dataclass(frozen=True)
class Stamp:
    """What an output has in common with its source.

    Args:
        mode: permissions, before the umask takes some away.
        times: of the last access and the last change, in nanoseconds; None for those of the writing.
    """

    mode: int = 0o666
    times: tuple[int, int] | None = None


NEW = Stamp()


def stamp_of(source: Path | None, times: bool = False) -> Stamp:
    """The stamp of a file; that of a new one where there is none, or what is there is a pipe or a device.

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
    """Gives a file to write to, which is at `path` when the block ends without an error, and nowhere otherwise.

    Raises:
        LncaError: the folder or the file cannot be written, the disk is full, or there is something at `path` that is
            no file.
    """
    with _explained(path), _Pending(path, stamp) as pending:
        yield pending.file
        pending.finish()
        pending.place()


def write_whole(path: Path, *content: bytes | memoryview, stamp: Stamp = NEW) -> None:
    """Writes a file, its parts one behind the other, by way of `written_whole`."""
    with written_whole(path, stamp) as file:
        for part in content:
            file.write(part)


def write_together(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Writes files that belong together: none gets its name before all of them are on the disk.

    Args:
        folder: theirs; made where there is none.
        contents: of each file, by name; the last should be the one that makes a whole of them.

    Raises:
        LncaError: as `written_whole`.
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
    """Gives all of them their names, or, where one cannot have it, none."""
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
    """Makes a sentence of what the system says when `path` is written."""
    try:
        yield
    except OSError as error:
        raise LncaError(f"cannot write {path}: {error.strerror or error}") from error


class _Pending:
    """A file beside its place, which is removed unless it is put there.

    Raises:
        OSError: whatever the system says.
        LncaError: there is a folder, a pipe or a device at its place.
    """

    def __init__(self, path: Path, stamp: Stamp):
        self.path, self.stamp = path, stamp
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            raise LncaError(f"cannot write {path}: it is {kind_of(path)}; choose another name")
        # The umask, or what the folder has in its place, is the system's to apply.
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        self.temporary = _temporary(path)
        handle = os.open(self.temporary, flags, stamp.mode)
        self.file: BinaryIO = BufferedRandom(FileIO(handle, "rb+"))

    def __enter__(self) -> "_Pending":
        return self

    def finish(self) -> None:
        """All of it on the disk, and closed."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        if self.stamp.times is not None:
            os.utime(self.temporary, ns=self.stamp.times)

    def set_aside(self) -> Path | None:
        """Where what had its name is now; None where there was nothing."""
        if not self.path.exists():
            return None
        old = _temporary(self.path)
        os.replace(self.path, old)
        return old

    def place(self) -> None:
        """Gives it its name."""
        os.replace(self.temporary, self.path)
        _sync_folder(self.path.parent)

    def __exit__(self, *_: object) -> None:
        # A file that could not be flushed says so once more when it is closed.
        with suppress(OSError):
            self.file.close()
        with suppress(OSError):
            self.temporary.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    return path.with_name(TEMPORARY + os.urandom(8).hex())


def _sync_folder(folder: Path) -> None:
    """Has a new name outlast a power failure, where the system can."""
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
    """What is at a path, for a sentence: "a file", "a folder", "a pipe", ..."""
    mode = path.stat().st_mode
    kinds = {stat.S_ISREG: "a file", stat.S_ISDIR: "a folder", stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket"}
    return next((name for test, name in kinds.items() if test(mode)), "a device")


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A file that is read; what is no file would have to be waited for, perhaps for ever.

    Raises:
        LncaError: there is none, it is a folder, a pipe or a device, or it cannot be read.
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
    """A file that parts, such as lines, are added to, each whole or not at all.

    Args:
        path: made where there is none, with its folder. A last line without an end, which the killing of an earlier
            process may have left, gets one.

    Raises:
        LncaError: it cannot be written, also by `write`, `flush` and `close`.
    """

    def __init__(self, path: Path):
        self.path = path
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            # What is no file (a pipe, a terminal) has nothing to read, to take back or to sync.
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
        """Adds a part."""
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
        """Has all of it on the disk."""
        if self._regular:
            with _explained(self.path):
                os.fsync(self._file.fileno())

    def close(self) -> None:
        """Ends it."""
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
