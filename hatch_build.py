"""Compiles the fused CPU kernels into the package where there is a C++ compiler; without one it is pure Python.

`LNCA_KERNELS=0` leaves them out, `LNCA_KERNELS=1` makes it an error if they cannot be built; `CXX` names the compiler.
"""

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("src/lnca/kernels/cpu")
TARGET = Path("src/lnca/kernels/_cpu.so")
COMMON = ["-std=c++20", "-O3", "-fPIC", "-fvisibility-inlines-hidden"]
COMMON += ["-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi"]
AVX512 = ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mfma", "-mprefer-vector-width=512"]
# Each instruction set is compiled from the same file and chosen at run time.
SETS: dict[str, list[str]] = {"portable": []}
if platform.machine().lower() in ("x86_64", "amd64"):
    SETS |= {"avx2": ["-mavx2", "-mfma"], "avx512": AVX512, "avx512bf16": [*AVX512, "-mavx512bf16"]}
    if sys.platform == "linux":  # whose kernel has to grant the registers
        SETS["amx"] = [*SETS["avx512bf16"], "-mamx-tile", "-mamx-bf16"]


def compiler() -> list[str] | None:
    """The C++ compiler, as a command; None without one."""
    named = shlex.split(os.environ.get("CXX", ""))
    for command in [named] if named else [["g++"], ["clang++"], ["c++"]]:
        if shutil.which(command[0]):
            return command
    return None


def knows(command: list[str], flags: list[str]) -> bool:
    """Whether a compiler takes the flags; GCC knows those of AMX from version 11 on."""
    probe = [*command, *flags, "-x", "c++", "-fsyntax-only", os.devnull]
    return subprocess.run(probe, stderr=subprocess.DEVNULL).returncode == 0


def compile_kernels(root: Path, command: list[str]) -> None:
    """Writes the library; raises `subprocess.CalledProcessError` when a compiler does not manage it."""
    with tempfile.TemporaryDirectory() as folder:
        sets = {name: flags for name, flags in SETS.items() if name != "amx" or knows(command, flags)}
        jobs = [(name, [*flags, f"-DLNCA_ISA={name}"], "run.cpp") for name, flags in sets.items()]
        jobs.append(("dispatch", ["-DLNCA_AMX"] if "amx" in sets else [], "dispatch.cpp"))
        running = []
        for name, flags, file in jobs:
            target = str(Path(folder) / f"{name}.o")
            arguments = [*command, *COMMON, *flags, "-c", str(root / SOURCE / file), "-o", target]
            running.append((arguments, target, subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)))
        for arguments, _, process in running:
            _, said = process.communicate()
            if process.returncode:
                raise subprocess.CalledProcessError(process.returncode, arguments, stderr=said)
        # A new file that takes the old one's name: a process that uses the old one keeps it.
        library = (root / TARGET).with_suffix(".new")
        objects = [target for _, target, _ in running]
        linking = [*command, "-shared", "-pthread", "-o", str(library), *objects]
        subprocess.run(linking, check=True, stderr=subprocess.PIPE, text=True)
        library.replace(root / TARGET)


class KernelHook(BuildHookInterface):
    """Runs before a wheel, also an editable one, is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        wanted = os.environ.get("LNCA_KERNELS", "")
        if self.target_name != "wheel" or wanted == "0" or sys.platform == "win32":
            return
        command = compiler()
        try:
            if command is None:
                raise FileNotFoundError("no C++ compiler")
            compile_kernels(Path(self.root), command)
        except (OSError, subprocess.CalledProcessError) as error:
            reason = (getattr(error, "stderr", None) or str(error)).strip()
            if wanted == "1":
                raise RuntimeError(f"the fused CPU kernels cannot be built: {reason}") from error
            self.app.display_warning(f"lnca is built without its fused CPU kernels: {reason.splitlines()[0]}")
            return
        build_data["artifacts"].append(f"/{TARGET}")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
