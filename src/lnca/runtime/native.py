"""The compiled library of `cpu/`, called through ctypes, which releases the interpreter's lock."""

import ctypes
import warnings
from enum import IntEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..errors import LncaError

Precision = Literal["float32", "bfloat16"]
# Plain arithmetic, the same under torch.compile, compiled kernels, or the fastest that needs no compiling.
Backend = Literal["auto", "plain", "compiled", "fused"]


class NoKernelError(LncaError):
    """The compiled kernels cannot be had, or have no room for a model."""


INSTRUCTION_SETS = ("portable", "avx2", "avx512", "avx512bf16", "amx")
# Those that multiply in bfloat16.
BFLOAT16_SETS = ("avx512bf16", "amx")

FLOAT_P = ctypes.POINTER(ctypes.c_float)
WORD_P = ctypes.POINTER(ctypes.c_uint32)


class RuleKind(IntEnum):
    """Rules, as cpu/plan.h numbers them."""

    NAFCA = 0
    VITCA = 1


class ConvolutionKind(IntEnum):
    """Convolutions, as cpu/plan.h numbers them."""

    SAME = 0
    HALVING = 1
    DOUBLING = 2
    POINTWISE = 3
    WINOGRAD = 4


class ActivationKind(IntEnum):
    """Activations, as cpu/plan.h numbers them."""

    SWISH = 0
    SIGMOID = 1
    NONE = 2
    RELU = 3


class CMap(ctypes.Structure):
    _fields_ = (
        ("inputs", ctypes.c_int32),
        ("outputs", ctypes.c_int32),
        ("weight", FLOAT_P),
        ("bias", FLOAT_P),
        ("pairs", WORD_P),
    )


class CRule(ctypes.Structure):
    _fields_ = (
        ("kind", ctypes.c_int32),
        ("channels", ctypes.c_int32),
        ("input_channels", ctypes.c_int32),
        ("embed", ctypes.c_int32),
        ("heads", ctypes.c_int32),
        ("epsilon", ctypes.c_float),
        ("attention_bias", ctypes.c_float),
        ("maps", CMap * 6),
        ("gate", FLOAT_P),
    )


class CBand(ctypes.Structure):
    _fields_ = (
        ("values", FLOAT_P),
        ("first", ctypes.c_int64),
        ("rows", ctypes.c_int64),
        ("height", ctypes.c_int64),
        ("columns", ctypes.c_int64),
    )


class CConvolution(ctypes.Structure):
    _fields_ = (
        ("inputs", ctypes.c_int32),
        ("outputs", ctypes.c_int32),
        ("kind", ctypes.c_int32),
        ("activation", ctypes.c_int32),
        ("weight", FLOAT_P),
        ("bias", FLOAT_P),
        ("tiles", WORD_P),
        ("added", ctypes.POINTER(CBand)),
    )


class CLattice(ctypes.Structure):
    _fields_ = (
        ("cells", FLOAT_P),
        ("batch", ctypes.c_int64),
        ("rows", ctypes.c_int64),
        ("columns", ctypes.c_int64),
        ("keys", WORD_P),
        ("position", FLOAT_P),
        ("first_row", ctypes.c_int64),
        ("first_column", ctypes.c_int64),
        ("update_rate", ctypes.c_double),
        ("steps", ctypes.c_int32),
        ("threads", ctypes.c_int32),
        ("bfloat16", ctypes.c_int32),
        ("unsettled", ctypes.c_void_p),
        ("spare", ctypes.c_void_p),
        ("taken", ctypes.c_void_p),
        ("tolerance", ctypes.c_float),
    )


# Goes up, here and in cpu/plan.h, where the meaning of what is handed over changes and its size does not.
LAYOUT = 5
STRUCTURES = (CMap, CRule, CConvolution, CBand, CLattice)


@lru_cache(1)
def library() -> ctypes.CDLL | None:
    """The compiled library; None, with a warning, where it is of another version, and None where it was not built."""
    loaded, reason = _loaded()
    if loaded is None and library_files():
        warnings.warn(f"{reason}; until then slower steps are made without it", stacklevel=2)
    return loaded


def _loaded() -> tuple[ctypes.CDLL | None, str]:
    """The library, or why there is none."""
    reason = "the fused CPU kernels were not built; install lnca where there is a C++ compiler"
    for path in library_files():
        try:
            loaded = ctypes.CDLL(str(path))
        except OSError as error:
            reason = f"{path} cannot be loaded ({error}): install lnca again"
            continue
        if _fits(loaded):
            _declare(loaded)
            return loaded, ""
        reason = f"{path} is of another version of lnca: install lnca again"
    return None, reason


def library_files() -> list[Path]:
    return sorted(path for path in Path(__file__).parent.glob("_cpu.*") if path.suffix in (".so", ".dll"))


def _declare(loaded: ctypes.CDLL) -> None:
    """Says what the functions take."""
    loaded.lnca_run.argtypes = (ctypes.c_int, ctypes.POINTER(CRule), ctypes.POINTER(CLattice))
    loaded.lnca_multiply_add.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int)
    loaded.lnca_multiply_add.restype = ctypes.c_double
    band = ctypes.POINTER(CBand)
    loaded.lnca_convolve.argtypes = (
        ctypes.c_int,
        ctypes.POINTER(CConvolution),
        band,
        band,
        ctypes.c_int64,
        ctypes.c_int,
    )


def _fits(loaded: ctypes.CDLL) -> bool:
    """Whether a library takes what is handed over here."""
    layout = (ctypes.c_int64 * (1 + len(STRUCTURES)))()
    try:
        loaded.lnca_layout(layout)
        loaded.lnca_compiled()
    except AttributeError:
        return False
    return list(layout) == [LAYOUT, *map(ctypes.sizeof, STRUCTURES)]


def best_level() -> str | None:
    """The widest instruction set this processor has; None without the library."""
    loaded = library()
    return None if loaded is None else INSTRUCTION_SETS[loaded.lnca_best()]


def description() -> str:
    """Which kernels there are, and why no others: one line for people."""
    loaded, reason = _loaded()
    if loaded is None:
        return f"none: {reason}"
    best, compiled = loaded.lnca_best(), loaded.lnca_compiled()
    parts = [f"{INSTRUCTION_SETS[best]}, float32{' and bfloat16' if INSTRUCTION_SETS[best] in BFLOAT16_SETS else ''}"]
    if best < compiled:
        missing = ", ".join(INSTRUCTION_SETS[best + 1 : compiled + 1])
        parts.append(f"this processor, or its operating system for lnca, has no {missing}")
    if 0 < compiled < len(INSTRUCTION_SETS) - 1:
        parts.append(f"no {', '.join(INSTRUCTION_SETS[compiled + 1 :])} in this build")
    return "; ".join(parts)


def loaded_library() -> ctypes.CDLL:
    loaded = library()
    if loaded is None:
        raise NoKernelError(_loaded()[1])
    return loaded


def address(x: np.ndarray) -> Any:
    """Of the first number of a contiguous array, float32."""
    assert x.flags.c_contiguous
    return ctypes.cast(x.ctypes.data, FLOAT_P)
