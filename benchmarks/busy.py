"""Times restoring with and without another program that occupies a core, for this checkout and an earlier one.

    python benchmarks/busy.py --before OTHER_CHECKOUT/src --out benchmarks/results/busy.json
    python benchmarks/busy.py --before OTHER_CHECKOUT/src --as-it-is  # on a machine whose cores are already busy

All variants run in turn in every round, so that other work on the machine affects them equally. Each runs in new
processes: one restores several times (seconds of each restoration except the first), the other is the command (seconds
from start to end).
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).parents[1]
SIDE, TIMES = 512, 3
# Restores several times in one process; prints the seconds of each restoration except the first, and a digest of the
# result.
RESTORE = """
import hashlib, sys, time
import numpy as np
import lnca
from PIL import Image
from lnca.runtime import threads
threads.allow(int(sys.argv[3]))
picture, seconds = np.asarray(Image.open(sys.argv[1])), []
model = lnca.load("photo-denoise", "cpu")
for _ in range(int(sys.argv[2])):
    begin = time.perf_counter()
    result = model.restore(picture)
    seconds.append(time.perf_counter() - begin)
print(*seconds[1:], hashlib.sha256(result.tobytes()).hexdigest())
"""
# The program that runs at the same time.
NOTHING, HOLDER, ANYWAY = "nothing of ours", "a program that holds a core", "what the machine does anyway"
HOLD = "import os\nos.sched_setaffinity(0, {%d})\nwhile True: pass"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--before", type=Path, help="folder with another version of lnca, to measure as well")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--as-it-is", action="store_true", help="do not start another program")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "busy.json")
    options = parser.parse_args()
    # For each variant the folder of lnca, and changes of the environment.
    ways: dict[str, tuple[Path, dict[str, str]]] = {"now": (ROOT / "src", {})}
    if options.before:
        ways |= {
            "before": (options.before, {}),
            "before, OMP_WAIT_POLICY=passive": (options.before, {"OMP_WAIT_POLICY": "passive"}),
        }
    besides = (ANYWAY,) if options.as_it_is else (NOTHING, HOLDER)
    seconds: dict[tuple[str, str, str], list[float]] = {}
    digests, loads = set(), []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with Image.open(ROOT / "src" / "lnca" / "assets" / "lake.jpg") as image:
            image.resize((SIDE, SIDE)).save(folder / "picture.png")
        for number, beside, name in itertools.product(range(options.rounds), besides, ways):
            loads.append(os.getloadavg()[0])
            with held(beside == HOLDER):
                values, digest = restored(folder, *ways[name], options.threads)
                seconds.setdefault((name, beside, "restore"), []).extend(values)
                digests.add(digest)
                seconds.setdefault((name, beside, "command"), []).append(command(folder, *ways[name]))
            print(f"round {number + 1} of {options.rounds}: {name}, beside {beside}", flush=True)
    rows = [row(*key, values) for key, values in seconds.items()]
    content = {
        "threads": options.threads,
        "cores": os.cpu_count(),
        "side": SIDE,
        "model": "photo-denoise",
        "load": {"median": statistics.median(loads), "most": max(loads)},
        "rows": rows,
        "ratios": ratios(rows),
        "the same to the bit": len(digests) == 1,
    }
    options.out.write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps(content, indent=1))


def row(way: str, beside: str, what: str, values: list[float]) -> dict[str, Any]:
    """A row of the result, in seconds."""
    return {
        "way": way,
        "beside": beside,
        "what": what,
        "median": statistics.median(values),
        "least": min(values),
        "most": max(values),
        "times": len(values),
    }


def ratios(rows: list[dict[str, Any]]) -> dict[str, float]:
    """The time of each variant relative to that of lnca now, by medians."""
    now = {(r["beside"], r["what"]): r["median"] for r in rows if r["way"] == "now"}
    others = [r for r in rows if r["way"] != "now"]
    return {f"{r['what']}, {r['way']}, beside {r['beside']}": r["median"] / now[r["beside"], r["what"]] for r in others}


@contextmanager
def held(busy: bool) -> Iterator[None]:
    """A context in which another process occupies the last core, if `busy`."""
    if not busy:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", HOLD % max(os.sched_getaffinity(0))])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def restored(folder: Path, source: Path, extra: dict[str, str], threads: int) -> tuple[list[float], str]:
    """Seconds of each restoration except the first in a new process, and a digest of the result."""
    arguments = [sys.executable, "-c", RESTORE, str(folder / "picture.png"), str(TIMES), str(threads)]
    *values, digest = subprocess.run(
        arguments, env=environment(source, extra), capture_output=True, text=True, check=True
    ).stdout.split()
    return [float(number) for number in values], digest


def command(folder: Path, source: Path, extra: dict[str, str]) -> float:
    """Seconds of the command on one picture."""
    arguments = [
        sys.executable,
        "-m",
        "lnca",
        "restore",
        "picture.png",
        "-o",
        "restored.png",
        "--device",
        "cpu",
        "--overwrite",
    ]
    begin = time.perf_counter()
    subprocess.run(arguments, cwd=folder, env=environment(source, extra), capture_output=True, check=True)
    return time.perf_counter() - begin


def environment(source: Path, extra: dict[str, str]) -> dict[str, str]:
    """The environment of a process that imports lnca from a folder, with one thread for each core."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_", "KMP_"))}
    return kept | {"PYTHONPATH": str(source.resolve())} | extra


if __name__ == "__main__":
    main()
