"""Devices for restoring: the CPU, which needs no other package, or a GPU with torch."""

import ctypes
import platform
from importlib.util import find_spec
from pathlib import Path

from ..errors import HOW_TO_GET_TORCH, LncaError

# Device files of GPU drivers on Linux: NVIDIA's, AMD's, and that of the Windows Subsystem for Linux.
SIGNS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
NAMES = ("auto", "cpu", "cuda", "mps")


def device_named(name: str = "auto") -> str:
    """The device with a name, such as "cpu" or "cuda:0"; "auto" is the fastest one.

    Torch is imported only if a GPU is requested or may exist.

    Raises:
        LncaError: the name is unknown, the machine does not have the device, or a GPU is requested without torch.
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
    """Whether there may be a GPU, so that importing torch to look for it is worth the time."""
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
