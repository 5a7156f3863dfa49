"""Compiles the kernels for the page: src/lnca/runtime/cpu as WebAssembly, by the compiler of the PyPI package ziglang.

    python tools/page_kernels.py OUT

writes plain.wasm, relaxed.wasm, plain-threads.wasm and relaxed-threads.wasm: with SIMD of 128 bits; with relaxed SIMD
besides, which multiplies and adds at once; and each for memory that threads share.
"""

import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hatch_build import COMMON, SOURCE, ZIG  # noqa: E402

FILES = ("run.cpp", "page.cpp", "threads_wasm.cpp", "memory_wasm.cpp")
# WASI's headers, and no library of its: what the kernels call of it is in memory_wasm.cpp.
TARGET = ["-target", "wasm32-wasi", "-fno-exceptions", "-fno-rtti", "-D_LIBCPP_VERBOSE_ABORT(...)=__builtin_trap()"]
FEATURES = "-mcpu=generic+bulk_memory+nontrapping_fptoint+sign_ext+simd128"
SIMD = {"plain": "", "relaxed": "+relaxed_simd"}
# Bytes of memory at the beginning, and the most there may be: as web/src/running/kernels.ts asks for them.
INITIAL, MOST, STACK = 2**24, 2**30, 2**18
CALLED = ("take", "free", "vector", "convolve", "step", "gather", "scatter", "change")


def built(name: str, room: Path) -> Path:
    """Compiles and links the module `name`.wasm in a folder; raises `CalledProcessError` where that fails."""
    simd, _, threads = name.partition("-")
    features = FEATURES + SIMD[simd] + ("+atomics" if threads else "")
    objects = []
    for file in FILES:
        made = str(room / f"{name}-{file}.o")
        source = str(ROOT / SOURCE / file)
        subprocess.run([*ZIG, *TARGET, features, *COMMON, "-DLNCA_ISA=portable", "-c", source, "-o", made], check=True)
        objects.append(made)
    exports = [f"--export=page_{name}" for name in (*CALLED, *(("help",) if threads else ()))]
    memory = [f"--initial-memory={INITIAL}", f"--max-memory={MOST}", "-z", f"stack-size={STACK}"]
    if threads:
        memory += ["--import-memory", "--shared-memory", "--export=__stack_pointer"]
    out = room / f"{name}.wasm"
    linker = [*ZIG[:-1], "wasm-ld", "--no-entry", "--strip-all", "--gc-sections"]
    subprocess.run([*linker, *exports, *memory, *objects, "-o", str(out)], check=True)
    return out


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{simd}{threads}" for simd in SIMD for threads in ("", "-threads")]
    with tempfile.TemporaryDirectory() as room, ThreadPoolExecutor() as pool:
        try:
            modules = list(pool.map(lambda name: built(name, Path(room)), names))
        except subprocess.CalledProcessError as error:
            sys.exit(f"the kernels cannot be compiled: {error.cmd[0]} ended with status {error.returncode}")
        for module in modules:
            shutil.copyfile(module, folder / module.name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
