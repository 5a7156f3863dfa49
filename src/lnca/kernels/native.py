"""The compiled library of `cpu/`, called through ctypes, which releases the interpreter's lock."""

import ctypes
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import LncaError

LEVELS = ("portable", "avx2", "avx512", "avx512bf16", "amx")
# Those that multiply in bfloat16.
BFLOAT16_LEVELS = ("avx512bf16", "amx")

FLOAT_P = ctypes.POINTER(ctypes.c_float)
WORD_P = ctypes.POINTER(ctypes.c_uint32)


class PlainMap(ctypes.Structure):
    _fields_ = (
        ("inputs", ctypes.c_int32), ("outputs", ctypes.c_int32),
        ("weight", FLOAT_P), ("bias", FLOAT_P), ("pairs", WORD_P),
    )  # fmt: skip


class PlainRule(ctypes.Structure):
    _fields_ = (
        ("kind", ctypes.c_int32), ("channels", ctypes.c_int32), ("input_channels", ctypes.c_int32),
        ("embed", ctypes.c_int32), ("heads", ctypes.c_int32),
        ("epsilon", ctypes.c_float), ("attention_bias", ctypes.c_float),
        ("maps", PlainMap * 6), ("gate", FLOAT_P),
    )  # fmt: skip


class PlainConvolution(ctypes.Structure):
    _fields_ = (
        ("inputs", ctypes.c_int32), ("outputs", ctypes.c_int32),
        ("kind", ctypes.c_int32), ("activation", ctypes.c_int32), ("refines", ctypes.c_int32),
        ("weight", FLOAT_P), ("bias", FLOAT_P), ("tiles", WORD_P),
    )  # fmt: skip


class PlainBlur(ctypes.Structure):
    _fields_ = (
        ("batch", ctypes.c_int64), ("rows", ctypes.c_int64), ("columns", ctypes.c_int64),
        ("pitch", ctypes.c_int64), ("picture", ctypes.c_int64),
        ("side", ctypes.c_int32), ("channels", ctypes.c_int32), ("threads", ctypes.c_int32),
        ("padded", FLOAT_P), ("kernels", FLOAT_P),
    )  # fmt: skip


class PlainEchoes(ctypes.Structure):
    _fields_ = (
        ("pictures", ctypes.c_int64), ("rows", ctypes.c_int64), ("columns", ctypes.c_int64),
        ("first", ctypes.c_int64), ("kept", ctypes.c_int64),
        ("pitch", ctypes.c_int64), ("picture", ctypes.c_int64), ("corner", ctypes.c_int64),
        ("gradients", ctypes.c_int32), ("count", ctypes.c_int32), ("channels", ctypes.c_int32),
        ("scales", ctypes.c_int32), ("threads", ctypes.c_int32),
        ("little", ctypes.c_float), ("gain", ctypes.c_float), ("around", FLOAT_P), ("lags", ctypes.c_void_p),
    )  # fmt: skip


class PlainBand(ctypes.Structure):
    _fields_ = (
        ("values", FLOAT_P), ("first", ctypes.c_int64), ("rows", ctypes.c_int64),
        ("height", ctypes.c_int64), ("columns", ctypes.c_int64),
    )  # fmt: skip


class PlainLattice(ctypes.Structure):
    _fields_ = (
        ("cells", FLOAT_P),
        ("batch", ctypes.c_int64), ("rows", ctypes.c_int64), ("columns", ctypes.c_int64),
        ("keys", WORD_P), ("position", FLOAT_P),
        ("first_row", ctypes.c_int64), ("first_column", ctypes.c_int64),
        ("update_rate", ctypes.c_double),
        ("steps", ctypes.c_int32), ("threads", ctypes.c_int32), ("bfloat16", ctypes.c_int32),
        ("unsettled", ctypes.c_void_p), ("spare", ctypes.c_void_p), ("taken", ctypes.c_void_p),
        ("tolerance", ctypes.c_float),
    )  # fmt: skip


# Goes up, here and in cpu/plan.h, where the meaning of what is handed over changes and its size does not.
LAYOUT = 3
STRUCTURES = (PlainMap, PlainRule, PlainConvolution, PlainBlur, PlainEchoes, PlainBand, PlainLattice)


@lru_cache(1)
def library() -> ctypes.CDLL | None:
    """The compiled library; None, with a warning, where it is of another version, and None where it was not built."""
    found = sorted(Path(__file__).parent.glob("_cpu*"))
    for path in found:
        try:
            loaded = ctypes.CDLL(str(path))
        except OSError:
            continue
        if not _fits(loaded):
            warnings.warn(
                f"{path} is of another version of lnca, and slower steps are made without it: install lnca again",
                stacklevel=2,
            )
            continue
        loaded.lnca_run.argtypes = (ctypes.c_int, ctypes.POINTER(PlainRule), ctypes.POINTER(PlainLattice))
        loaded.lnca_multiply_add.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int)
        loaded.lnca_multiply_add.restype = ctypes.c_double
        band = ctypes.POINTER(PlainBand)
        loaded.lnca_convolve.argtypes = (
            ctypes.c_int, ctypes.POINTER(PlainConvolution), band, band, ctypes.c_int64, ctypes.c_int,
        )  # fmt: skip
        blur = ctypes.POINTER(PlainBlur)
        loaded.lnca_blur.argtypes = ctypes.c_int, blur, FLOAT_P
        loaded.lnca_blur_gradients.argtypes = ctypes.c_int, blur, FLOAT_P, FLOAT_P, FLOAT_P
        loaded.lnca_echoes.argtypes = ctypes.c_int, ctypes.POINTER(PlainEchoes), FLOAT_P
        return loaded
    return None


def _fits(loaded: ctypes.CDLL) -> bool:
    """Whether a library takes what is handed over here."""
    layout = (ctypes.c_int64 * (1 + len(STRUCTURES)))()
    try:
        loaded.lnca_layout(layout)
    except AttributeError:
        return False
    return list(layout) == [LAYOUT, *map(ctypes.sizeof, STRUCTURES)]


def best_level() -> str | None:
    """The widest instruction set this processor has; None without the library."""
    loaded = library()
    return None if loaded is None else LEVELS[loaded.lnca_best()]


def loaded_library() -> ctypes.CDLL:
    loaded = library()
    if loaded is None:
        raise LncaError("the fused CPU kernels were not built; install lnca where there is a C++ compiler")
    return loaded


def address(x: Tensor) -> Any:
    return ctypes.cast(x.data_ptr(), FLOAT_P)
