"""Compiles the fused CPU kernels into the package if there is a C++ compiler; without one the package is pure Python.

`LNCA_KERNELS=0` leaves them out, `LNCA_KERNELS=1` makes it an error if they cannot be built; `CXX` names the compiler.
`LNCA_TARGET`, a name of `WHEELS`, makes a wheel for another machine, with the compiler of the PyPI package ziglang.
"""

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("src/lnca/runtime/cpu")
PACKAGE = Path("src/lnca/runtime")
COMMON = ["-std=c++20", "-O3", "-fvisibility=hidden", "-fvisibility-inlines-hidden"]
COMMON += ["-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi"]
AVX512 = ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mfma", "-mprefer-vector-width=512"]
BF16 = [*AVX512, "-mavx512bf16"]
AMX = [*BF16, "-mamx-tile", "-mamx-bf16"]
ZIG = [sys.executable, "-m", "ziglang", "c++"]
# The platform tag of a wheel for each of Zig's targets: glibc 2.17, which is older than what torch and numpy require,
# musl 1.2, and the oldest macOS that supports both of its processors.
WHEELS = {
    "x86_64-linux-gnu.2.17": "manylinux_2_17_x86_64.manylinux2014_x86_64",
    "aarch64-linux-gnu.2.17": "manylinux_2_17_aarch64.manylinux2014_aarch64",
    "x86_64-linux-musl": "musllinux_1_2_x86_64",
    "aarch64-linux-musl": "musllinux_1_2_aarch64",
    "x86_64-macos.11.0": "macosx_11_0_x86_64",
    "aarch64-macos.11.0": "macosx_11_0_arm64",
    "x86_64-windows-gnu": "win_amd64",
}


@dataclass(frozen=True)
class Target:
    """A target of compilation.

    Args:
        command: the C++ compiler, with its options for this target.
        wheel: the platform tag of the wheel.
        system: "linux", "macos" or "windows".
        x86: whether the processor is x86-64.
    """

    command: list[str]
    wheel: str
    system: str
    x86: bool

    @property
    def library(self) -> str:
        """File name of the library."""
        return "_cpu.dll" if self.system == "windows" else "_cpu.so"

    def sets(self) -> dict[str, list[str]]:
        """Flags of each instruction set. The same file is compiled for each set, and one is chosen at run time. The set
        of all processors comes first, so that functions that all share are linked from it."""
        if not self.x86:
            return {"portable": []}
        sets = {"portable": [], "avx2": ["-mavx2", "-mfma"], "avx512": AVX512, "avx512bf16": BF16}
        # AMX only on Linux, whose kernel grants the registers; GCC supports it from version 11.
        return sets | {"amx": AMX} if self.system == "linux" and knows(self.command, AMX) else sets


def cross(name: str) -> Target:
    """A target of `WHEELS`, compiled by Zig."""
    if name not in WHEELS:
        raise ValueError(f"LNCA_TARGET should be one of {', '.join(WHEELS)}, got {name!r}")
    machine, system = name.split("-")[:2]
    return Target([*ZIG, "-target", name], WHEELS[name], system.split(".")[0], machine == "x86_64")


def native() -> Target | None:
    """This machine as the target, with the compiler that it has; None without one."""
    machine = platform.machine().lower()
    system = {"darwin": "macos", "win32": "windows"}.get(sys.platform, sys.platform)
    command = compiler()
    if command is None:
        return None
    wheel = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    if system == "macos":  # where Python may be made for an older system, or for two processors
        command, wheel = [*command, "-mmacosx-version-min=11.0"], f"macosx_11_0_{machine}"
    return Target(command, wheel, system, machine in ("x86_64", "amd64"))


def compiler() -> list[str] | None:
    """The C++ compiler, as a command; None without one."""
    named = shlex.split(os.environ.get("CXX", ""))
    # GCC does not align vectors on the stack of Windows: https://gcc.gnu.org/bugzilla/show_bug.cgi?id=54412
    known = ["clang++"] if sys.platform == "win32" else ["g++", "clang++", "c++"]
    for command in [named] if named else [[name] for name in known]:
        if shutil.which(command[0]):
            return command
    # By default Zig compiles for the processor on which it runs.
    return [*ZIG, "-mcpu=baseline"] if not named and find_spec("ziglang") else None


def knows(command: list[str], flags: list[str]) -> bool:
    """Whether a compiler takes the flags."""
    probe = [*command, *flags, "-x", "c++", "-fsyntax-only", os.devnull]
    return subprocess.run(probe, stderr=subprocess.DEVNULL).returncode == 0


def compile_kernels(root: Path, target: Target, folder: Path) -> Path:
    """Writes the library into a folder, and returns its path; raises `subprocess.CalledProcessError` if a compiler
    fails."""
    sets = target.sets()
    jobs = [(name, [*flags, f"-DLNCA_ISA={name}"], "run.cpp") for name, flags in sets.items()]
    jobs.append(("dispatch", ["-DLNCA_AMX"] if "amx" in sets else [], "dispatch.cpp"))
    jobs.append(("threads", [], "threads.cpp"))
    position = [] if target.system == "windows" else ["-fPIC"]
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        running = []
        for name, flags, file in jobs:
            compiled = str(Path(scratch) / f"{name}.o")
            arguments = [*target.command, *COMMON, *position, *flags, "-c", str(root / SOURCE / file), "-o", compiled]
            running.append((arguments, compiled, subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)))
        for arguments, _, process in running:
            _, errors = process.communicate()
            if process.returncode:
                raise subprocess.CalledProcessError(process.returncode, arguments, stderr=errors)
        # Replace the file instead of changing it: a process that uses the old library keeps it.
        library = Path(scratch) / target.library
        # Zig builds its own C++ library, with the same options.
        linking = [
            *target.command,
            "-O3",
            "-shared",
            "-s",
            "-pthread",
            "-o",
            str(library),
            *(compiled for _, compiled, _ in running),
        ]
        subprocess.run(linking, check=True, stderr=subprocess.PIPE, text=True)
        return library.replace(folder / target.library)


class KernelHook(BuildHookInterface):
    """Runs before a wheel, also an editable one, is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        wanted, name = os.environ.get("LNCA_KERNELS", ""), os.environ.get("LNCA_TARGET", "")
        if self.target_name != "wheel" or wanted == "0":
            return
        root = Path(self.root)
        try:
            target = cross(name) if name else native()
            if target is None:
                raise FileNotFoundError("no C++ compiler")
            # Another machine's library must not take the place of this one's.
            library = compile_kernels(root, target, root / "build" / "kernels" / name if name else root / PACKAGE)
        except (OSError, subprocess.CalledProcessError) as error:
            reason = (getattr(error, "stderr", None) or str(error)).strip()
            if wanted == "1" or name:
                raise RuntimeError(f"the fused CPU kernels cannot be built: {reason}") from error
            self.app.display_warning(f"lnca is built without its fused CPU kernels: {reason.splitlines()[0]}")
            return
        build_data["force_include"][str(library)] = f"lnca/runtime/{target.library}"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{target.wheel}"
