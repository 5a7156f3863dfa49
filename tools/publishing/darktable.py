"""A model repository for darktable, in the layout that its SDK (darktable-ai-sdk, `dtai`) builds and checks."""

import shutil
from pathlib import Path
from typing import Any

import yaml

from lnca.catalogue import ModelInfo
from lnca.exporting.darktable import TILE, configuration

from .facts import ROOT, Facts

SCRIPTS = ("convert.py", "demo.py")
SOURCE = ROOT / "integrations" / "darktable"


def write(facts: Facts, info: ModelInfo, folder: Path) -> None:
    """Writes pyproject.toml, and models/ID with model.yaml, convert.py, demo.py and the card that darktable's policy
    requires."""
    described = model_yaml(facts, info)
    place = folder / "models" / described["id"]
    place.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(described, sort_keys=False, width=120, allow_unicode=True)
    (place / "model.yaml").write_text(text, "utf-8")
    for name in SCRIPTS:
        shutil.copyfile(SOURCE / name, place / name)
    (place / "README.md").write_text(card(facts, info), "utf-8")
    (folder / "pyproject.toml").write_text(project(facts), "utf-8")


def model_yaml(facts: Facts, info: ModelInfo) -> dict[str, Any]:
    """The content of model.yaml: the fields of config.json, and how the graph is exported."""
    config = {key: value for key, value in configuration(info, TILE, facts.repository).items() if key != "backend"}
    arguments = {"model": info.name, "output": "{output}/model.onnx", "tile": TILE}
    return {**config, "type": "single", "dep_group": "lnca", "convert": [{"script": SCRIPTS[0], "args": arguments}]}


def project(facts: Facts) -> str:
    """The pyproject.toml of the repository, with the requirements of the conversion."""
    return (
        '[project]\nname = "lnca-darktable"\n'
        f'version = "{facts.version}"\nrequires-python = "{facts.project["requires-python"]}"\n'
        f'dependencies = ["darktable-ai-sdk", "onnxruntime", "lnca[export]=={facts.version}"]\n'
    )


def card(facts: Facts, info: ModelInfo) -> str:
    """The README.md of the model, with the table of darktable's selection criteria."""
    config = configuration(info, TILE, facts.repository)
    about = config["model_card"]
    criteria = {
        "Model license": about["license"],
        "OSAID v1.0": "Open Weights; weights and training code are public, the data is described but not listed",
        "MOF": "Class II (Open Tooling): weights, code of training, evaluation and inference, cards; not the data",
        "Training data license": about["training_data_license"],
        "Training data provenance": about["training_data"],
        "Training code": f"[{facts.licence}]({facts.repository})",
        "Known limitations": "the photographs are not listed one by one; the noise level is estimated for each tile; "
        "blur and damage are not restored",
        "Published research": f"[Menta, Archetti, Matteucci]({facts.paper}); the model for photographs goes beyond the "
        f"paper, and its report is in the [documents]({facts.repository})",
        "Inference": "Local only, no cloud dependencies",
        "Scope": "Image denoising",
        "Reproducibility": "Full pipeline (convert, validate, demo); training by `lnca train`",
    }
    rows = "\n".join(f"| {name} | {value} |" for name, value in criteria.items())
    return f"""# {info.name} (lnca)

{config["description"]}. {about["long_description"]}.

## Source

- Repository: {facts.repository}
- Paper: {facts.paper}
- License: {facts.licence}

## Architecture

Cells of 2x2, 4x4 and 8x8 pixels ({"/".join(map(str, info.settings["channels"]))} channels), updated by two
convolutions in {info.settings["rules"]} steps; {info.parameters} parameters.

## ONNX Model

| Property | Value |
| --- | --- |
| File | `model.onnx` |
| Input | `input`: float32 [1, 3, {TILE}, {TILE}] |
| Output | `output`: float32 [1, 3, {TILE}, {TILE}] |
| Resolution | static |
| Normalize | sRGB, 0 to 1 |
| Tiling | yes |

## Selection Criteria

| Property | Value |
| --- | --- |
{rows}
"""
