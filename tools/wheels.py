"""Builds the wheels of every platform on this machine, and runs their kernels where possible.

    python tools/wheels.py               # all, into dist/
    python tools/wheels.py musl windows  # targets with one of these words in their names

Zig (the PyPI package ziglang) compiles them. The libraries are taken out of the wheels and run directly or in an
emulator, if there is one. The tests of the kernels compare their results with the plain rules and PyTorch in float64.
The last lines say which kernels were run and which were only compiled.
"""

import argparse
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
BUILT = ROOT / "build" / "kernels"
sys.path.insert(0, str(ROOT))

from hatch_build import WHEELS, ZIG, cross  # noqa: E402

# The emulator for a target, and its Debian packages.
EMULATORS = {
    "x86_64-linux-gnu": ("", ""),
    "x86_64-linux-musl": ("", "musl"),
    "aarch64-linux-gnu": ("qemu-aarch64", "qemu-user, libc6:arm64"),
    "aarch64-linux-musl": ("qemu-aarch64", "qemu-user, musl:arm64"),
    "x86_64-windows-gnu": ("wine", "wine, wine64"),
}
# Tests that only call the library, through `tests/kernels/far.py`.
TESTS = ["tests/runtime/test_convolution.py", "tests/kernels/test_cpu.py", "tests/kernels/test_settling.py"]
CHOSEN = "pytorchs or bands_batches or float32_is or threads or they_are_the_plain or of_the_definition"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("patterns", nargs="*", help="parts of the names of the targets; default: all targets")
    patterns = parser.parse_args().patterns
    targets = [name for name in WHEELS if not patterns or any(word in name for word in patterns)]
    if not targets:
        sys.exit(f"wheels: no target has {' or '.join(patterns)} in its name; there are {', '.join(WHEELS)}")
    notes = []
    try:
        for name in targets:
            wheel = build(name)
            notes.append((wheel, run(name, wheel)))
    except (subprocess.CalledProcessError, OSError) as error:
        sys.exit(f"wheels: {error}")
    print()
    for wheel, note in notes:
        print(f"{wheel.name}, {wheel.stat().st_size / 1e6:.1f} MB: {note}")


def build(name: str) -> Path:
    """Builds the wheel of a target."""
    print(f"{name}:", flush=True)
    folder = BUILT / name
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    environment = {"LNCA_TARGET": name, "LNCA_KERNELS": "1"}
    subprocess.run(command, check=True, env=os.environ | environment, stdout=subprocess.DEVNULL)
    (wheel,) = folder.glob("*.whl")
    DIST.mkdir(exist_ok=True)
    return wheel.replace(DIST / wheel.name)


def run(name: str, wheel: Path) -> str:
    """Runs the kernels in a wheel if possible; returns a sentence on what was done.

    Raises:
        subprocess.CalledProcessError: the kernels can run, but a test fails.
    """
    emulator, packages = EMULATORS.get(name.split(".")[0], (None, ""))
    if emulator is None:
        return "compiled only: nothing here runs it"
    folder, target = BUILT / name, cross(name)
    library = extracted(wheel, folder, target.library)
    program = folder / ("far.exe" if target.system == "windows" else "far")
    source = ROOT / "tests" / "kernels" / "far.cpp"
    dynamic = ["-dynamic"] if target.system == "linux" else []
    subprocess.run([*ZIG, "-target", name, "-O2", *dynamic, "-nostdlib++", str(source), "-o", str(program)], check=True)
    far = [*emulator.split(), str(program), str(library)]
    if emulator and not shutil.which(emulator):
        return f"compiled only: there is no {emulator} here (Debian: {packages})"
    # Without input it loads the library and ends.
    tried = subprocess.run(far, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=quiet())
    if tried.returncode:
        reason = (tried.stderr.strip().splitlines() or ["no message"])[-1]
        return f"compiled only: it does not start ({reason}); Debian: {packages}"
    environment = quiet() | {"LNCA_TEST_KERNELS": " ".join(far)}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *TESTS, "-k", CHOSEN]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        print(done.stdout)
        raise subprocess.CalledProcessError(done.returncode, command)
    summary = done.stdout.strip().splitlines()[-1].strip("= ")
    return f"kernels run{f' by {emulator}' if emulator else ' here'} and equal to the plain rules: {summary}"


def extracted(wheel: Path, folder: Path, library: str) -> Path:
    """Extracts the library from a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (inside,) = [name for name in archive.namelist() if name.startswith("lnca/runtime/_cpu")]
        content = archive.read(inside)
    path = folder / library
    path.write_bytes(content)
    path.chmod(0o755)
    return path


def quiet() -> dict[str, str]:
    """The environment with Wine's debug output turned off."""
    return os.environ | {"WINEDEBUG": "-all"}


if __name__ == "__main__":
    main()
