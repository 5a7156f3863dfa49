"""What shipped models make of fixed pictures, and the losses of short trainings: `test_unchanged.py` holds them.

PYTHONPATH=tests python tests/unchanged.py    # after a change of behaviour that is meant, writes them anew
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import lnca
from lnca.demo import photograph
from lnca.training.plan import Plan
from lnca.training.recipe import load_recipe
from lnca.training.run import Run

EXPECTED = Path(__file__).parent / "unchanged.npz"
# Architecture, task, and settings for a short training run.
TRAININGS = {
    "paper": (
        "latent-nafca",
        "denoise",
        (
            "tile=32",
            "autoencoder.epochs=1",
            "automaton.epochs=1",
            "joint.epochs=1",
            "automaton.most_steps=9",
            "joint.most_steps=9",
            "model.latent-nafca.steps=3",
        ),
    ),
    "photographs": (
        "pyramid",
        "photo-denoise",
        ("crop=48", "noise_level.epochs=1", "pyramid.epochs=1", "model.pyramid.channels=[8, 8, 8]"),
    ),
}


def pictures() -> dict[str, np.ndarray]:
    """A colour and a grey picture with noise."""
    clean = np.asarray(photograph().crop((200, 150, 272, 206)), float)
    noisy = np.clip(clean + np.random.default_rng(0).normal(0, 15, clean.shape), 0, 255).astype(np.uint8)
    return {"colour": noisy, "grey": noisy[:41, :50, 1]}


def restorations() -> dict[str, np.ndarray]:
    """Each picture restored by every model, uint8."""
    return {
        f"{model.name} {name}": lnca.restore(picture, model=model.name)
        for model in lnca.models()
        for name, picture in pictures().items()
    }


def losses() -> dict[str, np.ndarray]:
    """The loss of each batch of each training run."""
    found: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "pictures"
        folder.mkdir()
        random = np.random.default_rng(0)
        for number in range(5):
            small = Image.fromarray(random.integers(0, 256, (48, 48, 3), np.uint8))
            small.resize((240, 240), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
        for training, (model, task, changes) in TRAININGS.items():
            values: list[float] = []
            recipe = load_recipe("stable", ["batch_size=4", "training_tiles=16", "validation_tiles=4", *changes])
            plan = Plan(model, task, folder, recipe, seed=3)
            Run(plan, Path(name) / training, progress=lambda *said, values=values: values.append(said[-1]["loss"]))()
            found[training] = np.array(values)
    return found


if __name__ == "__main__":
    np.savez_compressed(EXPECTED, **restorations(), **{f"losses {name}": each for name, each in losses().items()})
    sys.stdout.write(f"{EXPECTED}\n")
