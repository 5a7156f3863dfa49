"""The devices of torch, and how many threads it and the fused kernels use."""

import torch

from ..errors import LncaError
from ..runtime import threads


def choose_device(name: str = "auto") -> torch.device:
    """The device with a name; "auto" is the fastest one.

    Raises:
        LncaError: the name is unknown, or the machine does not have the device.
    """
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if available[kind])
    kind = name.partition(":")[0]
    if kind not in available:
        raise LncaError(f"no device {name!r}; choose auto, cpu, cuda or mps")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise LncaError(f"no device {name!r}; choose auto, cpu, cuda or mps") from error
    if not available[kind] or (kind == "cuda" and (device.index or 0) >= torch.cuda.device_count()):
        raise LncaError(f"there is no device {name} here; use --device cpu")
    return device


def use_threads(count: int) -> None:
    """Sets the number of threads of torch and the fused kernels in this process."""
    torch.set_num_threads(count)
    threads.allow(count)
