"""The columns of Tables 1 and 2, and the models that they compare."""

import dataclasses
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import yaml

from ..catalogue import unknown
from ..corruption import Task
from ..errors import LncaError
from ..training.recipe import PHASES, Recipe

# The rows of the tables, in their order.
MODELS = {
    "nafnet": "NAFNet",
    "restormer": "Restormer",
    "vitca": "ViTCA",
    "latent-vitca": "LatentViTCA",
    "latent-nafca": "LatentNAFCA",
}
TINY_MODELS = {"nafnet-tiny": "NAFNet-tiny", "restormer-tiny": "Restormer-tiny", "vitca-tiny": "ViTCA-tiny"}
# Rows below the paper's, shown if they were trained.
OTHER_MODELS = {**TINY_MODELS, "lnca": "LNCA, full resolution"}
GROUPS = {"all": list(MODELS), "tiny": [*TINY_MODELS, "latent-vitca", "latent-nafca"]}


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Args:
        table: "table1" (denoising) or "table2" (deblurring).
        data: name of the data set, and of the folder of its prepared tiles.
        title: heading of the column.
        task: task of the column.
        paper: the paper's SSIM, by model.
        changes: changes of the recipe for this column, in the form of `--set`.
    """

    table: str
    data: str
    title: str
    task: Task
    paper: dict[str, float] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name of the column, such as "celeba-denoise"."""
        return f"{self.data}-{self.task}"


def columns() -> dict[str, dict[str, Column]]:
    """All columns, by table and data set."""
    text = (resources.files("lnca.paper") / "tables.yaml").read_text("utf-8")
    tables: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return {
        table: {data: Column(table, data, **entry) for data, entry in entries.items()}
        for table, entries in tables.items()
    }


def chosen_columns(table: str, names: str) -> list[Column]:
    """The columns of a table in a comma-separated list; "all" means all columns."""
    known = columns()
    if table not in known:
        raise unknown("table", table, known)
    return [known[table][name] for name in _chosen(names, {"all": list(known[table])}, list(known[table]), "column")]


def chosen_models(names: str) -> list[str]:
    """Models of a comma-separated list; "all" means the paper's five, "tiny" the small presets and the latent
    models."""
    return _chosen(names, GROUPS, [*MODELS, *OTHER_MODELS], "model of the tables")


def _chosen(names: str, groups: dict[str, list[str]], known: list[str], kind: str) -> list[str]:
    result: list[str] = []
    for name in names.split(","):
        if name not in groups and name not in known:
            raise unknown(kind, name, [*groups, *known])
        result += [entry for entry in groups.get(name, [name]) if entry not in result]
    return result


def shared_epochs(recipe: Recipe, architecture: str, epochs: int) -> Recipe:
    """The recipe with `epochs` passes over the training tiles in total, divided among the phases in the ratio of the
    recipe, with at least one each.

    Raises:
        LncaError: there are fewer epochs than phases.
    """
    phases = {name: getattr(recipe, name) for name in PHASES[architecture]}
    phases = {name: phase for name, phase in phases.items() if phase.epochs}
    if epochs < len(phases):
        raise LncaError(f"{architecture} is trained in {len(phases)} phases; give it at least as many epochs")
    whole = sum(phase.epochs for phase in phases.values())
    given = {name: max(1, epochs * phase.epochs // whole) for name, phase in phases.items()}
    while sum(given.values()) != epochs:
        short = sum(given.values()) < epochs
        # The phase whose epochs differ most from its share, in the direction of the change.
        distance = {name: given[name] - epochs * phase.epochs / whole for name, phase in phases.items()}
        candidates = [name for name in phases if short or given[name] > 1]
        chosen = min(candidates, key=distance.__getitem__) if short else max(candidates, key=distance.__getitem__)
        given[chosen] += 1 if short else -1
    changed = {name: dataclasses.replace(phase, epochs=given[name]) for name, phase in phases.items()}
    return dataclasses.replace(recipe, **changed)
