"""Columns, models, and dividing a budget."""

import pytest

from lnca import LncaError
from lnca.paper.columns import MODELS, chosen_columns, chosen_models, columns, shared_epochs
from lnca.training.recipe import PHASES, load_recipe


def test_both_tables_have_five_columns_of_the_paper_and_our_photographs():
    for table, task in (("table1", "denoise"), ("table2", "deblur")):
        *paper, photos = columns()[table].values()
        assert len(paper) == 5
        assert all(set(column.paper) == set(MODELS) for column in paper)
        assert (photos.name, photos.paper) == (f"photos-{task}", {})
        assert {column.task for column in (*paper, photos)} == {task}
    # The corners of both tables, from the paper's text.
    assert columns()["table1"]["celeba"].paper["nafnet"] == 0.958
    assert columns()["table1"]["sid"].paper["latent-nafca"] == 0.652
    assert columns()["table2"]["celeba"].paper["nafnet"] == 0.986
    assert columns()["table2"]["realblur-j"].paper["latent-nafca"] == 0.771


def test_every_columns_data_set_can_be_prepared():
    from lnca.data.sets import SETS

    named = {column.data: column.task for table in columns().values() for column in table.values()}
    del named["photos"]
    assert set(named) <= set(SETS)
    for table in columns().values():
        for column in table.values():
            if column.data != "photos":
                assert SETS[column.data].task in (None, column.task)


def test_names_are_chosen_by_commas_and_groups():
    assert [column.name for column in chosen_columns("table2", "gopro,photos")] == ["gopro-deblur", "photos-deblur"]
    assert len(chosen_columns("table1", "all")) == 6
    assert chosen_models("all") == list(MODELS)
    assert chosen_models("nafnet,tiny,nafnet") == [
        "nafnet",
        "nafnet-tiny",
        "restormer-tiny",
        "vitca-tiny",
        "latent-vitca",
        "latent-nafca",
    ]
    with pytest.raises(LncaError, match="no model of the tables 'nafnt'; did you mean nafnet"):
        chosen_models("nafnt")
    with pytest.raises(LncaError, match="no table 'table3'"):
        chosen_columns("table3", "all")


@pytest.mark.parametrize(
    ("architecture", "epochs", "shares"),
    [
        ("nafnet", 20, [20]),
        ("latent-nafca", 10, [4, 2, 4]),
        ("latent-nafca", 20, [8, 4, 8]),
        ("latent-vitca", 3, [1, 1, 1]),
        ("latent-nafca", 5, [2, 1, 2]),
        ("vitca", 1, [1]),
    ],
)
def test_a_budget_is_shared_as_the_recipe_shares_its_epochs(architecture, epochs, shares):
    recipe = shared_epochs(load_recipe("stable"), architecture, epochs)
    assert [getattr(recipe, phase).epochs for phase in PHASES[architecture]] == shares


def test_shares_always_add_up():
    for epochs in range(2, 40):
        recipe = shared_epochs(load_recipe("paper"), "latent-nafca", epochs)
        assert recipe.autoencoder.epochs + recipe.automaton.epochs == epochs
        assert recipe.joint.epochs == 0
    with pytest.raises(LncaError, match="trained in 3 phases"):
        shared_epochs(load_recipe("stable"), "latent-nafca", 2)
