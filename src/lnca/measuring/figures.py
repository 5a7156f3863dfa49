"""Figures 2, 3 and 4 of the paper, from measured tables."""

from pathlib import Path
from typing import Any

from ..errors import LncaError
from ..paper.columns import MODELS
from ..paper.figures import figure
from .tables import lines_of, paper_table, shapes_of

FIGURES = {
    "train-memory": ("figure-2-training-memory.png", "memory of training"),
    "train-latency": ("figure-3-training-latency.png", "time of an epoch"),
    "inference": ("figure-4-inference-latency.png", "time of a batch"),
}


def draw(results: list[dict[str, Any]], out: Path) -> list[Path]:
    """Draws each measured table that has a figure in the paper: ours solid, the paper's dashed.

    Raises:
        LncaError: none of the results has a figure, or matplotlib is missing.
    """
    drawn = [_draw(result, out) for result in results if result.get("table") in FIGURES]
    if not drawn:
        raise LncaError(f"nothing to draw; measure one of {', '.join(FIGURES)} with lnca bench")
    return drawn


def _draw(result: dict[str, Any], out: Path) -> Path:
    name, what = FIGURES[result["table"]]
    paper = paper_table(result["table"])
    shapes = shapes_of(result)
    with figure(out / name, 1, 1, (7, 4)) as (_, axes):
        plot = axes[0, 0]
        for number, model in enumerate(dict.fromkeys(row["model"] for row in result["rows"])):
            lines = lines_of(result, model)
            ours = lines[0][1] if lines else {}
            theirs = {shape: paper["paper"].get(model, {}).get(shape[0], {}).get(shape[1]) for shape in shapes}
            for values, style in ((ours, "-o"), (theirs, "--")):
                points = [(index, values[shape]) for index, shape in enumerate(shapes) if values.get(shape) is not None]
                label = MODELS.get(model, model) if style == "-o" else None
                plot.plot(*zip(*points, strict=True) if points else ([], []), style, color=f"C{number}", label=label)
        where = result["environment"]
        plot.set(yscale="log", ylabel=f"{what}, {paper['unit']}", title=f"{where['device']}; dashed: the paper's A100")
        plot.set_xticks(range(len(shapes)), [f"{side}x{side}\nb{batch}" for side, batch in shapes])
        plot.legend()
    return out / name
