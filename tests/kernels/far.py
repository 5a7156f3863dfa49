"""Kernels of another machine, run by an emulator, in the place of this one's.

`LNCA_TEST_KERNELS` is a command that runs `far.cpp` on a library, such as
`qemu-aarch64 build/kernels/aarch64-linux-musl/far build/kernels/aarch64-linux-musl/_cpu.so`. The tests of the kernels
then fold, call and compare as they always do, and that process answers every call (`tools/wheels.py`). Only float32.
"""

import ctypes
import os
import shlex
import struct
import subprocess
from typing import Any

from lnca.runtime import native
from lnca.runtime.native import INSTRUCTION_SETS, CBand, CConvolution, CLattice, CMap, ConvolutionKind, CRule, RuleKind

FLOAT = 4
# Number of arguments of a kernel, if it is not 9.
TAPS = {ConvolutionKind.POINTWISE: 1, ConvolutionKind.WINOGRAD: 16}
POINTER = struct.Struct("<q")
REQUEST = struct.Struct("<32s6q2q")


def install() -> None:
    """Makes `lnca.runtime` call the process in the environment variable, if it is set."""
    command = os.environ.get("LNCA_TEST_KERNELS")
    if command:
        far = FarLibrary(shlex.split(command))
        native.library = lambda: far  # type: ignore[assignment]
        native.best_level = lambda: INSTRUCTION_SETS[far.lnca_best()]


class FarLibrary:
    """The functions of a library in another process, called as those of a `ctypes.CDLL`."""

    def __init__(self, command: list[str]):
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        layout = (ctypes.c_int64 * (1 + len(native.STRUCTURES)))()
        self._call("lnca_layout", [layout])
        assert list(layout) == [native.LAYOUT, *map(ctypes.sizeof, native.STRUCTURES)]

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self._call(name, list(arguments))

    def lnca_best(self) -> int:
        """The highest level that only multiplies in float32."""
        return min(self._call("lnca_best", []), INSTRUCTION_SETS.index("avx512"))

    def lnca_run(self, level: int, rule: CRule, lattice: CLattice) -> int:
        cells = lattice.batch * lattice.rows * lattice.columns
        memory = Memory(self.lnca_vector_size(level))
        memory.cells, memory.channels = cells, rule.channels
        memory.position = lattice.rows * lattice.columns * rule.maps[0].outputs
        return self._call("lnca_run", [level, rule, lattice], memory)

    def lnca_convolve(
        self, level: int, layer: CConvolution, source: CBand, result: CBand, batch: int, threads: int
    ) -> int:
        memory = Memory(self.lnca_vector_size(level))
        added = [layer.outputs] if layer.added else []
        memory.batch, memory.band_channels = batch, [*added, layer.inputs, layer.outputs]
        return self._call("lnca_convolve", [level, layer, source, result, batch, threads], memory)

    def _call(self, name: str, arguments: list[Any], memory: "Memory | None" = None) -> int:
        memory = memory or Memory(0)
        numbers = [0] * 6
        for place, argument in enumerate(arguments):
            if isinstance(argument, int):
                numbers[place] = argument
            else:
                memory.pointers.append((-1 - place, memory.take(argument)))
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        content = bytes(memory.content)
        pairs = b"".join(struct.pack("<2q", *pair) for pair in memory.pointers)
        head = REQUEST.pack(name.encode(), *numbers, len(content), len(memory.pointers))
        self._process.stdin.write(head + content + pairs)
        self._process.stdin.flush()
        answer = self._process.stdout.read(POINTER.size + len(content))
        assert len(answer) == POINTER.size + len(content), "the kernels' process has died"
        memory.give_back(answer[POINTER.size :])
        return int(POINTER.unpack_from(answer)[0])


class Memory:
    """What a call reads and writes, copied into one piece.

    Args:
        vector: lanes of the level that is called.
    """

    cells = channels = position = batch = 0
    band_channels: list[int]

    def __init__(self, vector: int):
        self.vector, self.content = vector, bytearray()
        self.pointers: list[tuple[int, int]] = []
        self._copied: list[tuple[int, int, int]] = []

    def take(self, argument: Any) -> int:
        """Copies a structure or array with all it points to; gives the place of the copy."""
        if not isinstance(argument, ctypes.Structure):
            return self._copy(ctypes.addressof(argument), ctypes.sizeof(argument))
        # Pointers inside it stay.
        place = self._copy(ctypes.addressof(argument), ctypes.sizeof(argument), give_back=False)
        self._follow(argument, place)
        return place

    def give_back(self, content: bytes) -> None:
        """Writes what was copied back to where it came from, structures apart."""
        for address, place, size in self._copied:
            ctypes.memmove(address, content[place : place + size], size)

    def _copy(self, address: int, size: int, *, give_back: bool = True) -> int:
        self.content.extend(bytes(-len(self.content) % 64))
        place = len(self.content)
        self.content.extend(ctypes.string_at(address, size))
        # A kernel may read, and not use, some floats beyond.
        self.content.extend(bytes(64))
        if give_back:
            self._copied.append((address, place, size))
        return place

    def _follow(self, structure: ctypes.Structure, place: int) -> None:
        sizes = self._sizes(structure)
        for name, kind in structure._fields_:  # type: ignore[misc]
            value, at = getattr(structure, name), place + getattr(type(structure), name).offset
            if isinstance(value, ctypes.Array):
                for number, part in enumerate(value):
                    self._follow(part, at + number * ctypes.sizeof(part))
            elif kind is ctypes.POINTER(CBand) and value:
                self.pointers.append((at, self.take(value.contents)))
            elif kind is ctypes.c_void_p or hasattr(kind, "contents"):
                address = ctypes.cast(value, ctypes.c_void_p).value if value else None
                if address and name in sizes:
                    self.pointers.append((at, self._copy(address, sizes[name])))
                else:
                    self.content[at : at + POINTER.size] = bytes(POINTER.size)

    def _sizes(self, x: Any) -> dict[str, int]:
        """Bytes that each pointer of a structure points to, as cpu/plan.h has them; those left out are null there."""
        if isinstance(x, CMap):
            return {"weight": FLOAT * x.inputs * x.outputs, "bias": FLOAT * x.outputs}
        if isinstance(x, CRule):  # only a NAFCA has a gate
            return (
                {} if x.kind == RuleKind.VITCA else {"gate": FLOAT * (4 * x.maps[0].outputs + self._padded(x.channels))}
            )
        if isinstance(x, CConvolution):
            wide = FLOAT * self._padded(x.outputs)
            return {"weight": TAPS.get(x.kind, 9) * x.inputs * wide, "bias": wide}
        if isinstance(x, CBand):
            return {"values": FLOAT * self.batch * x.rows * x.columns * self.band_channels.pop(0)}
        assert isinstance(x, CLattice)
        cells = self.cells
        return {
            "cells": FLOAT * cells * self.channels,
            "keys": 4 * x.steps,
            "position": FLOAT * self.position,
            "unsettled": cells,
            "spare": cells,
            "taken": 4 * cells,
        }

    def _padded(self, count: int) -> int:
        return -(-count // self.vector) * self.vector


# Replace these functions before other modules import them by name.
install()
