"""How restoring scales, for the model of costs in docs/scale.md: seconds of one core for reading, restoring and writing
pictures of several sizes; one and two workers, nodes of Ray's and devices, for the same work and for twice as much; and
what planning many pictures takes.

    python benchmarks/scale.py

Rows of Ray come where it is installed: `make test-ray` leaves .venv-ray, whose python runs this too.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from lnca.benchmark.measure import environment, in_turn, time_together
from lnca.catalogue import DEFAULT_MODEL
from lnca.demo import photograph
from lnca.files import write_whole
from lnca.nn.latent import LatentAutomaton
from lnca.restoration.batch import Job, Record, Way, restore_file
from lnca.restoration.photo_read import open_photo
from lnca.restoration.photo_write import save_photo
from lnca.restoration.restorer import Restorer
from lnca.restoration.stores import plan_stored

RESULTS = Path(__file__).parent / "results" / "scale-cpu.json"
# Sides of pictures on one core; of each of many; of one picture that devices share.
SIDES, SIDE, SHARED = (512, 1024, 1536, 2048), 1024, 2560
# Pictures of a worker.
PICTURES = 4
PLANNED = 100_000


def picture(width: int, height: int) -> Image.Image:
    """The demonstration's photograph, enlarged, with noise, so that it costs as much to code as a photograph does."""
    large = np.asarray(photograph().resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)
    noise = np.random.default_rng(0).normal(0, 8, large.shape)
    return Image.fromarray(np.clip(large + noise, 0, 255).astype(np.uint8))


def one_core(folder: Path, rounds: int) -> dict[str, Any]:
    """Seconds of a picture, in one process with one thread; and of each megapixel, which is the slope of a line."""
    torch.set_num_threads(1)
    way = Way(DEFAULT_MODEL, "cpu")
    calls: dict[str, Callable[[], object]] = {}
    rows: list[dict[str, Any]] = []
    for side in SIDES:
        source, output = folder / f"{side}.jpg", folder / f"{side}-out.jpg"
        picture(side, side).save(source, quality=92)
        restore_file(Job(source, output, output), way)
        rows.append({
            "side": side, "megapixels": side**2 / 1e6, "bytes_in": source.stat().st_size,
            "bytes_out": output.stat().st_size,
        })  # fmt: skip
        calls[f"{side} read"] = partial(open_photo, source)
        calls[f"{side} write"] = partial(save_photo, open_photo(source), output)
        calls[f"{side} whole"] = partial(restore_file, Job(source, output, output), way)
    timings = time_together(calls, rounds, torch.device("cpu"))
    sizes = [row["megapixels"] for row in rows]
    found: dict[str, Any] = {"rows": rows}
    for part in ("read", "write", "whole"):
        for row in rows:
            row[part] = timings[f"{row['side']} {part}"].as_json()
        medians = np.array([row[part]["median"] for row in rows])
        # Relative errors count alike.
        slope, start = np.polyfit(sizes, medians, 1, w=1 / medians)
        fitted = np.polyval((slope, start), sizes)
        found[part] = {
            "seconds_a_megapixel": slope, "seconds_a_picture": start,
            "largest_error": float(np.abs(fitted / medians - 1).max()),
        }  # fmt: skip
    return found


