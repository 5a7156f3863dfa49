"""Any data set of pictures on the Hugging Face hub, or local parquet files, by the library `datasets`.

hf:cifar10    hf:owner/name?split=train&column=image    hf:pairs.parquet?column=clean&corrupted=noisy
"""

import io
import urllib.parse
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import LncaError, in_short
from ...images.eight_bit import decode_picture
from ..source import About, DataSet, Found, Sample

PREFIX = "hf:"
ABOUT = About(
    title="a data set of the Hugging Face hub",
    home="https://huggingface.co/datasets",
    licence="see its page",
    size="any",
    tree="no ROOT: hf:NAME[?config=..&split=..&column=..&corrupted=..], or hf:FILE.parquet[?..]",
)


@dataclass(frozen=True)
class Address:
    """The parts of an address "hf:..."."""

    name: str
    config: str | None = None
    split: str = "train"
    column: str | None = None
    corrupted: str | None = None


def parse(text: str) -> Address:
    """Reads "hf:name?key=value&..."; raises `LncaError` for an unknown key."""
    name, _, query = text.removeprefix(PREFIX).partition("?")
    values = dict(urllib.parse.parse_qsl(query))
    unknown = values.keys() - {"config", "split", "column", "corrupted"}
    if not name or unknown:
        wrong = f"{sorted(unknown)[0]!r} is not known" if unknown else "the name is missing"
        raise LncaError(f"{text!r}: {wrong}; write hf:NAME?config=..&split=..&column=..&corrupted=..")
    return Address(name, **values)


@lru_cache(2)
def load(address: Address) -> Any:
    """The rows of one split; code of the hub is never run."""
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise LncaError("data sets of the hub need the library datasets: pip install 'lnca[hub]'") from error
    datasets.disable_progress_bars()
    try:
        if address.name.endswith(".parquet"):
            return datasets.load_dataset("parquet", data_files={address.split: address.name}, split=address.split)
        return datasets.load_dataset(address.name, address.config, split=address.split)
    except Exception as error:
        # The library has many parts that use the network; its exceptions have no common class.
        raise LncaError(f"{address.name} cannot be read from the hub or the disk: {in_short(error, 300)}") from error


@lru_cache(4)
def undecoded(address: Address, column: str) -> Any:
    """The rows with the bytes of a column's picture files."""
    import datasets

    return load(address).cast_column(column, datasets.Image(decode=False))


@dataclass(frozen=True)
class HubPicture:
    """One cell of a column of pictures."""

    address: Address
    column: str
    index: int

    def read(self) -> np.ndarray:
        name = f"row {self.index} of {self.address.name}"
        try:
            cell = undecoded(self.address, self.column)[self.index][self.column]
            if cell["bytes"] is not None:
                return np.asarray(decode_picture(io.BytesIO(cell["bytes"]), name).convert("RGB"))
            if self.address.name.endswith(".parquet"):
                raise LncaError(f"{name} holds the name of a file ({cell['path']!r}) in place of a picture")
            return np.asarray(load(self.address)[self.index][self.column].convert("RGB"))
        except LncaError:
            raise
        except Exception as error:
            raise LncaError(f"row {self.index} of {self.address.name} is no whole picture ({error})") from error


def scan(root: Path | None, address: Address) -> Found:
    """Every row is a sample and a group of its own."""
    try:
        rows = load(address)
    except LncaError as error:
        return Found(problems=[str(error)])
    found = [name for name, feature in rows.features.items() if type(feature).__name__ == "Image"]
    wanted = [name for name in (address.column, address.corrupted) if name is not None]
    absent = [name for name in wanted if name not in found]
    if absent or not found:
        columns = ", ".join(found) or "none"
        return Found(problems=[f"{address.name}: columns of pictures are {columns}; name one with ?column=.."])
    clean = address.column or found[0]
    return Found(
        [
            Sample(
                f"{index:08d}",
                f"{index:08d}",
                HubPicture(address, clean, index),
                HubPicture(address, address.corrupted, index) if address.corrupted else None,
            )
            for index in range(len(rows))
        ]
    )


def hub_set(text: str) -> DataSet:
    """The reader of one address."""
    return DataSet(text, ABOUT, partial(scan, address=parse(text)))
