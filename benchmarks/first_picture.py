"""How soon a new user has a first picture: size and time of the installation, and processor time of commands.

    python benchmarks/first_picture.py                   # builds a wheel, installs it in an environment of its own
    python benchmarks/first_picture.py --numpy           # only how much longer numpy takes than the kernels
    python benchmarks/first_picture.py --before CHECKOUT  # and the commands of another checkout with its .venv, in turn

Processor time is of the process and of those it starts, user's and system's. A cold start of a megapixel is compared
with the same restoration in a process that has restored one before.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from lnca.files import write_whole

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "first-picture.json"
SIDES = (64, 1024)
# What numpy restores in place of the compiled kernels.
NUMPY_MODELS, NUMPY_SIDE = ("photo-denoise", "latent-nafca-denoise", "latent-vitca-denoise"), 128
# Seconds of restoring once more, in a process that is warm.
WARM = """
import sys, time
import numpy as np
from PIL import Image
import lnca

picture = np.asarray(Image.open(sys.argv[1]))
model = lnca.load(sys.argv[2], "cpu", sys.argv[3])
seconds = []
for _ in range(4):
    begin = time.perf_counter()
    model.restore(picture)
    seconds.append(time.perf_counter() - begin)
print(sorted(seconds[1:])[1])
"""


def spent(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Processor time and time of a command, in seconds."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, seconds


def size(folder: Path) -> int:
    """Bytes of all files below, without pip."""
    pip = ("pip", "pip-")
    return sum(
        file.lstat().st_size
        for file in folder.rglob("*")
        if file.is_file()
        and not file.is_symlink()
        and not any(part == "pip" or part.startswith(pip[1]) for part in file.relative_to(folder).parts)
    )


def installed(folder: Path) -> dict[str, Any]:
    """Installs a wheel of this checkout into an environment of its own: how long that takes, and how large it is."""
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(build, check=True)
    (wheel,) = folder.glob("*.whl")
    begin = time.perf_counter()
    venv.create(folder / "venv", with_pip=True)
    made = time.perf_counter() - begin
    python = folder / "venv" / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "-c", str(ROOT / "constraints.txt"), str(wheel)]
    begin = time.perf_counter()
    subprocess.run(install, check=True)
    seconds = time.perf_counter() - begin
    return {
        "wheel_bytes": wheel.stat().st_size,
        "bytes": size(folder / "venv"),
        "environment_seconds": made,
        "installation_seconds": seconds,
    }


def warm(python: str, environment: dict[str, str], *arguments: str) -> float:
    """Seconds of a restoration in a process that has restored one before: a file, a model and a backend."""
    done = subprocess.run([python, "-c", WARM, *arguments], env=environment, check=True, capture_output=True, text=True)
    return float(done.stdout)


def in_numpy(folder: Path, python: str, environment: dict[str, str], rounds: int) -> dict[str, Any]:
    """How many times as long pictures take in numpy as by the compiled kernels, by model."""
    found = {}
    # As commands have it: what restores shares out numpy's work itself.
    environment = {**environment, "OPENBLAS_NUM_THREADS": "1"}
    for model in NUMPY_MODELS:
        times: dict[str, list[float]] = {"plain": [], "fused": []}
        for _ in range(rounds):
            for backend, seconds in times.items():
                seconds.append(warm(python, environment, str(folder / f"{NUMPY_SIDE}.png"), model, backend))
        ratios = [plain / fused for plain, fused in zip(times["plain"], times["fused"], strict=True)]
        found[model] = {
            "side": NUMPY_SIDE,
            "times_as_long": median(ratios),
            "least_and_most": [min(ratios), max(ratios)],
        }
    return found


def commands(folder: Path, python: str, environment: dict[str, str]) -> dict[str, Callable[[], tuple[float, float]]]:
    """What is measured, by name."""
    lnca = [python, "-m", "lnca"]
    found: dict[str, Callable[[], tuple[float, float]]] = {"help": partial(spent, [*lnca, "--help"], environment)}
    for side in SIDES:
        restore = [*lnca, "restore", str(folder / f"{side}.png"), "-o", str(folder / "out.png"), "--overwrite"]
        found[f"restore {side}x{side}"] = partial(spent, [*restore, "--device", "cpu"], environment)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--before", type=Path, help="another checkout, with its .venv")
    parser.add_argument("--numpy", action="store_true", help="only numpy's time anew, in this environment")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for side in (*SIDES, NUMPY_SIDE):
            noise = np.random.default_rng(0).normal(128, 20, (side, side, 3))
            Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8)).save(folder / f"{side}.png")
        if options.numpy:
            result = json.loads(options.out.read_text())
            result["in_numpy"] = in_numpy(folder, sys.executable, dict(os.environ), options.rounds)
            write_whole(options.out, (json.dumps(result, indent=2) + "\n").encode())
            print(json.dumps(result["in_numpy"], indent=2))
            return
        result = {"rounds": options.rounds, "installation": installed(folder)}
        here = {**os.environ, "PYTHONPATH": ""}
        ways = {"now": (str(folder / "venv" / "bin" / "python"), here)}
        if options.before is not None:
            there = {**os.environ, "PYTHONPATH": str(options.before / "src")}
            ways["before"] = (str(options.before / ".venv" / "bin" / "python"), there)
        calls = {
            (way, what): call
            for way, (python, environment) in ways.items()
            for what, call in commands(folder, python, environment).items()
        }
        times: dict[tuple[str, str], list[tuple[float, float]]] = {key: [] for key in calls}
        for _ in range(options.rounds + 1):
            for key, call in calls.items():
                times[key].append(call())
        for way, (python, environment) in ways.items():
            compute = warm(python, environment, str(folder / "1024.png"), "photo-denoise", "auto")
            rows: dict[str, Any] = {
                # The first of each is dropped: files are read from the disk then.
                what: {
                    "cpu_seconds": median(cpu for cpu, _ in times[way, what][1:]),
                    "seconds": median(seconds for _, seconds in times[way, what][1:]),
                    "cpu_least_and_most": [f(cpu for cpu, _ in times[way, what][1:]) for f in (min, max)],
                }
                for kind, what in times
                if kind == way
            }
            cold = rows[f"restore {SIDES[-1]}x{SIDES[-1]}"]["seconds"]
            result[way] = {"commands": rows, "megapixel_warm": compute, "cold_start": cold - compute}
        result["in_numpy"] = in_numpy(folder, *ways["now"], options.rounds)
    result["processor"] = processor()
    write_whole(options.out, (json.dumps(result, indent=2) + "\n").encode())
    print(json.dumps(result, indent=2))


def processor() -> dict[str, Any]:
    """What this ran on."""
    from lnca.runtime.native import best_level

    return {"cores": len(os.sched_getaffinity(0)), "level": best_level()}


if __name__ == "__main__":
    main()
