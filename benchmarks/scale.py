"""Measures how restoring scales, for the model of costs in docs/scale.md: seconds of one core for reading, restoring
and writing pictures of several sizes; one and two workers, Ray nodes and devices, for the same work and for twice as
much; the overhead of tiny pictures; planning many pictures. Then it computes the model's figures from the measurements.

    python benchmarks/scale.py [--parts one_core,many,one_picture,overhead,planning]
    python benchmarks/scale.py --parts ""    # measures nothing; computes the model's figures from the result file

Rows for Ray need Ray: `make test-ray` creates .venv-ray, whose python can run this.
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

from lnca.catalogue import DEFAULT_MODEL
from lnca.demo import photograph
from lnca.files import write_whole
from lnca.images.reading import open_photo
from lnca.images.writing import save_photo
from lnca.kernels.devices import use_threads
from lnca.measuring.measure import environment, in_turn, time_together
from lnca.restoration.bands import BLOCK_STEPS
from lnca.restoration.batch import Record, RestoreOptions, restore_file
from lnca.restoration.jobs import Job
from lnca.restoration.latent import LatentStreamer
from lnca.restoration.restorer import Restorer
from lnca.restoration.split import BORDER_SHARE
from lnca.restoration.stores import plan_stored

# The model for pictures that several devices share; the default model has no lattice that can be divided.
SHARED_MODEL = "lnca-denoise"
RESULTS = Path(__file__).parent / "results" / "scale-cpu.json"
# Sides of pictures in pixels: on one core; of each of many; of one picture that devices share.
SIDES, SIDE, SHARED = (512, 1024, 1536, 2048), 1024, 2560
# Number of pictures of a worker.
PICTURES = 4
PLANNED = 100_000
# Number of pictures of 32x32 pixels for measuring the overhead.
SMALL = 400
# Assumptions of the model: megapixels of a photograph; bytes per second of a network; side of ten gigapixels.
PHOTOGRAPH, NETWORK, GIGAPIXELS = 12, 10e9 / 8, 100_000


def picture(width: int, height: int) -> Image.Image:
    """The demonstration's photograph, enlarged, with noise, so that its file is not unusually small."""
    large = np.asarray(photograph().resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)
    noise = np.random.default_rng(0).normal(0, 8, large.shape)
    return Image.fromarray(np.clip(large + noise, 0, 255).astype(np.uint8))


def one_core(folder: Path, rounds: int) -> dict[str, Any]:
    """Seconds of a picture, in one process with one thread; and of each megapixel, which is the slope of a line."""
    use_threads(1)
    options = RestoreOptions(DEFAULT_MODEL, device="cpu")
    calls: dict[str, Callable[[], object]] = {}
    rows: list[dict[str, Any]] = []
    for side in SIDES:
        source, output = folder / f"{side}.jpg", folder / f"{side}-out.jpg"
        picture(side, side).save(source, quality=92)
        restore_file(Job(source, output, output), options)
        rows.append(
            {
                "side": side,
                "megapixels": side**2 / 1e6,
                "bytes_in": source.stat().st_size,
                "bytes_out": output.stat().st_size,
            }
        )
        calls[f"{side} read"] = partial(open_photo, source)
        calls[f"{side} write"] = partial(save_photo, open_photo(source), output)
        calls[f"{side} whole"] = partial(restore_file, Job(source, output, output), options)
    timings = time_together(calls, rounds, torch.device("cpu"))
    sizes = [row["megapixels"] for row in rows]
    found: dict[str, Any] = {"rows": rows}
    for part in ("read", "write", "whole"):
        for row in rows:
            row[part] = timings[f"{row['side']} {part}"].as_json()
        medians = np.array([row[part]["median"] for row in rows])
        # Weight the points so that relative errors count alike.
        slope, start = np.polyfit(sizes, medians, 1, w=1 / medians)
        fitted = np.polyval((slope, start), sizes)
        found[part] = {
            "seconds_a_megapixel": slope,
            "seconds_a_picture": start,
            "largest_error": float(np.abs(fitted / medians - 1).max()),
        }
    return found


