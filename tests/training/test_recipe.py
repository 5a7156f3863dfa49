"""Recipes are data, and errors name the wrong field."""

import pytest

from lnca import LncaError
from lnca.training.optimizer import OptimizerSettings
from lnca.training.recipe import AutoencoderPhase, AutomatonPhase, load_recipe, shipped_recipes, with_epochs


def test_the_paper_recipe_is_literal():
    recipe = load_recipe("paper")
    adam = OptimizerSettings(learning_rate=1e-2, warmup=0, weight_decay=0, normalise_gradients=True, clip_norm=None)
    assert recipe.batch_size == 8
    assert recipe.autoencoder == AutoencoderPhase(
        epochs=20,
        reconstruction=100,
        distance=10,
        task=10,
        equivalence=100,
        margin=1,
        perturbation=0.5,
        ssim=0,
        optimizer=adam,
    )
    assert recipe.automaton == AutomatonPhase(
        epochs=20,
        reconstruction=100,
        latent=100,
        output_overflow=1,
        hidden_overflow=1,
        l1=0,
        ssim=0,
        standardise_latent=False,
        output_range=(0, 1),
        fewest_steps=8,
        most_steps=32,
        pool=1024,
        optimizer=adam,
    )
    assert recipe.joint.epochs == 0
    assert (recipe.nafnet.loss, recipe.nafnet.optimizer.learning_rate) == ("psnr", 1e-3)
    assert (recipe.restormer.loss, recipe.restormer.optimizer.learning_rate) == ("l1", 3e-4)
    assert (recipe.vitca.reconstruction, recipe.vitca.overflow, recipe.vitca.optimizer.learning_rate) == (
        100,
        100,
        1e-3,
    )
    assert recipe.model == {
        "latent-nafca": {"residual_scale": 0.0, "zero_head": False},
        "latent-vitca": {"position": "sinusoidal"},
    }
    assert [recipe.denoise.difficulty(epoch, 20) for epoch in (0, 5, 10, 19)] == [0.25, 0.25, 0.5, 0.75]
    assert [int(recipe.deblur.difficulty(epoch, 20)) for epoch in (0, 8, 12, 19)] == [4, 6, 9, 10]
    assert (recipe.denoise.test, recipe.deblur.test) == (0.5, 7)


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_load_and_carry_their_names(name):
    assert load_recipe(name).name == name


def test_fields_can_be_changed_one_by_one():
    recipe = load_recipe(
        "stable",
        [
            "automaton.optimizer.learning_rate=1e-3",
            "automaton.output_range=[0, 2]",
            "autoencoder.optimizer.clip_norm=null",
        ],
    )
    assert recipe.automaton.optimizer.learning_rate == 0.001
    assert recipe.automaton.output_range == (0, 2)
    assert recipe.autoencoder.optimizer.clip_norm is None
    assert recipe.joint.optimizer.learning_rate == load_recipe("stable").joint.optimizer.learning_rate


def test_what_is_not_given_stays_as_it_was():
    recipe = load_recipe("paper", ["restormer.epochs=2"])
    assert recipe.restormer.optimizer == load_recipe("paper").restormer.optimizer


def test_epochs_are_set_for_the_phases_there_are():
    recipe = with_epochs(load_recipe("paper"), 3)
    assert (recipe.autoencoder.epochs, recipe.automaton.epochs, recipe.joint.epochs) == (3, 3, 0)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (["automaton.poool=3"], "recipe.automaton has no field 'poool'; it has epochs, "),
        (["batch_size=many"], "recipe.batch_size should be int, got 'many'"),
        (["batch_size=true"], "recipe.batch_size should be int, got True"),
        (["automaton=3"], "recipe.automaton should be a mapping"),
        (["automaton.output_range=wide"], "recipe.automaton.output_range should be"),
        (["precision=float8"], "recipe.precision should be"),
        (["batch_size"], "should have the form field=value"),
        (["batch_size=[1"], "is not valid YAML"),
        (["automaton={epochs: 1, epochs: 2}"], "'epochs' is there twice"),
        (["name.first=x"], "name has no fields"),
    ],
)
def test_what_is_wrong_is_named(changes, sentence):
    with pytest.raises(LncaError, match=sentence):
        load_recipe("stable", changes)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: [", "not valid YAML"),
        ("batch_size: 4\nbatch_size: 8", "'batch_size' is there twice in .*, line 2"),
        ("automaton:\n  epochs: 1\n  'epochs': 2", "'epochs' is there twice"),
        ("- 1", "should be a mapping"),
        ("!!python/object/apply:os.getcwd []", "not valid YAML"),
        ("model: {lnca: !!python/name:os.system }", "not valid YAML"),
        ("[" * 1000, "is nested too deeply"),
        ("model: &m {lnca: *m}", "aliases in each other"),
        ("a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 30)), "aliases"),
        ("x" * 1_000_001, "more than 1000 thousand characters"),
        ("model: {lnca: {1: 2}}", "should have names, got 1"),
        ("model: {lnca: 3}", "recipe.model.lnca should be dict, got 3"),
        ("model: {lnca: {steps: 2026-01-01}}", "got a date"),
        ("model: {lnca: {steps: !!binary aGk=}}", "got a bytes"),
        ("name: 2026-99-99", "not valid YAML"),
        ("batch_size: " + "x" * 500, "should be int, got 'x{76}\\.\\.\\."),
    ],
)
def test_files_that_are_no_recipes(tmp_path, text, sentence):
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(LncaError, match=sentence):
        load_recipe(str(tmp_path / "r.yaml"))


def test_a_recipe_that_is_not_there():
    with pytest.raises(
        LncaError, match="no recipe 'fast': it is neither one of lnca-denoise, .*, stable nor a readable file"
    ):
        load_recipe("fast")
