"""One batch in each phase: which weights change, how many steps it takes, and the message of an explosion."""

import copy
import dataclasses

import pytest
import torch

import lnca
from golden import NAFCA, Golden, needs_golden
from lnca import metrics
from lnca.degradation.paper import masked_noise
from lnca.training.autoencoder import AutoencoderTrainer
from lnca.training.automaton import AutomatonTrainer, PixelTrainer
from lnca.training.batch import Batch, Exploded, derangement
from lnca.training.direct import DirectTrainer, absolute, negative_psnr
from lnca.training.pool import Entries
from lnca.training.recipe import load_recipe
from lnca.training.residual import ResidualTrainer

CHANGES = ["automaton.pool=8", "automaton.fewest_steps=2", "automaton.most_steps=5", "joint.pool=8"]


def make(trainer, *changes, recipe="stable", batches=10, **options):
    torch.manual_seed(0)
    recipe = load_recipe(recipe, [*CHANGES, *changes])
    model = lnca.build("latent-nafca")
    torch.nn.init.normal_(model.automaton.head.weight, std=0.02)
    phase = recipe.autoencoder if trainer is AutoencoderTrainer else recipe.automaton
    return trainer(model, recipe, phase, batches, **options)


def batch(count=4):
    draw = torch.Generator().manual_seed(0)
    anchor = torch.rand(count, 3, 32, 32, generator=draw)
    return Batch(anchor, masked_noise(anchor, 0.5, draw), torch.arange(100, 100 + count))


