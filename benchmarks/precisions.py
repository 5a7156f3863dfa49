"""Compares float32 and bfloat16 of the fused kernels: time of whole restorations, and loss of quality.

Every shipped model restores one photograph of 768x768 in both precisions, in turn, and 12 crops of photographs with the
paper's corruption.

    python benchmarks/precisions.py --data ../shared/data/photos --out benchmarks/results/precisions-cpu-intel.json
"""

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import lnca
from lnca import metrics
from lnca.corruption import PAPER_DIFFICULTY, Task
from lnca.degradation.paper import corrupt
from lnca.demo import photograph
from lnca.files import write_whole
from lnca.measuring.measure import environment, time_together
from lnca.randomness import generator
from lnca.restoration.pictures import to_tensor
from lnca.runtime.native import Precision

PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
SIDE, CROP, CROPS = 768, 256, 12


def crops(folder: Path) -> list[Tensor]:
    """Upper left corners of photographs spread over a folder, (1, 3, CROP, CROP) or less."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".jpg", ".png"))
    spread = files[:: max(1, len(files) // CROPS)][:CROPS]
    return [to_tensor(Image.open(path).convert("RGB"))[..., :CROP, :CROP] for path in spread]


def measure(name: str, task: Task, pictures: list[Tensor], rounds: int) -> dict[str, Any]:
    """Seconds of a restoration in each precision, and how bfloat16 changes the SSIM of others."""
    restorers = {precision: lnca.load(name, "cpu", "fused", precision) for precision in PRECISIONS}
    small = np.asarray(photograph())
    times = -(-SIDE // min(small.shape[:2]))
    large = np.tile(small, (times, times, 1))[:SIDE, :SIDE].copy()
    runs: dict[str, Callable[[], object]] = {
        precision: partial(restorer.restore, large) for precision, restorer in restorers.items()
    }
    timings = time_together(runs, rounds, torch.device("cpu"))
    scores = []
    for number, clean in enumerate(pictures):
        corrupted = corrupt(clean, task, PAPER_DIFFICULTY[task], generator("cpu", number))
        scores.append([metrics.ssim(restorer.restore(corrupted), clean).item() for restorer in restorers.values()])
    changes = [half - whole for whole, half in scores]
    return {
        "model": name,
        "backends": [restorer.backend for restorer in restorers.values()],
        "seconds": {precision: timing.as_json() for precision, timing in timings.items()},
        "times_faster": timings["float32"].median / timings["bfloat16"].median,
        "ssim": float(np.mean([whole for whole, _ in scores])),
        "ssim_change": float(np.mean(changes)),
        "ssim_change_worst": max(changes, key=abs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    pictures, rows = crops(options.data), []
    for model in lnca.models():
        task: Task = "deblur" if model.name.endswith("deblur") else "denoise"
        rows.append(measure(model.name, task, pictures, options.rounds))
        row = rows[-1]
        whole, half = (row["seconds"][precision]["median"] for precision in PRECISIONS)
        print(
            f"{model.name}: {whole:.3f} s, {half:.3f} s in bfloat16, {row['times_faster']:.2f} times faster; "
            f"SSIM {row['ssim']:.4f}, change {row['ssim_change']:+.6f}, at worst {row['ssim_change_worst']:+.6f}",
            flush=True,
        )
    result = {"environment": environment(torch.device("cpu")), "side": SIDE, "rows": rows}
    write_whole(options.out, (json.dumps(result, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
