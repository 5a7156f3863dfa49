"""A folder for each model at the Hugging Face hub: weights, settings, card, ONNX graphs, and what darktable imports."""

import json
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
from huggingface_hub import EvalResult, ModelCard

from lnca.catalogue import ModelInfo
from lnca.errors import LncaError
from lnca.evaluation.protocols import SIGMAS
from lnca.evaluation.public_sets import SETS
from lnca.exporting import export
from lnca.exporting.darktable import SUFFIX, export_darktable
from lnca.hub import card, save_pretrained
from lnca.measuring.judged import SHOWN, Judged, clean, gaussian, real
from lnca.onnx import DESCRIPTION

from . import quality
from .facts import Facts, digest

# What the card compares a model with, where the result file has it.
BESIDE = ("given", "FFDNet", "Gaussian blur")
# Models of other architectures have no graphs.
WITH_GRAPHS = ("pyramid", "latent-nafca", "latent-vitca", "lnca")
FOR = {
    ".safetensors": "weights, for lnca and spandrel",
    ".onnx": "ONNX graph",
    SUFFIX: "for darktable 5.6 and later: preferences, AI, import from file",
    ".json": "settings and description",
}


def write(facts: Facts, models: Iterable[ModelInfo], folder: Path) -> None:
    """Writes `folder`/NAME for each model.

    Raises:
        LncaError: scores that belong to other weights, or a graph that cannot be made.
    """
    for info in models:
        place = folder / info.name
        save_pretrained(info.path, place, f"{facts.owner}/{info.name}")
        if info.architecture in WITH_GRAPHS:
            export(info.path, place, variants=("float32", "float16"), overwrite=True)
        if info.architecture == "pyramid":
            export_darktable(info.path, place, overwrite=True, source=facts.repository)
        shutil.copyfile(Path(__file__).parents[2] / "LICENSE", place / "LICENSE")
        (place / "README.md").write_text(str(model_card(facts, info, place)), "utf-8")


def model_card(facts: Facts, info: ModelInfo, folder: Path) -> ModelCard:
    """The card of a model whose files lie in `folder`: the library's own, the facts of its training, scores on the test
    split and on public sets, the graphs and the files.

    Raises:
        LncaError: the public scores belong to other weights.
    """
    # The library's own card has one row of the scores; here all of them have a section.
    without = replace(info, card={key: value for key, value in info.card.items() if key != "quality"})
    made = ModelCard(card(without, f"{facts.owner}/{info.name}"))
    # The library gives these attributes to cards of models alone.
    data: Any = made.data
    data.model_name = info.name
    data.arxiv = facts.paper.rpartition("/")[2]
    if info.shared:
        data.base_model = [f"{facts.owner}/{part.model}" for part in info.shared.values()]
    judged = facts.judged(info)
    data.eval_results = [*quality.results(info), *(results(facts, info) if judged else [])] or None
    parts = [made.text.strip(), quality.facts(info), quality.section(info)]
    parts += [tables(facts, info) if judged else "", graphs(folder), files(folder)]
    parts.append(f"Source: {facts.repository}. Paper: {facts.paper}.")
    made.text = "\n\n".join(part for part in parts if part) + "\n"
    # The header is made anew from the data, and checked by the hub's own library.
    return ModelCard(f"---\n{data.to_yaml()}\n---\n\n{made.text}")


def results(facts: Facts, info: ModelInfo) -> list[EvalResult]:
    """Mean PSNR and SSIM of each public set and noise level, blind, in 8 bits; of the pictures that were scored."""
    found = []
    scored = Judged(facts.judges, [info.name])
    for name in SETS:
        for sigma in SIGMAS:
            rows = list(scored.scores(info.name, f"users/colour/{name}/{sigma}").values())
            for place, metric in enumerate(("psnr", "ssim")):
                if rows:
                    found.append(
                        EvalResult(
                            task_type="image-to-image",
                            task_name="Blind denoising, Gaussian noise, 8 bits",
                            dataset_type=name.lower(),
                            dataset_name=f"{name}, {len(rows)} pictures",
                            dataset_config=f"sigma {sigma}",
                            metric_type=metric,
                            metric_name=metric.upper(),
                            metric_value=round(sum(row[place] for row in rows) / len(rows), 4),
                        )
                    )
    if not found:
        raise LncaError(f"benchmarks/results/judges.json has no blind scores of {info.name}; run its part users")
    return found


def tables(facts: Facts, info: ModelInfo) -> str:
    """The judges' tables of the model and of what it is compared with, as Markdown."""
    names = [name for name in BESIDE if name in facts.judges["methods"]]
    judged = Judged(facts.judges, [names[0], info.name, *names[1:]] if names else [info.name])
    parts = [gaussian(judged, title, "colour") for title in SHOWN] + [real(judged), clean(judged)]
    return "\n\n".join(["## On public sets", *(part for part in parts if part)])


def graphs(folder: Path) -> str:
    """What the ONNX graphs of a folder take and give, and how far they are from the model; empty without any."""
    if not (folder / DESCRIPTION).is_file():
        return ""
    described = json.loads((folder / DESCRIPTION).read_text("utf-8"))
    lines = ["| graph | takes | gives |\n| --- | --- | --- |"]
    for path in sorted(folder.glob("*.onnx")):
        graph = onnx.load(path).graph
        optional = {each.name for each in graph.initializer}
        takes = ", ".join(_value(each) + ", optional" * (each.name in optional) for each in graph.input)
        lines[0] += f"\n| `{path.name}` | {takes} | {', '.join(map(_value, graph.output))} |"
    lines.append("| variant | largest difference from the model in float64 | SSIM, of the model |\n| --- | --- | --- |")
    for variant, check in described["checks"].items():
        ssim = f"{check['ssim']:.4f}, {check['ssim of the model']:.4f}"
        lines[1] += f"\n| {variant} | {check['largest difference']:.1e} | {ssim} |"
    about = (
        f"Form `{described['form']}`, opset {described['opset']}; `lnca.onnx.OnnxRestorer` runs them without torch. "
        "The check restores a photograph."
    )
    return "\n\n".join(["## ONNX graphs", about, *lines])


def _value(value: onnx.ValueInfoProto) -> str:
    """An input or output with its type and shape."""
    tensor = value.type.tensor_type
    sides = ", ".join(side.dim_param or str(side.dim_value) for side in tensor.shape.dim)
    return f"`{value.name}` {onnx.TensorProto.DataType.Name(tensor.elem_type).lower()} [{sides}]"


def files(folder: Path) -> str:
    """The files of a folder as a table."""
    lines = ["## Files", "| file | for | SHA-256 |\n| --- | --- | --- |"]
    for path in sorted(folder.iterdir()):
        if path.suffix in FOR:
            lines[1] += f"\n| `{path.name}` | {FOR[path.suffix]} | `{digest(path)}` |"
    return "\n\n".join(lines)
