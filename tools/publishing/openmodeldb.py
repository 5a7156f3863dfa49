"""The entry of a model in OpenModelDB: its own JSON file, and additions to the lists that it refers to."""

import json
from pathlib import Path
from typing import Any

from lnca.catalogue import ModelInfo
from lnca.errors import LncaError

from .facts import Facts, digest

ARCHITECTURE, USER = "lnca", "lnca"
LISTS = {
    "users.json": {USER: {"name": "The lnca authors"}},
    "architectures.json": {
        ARCHITECTURE: {"name": "LNCA", "input": "image", "compatiblePlatforms": ["pytorch", "onnx"]}
    },
    "tags.json": {f"arch:{ARCHITECTURE}": {"name": "LNCA", "description": ""}},
}
# Files in the hub's folder, with their type and platform in OpenModelDB.
RESOURCES = {"model.safetensors": ("safetensors", "pytorch"), "image.onnx": ("onnx", "onnx")}


def write(facts: Facts, info: ModelInfo, hub: Path, folder: Path) -> None:
    """Writes data/models/ID.json and additions.json in the format of OpenModelDB.

    Args:
        hub: the model's folder for the hub, whose files the entry refers to.
    """
    path = folder / "data" / "models" / f"1x-{info.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(formatted(entry(facts, info, hub)), "utf-8")
    (folder / "additions.json").write_text(formatted(LISTS), "utf-8")


def entry(facts: Facts, info: ModelInfo, hub: Path) -> dict[str, Any]:
    """The entry of a model.

    Raises:
        LncaError: a file that the entry refers to is missing.
    """
    if missing := [name for name in RESOURCES if not (hub / name).is_file()]:
        raise LncaError(f"{hub / missing[0]} is missing; make the hub's folder first")
    batch = info.card.get("recipe", {}).get("batch_size")
    return {
        "name": info.name,
        "author": USER,
        "license": facts.licence,
        "tags": ["denoise", "photo", "research", "restoration"],
        "description": description(facts, info),
        "date": facts.date,
        "architecture": ARCHITECTURE,
        "size": ["-".join(map(str, info.settings["channels"]))],
        "scale": 1,
        "inputChannels": 3,
        "outputChannels": 3,
        "resources": [
            {
                "platform": platform,
                "type": kind,
                "size": (hub / name).stat().st_size,
                "sha256": digest(hub / name),
                "urls": [facts.hub(info.name, name)],
            }
            for name, (kind, platform) in RESOURCES.items()
        ],
        **({"trainingBatchSize": batch} if batch else {}),
        "dataset": str(info.card.get("data", "not stated")),
        "images": [],
    }


def description(facts: Facts, info: ModelInfo) -> str:
    """The description of a model in Markdown."""
    return (
        f"{facts.project['description']}. Removes the noise of photographs, blind: the noise level is estimated from "
        f"the picture, or given. {info.parameters} parameters, {info.settings['rules']} steps. "
        f"[Source and documents]({facts.repository}), [paper]({facts.paper}).\n\n"
        f"Licence: {info.card.get('licence', 'not stated')}."
    )


def formatted(content: Any) -> str:
    """JSON in the format that OpenModelDB checks: four spaces of indentation, and no newline at the end."""
    return json.dumps(content, indent=4, ensure_ascii=False)


def merge(folder: Path, checkout: Path) -> None:
    """Adds an entry to a checkout of OpenModelDB: the model's file, and the additions to the lists.

    Raises:
        LncaError: the folder is no checkout, or the lists have other entries with these names.
    """
    for name, added in json.loads((folder / "additions.json").read_text("utf-8")).items():
        path = checkout / "data" / name
        if not path.is_file():
            raise LncaError(f"{checkout} is no checkout of OpenModelDB: it has no data/{name}")
        found = json.loads(path.read_text("utf-8"))
        if other := [key for key in added if found.get(key, added[key]) != added[key]]:
            raise LncaError(f"data/{name} has another {other[0]!r} already")
        path.write_text(formatted(dict(sorted({**found, **added}.items(), key=_place))), "utf-8")
    for model in (folder / "data" / "models").iterdir():
        (checkout / "data" / "models" / model.name).write_bytes(model.read_bytes())


def _place(item: tuple[str, Any]) -> tuple[bool, str]:
    """The sort key of the lists: tags with a prefix ("arch:dat") come after the others."""
    return ":" in item[0], item[0]
