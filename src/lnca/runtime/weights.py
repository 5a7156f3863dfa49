"""Tensors of a model as arrays, each of which is taken once; and weight files that leave some to a shipped model."""

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
    """A weight file leaves tensors to a shipped model that is another one by now."""


class Weights:
    """Tensors by name.

    Args:
        arrays: of any floating-point type.
        prefix: of the names that are asked for.
        origins: by prefix, the file that these tensors are all there is of; see `origins_of`.
    """

    def __init__(
        self, arrays: Mapping[str, np.ndarray], prefix: str = "", origins: Mapping[str, Hashable] | None = None
    ):
        self._arrays, self._prefix, self._origins = arrays, prefix, origins or {}
        self._taken: set[str] = set()

    def within(self, name: str) -> "Weights":
        """Those whose names begin with `name` and a dot, by what follows."""
        part = Weights(self._arrays, f"{self._prefix}{name}.", self._origins)
        part._taken = self._taken
        return part

    @property
    def origin(self) -> Hashable | None:
        """What is the same for two models that have these tensors of one file; None where that is not known."""
        return self._origins.get(self._prefix)

    def take(self, name: str, *shape: int | None) -> np.ndarray:
        """A tensor, float64.

        Args:
            shape: what its shape has to be; None where a side may have any length.

        Raises:
            LncaError: there is none, or it has another shape.
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
        """Counts all of them as taken: a model that is there already has them."""
        self._taken.update(name for name in self._arrays if name.startswith(self._prefix))

    def check_all_taken(self) -> None:
        """Raises `LncaError` where a tensor belongs to nothing."""
        left = sorted(set(self._arrays) - self._taken)
        if left:
            raise LncaError(f"{left[0]} belongs to nothing" + (f", and {len(left) - 1} more" if left[1:] else ""))


def tensors(info: ModelInfo, framework: str = "np") -> dict[str, Any]:
    """All tensors of a model by name, those that a shipped model holds included.

    Args:
        framework: "np" or "pt", as of safetensors.

    Raises:
        SharingError: the shipped model has other tensors than the file was made with.
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
    """SHA-256 of names, types, shapes and values, in hexadecimal digits; a card says nothing of it."""
    from hashlib import sha256

    found = sha256()
    for name, array in sorted(arrays.items()):
        found.update(f"{name} {array.dtype} {array.shape} ".encode() + array.tobytes())
    return found.hexdigest()


def identity(info: ModelInfo) -> str:
    """The `digest` of all tensors of a model, shared ones included: results that have it are of these weights."""
    return digest(tensors(info))


def origins_of(info: ModelInfo) -> dict[str, Hashable]:
    """By prefix of the tensors' names, with a dot, the file that holds them, in the state that it has now."""

    def state(path: Path) -> Hashable:
        stat = path.stat()
        return str(path.resolve()), stat.st_mtime_ns, stat.st_size

    shared = {f"{prefix}.": state(holder_of(part, info.path)) for prefix, part in info.shared.items()}
    return shared if shared else {"": state(info.path)}


def whole(path: Path) -> bytes:
    """A weight file that holds all its tensors: the file itself where it shares none."""
    info = describe(path)
    if not info.shared:
        return path.read_bytes()
    return _packed(info, tensors(info), {})


def sharing(path: Path, prefix: str, model: str) -> bytes:
    """A weight file without the tensors whose names begin with `prefix` and a dot, which are those of a shipped model.

    Raises:
        LncaError: no such model is shipped, or its tensors are others.
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
