"""Cost of the degradations in training: seconds a megapixel of `camera` and of its parts, on one core.

Batches are crops of the photograph that comes with lnca. A part's row is its cost for the pictures that draw it; in
`camera` few pictures draw all parts. Seconds are CPU time, so other work on the machine has little effect.

    python benchmarks/degradations.py            # benchmarks/results/degradations.json
"""

import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from lnca.degradation import camera, drawing, gaussian_noise, jpeg, mixture, noise_level, recoloured
from lnca.degradation.demosaicing import WAYS, demosaiced
from lnca.degradation.noises import correlated_noise, grain
from lnca.degradation.processing import bilateral, curve, denoised, resized, sharpened
from lnca.degradation.sensor import camera_noise
from lnca.demo import photograph
from lnca.files import write_whole
from lnca.measuring.measure import environment, rounds_of
from lnca.memory import keep_freed_memory
from lnca.restoration.pictures import to_tensor

RESULT = Path(__file__).parent / "results" / "degradations.json"
BATCH, SIDE, ROUNDS = 16, 128, 15


def crops(draw: torch.Generator) -> Tensor:
    """(BATCH, 3, SIDE, SIDE) of the photograph."""
    whole = to_tensor(photograph())[0]
    places = torch.randint(whole.shape[-1] - SIDE, (BATCH, 2), generator=draw).tolist()
    return torch.stack([whole[:, top : top + SIDE, left : left + SIDE] for top, left in places])


def parts(clean: Tensor, draw: torch.Generator) -> dict[str, Callable[[], object]]:
    """The functions to measure, by name; each computes a whole batch."""
    noisy = gaussian_noise(clean, 0.1, draw)
    same = partial(torch.full, (BATCH, 1, 1, 1))
    quality, places = torch.full((BATCH,), 80.0), torch.full((BATCH, 2), 3)
    return {
        "camera": lambda: camera(clean, draw),
        "sensor": lambda: camera_noise(clean, draw),
        **{f"demosaicing, {way}": partial(demosaiced, clean[:, :1], way) for way in WAYS},
        "correlated": lambda: correlated_noise(clean, draw),
        "grain": lambda: grain(clean, draw),
        "independent": lambda: gaussian_noise(clean, 0.1, draw),
        "denoising": lambda: denoised(clean, noisy, draw),
        "bilateral, of it": lambda: bilateral(noisy - clean, noisy, same(0.1)),
        "tone curve, of one": lambda: curve(clean, same(1.1), same(0.5)),
        "sharpening, of one": lambda: sharpened(clean, same(0.5), same(1.5)),
        "another size, of both": lambda: resized(
            torch.cat([clean, noisy], 1), torch.full((BATCH,), 0.8), torch.full((BATCH, 2), 0.5), True
        ),
        "JPEG 4:2:0": lambda: jpeg(noisy, quality, None, places),
        "JPEG 4:4:4": lambda: jpeg(noisy, quality, torch.full((BATCH,), True), places),
        "level": lambda: noise_level(noisy - clean),
        "other colours": lambda: recoloured(clean, draw),
        "drawings": lambda: [drawing(SIDE, draw) for _ in range(BATCH)],
    }


def seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def main() -> None:
    torch.set_num_threads(1)
    keep_freed_memory()
    draw = torch.Generator().manual_seed(0)
    measured = rounds_of({name: partial(seconds, run) for name, run in parts(crops(draw), draw).items()}, ROUNDS)
    megapixels = BATCH * SIDE * SIDE / 1e6
    rows = {name: statistics.median(times) / megapixels for name, times in measured.items()}
    for name, cost in rows.items():
        print(f"{name:32} {cost:6.3f} s a megapixel, {1 / cost:6.1f} megapixels a second")
    content = {
        "environment": environment(torch.device("cpu")),
        "batch": BATCH,
        "side": SIDE,
        "shares": dict(zip(("sensor", "correlated", "grain", "independent", "none"), mixture.SHARES, strict=True)),
        "seconds a megapixel": {name: round(cost, 4) for name, cost in rows.items()},
    }
    write_whole(RESULT, (json.dumps(content, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
