"""A batch in parts gives the gradient of the whole, and the same pool."""

import math
from dataclasses import replace

import pytest
import torch

import lnca
from lnca.randomness import generator
from lnca.training.automaton import AutomatonTrainer, PixelTrainer
from lnca.training.batch import Batch, split
from lnca.training.direct import DirectTrainer
from lnca.training.recipe import load_recipe
from lnca.training.residual import ResidualTrainer

MODELS = {
    "latent-nafca": {"dropout": 0.0},
    "latent-vitca": {},
    "vitca": {"hidden_channels": 4, "embed": 8, "mlp": 8},
    "lnca": {"width": 8, "mixing": 8},
    "nafnet": {"width": 4, "encoder_blocks": (1,), "middle_blocks": 1, "decoder_blocks": (1,)},
}


def trained(name, parts, joint=False):
    """Parameters' gradients of the last of three batches, the values of each, and the trainer."""
    torch.manual_seed(0)
    # The cells of this one's trainer are float32 whatever the rest is.
    number = torch.float32 if name == "lnca" else torch.float64
    model = lnca.build(name, **MODELS[name]).to(number)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    recipe = replace(load_recipe("stable"), micro_batches=parts, exploded=math.inf)
    if name.startswith("latent"):
        phase = replace(recipe.joint if joint else recipe.automaton, fewest_steps=2, most_steps=3)
        trainer = AutomatonTrainer(model, recipe, phase, 100, joint=joint)
    elif name == "lnca":
        phase = replace(recipe.residual, settled=0.5, ssim=0.1)
        trainer = ResidualTrainer(model, recipe, phase, 100)
    elif name == "vitca":
        trainer = PixelTrainer(model, recipe, replace(recipe.vitca, fewest_steps=2, most_steps=3), 100)
    else:
        trainer = DirectTrainer(model, recipe, recipe.nafnet, 100)
    values = []
    for turn in range(3):
        draw = torch.Generator().manual_seed(turn)
        anchor = torch.rand(5, 3, 16, 16, generator=draw, dtype=number)
        positive = torch.rand(5, 3, 16, 16, generator=draw, dtype=number)
        values.append(trainer.train_batch(Batch(anchor, positive, torch.arange(5) + 5 * turn), generator("cpu", turn)))
    return [p.grad for p in trainer.optimizer.parameters], values, trainer


@pytest.mark.parametrize(
    ("name", "joint"), [pytest.param(name, False, marks=pytest.mark.slow) for name in MODELS] + [("latent-nafca", True)]
)
def test_parts_of_a_batch_give_its_gradient(name, joint):
    gradients, values, whole = trained(name, 1, joint)
    for parts in (2, 5, 9):
        others, again, trainer = trained(name, parts, joint)
        for one, other in zip(gradients, others, strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5 if name == "lnca" else 1e-9)
        for one, other in zip(values, again, strict=True):
            assert one == pytest.approx(other, rel=1e-5 if name == "lnca" else 1e-7)
        if name not in ("nafnet", "lnca"):
            for key, value in vars(whole.pool.entries).items():
                torch.testing.assert_close(value, getattr(trainer.pool.entries, key), rtol=1e-6, atol=1e-6)


def test_parts_are_never_empty():
    tensors = torch.arange(5), torch.arange(10).reshape(5, 2)
    for parts in (1, 2, 3, 5, 8):
        pieces = list(split(tensors, parts))
        assert len(pieces) == min(parts, 5)
        assert all(len(a) == len(b) > 0 for a, b in pieces)
        assert torch.equal(torch.cat([a for a, _ in pieces]), tensors[0])
