"""The measured tables as text, the paper's figures in front."""

from collections.abc import Iterator
from importlib import resources
from typing import Any

import yaml

from ..errors import LncaError
from ..paper.columns import MODELS

Shape = tuple[int, int]
# The label of a line, and its value for each side and batch.
Line = tuple[str, dict[Shape, float]]
MEMORY = {"reserved": "reserved", "allocated": "allocated", "peak": "peak of the process", "saved": "kept for backward"}
TABLES = ("inference", "train-memory", "train-latency", "backward")


def paper_table(name: str) -> dict[str, Any]:
    """A table of section 4.4 with the paper's figures: {"title", "unit", "paper": model -> side -> {batch: value}}.

    A value is None if the A100 ran out of memory.
    """
    text = (resources.files("lnca.measuring") / "tables.yaml").read_text("utf-8")
    data = yaml.safe_load(text)
    table = data[name]
    figures = {
        model: {side: dict(zip(data["batches"], row, strict=True)) for side, row in sides.items()}
        for model, sides in table["paper"].items()
    }
    return {**table, "paper": figures}


def shapes_of(result: dict[str, Any]) -> list[Shape]:
    """Sides and batches of a result, in order."""
    return sorted({(row["side"], row["batch"]) for row in result["rows"]})


def lines_of(result: dict[str, Any], model: str) -> list[Line]:
    """The measurements of a model in the paper's unit; the first line is the one to compare with the paper."""
    rows = [row for row in result["rows"] if row["model"] == model and "left_out" not in row]
    # If one of the phases is missing, the memory of training is unknown.
    left_out = {(row["side"], row["batch"]) for row in result["rows"] if row["model"] == model and "left_out" in row}
    if result["table"] == "inference":
        # The fastest backend first.
        lines = {way: {} for way in dict.fromkeys(row["way"] for row in rows)}  # type: dict[str, dict[Shape, float]]
        for row in rows:
            lines[row["way"]][row["side"], row["batch"]] = row["seconds"]["median"]
        best = {
            shape: min(v[shape] for v in lines.values() if shape in v)
            for shape in shapes_of(result)
            if any(shape in v for v in lines.values())
        }
        return [("fastest", best), *lines.items()]
    if result["table"] == "train-latency":
        return [("an epoch", {(row["side"], row["batch"]): row["seconds"] for row in rows})]
    whole = [row for row in rows if (row["side"], row["batch"]) not in left_out]
    found = {}
    for key, name in MEMORY.items():
        # The larger of the two phases.
        values: dict[Shape, float] = {}
        for row in whole:
            if row.get(key) is not None:
                shape = row["side"], row["batch"]
                values[shape] = max(values.get(shape, 0.0), row[key] / 1e9)
        if values:
            found[name] = values
    return list(found.items())


def as_text(result: dict[str, Any]) -> str:
    """The result as Markdown.

    Raises:
        LncaError: it is not a result of `lnca bench`.
    """
    if result.get("table") not in TABLES:
        raise LncaError(f"no result of lnca bench: its table is {result.get('table')!r}")
    where = result["environment"]
    place = f"{where['device']} ({where['processor']}), {where['threads']} threads"
    if result["table"] == "backward":
        title = (
            f"Back-propagation through {result['steps']} steps, {result['side']}x{result['side']}, {result['batch']}"
        )
        return f"{title} pictures a batch; {place}\n\n{_markdown(list(_backward(result)))}"
    paper = paper_table(result["table"])
    note = ""
    if result.get("pixels_at_equal_memory"):
        times = (f"{MODELS[name]} {value:.0f}" for name, value in result["pixels_at_equal_memory"].items())
        note = f"\n\nTimes more pixels than ViTCA in the memory kept for backward (paper: 16): {', '.join(times)}"
    return f"{paper['title']}; {place}\n\n{_markdown(list(_lines(result, paper)))}{note}"


def _lines(result: dict[str, Any], paper: dict[str, Any]) -> Iterator[list[str]]:
    shapes = shapes_of(result)
    yield ["model", f"in {paper['unit']}", *(f"{side}x{side} b{batch}" for side, batch in shapes)]
    for model in dict.fromkeys(row["model"] for row in result["rows"]):
        figures = paper["paper"].get(model, {})
        cells = [figures.get(side, {}).get(batch) for side, batch in shapes]
        yield [MODELS.get(model, model), "paper, A100", *("-" if cell is None else f"{cell:g}" for cell in cells)]
        first, *others = lines_of(result, model) or [("", {})]
        for label, values in others if others and result["table"] == "inference" else [first, *others]:
            texts = []
            for shape in shapes:
                text = "-" if shape not in values else f"{values[shape]:.3g}"
                best = others and result["table"] == "inference" and values.get(shape) == first[1].get(shape)
                texts.append(f"**{text}**" if best and text != "-" else text)
            yield ["", label, *texts]


def _backward(result: dict[str, Any]) -> Iterator[list[str]]:
    yield ["model", "backward", "bytes kept a cell and step", "times fewer", "times slower"]
    for row in result["rows"]:
        name = MODELS.get(row["model"], row["model"])
        kept = f"{row['saved_per_cell_and_step']:.0f}"
        yield [name, row["way"], kept, f"{row['times_fewer']:.1f}", f"{row['times_slower']:.2f}"]


def _markdown(lines: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in [lines[0], ["---"] * len(lines[0]), *lines[1:]])
