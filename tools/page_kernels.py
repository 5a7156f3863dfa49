"""Compiles the kernels for the page: src/lnca/runtime/cpu as WebAssembly, by the compiler of the PyPI package ziglang.

    python tools/page_kernels.py OUT

writes plain.wasm with SIMD of 128 bits, relaxed.wasm with relaxed SIMD, which has fused multiply-add, and
plain-threads.wasm and relaxed-threads.wasm with shared memory for threads.
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

FILES = ("run.cpp", "page.cpp", "fourier_wasm.cpp", "threads_wasm.cpp", "memory_wasm.cpp")
# The headers of WASI, without its library; memory_wasm.cpp has the functions that the kernels call.
TARGET = ["-target", "wasm32-wasi", "-fno-exceptions", "-fno-rtti", "-D_LIBCPP_VERBOSE_ABORT(...)=__builtin_trap()"]
FEATURES = "-mcpu=generic+bulk_memory+nontrapping_fptoint+sign_ext+simd128"
SIMD = {"plain": "", "relaxed": "+relaxed_simd"}
# Initial and largest size of the memory, as in web/src/running/kernels.ts, and size of the stack; bytes.
INITIAL, MAX_MEMORY, STACK = 2**24, 2**30, 2**18
# Names of the exported functions, without the prefix "page_".
CALLED = (
    *("take", "free", "vector", "panel", "convolve", "step", "gather", "scatter", "change"),
    *("fourier_rows", "fourier_rows_back", "fourier_columns"),
)


def built(name: str, folder: Path) -> Path:
    """Compiles and links the module `name`.wasm in a folder; raises `CalledProcessError` if that fails."""
    simd, _, threads = name.partition("-")
    features = FEATURES + SIMD[simd] + ("+atomics" if threads else "")
    objects = []
    for file in FILES:
        object_file = str(folder / f"{name}-{file}.o")
        source = str(ROOT / SOURCE / file)
        subprocess.run(
            [*ZIG, *TARGET, features, *COMMON, "-DLNCA_ISA=portable", "-c", source, "-o", object_file], check=True
        )
        objects.append(object_file)
    exports = [f"--export=page_{name}" for name in (*CALLED, *(("help",) if threads else ()))]
    memory = [f"--initial-memory={INITIAL}", f"--max-memory={MAX_MEMORY}", "-z", f"stack-size={STACK}"]
    if threads:
        memory += ["--import-memory", "--shared-memory", "--export=__stack_pointer"]
    out = folder / f"{name}.wasm"
    linker = [*ZIG[:-1], "wasm-ld", "--no-entry", "--strip-all", "--gc-sections"]
    subprocess.run([*linker, *exports, *memory, *objects, "-o", str(out)], check=True)
    return out


def main(folder: Path) -> None:
    """Compiles all modules into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{simd}{threads}" for simd in SIMD for threads in ("", "-threads")]
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor() as pool:
        try:
            modules = list(pool.map(lambda name: built(name, Path(temporary)), names))
        except subprocess.CalledProcessError as error:
            sys.exit(f"the kernels cannot be compiled: {error.cmd[0]} ended with status {error.returncode}")
        for module in modules:
            shutil.copyfile(module, folder / module.name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
