"""What one batch does in each phase: which weights move, how many steps, what an explosion says."""

import copy
import re

import pytest
import torch

import lnca
from lnca.corruption import masked_noise
from lnca.training.autoencoder import AutoencoderTrainer
from lnca.training.automaton import AutomatonTrainer, PixelTrainer
from lnca.training.batch import Batch, Exploded, derangement
from lnca.training.direct import DirectTrainer, absolute, negative_psnr
from lnca.training.recipe import load_recipe

CHANGES = ["automaton.pool=8", "automaton.fewest_steps=2", "automaton.most_steps=5", "joint.pool=8"]


def make(trainer, *changes, **options):
    torch.manual_seed(0)
    recipe = load_recipe("stable", [*CHANGES, *changes])
    model = lnca.build("latent-nafca")
    torch.nn.init.normal_(model.automaton.head.weight, std=0.02)
    phase = recipe.autoencoder if trainer is AutoencoderTrainer else recipe.automaton
    return trainer(model, recipe, phase, 10, **options)


def batch(count=4):
    draw = torch.Generator().manual_seed(0)
    anchor = torch.rand(count, 3, 32, 32, generator=draw)
    return Batch(anchor, masked_noise(anchor, 0.5, draw), torch.arange(100, 100 + count))


def snapshot(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def changed(module, before):
    return {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}


@pytest.mark.parametrize("count", range(2, 12))
def test_a_derangement_is_a_permutation_without_fixed_points(count):
    seen = set()
    for seed in range(50):
        order = derangement(count, torch.Generator().manual_seed(seed))
        assert sorted(order.tolist()) == list(range(count))
        assert (order != torch.arange(count)).all()
        seen.add(tuple(order.tolist()))
    assert len(seen) > 1 or count == 2


def test_a_batch_of_one_has_no_negative():
    with pytest.raises(lnca.LncaError, match="a batch of 1 has no negative samples"):
        derangement(1, torch.Generator())


def test_phase_1_makes_two_gradient_steps_on_the_autoencoder_only():
    trainer = make(AutoencoderTrainer)
    steps = []
    trainer.optimizer.step = lambda loss, step=trainer.optimizer.step: (steps.append(loss.item()), step(loss))
    automaton, autoencoder = snapshot(trainer.model.automaton), snapshot(trainer.model.autoencoder)
    values = trainer.train_batch(batch(), torch.Generator().manual_seed(0))
    assert len(steps) == 2
    assert values["loss"] == pytest.approx(sum(steps))
    assert {"reconstruction", "distance", "task", "equivalence"} <= set(values)
    assert not changed(trainer.model.automaton, automaton)
    assert changed(trainer.model.autoencoder, autoencoder) == set(autoencoder)


def test_phase_1_weighs_its_losses():
    trainer = make(AutoencoderTrainer, "autoencoder.ssim=0")
    values = trainer.train_batch(batch(), torch.Generator().manual_seed(0))
    weighted = sum(getattr(trainer.phase, name) * value for name, value in values.items() if name != "loss")
    assert values["loss"] == pytest.approx(weighted, rel=1e-5)


def test_phase_2_leaves_the_autoencoder_and_its_statistics_alone():
    trainer = make(AutomatonTrainer)
    automaton, autoencoder = snapshot(trainer.model.automaton), snapshot(trainer.model.autoencoder)
    for index in range(3):
        trainer.train_batch(batch(), torch.Generator().manual_seed(index))
        trainer.restore(batch().anchor, batch().positive)
    assert not changed(trainer.model.autoencoder, autoencoder)
    assert changed(trainer.model.automaton, automaton) == set(automaton)


def test_the_joint_phase_trains_the_autoencoder_but_not_its_statistics():
    trainer = make(AutomatonTrainer, joint=True)
    before = snapshot(trainer.model.autoencoder)
    trainer.train_batch(batch(), torch.Generator().manual_seed(0))
    moved = changed(trainer.model.autoencoder, before)
    assert moved == {name for name, _ in trainer.model.autoencoder.named_parameters()}


def test_the_number_of_steps_is_drawn_anew_for_every_batch():
    trainer = make(AutomatonTrainer, "automaton.pool=0")
    counts = []
    step = trainer.step
    trainer.step = lambda cells, mask: (counts.append(1), step(cells, mask))[1]
    drawn = []
    for seed in range(60):
        counts.clear()
        trainer.train_batch(batch(2), torch.Generator().manual_seed(seed))
        drawn.append(len(counts))
    assert set(drawn) == {2, 3, 4, 5}


def test_validation_runs_the_models_own_number_of_steps():
    trainer = make(AutomatonTrainer)
    expected = trainer.model.eval()(batch().positive)
    torch.testing.assert_close(trainer.restore(batch().anchor, batch().positive), expected)


def test_the_pool_gets_fresh_states_and_gets_them_back_older():
    trainer = make(AutomatonTrainer)
    trainer.train_batch(batch(), torch.Generator().manual_seed(0))
    assert len(trainer.pool) == 4
    entries = trainer.pool.entries
    assert sorted(entries.sample[:4].tolist()) == [100, 101, 102, 103]
    assert (entries.age[:4] >= 4).all()
    assert entries.state[:4].abs().amax() > 0
    assert torch.equal(entries.anchor[0], batch().anchor[entries.sample[0] - 100])


def test_an_exploding_state_is_traced_to_its_pool_entry():
    trainer = make(AutomatonTrainer)
    trainer.train_batch(batch(), torch.Generator().manual_seed(0))
    trainer.pool.entries.state[:4] = torch.nan
    samples = trainer.pool.entries.sample.tolist()
    with pytest.raises(Exploded, match="became nan; worst is pool entry") as caught:
        trainer.train_batch(batch(), torch.Generator().manual_seed(0))
    slot, sample = map(int, re.findall(r"pool entry (\d+), training tile (\d+)", str(caught.value))[0])
    assert slot < 4
    assert sample == samples[slot]


def test_a_fresh_sample_that_explodes_is_named():
    trainer = make(AutomatonTrainer)
    bad = batch()
    bad.positive[3] = torch.nan
    with pytest.raises(Exploded, match="worst is a fresh sample, training tile 103"):
        trainer.train_batch(bad, torch.Generator().manual_seed(0))


def test_a_trainer_continues_from_its_state():
    one = make(AutomatonTrainer)
    one.train_batch(batch(), torch.Generator().manual_seed(0))
    two = make(AutomatonTrainer)
    two.model.load_state_dict(one.model.state_dict())
    two.load_state_dict(copy.deepcopy(one.state_dict()))
    for trainer in (one, two):
        torch.manual_seed(1)
        trainer.train_batch(batch(), torch.Generator().manual_seed(1))
    assert not changed(two.model, snapshot(one.model))


def test_pixel_space_trains_with_fresh_states_and_the_pool():
    recipe = load_recipe("stable", ["vitca.pool=8", "vitca.fewest_steps=1", "vitca.most_steps=2"])
    model = lnca.build("vitca", embed=16, heads=2, mlp=8, position="none", steps=2)
    trainer = PixelTrainer(model, recipe, recipe.vitca, 10)
    before = snapshot(model)
    values = trainer.train_batch(batch(), torch.Generator().manual_seed(0))
    anchor, positive = batch().anchor, batch().positive
    assert values["loss"] == pytest.approx(
        100 * values["reconstruction"] + 100 * values["output_overflow"] + 100 * values["hidden_overflow"], rel=1e-5
    )
    # A head of zeros changes nothing, so the first picture is the seed's 0.5.
    assert values["reconstruction"] == pytest.approx((anchor - 0.5).abs().mean().item(), rel=1e-5)
    assert len(trainer.pool) == 4
    assert {"automaton.head.weight", "automaton.head.bias"} <= changed(model, before)
    torch.testing.assert_close(trainer.restore(anchor, positive), model(positive).clamp(0, 1))


@pytest.mark.parametrize(("name", "loss"), [("nafnet", negative_psnr), ("restormer", absolute)])
def test_direct_models_descend_on_their_own_loss(name, loss):
    small = {
        "nafnet": {"width": 4, "encoder_blocks": (1,), "middle_blocks": 1, "decoder_blocks": (1,)},
        "restormer": {"dim": 8, "num_blocks": (1, 1, 1, 1), "num_refinement_blocks": 1, "heads": (1, 1, 1, 1)},
    }
    torch.manual_seed(0)
    model = lnca.build(name, **small[name])
    recipe = load_recipe("paper")
    trainer = DirectTrainer(model, recipe, getattr(recipe, name), 30)
    expected = loss(model(batch().positive), batch().anchor).item()
    values = [trainer.train_batch(batch(), torch.Generator())["loss"] for _ in range(20)]
    assert values[0] == pytest.approx(expected, rel=1e-5)
    assert values[-1] < values[0]
    trainer.recipe = load_recipe("paper", ["exploded=-1000"])
    with pytest.raises(Exploded, match="the loss became"):
        trainer.train_batch(batch(), torch.Generator())


def test_direct_losses_by_hand():
    black = torch.zeros(2, 3, 8, 8)
    grey = torch.stack([torch.full((3, 8, 8), 0.1), torch.full((3, 8, 8), 0.01)])
    assert negative_psnr(grey, black).item() == pytest.approx(-30, abs=0.01)
    assert absolute(grey, black).item() == pytest.approx(0.055)
