"""Several workers share the points of a grid through a database, and none is lost with its worker."""

import importlib
import os
import signal
import time
from dataclasses import replace

import miniatures
import optuna
import pytest
from optuna.trial import TrialState

from lnca import LncaError, workers
from lnca.data.prepare import prepare
from lnca.data.sets import data_set
from lnca.paper import search as search_module
from lnca.paper.search import Search, run_search
from processes import IMPORTED, forked

CHANGES = [
    "batch_size=4",
    "tile=32",
    "training_tiles=8",
    "validation_tiles=4",
    "automaton.fewest_steps=1",
    "automaton.most_steps=3",
    "autoencoder.epochs=1",
    "automaton.epochs=1",
    "joint.epochs=0",
    "model.latent-nafca={hidden_channels: 8, embed: 8, steps: 4}",
]
GRID = {"automaton.latent": [0.3, 1]}


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    root = tmp_path_factory.mktemp("search")
    miniatures.folder(root / "pictures")
    prepare(data_set("folder"), root / "pictures", root / "tiles", side=32, workers=1)
    return root / "tiles"


@pytest.fixture
def search(tiles, tmp_path):
    """A search with fast heartbeats, which a long import would hold up."""
    for name in IMPORTED:
        importlib.import_module(name)
    return Search(
        model="latent-nafca",
        task="denoise",
        data=tiles,
        recipe="stable",
        changes=CHANGES,
        grid=GRID,
        folder=tmp_path / "out",
        heartbeat=1,
        grace=12,
    )


def hang(search, marker):
    """A worker that never finishes its first point."""

    class Endless:
        def __init__(self, plan, folder, resume):
            marker.touch()

        def __call__(self):
            time.sleep(1000)

    search_module.Run = Endless
    run_search(search)


def states(study):
    return sorted(trial.state.name for trial in study.get_trials())


@pytest.mark.slow
def test_the_point_of_a_killed_worker_is_tried_again_and_every_command_finds_the_same(search, tmp_path):
    context = forked()
    dying = context.Process(target=hang, args=(search, tmp_path / "begun"))
    dying.start()
    while not (tmp_path / "begun").exists():
        assert dying.is_alive()
        time.sleep(0.05)
    with context.Pool(1) as pool:
        other = pool.apply_async(run_search, (search,))
        time.sleep(0.5)
        os.kill(dying.pid, signal.SIGKILL)
        dying.join()
        here = run_search(search)
        assert other.get(120) == here
    assert [point["values"] for point in here["points"]] == search.points()
    assert all(0 < point["ssim"] < 1 for point in here["points"])
    assert here["ssim"] == max(point["ssim"] for point in here["points"])
    study = search.study()
    assert states(study)[:3] == 2 * ["COMPLETE"] + ["FAIL"]
    count = len(study.get_trials())
    assert run_search(search) == here
    assert len(study.get_trials()) == count


def dies(trial):
    raise RuntimeError


def of_dead_workers(search):
    """The study after a worker died at each point."""
    study = search.study()
    search.enqueue(study, search.missing(study))
    study.optimize(dies, n_trials=2, catch=RuntimeError)
    return study


def test_a_point_that_is_about_to_wait_anew_is_waited_for(search, monkeypatch):
    study, looks, awaited = of_dead_workers(search), [], Search.awaited

    def looked(search, study):
        looks.append(awaited(search, study))
        # The next action of the command that found the worker dead, delayed.
        if len(looks) == 3:
            search.enqueue(study, search.missing(study))
        return looks[-1]

    monkeypatch.setattr(Search, "awaited", looked)
    search_module.work(search, 1)
    assert looks == [[0, 1], [0, 1], [0, 1], []]
    assert states(study) == 2 * ["COMPLETE"] + 2 * ["FAIL"]


def test_when_whoever_found_a_worker_dead_dies_too_its_point_is_taken_after_a_while(search):
    study = of_dead_workers(search)
    search_module.work(replace(search, grace=1), 1)
    assert states(study) == 2 * ["COMPLETE"] + 2 * ["FAIL"]


