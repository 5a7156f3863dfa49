"""The compiled library of `cpu/`, called through ctypes, which releases the global interpreter lock."""

import ctypes
import warnings
from enum import IntEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..errors import LncaError

Precision = Literal["float32", "bfloat16"]
# "plain" is numpy or plain torch, "compiled" is torch.compile, "fused" are the compiled kernels; "auto" is the fastest
# one that needs no compilation.
Backend = Literal["auto", "plain", "compiled", "fused"]


class NoKernelError(LncaError):
    """The compiled kernels are not available, or do not support a model's widths."""


INSTRUCTION_SETS = ("portable", "avx2", "avx512", "avx512bf16", "amx")
# Instruction sets with products in bfloat16.
BFLOAT16_SETS = ("avx512bf16", "amx")

FLOAT_P = ctypes.POINTER(ctypes.c_float)
WORD_P = ctypes.POINTER(ctypes.c_uint32)


class RuleKind(IntEnum):
    """Kinds of rules, with the numbers of cpu/plan.h."""

    NAFCA = 0
    VITCA = 1


class ConvolutionKind(IntEnum):
    """Kinds of convolutions, with the numbers of cpu/plan.h."""

    SAME = 0
    HALVING = 1
    DOUBLING = 2
    POINTWISE = 3
    WINOGRAD = 4


class ActivationKind(IntEnum):
    """Activations, with the numbers of cpu/plan.h."""

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


# Version of the structures. Increase it here and in cpu/plan.h when the meaning of a field changes without its size.
LAYOUT = 6
STRUCTURES = (CMap, CRule, CConvolution, CBand, CLattice)


@lru_cache(1)
def library() -> ctypes.CDLL | None:
    """The compiled library; None if it was not built, and None with a warning if it has another version."""
    loaded, reason = _loaded()
    if loaded is None and library_files():
        warnings.warn(f"{reason}; until then lnca restores without it, and is slower", stacklevel=2)
    return loaded


def _loaded() -> tuple[ctypes.CDLL | None, str]:
    """The library, or None and the reason."""
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
    """Paths of the compiled library beside this module."""
    return sorted(path for path in Path(__file__).parent.glob("_cpu.*") if path.suffix in (".so", ".dll"))


def _declare(loaded: ctypes.CDLL) -> None:
    """Declares the argument types of the library's functions."""
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
    """Whether the library was compiled with the same structures."""
    layout = (ctypes.c_int64 * (1 + len(STRUCTURES)))()
    try:
        loaded.lnca_layout(layout)
        loaded.lnca_compiled()
    except AttributeError:
        return False
    return list(layout) == [LAYOUT, *map(ctypes.sizeof, STRUCTURES)]


def best_level() -> str | None:
    """The best instruction set that this CPU supports, one of `INSTRUCTION_SETS`; None without the library."""
    loaded = library()
    return None if loaded is None else INSTRUCTION_SETS[loaded.lnca_best()]


def description() -> str:
    """One line for users: the available kernels, and why others are missing."""
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
    """The compiled library; raises `NoKernelError` without one."""
    loaded = library()
    if loaded is None:
        raise NoKernelError(_loaded()[1])
    return loaded


def address(x: np.ndarray) -> Any:
    """The address of a contiguous float32 array, as a pointer for ctypes."""
    assert x.flags.c_contiguous
    return ctypes.cast(x.ctypes.data, FLOAT_P)
