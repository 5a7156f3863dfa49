"""The fused echoes (`kernels/cpu/echoes.h`) against the plain ones (`nn/echoes.py`), on one thread: alone, with every
instruction set there is, and in whole restorations.

    python benchmarks/echoes.py
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from rich import print as show
from torch import Tensor

import lnca
from lnca.benchmark.measure import environment, time_together
from lnca.files import write_whole
from lnca.kernels import residual
from lnca.kernels.echoes import fused_echoes
from lnca.kernels.native import LEVELS, best_level
from lnca.memory import keep_freed_memory
from lnca.nn.echoes import echoes

RESULT = Path(__file__).parent / "results" / "echoes.json"
MODEL, SCALES = "photo-deblur", 6
PICTURE, ROUNDS = 512, 7


def plain(image_BHWC: Tensor, scales: int, rows: int, top: int, bottom: int, level: str) -> Tensor:
    """What `fused_echoes` gives."""
    return echoes(image_BHWC, scales, rows)[:, top:bottom]


def alone(levels: list[str]) -> dict[str, Any]:
    image = torch.rand(1, PICTURE, PICTURE, 3)
    cells = PICTURE // 4
    ways: dict[str, Callable[[], Any]] = {
        "plain": partial(echoes, image, SCALES),
        **{level: partial(fused_echoes, image, SCALES, cells, 0, cells, level) for level in levels},
    }
    exact = echoes(image.double(), SCALES)
    times = time_together(ways, ROUNDS, torch.device("cpu"))
    return {
        "largest error": {name: (way() - exact).abs().max().item() for name, way in ways.items()},
        "seconds": {name: timing.as_json() for name, timing in times.items()},
        "times faster": {level: round(times["plain"].median / times[level].median, 2) for level in levels},
    }


def restoration() -> dict[str, Any]:
    restorer = lnca.load(MODEL, "cpu", "fused")
    picture = torch.rand(PICTURE, PICTURE, 3).numpy()

    def with_plain() -> Any:
        with patch.object(residual, "fused_echoes", plain):
            return restorer.restore(picture)

    ways: dict[str, Callable[[], Any]] = {"plain": with_plain, "fused": partial(restorer.restore, picture)}
    first, second = (torch.from_numpy(way()) for way in ways.values())
    times = time_together(ways, ROUNDS, torch.device("cpu"))
    return {
        "model": MODEL,
        "largest difference": (first - second).abs().max().item(),
        "seconds": {name: timing.as_json() for name, timing in times.items()},
        "times faster": round(times["plain"].median / times["fused"].median, 2),
    }


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    keep_freed_memory()
    best = best_level()
    assert best is not None
    levels = [level for level in LEVELS[: LEVELS.index(best) + 1] if level not in ("avx512bf16", "amx")]
    content: dict[str, Any] = {
        "environment": environment(torch.device("cpu")),
        "alone": alone(levels),
        "restoration": restoration(),
    }
    write_whole(RESULT, (json.dumps(content, indent=2) + "\n").encode())
    show(content["alone"]["times faster"], content["restoration"]["times faster"])


if __name__ == "__main__":
    main()
