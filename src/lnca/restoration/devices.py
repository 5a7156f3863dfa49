"""Where pictures are restored: on the processor, for which nothing else is needed, or by torch on a GPU."""

import ctypes
import platform
from importlib.util import find_spec
from pathlib import Path

from ..errors import HOW_TO_GET_TORCH, LncaError

# What the drivers of GPUs that torch works with leave on Linux: NVIDIA's, AMD's, and Windows' for its own Linux.
SIGNS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
NAMES = ("auto", "cpu", "cuda", "mps")


def device_named(name: str = "auto") -> str:
    """The device of a name, such as "cpu" or "cuda:0"; "auto" is the fastest there is.

    Torch is imported only where a GPU is asked for, or may be there.

    Raises:
        LncaError: no such device, or none here, or a GPU without torch.
    """
    kind, _, number = name.partition(":")
    if kind not in NAMES or (kind in ("auto", "cpu") and number):
        raise LncaError(f"no device {name!r}; choose auto, cpu, cuda or mps")
    has_torch = find_spec("torch") is not None
    if kind == "cpu" or (kind == "auto" and not (has_torch and a_gpu_may_be_here())):
        return "cpu"
    if not has_torch:
        raise LncaError(f"--device {name} needs PyTorch: {HOW_TO_GET_TORCH}")
    from ..kernels.devices import choose_device

    return str(choose_device(name))


def a_gpu_may_be_here() -> bool:
    """Whether it pays to import torch to look for a GPU."""
    system = platform.system()
    if system == "Darwin":
        return platform.machine() == "arm64"
    if system == "Windows":
        try:
            ctypes.CDLL("nvcuda.dll")
        except OSError:
            return False
        return True
    return any(Path(sign).exists() for sign in SIGNS)
