"""CIFAR-10 (Krizhevsky, 2009): 32x32 pictures, clean; as python batches, binary batches, parquet, or JPEG files."""

import io
import pickle
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ...errors import LncaError
from ...images.eight_bit import decode_picture
from ..source import (
    About,
    DataSet,
    FilePicture,
    Found,
    Picture,
    Sample,
    ZipPicture,
    archived,
    below,
    missing,
    pictures,
)

ABOUT = About(
    title="CIFAR-10",
    home="https://www.cs.toronto.edu/~kriz/cifar.html",
    licence="none stated; used for research, with the report cited",
    size="60,000 pictures of 32x32, 170 MB",
    tree=(
        "cifar-10-batches-py/data_batch_1 ... data_batch_5, test_batch        (python)\n"
        "cifar-10-batches-bin/data_batch_1.bin ... data_batch_5.bin, test_batch.bin   (binary)\n"
        "or, below ROOT, train-*.parquet and test-*.parquet with a column img or image\n"
        "or train/CLASS/*.jpg and test/CLASS/*.jpg, 5000 and 1000 a class, also in a zip archive, which ROOT may be\n"
        "(JPEG files are not the original pictures: say so beside every score)"
    ),
    checksums=(
        "cifar-10-python.tar.gz: md5 c58f30108f718f92721af3b95e74349a; "
        "cifar-10-binary.tar.gz: md5 c32a1d4ab5d03f1284b67883e8d87530"
    ),
)
BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
PER_BATCH = 10_000
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PER_CLASS = {"train": 5000, "test": 1000}
ENCODED = (".jpg", ".jpeg", ".png")
ROW = 3 * 32 * 32


class PlainUnpickler(pickle.Unpickler):
    """Unpickles containers, strings, numbers and numpy arrays, and refuses every other class or function."""

    ALLOWED: ClassVar = {
        ("numpy.core.multiarray", "_reconstruct"): "_reconstruct",
        ("numpy._core.multiarray", "_reconstruct"): "_reconstruct",
        ("numpy", "ndarray"): "ndarray",
        ("numpy", "dtype"): "dtype",
        ("_codecs", "encode"): "encode",
    }

    def find_class(self, module: str, name: str) -> Any:
        match self.ALLOWED.get((module, name)):
            case "_reconstruct":
                return np.ndarray([0]).__reduce__()[0]
            case "encode":
                return _encode
            case str(known):
                return getattr(np, known)
        raise pickle.UnpicklingError(f"{module}.{name} does not belong into a batch of CIFAR-10")