def test_a_point_is_given_up_after_its_last_try(search):
    study = of_dead_workers(search)
    again = study._storage.get_heartbeat_stale_trial_callback()
    for _ in range(search_module.RETRIES):
        for trial in study.get_trials()[-2:]:
            again(study, trial)
        assert search.awaited(study) == []
        study.optimize(dies, n_trials=2, catch=RuntimeError)
        assert search.missing(study) == [0, 1]
    assert search.awaited(study) == []
    search_module.work(search, 1)
    assert set(states(study)) == {"FAIL"}
    assert [row["stopped"] for row in search.results(study)] == 2 * ["its worker died each time"]


@pytest.mark.parametrize("when", ["before it is told", "as it is told"])
def test_a_point_that_another_worker_has_ended_meanwhile_is_let_be(search, monkeypatch, when):
    """This one was taken for dead while it trained, or in the moment between optuna's looking and its telling."""
    study = search.study()
    search.enqueue(study, search.missing(study))
    storage = type(study._storage)
    told = storage.set_trial_state_values

    def slow(search, trial):
        if when == "before it is told":
            study.tell(trial.number, 0.5)
            return 0.7

        def late(self, *arguments, **named):
            monkeypatch.setattr(storage, "set_trial_state_values", told)
            told(self, trial._trial_id, TrialState.COMPLETE, [0.5])
            return told(self, *arguments, **named)

        monkeypatch.setattr(storage, "set_trial_state_values", late)
        return 0.7

    monkeypatch.setattr(Search, "train", slow)
    search_module.work(search, 1)
    assert [trial.value for trial in study.get_trials()] == [0.5, 0.5]


def test_an_error_of_a_training_is_not_taken_for_that(search, monkeypatch):
    def wrong(search, trial):
        raise ValueError("a shape")

    monkeypatch.setattr(Search, "train", wrong)
    study = search.study()
    search.enqueue(study, search.missing(study))
    with pytest.raises(ValueError, match="a shape"):
        search_module.work(search, 1)


def test_points_that_wait_twice_are_trained_once(search):
    study = search.study()
    for _ in range(2):
        for number, values in enumerate(search.points()):
            study.enqueue_trial(values, {"point": number})
    result = run_search(search)
    assert states(search.study()) == 2 * ["COMPLETE"] + 2 * ["PRUNED"]
    assert len(result["points"]) == 2
    assert all(point["ssim"] is not None for point in result["points"])


class Dying(workers.QuietWorkers):
    def submit(self, function, *arguments):
        return super().submit(os._exit, 9)


def test_workers_that_all_die_are_missed(search, monkeypatch):
    monkeypatch.setattr(search_module, "QuietWorkers", Dying)
    with pytest.raises(LncaError, match="every worker died"):
        run_search(search, 2)


@pytest.mark.parametrize(
    ("storage", "sentence"),
    [
        ("sqlite:////nowhere/at/all.db", "cannot be used as a storage: .*unable to open database file"),
        ("postgresql+nothing://me:secret@localhost/x", "me:\\*\\*\\*@localhost/x cannot be used as a storage"),
        ("nonsense", "nonsense cannot be used as a storage"),
    ],
)
def test_a_database_that_cannot_be_used_is_refused_without_its_password(search, storage, sentence):
    with pytest.raises(LncaError, match=sentence) as refused:
        replace(search, storage=storage).study()
    assert "secret" not in str(refused.value)


@pytest.mark.slow
@pytest.mark.skipif("LNCA_TEST_DATABASE" not in os.environ, reason="LNCA_TEST_DATABASE names no empty database")
def test_a_database_server_serves_several_commands(search):
    """For example postgresql+psycopg://user@localhost/name."""
    shared = replace(search, storage=os.environ["LNCA_TEST_DATABASE"])
    with forked().Pool(2) as pool:
        first, second = (pool.apply_async(run_search, (shared,)) for _ in range(2))
        assert first.get(120) == second.get(120) == run_search(shared)
    done = [trial for trial in shared.study().get_trials() if trial.state == TrialState.COMPLETE]
    assert len(done) == 2
    optuna.delete_study(study_name="latent-nafca-denoise", storage=shared.study()._storage)