def command(*arguments: object) -> float:
    """Seconds of a command, one thread each process."""
    line = [sys.executable, "-m", "lnca", "restore", *map(str, arguments), "--device", "cpu", "--quiet", "--overwrite"]
    begin = time.perf_counter()
    subprocess.run(line, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return time.perf_counter() - begin


def engines() -> dict[str, tuple[str, ...]]:
    """Options of each engine that is installed."""
    return {"processes": ()} | ({"ray": ("--engine", "ray")} if importlib.util.find_spec("ray") else {})


def filled(folder: Path, count: int, side: int) -> Path:
    """A folder with `count` pictures."""
    folder.mkdir()
    for number in range(count):
        picture(side, side + 4 * (number % 4)).save(folder / f"{number}.jpg", quality=92)
    return folder


def exchanged(columns: int, channels: int) -> int:
    """Bytes that two bands exchange at a border in each step: one row of cells in each direction, in float32."""
    return 2 * 4 * columns * channels


def many(folder: Path, rounds: int) -> list[dict[str, Any]]:
    """Measures whole commands with one and with two workers, with and without their start."""
    # The smallest count measures the start of a command.
    counts = (2, PICTURES, 2 * PICTURES)
    given = {count: filled(folder / f"in-{count}", count, 32 if count == 2 else SIDE) for count in counts}
    calls = {
        (engine, workers, count): partial(
            command, given[count], "-o", folder / f"out-{engine}", "--workers", workers, *options
        )
        for engine, options in engines().items()
        for workers in (1, 2)
        for count in counts
    }
    timings = in_turn(calls, rounds)
    rows = []
    for engine in engines():
        seconds = {key[1:]: timing.median for key, timing in timings.items() if key[0] == engine}
        one, two = ({count: seconds[workers, count] for count in counts} for workers in (1, 2))
        rows.append(
            {
                "engine": engine,
                "start": [one[2], two[2]],
                "strong": one[2 * PICTURES] / two[2 * PICTURES],
                "weak": one[PICTURES] / two[2 * PICTURES],
                "strong_without_start": (one[2 * PICTURES] - one[2]) / (two[2 * PICTURES] - two[2]),
                "weak_without_start": (one[PICTURES] - one[2]) / (two[2 * PICTURES] - two[2]),
                "seconds": [
                    {"workers": key[1], "pictures": key[2], **timing.as_json()}
                    for key, timing in timings.items()
                    if key[0] == engine
                ],
            }
        )
    return rows


def one_picture(folder: Path, rounds: int) -> dict[str, Any]:
    """Measures whole commands for one picture, and for one with twice its height, on one device and on two
    processes."""
    paths = {"half": folder / "half.jpg", "whole": folder / "whole.jpg", "start": folder / "start.jpg"}
    picture(SHARED, SHARED // 2).save(paths["half"], quality=92)
    picture(SHARED, SHARED).save(paths["whole"], quality=92)
    picture(32, 32).save(paths["start"], quality=92)
    calls = {
        (name, devices): partial(
            command, path, "-o", folder / f"{name}-{devices}.jpg", "--devices", devices, "--model", SHARED_MODEL
        )
        for name, path in paths.items()
        for devices in (1, 2)
    }
    timings = in_turn(calls, rounds)
    if (folder / "whole-1.jpg").read_bytes() != (folder / "whole-2.jpg").read_bytes():
        raise SystemExit("one device and two gave different pictures")
    seconds = {key: timing.median for key, timing in timings.items()}
    streamer = Restorer(SHARED_MODEL, "cpu").streamer
    assert isinstance(streamer, LatentStreamer)
    coder, channels = streamer.coder, streamer.model.rule.channels
    half, one = (seconds[name, 1] - seconds["start", 1] for name in ("half", "whole"))
    two = seconds["whole", 2] - seconds["start", 2]
    columns = SHARED // coder.multiple
    return {
        "model_restored_with": SHARED_MODEL,
        "megapixels": SHARED**2 / 1e6,
        "start": [seconds["start", 1], seconds["start", 2]],
        "strong": seconds["whole", 1] / seconds["whole", 2],
        "weak": seconds["half", 1] / seconds["whole", 2],
        "strong_without_start": one / two,
        "weak_without_start": half / two,
        "steps": streamer.steps,
        "channels": channels,
        "reach": coder.reach,
        "multiple": coder.multiple,
        "bytes_a_step_and_border": exchanged(columns, channels),
        "seconds": [{"picture": key[0], "devices": key[1], **timing.as_json()} for key, timing in timings.items()],
    }


def overhead(folder: Path, rounds: int) -> list[dict[str, Any]]:
    """Seconds for each tiny picture, with two workers."""
    given = {"small": filled(folder / "small", SMALL, 32), "few": filled(folder / "few", 2, 32)}
    calls = {
        (engine, name): partial(command, given[name], "-o", folder / f"{name}-{engine}", "--workers", 2, *options)
        for engine, options in engines().items()
        for name in given
    }
    timings = in_turn(calls, rounds)
    return [
        {
            "engine": engine,
            "pictures": SMALL,
            "seconds": timings[engine, "small"].as_json(),
            "start": timings[engine, "few"].as_json(),
            "seconds_a_picture": (timings[engine, "small"].median - timings[engine, "few"].median) / (SMALL - 2),
        }
        for engine in engines()
    ]


def planning() -> dict[str, Any]:
    """Seconds and memory for listing each picture of a store, and bytes of its line in the manifest."""
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
    line = json.dumps(
        asdict(Record(job.source, job.output, DEFAULT_MODEL, 3.0, width=4000, height=3000, frames=1, seconds=12.345))
    )
    return {
        "pictures": PLANNED,
        "seconds_a_picture": seconds / PLANNED,
        "bytes_a_picture": memory / PLANNED,
        "manifest_bytes_a_picture": len(line) + 1,
    }


def model(found: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Extrapolates the measurements to larger scales; docs/scale.md has the formulas."""
    core, shared, plan = found["one_core"], found["one_picture"], found["planning"]
    # Seconds a megapixel rise with the size; the largest measured pictures are the best estimate.
    whole, start = (
        next(row["median"] for row in shared["seconds"] if row["picture"] == name and row["devices"] == 1)
        for name in ("whole", "start")
    )
    a_megapixel = (whole - start) / shared["megapixels"]
    row = core["rows"][-1]
    of_many = row["whole"]["median"] / row["megapixels"]
    bytes_in, bytes_out = (row[key] / row["megapixels"] * PHOTOGRAPH for key in ("bytes_in", "bytes_out"))
    seconds = of_many * PHOTOGRAPH
    handed = {row["engine"]: row["seconds_a_picture"] for row in found["overhead"]}
    many = {
        "core_seconds_a_megapixel": of_many,
        "core_seconds_a_picture": seconds,
        "bytes_a_picture": bytes_in + bytes_out,
        "cores_for_a_million_a_day": 1e6 * seconds / 86400,
        "bytes_a_second_for_a_million_a_day": 1e6 * (bytes_in + bytes_out) / 86400,
        "core_hours_for_a_billion": 1e9 * seconds / 3600,
        "bytes_for_a_billion": 1e9 * (bytes_in + bytes_out),
        "planning_bytes_for_a_billion": 1e9 * plan["bytes_a_picture"],
        "planning_seconds_for_a_billion": 1e9 * plan["seconds_a_picture"],
        "manifest_bytes_for_a_billion": 1e9 * plan["manifest_bytes_a_picture"],
        **{f"cores_that_one_driver_feeds_by_{engine}": seconds / each for engine, each in handed.items()},
    }
    # One picture: the time of a core for each megapixel, and the time of the first process alone.
    megapixels, columns, channels = GIGAPIXELS**2 / 1e6, GIGAPIXELS // shared["multiple"], shared["channels"]
    coding = (core["read"]["seconds_a_megapixel"] + core["write"]["seconds_a_megapixel"]) * megapixels
    pixels = 2 * 3 * GIGAPIXELS**2
    handing = pixels / NETWORK
    work = a_megapixel * megapixels - coding
    one = {
        "core_seconds": work,
        "seconds_coding": coding,
        "seconds_handing_out": handing,
        "cores_where_half_is_the_first_process": work / (coding + handing),
        "bytes_of_cells": 4 * columns**2 * channels,
        "bytes_of_pixels_and_result": pixels,
        "bytes_a_step_and_border": exchanged(columns, channels),
        "seconds_a_step_and_border": exchanged(columns, channels) / NETWORK,
        "most_bands_of_whole_strides": columns * BORDER_SHARE / BLOCK_STEPS,
    }
    return {"many": many, "ten_gigapixels": one}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", default=",".join(PARTS), help="parts to measure; the results of others are kept")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    result = json.loads(options.out.read_text()) if options.out.exists() else {}
    result |= {"model_restored_with": DEFAULT_MODEL, "rounds": options.rounds}
    for part in filter(None, options.parts.split(",")):
        with tempfile.TemporaryDirectory() as name:
            result[part] = PARTS[part](Path(name), options.rounds)
        result.setdefault("environments", {})[part] = environment(torch.device("cpu"))
    if PARTS.keys() <= result.keys():
        result["model"] = model(result)
        print(json.dumps(result["model"], indent=2))
    write_whole(options.out, (json.dumps(result, indent=2) + "\n").encode())
    print(options.out)


PARTS: dict[str, Callable[[Path, int], Any]] = {
    "one_core": one_core,
    "many": many,
    "one_picture": one_picture,
    "overhead": overhead,
    "planning": lambda folder, rounds: planning(),
}


if __name__ == "__main__":
    main()
