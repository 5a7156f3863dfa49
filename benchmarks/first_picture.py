"""Time to a new user's first picture: size and time of the installation, and CPU time of commands.

    python benchmarks/first_picture.py                   # builds a wheel, and installs it in a new environment
    python benchmarks/first_picture.py --numpy           # only the time of numpy relative to the kernels
    python benchmarks/first_picture.py --before CHECKOUT  # also another checkout, installed the same way, in turn

CPU time is that of the process and its children, user and system. A cold start with a megapixel is compared with the
same restoration in a warm process, and divided into its parts.
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
# Pictures and models for comparing numpy with the compiled kernels.
NUMPY_MODELS, NUMPY_SIDE = ("photo-denoise", "latent-nafca-denoise", "latent-vitca-denoise"), 128
# Prints the seconds of another restoration in a warm process.
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
# Prints the seconds of the parts of `lnca restore` in a cold process, and of restoring again.
PARTS = """
import json, sys, time
from pathlib import Path
begin = time.perf_counter()
seconds = {}

def part(name):
    global begin
    seconds[name] = time.perf_counter() - begin
    begin = time.perf_counter()

import lnca.cli.app
from lnca.memory import manage_freed_memory
from lnca.restoration import batch
manage_freed_memory(limited=False)
part("imports")
restorer = batch.restorer_of(sys.argv[2], "cpu", "auto", "float32")
part("model")
photo = batch.open_photo(Path(sys.argv[1]))
part("reading")
restored = restorer.restore(photo.frames[0])
part("restoring")
restorer.restore(photo.frames[0])
part("restoring again")
batch.save_photo(photo.restored([restored], "cold"), Path(sys.argv[3]))
part("writing")
print(json.dumps(seconds))
"""


def spent(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """CPU time and elapsed time of a command, in seconds."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, seconds


def size(folder: Path) -> int:
    """Bytes of all files in a folder, without pip."""
    pip = ("pip", "pip-")
    return sum(
        file.lstat().st_size
        for file in folder.rglob("*")
        if file.is_file()
        and not file.is_symlink()
        and not any(part == "pip" or part.startswith(pip[1]) for part in file.relative_to(folder).parts)
    )


def sizes(packages: Path) -> dict[str, int]:
    """Bytes of each package, with its libraries and its metadata, without pip."""
    found: dict[str, int] = {}
    for folder in packages.iterdir():
        name = folder.name.partition("-")[0].partition(".")[0].lower()
        if name not in ("pip", "__pycache__") and folder.is_dir():
            found[name] = found.get(name, 0) + size(folder)
    return dict(sorted(found.items(), key=lambda each: -each[1]))


def installed(folder: Path, root: Path) -> dict[str, Any]:
    """Installs the wheel of a checkout in a new environment; returns the time and the sizes."""
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(root)]
    subprocess.run(build, check=True)
    (wheel,) = folder.glob("*.whl")
    begin = time.perf_counter()
    venv.create(folder / "venv", with_pip=True)
    made = time.perf_counter() - begin
    python = folder / "venv" / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "-c", str(root / "constraints.txt"), str(wheel)]
    begin = time.perf_counter()
    subprocess.run(install, check=True)
    seconds = time.perf_counter() - begin
    (packages,) = (folder / "venv").glob("lib/python*/site-packages")
    return {
        "wheel_bytes": wheel.stat().st_size,
        "bytes": size(folder / "venv"),
        "packages": sizes(packages),
        "environment_seconds": made,
        "installation_seconds": seconds,
    }


def warm(python: str, environment: dict[str, str], *arguments: str) -> float:
    """Seconds of a restoration in a warm process. The arguments are a file, a model and a backend."""
    done = subprocess.run([python, "-c", WARM, *arguments], env=environment, check=True, capture_output=True, text=True)
    return float(done.stdout)


def parts(python: str, environment: dict[str, str], rounds: int, *arguments: str) -> dict[str, float]:
    """Medians of the seconds of the parts of a cold start. The arguments are a file, a model and an output."""
    found: list[dict[str, float]] = []
    line = [python, "-c", PARTS, *arguments]
    for _ in range(rounds):
        done = subprocess.run(line, env=environment, check=True, capture_output=True, text=True)
        found.append(json.loads(done.stdout))
    return {name: median(each[name] for each in found) for name in found[0]}


def in_numpy(folder: Path, python: str, environment: dict[str, str], rounds: int) -> dict[str, Any]:
    """The time of restoring in numpy relative to the compiled kernels, by model."""
    found = {}
    # As in the commands, where lnca distributes the work of numpy over threads itself.
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
    """The commands to measure, by name."""
    lnca = [python, "-m", "lnca"]
    found: dict[str, Callable[[], tuple[float, float]]] = {"help": partial(spent, [*lnca, "--help"], environment)}
    for side in SIDES:
        restore = [*lnca, "restore", str(folder / f"{side}.png"), "-o", str(folder / "out.png"), "--overwrite"]
        found[f"restore {side}x{side}"] = partial(spent, [*restore, "--device", "cpu"], environment)
    return found


def in_turn(folder: Path, pythons: dict[str, str], environment: dict[str, str], rounds: int) -> dict[str, Any]:
    """Times of the commands with each installation, one after the other in every round."""
    calls = {
        (way, what): call
        for way, python in pythons.items()
        for what, call in commands(folder, python, environment).items()
    }
    times: dict[tuple[str, str], list[tuple[float, float]]] = {key: [] for key in calls}
    for _ in range(rounds + 1):
        for key, call in calls.items():
            times[key].append(call())
    result: dict[str, Any] = {}
    for way, python in pythons.items():
        rows: dict[str, Any] = {
            # The first time of each is dropped, because it includes reading files from the disk.
            what: {
                "cpu_seconds": median(cpu for cpu, _ in times[way, what][1:]),
                "seconds": median(seconds for _, seconds in times[way, what][1:]),
                "cpu_least_and_most": [f(cpu for cpu, _ in times[way, what][1:]) for f in (min, max)],
            }
            for kind, what in times
            if kind == way
        }
        picture = str(folder / f"{SIDES[-1]}.png")
        compute = warm(python, environment, picture, "photo-denoise", "auto")
        cold = rows[f"restore {SIDES[-1]}x{SIDES[-1]}"]["seconds"]
        apart = parts(python, environment, rounds, picture, "photo-denoise", str(folder / "out.png"))
        result[way] = {
            "commands": rows,
            "megapixel_warm": compute,
            "cold_start": cold - compute,
            "megapixel_parts": apart,
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--before", type=Path, help="another checkout")
    parser.add_argument("--numpy", action="store_true", help="measure only the time of numpy, in this environment")
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
        roots = {"now": ROOT} | ({} if options.before is None else {"before": options.before.resolve()})
        result = {"rounds": options.rounds, "installation": {}}
        for way, root in roots.items():
            (folder / way).mkdir()
            result["installation"][way] = installed(folder / way, root)
        pythons = {way: str(folder / way / "venv" / "bin" / "python") for way in roots}
        environment = {**os.environ, "PYTHONPATH": ""}
        result |= in_turn(folder, pythons, environment, options.rounds)
        result["in_numpy"] = in_numpy(folder, pythons["now"], environment, options.rounds)
    result["processor"] = processor()
    write_whole(options.out, (json.dumps(result, indent=2) + "\n").encode())
    print(json.dumps(result, indent=2))


def processor() -> dict[str, Any]:
    """The name of the CPU."""
    from lnca.runtime.native import best_level

    return {"cores": len(os.sched_getaffinity(0)), "level": best_level()}


if __name__ == "__main__":
    main()
