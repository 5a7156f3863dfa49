"""What a weight file says of its model, as parts of its card: facts of its training, and scores on the test split."""

from typing import Any, NamedTuple

from huggingface_hub import EvalResult

from lnca.catalogue import ModelInfo
from lnca.corruption import PAPER_DIFFICULTY

# Names of the two metrics in the header of a weight file, and their units.
METRICS = {"psnr": "PSNR in dB", "ssim": "SSIM"}
# The corruption of a tile, by the task; its difficulty is put in.
CORRUPTIONS = {"denoise": "noise on {:.0%} of the pixels", "deblur": "motion blur of {:g} pixels"}


class Condition(NamedTuple):
    """Means and standard deviations of a model on one kind of picture, before and after."""

    name: str
    before: dict[str, dict[str, float]]
    after: dict[str, dict[str, float]]


def conditions(info: ModelInfo) -> list[Condition]:
    """The conditions that a model was scored on; none if its file has no scores."""
    quality = info.card.get("quality")
    if not quality:
        return []
    if "conditions" in quality:
        return [Condition(name, row["input"], row["output"]) for name, row in quality["conditions"].items()]
    task = info.card["task"]
    difficulty = info.card["recipe"].get(task, {}).get("test", PAPER_DIFFICULTY[task])
    corruption = CORRUPTIONS[task].format(difficulty)
    found = [Condition(corruption, quality["input"], quality["output"])]
    if inside := quality.get("inside"):
        found.append(Condition(f"{corruption}, without the border", inside["input"], inside["output"]))
    return found


def pictures(info: ModelInfo) -> str:
    """The pictures that the scores are of, such as "4381 tiles of 48 photographs"."""
    quality = info.card["quality"]
    tiles = f"{quality['tiles']} tiles of " if "tiles" in quality else ""
    return f"{tiles}{quality['pictures']} photographs of the {quality['split']} split"


def section(info: ModelInfo) -> str:
    """The scores on the test split as a table; empty without any."""
    rows = [
        [each.name, *(f"{_spread(each.before[name])} | {_spread(each.after[name])}" for name in METRICS)]
        for each in conditions(info)
    ]
    if not rows:
        return ""
    head = ["condition", *(f"{label} before | after" for label in METRICS.values())]
    columns = 1 + 2 * len(METRICS)
    lines = [f"| {' | '.join(line)} |" for line in (head, ["---"] * columns, *rows)]
    about = f"{pictures(info)[0].upper()}{pictures(info)[1:]}; mean ± standard deviation."
    return f"## On photographs\n\n{about}\n\n" + "\n".join(lines)


def results(info: ModelInfo) -> list[EvalResult]:
    """The mean scores on the test split for the header of a card."""
    return [
        EvalResult(
            task_type="image-to-image",
            task_name=info.card["task"],
            dataset_type="lnca-photographs",
            dataset_name=f"Photographs from Debian packages, {pictures(info)}",
            dataset_config=each.name,
            metric_type=metric,
            metric_name=metric.upper(),
            metric_value=round(each.after[metric]["mean"], 4),
        )
        for each in conditions(info)
        for metric in METRICS
    ]


def facts(info: ModelInfo) -> str:
    """Architecture and training as a table."""
    card, recipe = info.card, info.card.get("recipe", {})
    steps = info.settings.get("steps")
    rows: dict[str, Any] = {
        "architecture": info.architecture,
        "parameters": info.parameters,
        **({"steps": steps} if steps is not None else {}),
        "task": card.get("task", "not stated"),
        "recipe": f"`{recipe['name']}`, batches of {recipe['batch_size']}" if recipe else "not stated",
        "begun with": card.get("initial", "random weights"),
        "seed": card.get("seed", "not stated"),
        "commit": card.get("commit", "not stated"),
    }
    lines = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"## Facts\n\n| | |\n| --- | --- |\n{lines}"


def _spread(value: dict[str, float]) -> str:
    digits = 2 if value["mean"] > 1 else 4
    return f"{value['mean']:.{digits}f} ± {value['deviation']:.{digits}f}"