def _encode(text: str, encoding: str) -> bytes:
    """The function by which Python 3 pickles bytes in the old protocols."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes are never pickled as {encoding}")
    return text.encode("latin1")


def read_python(path: Path) -> np.ndarray:
    """uint8 (N, 3, 32, 32) of a python batch."""
    batch = PlainUnpickler(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    rows = batch.get(b"data", batch.get("data"))
    if not isinstance(rows, np.ndarray) or rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] != ROW:
        raise ValueError("it has no array 'data' of uint8 rows of 3072 values")
    return rows.reshape(-1, 3, 32, 32)


def read_binary(path: Path) -> np.ndarray:
    """uint8 (N, 3, 32, 32) of a binary batch."""
    return np.fromfile(path, np.uint8).reshape(-1, 1 + ROW)[:, 1:].reshape(-1, 3, 32, 32)


def read_parquet(path: Path) -> np.ndarray:
    """uint8 (N, 3, 32, 32) of a parquet file of encoded pictures."""
    try:
        import pyarrow.parquet as parquet
    except ModuleNotFoundError as error:
        raise LncaError("parquet files need pyarrow: pip install 'lnca[hub]'") from error
    table = parquet.read_table(path)
    column = next(name for name in ("img", "image") if name in table.column_names)
    encoded = (cell["bytes"] for cell in table[column].to_pylist())
    decoded = [np.asarray(decode_picture(io.BytesIO(data), str(path)).convert("RGB")) for data in encoded]
    return np.stack(decoded).transpose(0, 3, 1, 2)


READERS: dict[str, Callable[[Path], np.ndarray]] = {
    "python": read_python,
    "binary": read_binary,
    "parquet": read_parquet,
}


@lru_cache(6)
def read_batch(path: Path, kind: str) -> np.ndarray:
    """All pictures of one file; raises `LncaError` if it is broken."""
    try:
        return READERS[kind](path)
    except LncaError:
        raise
    except Exception as error:
        # An unpickler or a parquet reader raises exceptions of any kind for damaged bytes.
        raise LncaError(f"{path} is no {kind} batch of CIFAR-10: {error}") from error


@dataclass(frozen=True)
class BatchPicture:
    """One picture of a batch file."""

    path: Path
    kind: str
    index: int

    def read(self) -> np.ndarray:
        return read_batch(self.path, self.kind)[self.index].transpose(1, 2, 0)


def _locate(root: Path) -> tuple[list[Path], str]:
    python, binary = below(root, "cifar-10-batches-py"), below(root, "cifar-10-batches-bin")
    if python is not None:
        return [python / name for name in BATCHES], "python"
    if binary is not None:
        return [binary / f"{name}.bin" for name in BATCHES], "binary"
    return sorted(root.rglob("*.parquet")), "parquet"


def scan(root: Path) -> Found:
    """Every picture of training and test batches; a group is a picture."""
    if root.is_file():
        return _archive(root)
    files, kind = _locate(root)
    if not files:
        if encoded := _encoded(root):
            return _named(encoded, root)
        if len(archives := sorted(root.glob("*.zip"))) == 1:
            return _archive(archives[0])
        return missing(ABOUT, root, "holds no batches of CIFAR-10")
    found = Found()
    for path in files:
        if not path.is_file():
            found.problems.append(f"{path} is missing; get it from {ABOUT.home}")
            continue
        try:
            count = len(read_batch(path, kind))
        except LncaError as error:
            found.problems.append(str(error))
            continue
        if kind != "parquet" and count != PER_BATCH:
            found.problems.append(f"{path} has {count} pictures instead of {PER_BATCH}; get a whole copy")
        names = (f"{path.stem}-{index:05d}" for index in range(count))
        found.samples += [Sample(name, name, BatchPicture(path, kind, i)) for i, name in enumerate(names)]
    return found


def _encoded(root: Path) -> dict[str, Picture]:
    """Picture files in a folder and its subfolders, with names such as train/cat/0001.jpg."""
    return {
        f"{part}/{name}/{path.name}": FilePicture(path)
        for part in PER_CLASS
        for name in CLASSES
        for path in pictures(root / part / name, ENCODED)
    }


def _archive(path: Path) -> Found:
    """Picture files in a zip archive, which may have a folder around them."""
    found, known = Found(), dict[str, Picture]()
    try:
        members = [name for suffix in ENCODED for name in archived(path, suffix, found)]
    except (OSError, zipfile.BadZipFile) as error:
        return missing(ABOUT, path, f"is no archive of CIFAR-10 ({error})")
    for member in sorted(members):
        part, folder, name = ["", "", *member.split("/")][-3:]
        key = f"{part}/{folder}/{name}"
        if part in PER_CLASS and folder in CLASSES and key not in known:
            known[key] = ZipPicture(path, member)
        else:
            found.others.append(member)
    named = _named(known, path)
    return Found(named.samples, [*found.problems, *named.problems], found.others, named.note)


def _named(files: Mapping[str, Picture], root: Path) -> Found:
    """Samples from pictures with names such as train/cat/0001.jpg."""
    if not files:
        return missing(ABOUT, root, "holds no pictures of CIFAR-10")
    found = Found()
    for part, count in PER_CLASS.items():
        for name in CLASSES:
            there = sum(each.startswith(f"{part}/{name}/") for each in files)
            if there != count:
                found.problems.append(f"{root} has {there} of {count} pictures in {part}/{name}; get a whole copy")
    for each, picture in files.items():
        name = each.rpartition(".")[0].replace("/", "-")
        found.samples.append(Sample(name, name, picture))
    if any(each.endswith((".jpg", ".jpeg")) for each in files):
        found.note = "from JPEG files instead of the original pictures"
    return found


CIFAR10 = DataSet("cifar10", ABOUT, scan)