def command(*arguments: object) -> float:
    """Seconds of a command, one thread each process."""
    line = [sys.executable, "-m", "lnca", "restore", *map(str, arguments), "--device", "cpu", "--quiet", "--overwrite"]
    begin = time.perf_counter()
    subprocess.run(line, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return time.perf_counter() - begin


def many(folder: Path, rounds: int) -> list[dict[str, Any]]:
    """Whole commands with one worker and with two, their start included, and without it."""
    for count in (2, PICTURES, 2 * PICTURES):
        (folder / f"in-{count}").mkdir()
        for number in range(count):
            # The smallest count is of what a command takes without pictures worth the name.
            side = 32 if count == 2 else SIDE
            picture(side, side + 4 * (number % 4)).save(folder / f"in-{count}" / f"{number}.jpg", quality=92)
    engines = {"processes": (), "ray": ("--engine", "ray")}
    if importlib.util.find_spec("ray") is None:
        del engines["ray"]
    calls = {
        (engine, workers, count): partial(
            command, folder / f"in-{count}", "-o", folder / f"out-{engine}", "--workers", workers, *options
        )
        for engine, options in engines.items()
        for workers in (1, 2)
        for count in (2, PICTURES, 2 * PICTURES)
    }
    timings = in_turn(calls, rounds)
    rows = []
    for engine in engines:
        seconds = {key[1:]: timing.median for key, timing in timings.items() if key[0] == engine}
        one, two = ({count: seconds[workers, count] for count in (2, PICTURES, 2 * PICTURES)} for workers in (1, 2))
        rows.append({
            "engine": engine, "start": [one[2], two[2]],
            "strong": one[2 * PICTURES] / two[2 * PICTURES],
            "weak": one[PICTURES] / two[2 * PICTURES],
            "strong_without_start": (one[2 * PICTURES] - one[2]) / (two[2 * PICTURES] - two[2]),
            "weak_without_start": (one[PICTURES] - one[2]) / (two[2 * PICTURES] - two[2]),
            "seconds": [{"workers": key[1], "pictures": key[2], **timing.as_json()} for key, timing in timings.items()
                        if key[0] == engine],
        })  # fmt: skip
    return rows


def one_picture(folder: Path, rounds: int) -> dict[str, Any]:
    """Whole commands that restore one picture, and one of twice its height, on one device and on two processes."""
    paths = {"half": folder / "half.jpg", "whole": folder / "whole.jpg", "start": folder / "start.jpg"}
    picture(SHARED, SHARED // 2).save(paths["half"], quality=92)
    picture(SHARED, SHARED).save(paths["whole"], quality=92)
    picture(32, 32).save(paths["start"], quality=92)
    calls = {
        (name, devices): partial(command, path, "-o", folder / f"{name}-{devices}.jpg", "--devices", devices)
        for name, path in paths.items()
        for devices in (1, 2)
    }
    timings = in_turn(calls, rounds)
    if (folder / "whole-1.jpg").read_bytes() != (folder / "whole-2.jpg").read_bytes():
        raise SystemExit("one device and two gave different pictures")
    seconds = {key: timing.median for key, timing in timings.items()}
    module = Restorer(DEFAULT_MODEL, "cpu").module
    assert isinstance(module, LatentAutomaton)
    one, two = seconds["whole", 1] - seconds["start", 1], seconds["whole", 2] - seconds["start", 2]
    columns = SHARED // module.autoencoder.multiple
    return {
        "megapixels": SHARED**2 / 1e6, "start": [seconds["start", 1], seconds["start", 2]],
        "strong": seconds["whole", 1] / seconds["whole", 2], "weak": seconds["half", 1] / seconds["whole", 2],
        "strong_without_start": one / two,
        "steps": module.steps, "channels": module.automaton.channels, "reach": module.autoencoder.reach,
        "bytes_a_step_and_border": 2 * 4 * columns * module.automaton.channels,
        "seconds": [{"picture": key[0], "devices": key[1], **timing.as_json()} for key, timing in timings.items()],
    }  # fmt: skip


def planning() -> dict[str, Any]:
    """Seconds and memory for each picture of a store that is listed, and bytes of its line in the manifest."""
    import fsspec

    store = fsspec.filesystem("memory")
    for number in range(PLANNED):
        store.pipe_file(f"/given/{number // 1000:04d}/photograph-{number:07d}.jpg", b"")
    begin = time.perf_counter()
    plan_stored(["memory://given"], "memory://made", overwrite=False)
    seconds = time.perf_counter() - begin
    tracemalloc.start()
    plan = plan_stored(["memory://given"], "memory://made", overwrite=False)
    memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    job = plan.jobs[0]
    line = json.dumps(asdict(Record(job.source, job.output, DEFAULT_MODEL, 8.0, 4000, 3000, 1, 12.345)))
    return {
        "pictures": PLANNED, "seconds_a_picture": seconds / PLANNED, "bytes_a_picture": memory / PLANNED,
        "manifest_bytes_a_picture": len(line) + 1,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        result = {
            "environment": environment(torch.device("cpu")), "model": DEFAULT_MODEL, "rounds": options.rounds,
            "one_core": one_core(Path(name), options.rounds), "many": many(Path(name), options.rounds),
            "one_picture": one_picture(Path(name), options.rounds), "planning": planning(),
        }  # fmt: skip
    write_whole(options.out, (json.dumps(result, indent=2) + "\n").encode())
    print(options.out)


if __name__ == "__main__":
    main()
