"""Pictures of any size: seconds and peak memory of whole restorations, each in its own process.

One megapixel as fast as possible (in bfloat16 if that is faster on the CPU), one hundred megapixels in 4 GB, and
pictures with decreasing memory limits, whose results must be equal to the bit.

    python benchmarks/large_pictures.py
"""

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import lnca
from lnca.demo import photograph
from lnca.files import write_whole
from lnca.measuring.measure import environment, register_rate
from lnca.measuring.memory import peak_memory
from lnca.runtime.native import Precision

RESULTS = Path(__file__).parent / "results" / "large-pictures-cpu.json"
MODEL = "latent-nafca-denoise"
# Megapixels mean width times height; the limit is for memory beside the picture and its result.
RUNS: list[dict[str, Any]] = [
    {"side": 1024, "limit": None, "steps": None},
    {"side": 1024, "limit": None, "steps": "auto"},
    {"side": 2000, "limit": None, "steps": None},
    {"side": 2000, "limit": "100MB", "steps": None},
    {"side": 2000, "limit": "40MB", "steps": None},
    {"side": 10_000, "limit": "3.2GB", "steps": None},
    {"side": 10_000, "limit": "1GB", "steps": None},
]


def noisy_picture(side: int) -> np.ndarray:
    """The demonstration's photograph, repeated, with noise in half of the pixels: (side, side, 3), uint8."""
    small = np.asarray(photograph())
    times = -(-side // len(small))
    picture = np.tile(small, (times, times, 1))[:side, :side].copy()
    draw = np.random.default_rng(0)
    for rows in np.array_split(picture, max(1, side // 500)):
        noise = draw.normal(0, 64, (*rows.shape[:2], 1)) * (draw.random((*rows.shape[:2], 1)) < 0.5)
        rows[:] = np.clip(rows + noise, 0, 255).astype(np.uint8)
    return picture


def run(side: int, limit: str | None, steps: str | None) -> dict[str, Any]:
    """Measures one restoration in this process, after a small warm-up picture."""
    rates = [register_rate(precision) or 0 for precision in (torch.float32, torch.bfloat16)]
    precision: Precision = "bfloat16" if rates[1] > rates[0] else "float32"
    restorer = lnca.load(MODEL, "cpu", "fused", precision)
    picture = noisy_picture(side)
    restorer.restore(picture[:64, :64])
    wall, cpu = time.perf_counter(), time.process_time()
    restored = restorer.restore(picture, "auto" if steps == "auto" else None, limit)
    return {
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "peak_bytes": peak_memory(),
        "picture_bytes": 2 * picture.nbytes,
        "precision": precision,
        "sha256": hashlib.sha256(np.asarray(restored).tobytes()).hexdigest(),
    }


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(run(**json.loads(sys.argv[1]))))
        return
    rows: list[dict[str, Any]] = []
    for asked in RUNS:
        command = [sys.executable, __file__, json.dumps(asked)]
        rows.append({**asked, **json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)})
        row = rows[-1]
        print(
            f"{asked['side']}x{asked['side']}, limit {asked['limit']}, steps {asked['steps']}: {row['seconds']:.1f} s, "
            f"{row['cpu_seconds']:.1f} s of CPU, peak {row['peak_bytes'] / 1e9:.2f} GB, {row['sha256'][:8]}",
            flush=True,
        )
    for side in {row["side"] for row in rows}:
        if len({row["sha256"] for row in rows if row["side"] == side and row["steps"] is None}) != 1:
            raise SystemExit(f"the plans of {side}x{side} do not give the same picture")
    result = {"model": MODEL, "environment": environment(torch.device("cpu")), "rows": rows}
    write_whole(RESULTS, (json.dumps(result, indent=1) + "\n").encode())
    print(RESULTS)


if __name__ == "__main__":
    main()
