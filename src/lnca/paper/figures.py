"""Figures of the experiments: restorations by all models, the latent swap, SSIM against steps, learning curves."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .. import metrics
from ..corruption import PAPER_DIFFICULTY
from ..data.tile_set import open_tiles
from ..errors import LncaError
from ..files import write_whole
from ..nn.autoencoder import Autoencoder
from ..nn.latent import LatentAutomaton
from ..randomness import generator
from ..restoration.restorer import Restorer
from .columns import MODELS, OTHER_MODELS, columns
from .report import cell, read_results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLES = MODELS | OTHER_MODELS


@contextmanager
def figure(path: Path, rows: int, across: int, size: tuple[float, float]) -> Iterator[tuple["Figure", Any]]:
    """A figure of `rows` x `across` axes that is written to `path` at the end."""
    try:
        import matplotlib.figure
    except ModuleNotFoundError as error:
        raise LncaError("figures need matplotlib: pip install 'lnca[figures]'") from error
    drawing = matplotlib.figure.Figure(figsize=size, layout="constrained")
    yield drawing, drawing.subplots(rows, across, squeeze=False)
    room = io.BytesIO()
    # Without a date the same results give the same bytes.
    drawing.savefig(room, format="png", dpi=110, metadata={"Software": None})
    write_whole(path, room.getbuffer())


def draw_all(out: Path, results: Path, runs: Path, tiles: Path, column: str, count: int) -> list[Path]:
    """Draws all figures of a column, for both tables.

    Args:
        out: folder for the pictures.
        results, runs, tiles: folders of `lnca paper run`.
        column: name of a data set.
        count: tiles in a sheet.

    Raises:
        LncaError: no model was trained for the column, or its weights are missing.
    """
    known = read_results(results)
    drawn = []
    for entries in columns().values():
        if column not in entries:
            continue
        cells = {model: cell(entries[column], model, known).ours for model in TITLES}
        trained = {model: ours[0] for model, ours in cells.items() if ours}
        if not trained:
            continue
        name = entries[column].name
        models = {model: Restorer(_weights(runs, result), "cpu") for model, result in trained.items()}
        drawn += [
            curves(out / f"{name}-steps.png", trained, "steps"),
            curves(out / f"{name}-learning.png", trained, "learning"),
            sheet(out / f"{name}-sheet.png", models, tiles / column, entries[column].task, count),
            swap(out / f"{name}-swap.png", models, tiles / column, entries[column].task, count),
        ]
    if not drawn:
        raise LncaError(f"no result for {column} in {results}; train first with lnca paper run")
    return drawn


def _weights(runs: Path, result: dict[str, Any]) -> Path:
    name = f"{result['model']}-{result['task']}.safetensors"
    pattern = f"{result['column']}-{result['task']}-{result['model']}-{result['recipe']}-*-seed-{result['seed']}/{name}"
    found = sorted(runs.glob(pattern))
    if not found:
        raise LncaError(f"{runs} holds no weights of {result['model']} ({result['task']}); run lnca paper run again")
    return found[-1]


def _examples(data: Path, task: Any, count: int) -> tuple[Tensor, Tensor]:
    """Clean and corrupted tiles of the test split; every figure has the same ones."""
    tiles = open_tiles(data, "test", 0, 64, count)
    draw = generator("cpu", 0, "figures")
    return tiles.pairs(torch.arange(len(tiles)), task, PAPER_DIFFICULTY[task], draw)


def _pictures(axes: Any, rows: Sequence[tuple[str, Tensor]], clean: Tensor) -> None:
    """A row of tiles for each entry, with its mean SSIM in front."""
    for line, (title, pictures) in zip(axes, rows, strict=True):
        for axis, picture in zip(line, pictures, strict=True):
            axis.imshow(picture.permute(1, 2, 0).clamp(0, 1).numpy(), interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
        same = pictures is clean
        line[0].set_ylabel(
            title if same else f"{title}\n{metrics.ssim(pictures, clean).mean():.3f}",
            rotation=0,
            ha="right",
            va="center",
        )


def sheet(path: Path, models: dict[str, Restorer], data: Path, task: Any, count: int) -> Path:
    """Draws test tiles: clean, corrupted, and restored by every model; the number is the mean SSIM of the row."""
    clean, corrupted = _examples(data, task, count)
    rows = [("clean", clean), ("corrupted", corrupted)]
    rows += [(TITLES[name], model.restore(corrupted)) for name, model in models.items()]
    with figure(path, len(rows), len(clean), (1.1 * len(clean) + 1.6, 1.15 * len(rows))) as (_, axes):
        _pictures(axes, rows, clean)
    return path


@torch.no_grad()
def swap(path: Path, models: dict[str, Restorer], data: Path, task: Any, count: int) -> Path:
    """Draws the latent swap of equation (6) for the autoencoders of the latent models: D(clean latent, corrupted skip)
    should be clean, D(corrupted latent, clean skip) corrupted."""
    clean, corrupted = _examples(data, task, count)
    rows = [("clean", clean), ("corrupted", corrupted)]
    for name, model in models.items():
        if not isinstance(model.module, LatentAutomaton):
            continue
        autoencoder = model.module.autoencoder
        if not isinstance(autoencoder, Autoencoder):
            continue
        (good, good_skip), (bad, bad_skip) = (autoencoder.encode(x) for x in (clean, corrupted))
        rows += [
            (f"{TITLES[name]}\nclean latent,\ncorrupted skip", autoencoder.decode(good, bad_skip)),
            (f"{TITLES[name]}\ncorrupted latent,\nclean skip", autoencoder.decode(bad, good_skip)),
        ]
    with figure(path, len(rows), len(clean), (1.1 * len(clean) + 1.9, 1.15 * len(rows))) as (_, axes):
        _pictures(axes, rows, clean)
    return path


def curves(path: Path, results: dict[str, dict[str, Any]], kind: str) -> Path:
    """Draws SSIM on the test split against the number of steps ("steps"), or on the validation split against the number
    of training samples ("learning"), including those of the autoencoder phase."""
    with figure(path, 1, 1, (6.4, 4)) as (_, axes):
        axis: Axes = axes[0][0]
        for model, result in results.items():
            if kind == "learning":
                rows = result["history"]
                # The autoencoder is validated on clean latents, which does not measure restoration.
                points = [
                    (result["samples"] * (index + 1) / len(rows), row["validation_ssim"])
                    for index, row in enumerate(rows)
                    if row["phase"] != "autoencoder"
                ]
                axis.plot(*zip(*points, strict=True), marker="o", label=TITLES[model])
            elif result["steps"] is not None:
                values = list(result["steps"].values())
                axis.plot([int(step) for step in result["steps"]], values, marker=".", label=TITLES[model])
            else:
                axis.axhline(result["output"]["ssim"]["mean"], linestyle=":", color="grey")
                axis.annotate(TITLES[model], (128, result["output"]["ssim"]["mean"]), ha="right", va="bottom")
        axis.set_xlabel("training samples" if kind == "learning" else "steps")
        axis.set_ylabel("SSIM, validation split" if kind == "learning" else "SSIM, test split")
        axis.grid(alpha=0.3)
        axis.legend()
    return path