def snapshot(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def changed(module, before):
    return {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}


@pytest.mark.parametrize("count", range(2, 21))
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


@needs_golden
def test_phase_1_has_the_authors_losses():
    golden = Golden("ae_validate")
    anchor, positive, negative = (golden.image(name) for name in ("anchor", "positive", "negative"))
    values = {}
    for step, second in (("first_step", negative), ("second_step", torch.Generator())):
        trainer = make(AutoencoderTrainer, "autoencoder.perturbation=0", recipe="paper")
        trainer.model.double().eval().autoencoder.load_state_dict(golden.autoencoder())
        values |= getattr(trainer, step)(Batch(anchor, positive, torch.arange(2)), second)
    names = {"reconstruction": "rec", "distance": "dist", "task": "task", "equivalence": "equiv"}
    for ours, theirs in names.items():
        assert values[ours] == pytest.approx(golden[f"loss:{theirs}_loss"].item(), rel=1e-5)


def test_negatives_are_other_anchors_of_the_batch():
    trainer, data = make(AutoencoderTrainer), batch()
    seen = []
    trainer.first_step = lambda batch, negative, step=trainer.first_step: (
        seen.append(negative),
        step(batch, negative),
    )[1]
    trainer.train_batch(data, torch.Generator().manual_seed(0))
    order = [next(i for i in range(4) if torch.equal(data.anchor[i], picture)) for picture in seen[0]]
    assert sorted(order) == [0, 1, 2, 3]
    assert all(place != index for place, index in enumerate(order))


def test_the_margin_is_the_recipes():
    first, second = (make(AutoencoderTrainer, f"autoencoder.margin={margin}") for margin in (5, 7))
    distances = [each.train_batch(batch(), torch.Generator().manual_seed(0))["distance"] for each in (first, second)]
    assert distances[1] - distances[0] == pytest.approx(2, abs=1e-5)


def test_noise_is_added_to_the_clean_latent_only():
    trainer, data = make(AutoencoderTrainer, "autoencoder.perturbation=0.5"), batch(8)
    autoencoder = trainer.model.eval().autoencoder
    clean, corrupted = (autoencoder.encode(images)[0] for images in (data.anchor, data.positive))
    seen = []
    autoencoder.decode = lambda *given, decode=autoencoder.decode: (seen.append(given[0]), decode(*given))[1]
    trainer.second_step(data, torch.Generator().manual_seed(0))
    smoothed, untouched = seen[0].chunk(2)
    torch.testing.assert_close(untouched, corrupted)
    assert (smoothed - clean).std().item() == pytest.approx(0.5, abs=0.02)


def test_phase_1_is_validated_with_clean_latents_and_corrupted_skips():
    trainer, data = make(AutoencoderTrainer), batch()
    autoencoder = trainer.model.autoencoder.eval()
    expected = autoencoder.decode(autoencoder.encode(data.anchor)[0], autoencoder.encode(data.positive)[1])
    trainer.model.train()
    torch.testing.assert_close(trainer.restore(data.anchor, data.positive), expected)


@needs_golden
def test_a_batch_of_phase_2_has_the_authors_losses_and_moves_the_weights_as_theirs():
    golden = Golden("ca_train_step")
    changes = [f"automaton.{name}={golden['n'].item():.0f}" for name in ("fewest_steps", "most_steps")]
    trainer = make(AutomatonTrainer, "automaton.pool=0", *changes, recipe="paper", batches=10_000)
    trainer.model.automaton.dropout.p = 0
    trainer.model.load_state_dict(golden.autoencoder("autoencoder.") | golden.rule(NAFCA, "cell/", "automaton."))
    data = Batch(golden.image("y_true").float(), golden.image("x").float(), torch.arange(2))
    values = trainer.train_batch(data, torch.Generator().manual_seed(0))
    names = {"reconstruction": "rec", "latent": "latent", "output_overflow": "out", "hidden_overflow": "hid"}
    for ours, theirs in names.items():
        assert values[ours] == pytest.approx(golden[f"loss:{theirs}_loss"].item(), rel=1e-5)
    before, after = golden.rule(NAFCA, "cell/"), golden.after().rule(NAFCA, "cell/")
    for name, value in trainer.model.automaton.state_dict().items():
        moved = after[name] - before[name]
        clear = moved.abs() > 1e-3
        assert torch.equal((value - before[name]).sign()[clear], moved.sign()[clear]), name


@pytest.mark.parametrize(("standardise", "output_range"), [(False, (0, 0.2)), (True, "latent")])
def test_phase_2_losses_are_equations_7_to_9_of_the_roll_out(standardise, output_range):
    changes = [f"automaton.standardise_latent={standardise}".lower(), "automaton.fewest_steps=5", "automaton.pool=0"]
    trainer = make(AutomatonTrainer, *changes)
    trainer.phase = dataclasses.replace(trainer.phase, output_range=output_range)
    model, data = trainer.model, batch()
    model.automaton.dropout.p = 0
    torch.nn.init.normal_(model.automaton.head.weight, std=0.2)
    with torch.no_grad():
        (latent, skip), (clean, _) = (model.eval().autoencoder.encode(x) for x in (data.positive, data.anchor))
        cells = model.automaton.run(model.automaton.seed(latent), 5)
        output, hidden = cells[..., 16:32], cells[..., 32:]
        restored = model.autoencoder.decode(output, skip)
    low, high = (clean.min(), clean.max()) if output_range == "latent" else output_range
    expected = {
        "reconstruction": (restored - data.anchor).square().mean(),
        "latent": (output - clean).square().mean() / (clean.var() if standardise else 1),
        "output_overflow": ((low - output).relu() + (output - high).relu()).mean(),
        "hidden_overflow": (hidden.abs() - 1).relu().mean(),
        "l1": (restored - data.anchor).abs().mean(),
        "ssim": 1 - metrics.ssim(restored, data.anchor).mean(),
    }
    values = trainer.train_batch(data, torch.Generator().manual_seed(0))
    total = values.pop("loss")
    assert min(expected.values()) > 1e-3
    assert values == pytest.approx({name: value.item() for name, value in expected.items()}, rel=1e-4)
    assert total == pytest.approx(sum(getattr(trainer.phase, name) * value for name, value in values.items()), rel=1e-5)


def test_dropout_acts_in_phase_2_while_the_batch_norms_stand_still():
    trainer = make(AutomatonTrainer)
    modes = set()
    trainer.step = lambda *given, step=trainer.step: (
        modes.add((trainer.model.automaton.training, trainer.model.autoencoder.training)),
        step(*given),
    )[1]
    trainer.train_batch(batch(), torch.Generator().manual_seed(0))
    assert modes == {(True, False)}


def test_half_precision_is_for_the_products_only():
    values, states = [], []
    for precision in ("float32", "bfloat16"):
        trainer = make(AutomatonTrainer, f"precision={precision}")
        values.append(trainer.train_batch(batch(), torch.Generator().manual_seed(0))["loss"])
        states.append(trainer.pool.entries.state)
    assert states[0].dtype == states[1].dtype == torch.float32
    assert not torch.equal(*states)
    assert values[1] == pytest.approx(values[0], rel=0.05)


@pytest.mark.parametrize(
    ("kind", "changes"), [(AutoencoderTrainer, []), (AutomatonTrainer, []), (AutomatonTrainer, ["automaton.pool=0"])]
)
def test_the_learning_rate_reaches_zero_with_the_last_batch_and_no_earlier(kind, changes):
    trainer = make(kind, *changes, batches=2)
    rates = []
    for index in range(2):
        trainer.train_batch(batch(), torch.Generator().manual_seed(index))
        rates.append(trainer.optimizer.adam.param_groups[0]["lr"])
    assert rates[0] > 0.1 * trainer.phase.optimizer.learning_rate
    assert rates[1] == pytest.approx(0, abs=1e-9)


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
    trainer.step = lambda image, state, mask: (counts.append(1), step(image, state, mask))[1]
    drawn = []
    for seed in range(20):
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
    slots = torch.tensor([6, 3, 5, 0])

    def poisoned_draw(count, generator):
        entries = trainer.pool.entries
        entries.state[5] = torch.nan
        return slots, Entries(**{name: value[slots] for name, value in vars(entries).items()})

    trainer.pool.draw = poisoned_draw
    # The second batch lies in slots 4 to 7.
    with pytest.raises(Exploded, match="became nan; worst is pool entry 5, training tile 101 after"):
        trainer.train_batch(batch(), torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", [AutoencoderTrainer, AutomatonTrainer])
def test_a_loss_above_the_recipes_limit_is_an_explosion(kind):
    with pytest.raises(Exploded, match=r"the auto\w+'s loss became \d"):
        make(kind, "exploded=0.001").train_batch(batch(), torch.Generator().manual_seed(0))


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


@pytest.mark.slow
def test_the_residual_trainer_settles_some_batches_and_trains_every_part(monkeypatch):
    recipe = load_recipe("lnca-denoise", ["residual.settled=0.5", "residual.longest=30"])
    torch.manual_seed(0)
    model = lnca.build("lnca")
    trainer = ResidualTrainer(model, recipe, recipe.residual, 20)
    lengths, run = [], trainer._run
    monkeypatch.setattr(
        trainer,
        "_run",
        lambda cells, steps, seed: lengths.append((steps, torch.is_grad_enabled())) or run(cells, steps, seed),
    )
    before, draw = snapshot(model), torch.Generator().manual_seed(0)
    # The picture is too bright by the same amount everywhere, which is learned quickly.
    given = dataclasses.replace(batch(), positive=batch().anchor * 0.5 + 0.4, anchor=batch().anchor * 0.5)
    losses = [trainer.train_batch(given, draw)["loss"] for _ in range(20)]
    assert changed(model, before) == set(before)
    assert losses[-1] < 0.95 * losses[0]
    free = [steps for steps, gradient in lengths if not gradient]
    assert 3 < len(free) < 17
    assert max(free) > recipe.residual.most_steps
    assert all(4 <= steps <= 20 for steps, gradient in lengths if gradient)


@pytest.mark.slow
def test_the_residual_trainer_brings_settled_cells_to_rest():
    changes = {}
    for rest in (0.0, 1.0):
        recipe = load_recipe("lnca-denoise", ["residual.settled=1", "residual.longest=30", f"residual.rest={rest}"])
        torch.manual_seed(0)
        model = lnca.build("lnca")
        trainer = ResidualTrainer(model, recipe, recipe.residual, 30)
        draw = torch.Generator().manual_seed(0)
        values = [trainer.train_batch(batch(), draw) for _ in range(30)]
        said = sum("rest" in each for each in values)
        assert said > 20 if rest else not said
        with torch.no_grad():
            latent, _ = model.eval().autoencoder.encode(batch().positive)
            cells = model.automaton.run(model.automaton.seed(latent), 40)
            changes[rest] = (model.automaton.step(cells) - cells).abs().mean().item()
    assert changes[1.0] < changes[0.0] / 2
