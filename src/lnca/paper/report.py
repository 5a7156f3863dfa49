"""Tables 1 and 2: the paper's figures and ours side by side."""

import json
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import LncaError
from .columns import MODELS, OTHER_MODELS, Column, columns

RESULTS = Path("benchmarks/results/paper")
TITLES_OF_MODELS = MODELS | OTHER_MODELS
# What decides in which cell a result is.
KEY = ("table", "column", "model", "recipe")
# The recipe of the models' own rows; other recipes have rows of their own.
RECIPE = "stable"
TITLES = {
    "table1": "Table 1: denoising, SSIM, paper / ours",
    "table2": "Table 2: deblurring, SSIM, paper / ours",
}


def read_results(folder: Path) -> list[dict[str, Any]]:
    """All results in a folder; raises `LncaError` for a file that is not a result."""
    results = []
    for path in sorted(folder.glob("*.json")):
        try:
            result = json.loads(path.read_text("utf-8"))
            results.append({**result, "key": tuple(result[name] for name in KEY)})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LncaError(f"{path} is no result of lnca paper run ({error}); move it away") from error
    return results


@dataclass(frozen=True)
class Cell:
    """One cell of a table: the paper's SSIM, and our results, one for each seed."""

    paper: float | None
    ours: list[dict[str, Any]]

    @property
    def ssim(self) -> float | None:
        """Mean over seeds; None without results."""
        return statistics.mean(run["output"]["ssim"]["mean"] for run in self.ours) if self.ours else None

    @property
    def spread(self) -> float:
        """Standard deviation over seeds; 0 for one seed."""
        values = [run["output"]["ssim"]["mean"] for run in self.ours]
        return statistics.stdev(values) if len(values) > 1 else 0.0

    def __str__(self) -> str:
        paper = "-" if self.paper is None else f"{self.paper:.3f}"
        ours = "-" if self.ssim is None else f"{self.ssim:.3f}" + (f"±{self.spread:.3f}" if self.spread else "")
        return f"{paper} / {ours}"

    def as_json(self) -> dict[str, Any]:
        runs = [{key: value for key, value in run.items() if key not in ("key", "history")} for run in self.ours]
        return {"paper": self.paper, "ours": self.ssim, "spread_over_seeds": self.spread, "runs": runs}


def cell(column: Column, model: str, results: Iterable[dict[str, Any]], recipe: str = RECIPE) -> Cell:
    """The cell of a model and a recipe in a column. Of several budgets the one with the most samples counts, with all
    its seeds. The paper's figure stands in the model's own row."""
    key = column.table, column.data, model, recipe
    runs = [result for result in results if result["key"] == key]
    most = max((run["samples"] for run in runs), default=0)
    return Cell(column.paper.get(model) if recipe == RECIPE else None, [run for run in runs if run["samples"] == most])


def tables(folder: Path) -> dict[str, dict[str, dict[str, Cell]]]:
    """Table -> row -> column -> cell. A row is a model, or a model with another recipe, such as "latent-nafca, recipe
    paper". A tiny preset and another recipe have a row if they were trained."""
    results = read_results(folder)
    trained = {result["key"][2:] for result in results}
    rows = {model: (model, RECIPE) for model in TITLES_OF_MODELS if model in MODELS or (model, RECIPE) in trained}
    others = sorted(trained - {(model, RECIPE) for model in TITLES_OF_MODELS}, key=str)
    rows |= {f"{model}, recipe {recipe}": (model, recipe) for model, recipe in others}
    return {
        table: {
            row: {name: cell(column, model, results, recipe) for name, column in entries.items()}
            for row, (model, recipe) in rows.items()
        }
        for table, entries in columns().items()
    }


def title(row: str) -> str:
    """The heading of a row of `tables`."""
    model, comma, recipe = row.partition(",")
    return f"{TITLES_OF_MODELS[model]}{comma}{recipe}"


def as_json(folder: Path) -> str:
    """`tables` as JSON."""
    plain = {
        table: {model: {name: cell.as_json() for name, cell in row.items()} for model, row in rows.items()}
        for table, rows in tables(folder).items()
    }
    return json.dumps(plain, indent=2)


def as_text(folder: Path) -> str:
    """`tables` as Markdown, each with notes on our figures."""
    return "\n\n".join(_table(name, rows) for name, rows in tables(folder).items())


def _table(name: str, rows: dict[str, dict[str, Cell]]) -> str:
    heads = columns()[name]
    rows = {row: cells for row, cells in rows.items() if any(cell.paper or cell.ours for cell in cells.values())}
    lines = [["", *(column.title for column in heads.values())]]
    inputs = []
    for column in heads:
        known = [run["input"]["ssim"]["mean"] for row in rows.values() for run in row[column].ours]
        inputs.append(f"- / {statistics.mean(known):.3f}" if known else "-")
    lines.append(["corrupted input", *inputs])
    lines += [[title(name), *map(str, row.values())] for name, row in rows.items()]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = [
        "| " + " | ".join(entry.ljust(width) for entry, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    notes = [_note(heads[column].title, title(name), row[column]) for column in heads for name, row in rows.items()]
    parts = [f"**{TITLES[name]}**", "\n".join([text[0], rule, *text[1:]]), "\n".join(filter(None, notes))]
    return "\n\n".join(filter(None, parts))


def _note(column: str, model: str, cell: Cell) -> str:
    """A note that explains our figure in a cell."""
    if not cell.ours:
        return ""
    first = cell.ours[0]
    psnr = statistics.mean(run["output"]["psnr"]["mean"] for run in cell.ours)
    recovered = statistics.mean(run["recovered"] for run in cell.ours)
    seeds = ", ".join(str(run["seed"]) for run in cell.ours)
    note = f" ({first['note']})" if first.get("note") else ""
    return (
        f"- {column}{note}, {model}: SSIM {cell.ssim:.4f} ± {first['output']['ssim']['deviation']:.4f} "
        f"over {first['tiles']} tiles of {first['pictures']} pictures, PSNR {psnr:.2f} dB, recovered {recovered:.3f}; "
        f"{first['parameters']} parameters, {first['samples']} training samples, recipe {first['recipe']}, "
        f"seed{'s' if len(cell.ours) > 1 else ''} {seeds}, {first['device']}"
    )
