"""The tensors of a model as arrays, checked when they are taken; and weight files that share tensors with a shipped
model."""

import json
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from ..catalogue import HEADER, SHARING_VERSION, VERSION, ModelInfo, Shared, describe, holder_of
from ..errors import LncaError


class SharingError(LncaError):
    """A weight file shares tensors with a shipped model whose tensors have changed since."""


class Weights:
    """Tensors by name.

    Args:
        arrays: tensors of any floating-point type.
        prefix: is put before the names that are asked for.
        origins: for a prefix, an identifier of the file that holds exactly these tensors; see `origins_of`.
    """

    def __init__(
        self, arrays: Mapping[str, np.ndarray], prefix: str = "", origins: Mapping[str, Hashable] | None = None
    ):
        self._arrays, self._prefix, self._origins = arrays, prefix, origins or {}
        self._taken: set[str] = set()

    def within(self, name: str) -> "Weights":
        """The tensors whose names begin with `name` and a dot, by the rest of their names."""
        part = Weights(self._arrays, f"{self._prefix}{name}.", self._origins)
        part._taken = self._taken
        return part

    @property
    def origin(self) -> Hashable | None:
        """An identifier of the file with these tensors, equal for models that share it; None if it is unknown."""
        return self._origins.get(self._prefix)

    def take(self, name: str, *shape: int | None) -> np.ndarray:
        """A tensor, float64.

        Args:
            name: name without the prefix.
            shape: the expected shape; None accepts any length.

        Raises:
            LncaError: the tensor is missing or has a wrong shape.
        """
        full = self._prefix + name
        if full not in self._arrays:
            raise LncaError(f"{full} is missing")
        array = self._arrays[full]
        if len(array.shape) != len(shape) or any(
            wanted not in (None, found) for wanted, found in zip(shape, array.shape, strict=True)
        ):
            wanted = ", ".join("any" if side is None else str(side) for side in shape)
            raise LncaError(f"{full} should have the shape ({wanted}), and has {tuple(array.shape)}")
        self._taken.add(full)
        return np.asarray(array, np.float64)

    def take_all(self) -> None:
        """Marks all tensors as taken, for a model that is already built."""
        self._taken.update(name for name in self._arrays if name.startswith(self._prefix))

    def check_all_taken(self) -> None:
        """Raises `LncaError` if a tensor was not taken."""
        left = sorted(set(self._arrays) - self._taken)
        if left:
            more = f", and {len(left) - 1} more" if left[1:] else ""
            raise LncaError(f"{left[0]} belongs to no part of the model{more}")


def tensors(info: ModelInfo, framework: str = "np") -> dict[str, Any]:
    """All tensors of a model by name, including those that a shipped model holds.

    Args:
        framework: "np" or "pt", see safetensors.

    Raises:
        SharingError: the tensors of the shipped model are not those that the file was made with.
    """
    found = _in_file(info.path, framework)
    for prefix, part in info.shared.items():
        holder = holder_of(part, info.path)
        held = _in_file(holder, "np")
        if digest(held) != part.sha256:
            raise SharingError(
                f"{info.path} was made for another version of {part.model}; get the file that comes with this lnca, or "
                "a copy that holds all its tensors"
            )
        given = held if framework == "np" else _in_file(holder, framework)
        found |= {f"{prefix}.{name}": tensor for name, tensor in given.items()}
    return found


def _in_file(path: Path, framework: str) -> dict[str, Any]:
    with safe_open(path, framework) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of names, dtypes, shapes and values, in hexadecimal; it does not depend on the card."""
    from hashlib import sha256

    found = sha256()
    for name, array in sorted(arrays.items()):
        found.update(f"{name} {array.dtype} {array.shape} ".encode() + array.tobytes())
    return found.hexdigest()


def identity(info: ModelInfo) -> str:
    """The `digest` of all tensors of a model, with shared ones. Stored results name it, to tell their weights."""
    return digest(tensors(info))


def origins_of(info: ModelInfo) -> dict[str, Hashable]:
    """For each prefix of tensor names, with its dot, an identifier of the file that holds them, in its current
    state."""

    def state(path: Path) -> Hashable:
        stat = path.stat()
        return str(path.resolve()), stat.st_mtime_ns, stat.st_size

    shared = {f"{prefix}.": state(holder_of(part, info.path)) for prefix, part in info.shared.items()}
    return shared if shared else {"": state(info.path)}


def whole(path: Path) -> bytes:
    """The content of a weight file with all its tensors; the file itself if it shares none."""
    info = describe(path)
    if not info.shared:
        return path.read_bytes()
    return _packed(info, tensors(info), {})


def sharing(path: Path, prefix: str, model: str) -> bytes:
    """The content of a weight file without the tensors under `prefix`, which it shares with a shipped model.

    Args:
        prefix: the shared tensors' names begin with this and a dot.
        model: name of the shipped model.

    Raises:
        LncaError: no such model is shipped, or its tensors differ.
    """
    info, own = describe(path), {}
    part = Shared(model, digest(_in_file(holder_of(Shared(model, ""), path), "np")))
    left = {}
    for name, array in tensors(info).items():
        if name.startswith(f"{prefix}."):
            left[name.removeprefix(f"{prefix}.")] = array
        else:
            own[name] = array
    if digest(left) != part.sha256:
        raise LncaError(f"the tensors of {path} under {prefix} are not those of {model}")
    return _packed(info, own, {**info.shared, prefix: part})


def _packed(info: ModelInfo, arrays: dict[str, np.ndarray], shared: dict[str, Shared]) -> bytes:
    header: dict[str, Any] = {"version": SHARING_VERSION if shared else VERSION, "architecture": info.architecture}
    header |= {"settings": info.settings, "card": info.card}
    if shared:
        header["shared"] = {prefix: {"model": part.model, "sha256": part.sha256} for prefix, part in shared.items()}
    return save(arrays, {HEADER: json.dumps(header)})
