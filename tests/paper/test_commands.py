"""`lnca paper`: runs that are skipped, interrupted and resumed; tables; figures; the grid search."""

import json
import shutil

import miniatures
import pytest
from PIL import Image

from lnca.paper import report
from lnca.training.recipe import load_recipe

SMALL = [
    f"--set={change}"
    for change in (
        "batch_size=4",
        "tile=32",
        "training_tiles=8",
        "validation_tiles=4",
        *(
            f"{phase}.{setting}"
            for phase in ("automaton", "joint", "vitca")
            for setting in ("fewest_steps=1", "most_steps=3", "pool=8")
        ),
        "model.latent-nafca={hidden_channels: 8, embed: 8, steps: 4}",
        "model.vitca-tiny={steps: 4}",
        "model.nafnet-tiny={width: 4, encoder_blocks: [1], middle_blocks: 1, decoder_blocks: [1]}",
    )
]
MODELS = ["latent-nafca", "vitca-tiny", "nafnet-tiny"]
RESULT = "photos-denoise-latent-nafca-stable-3-epochs-8-tiles-seed-0.json"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with tiles, trainings and results of three models for both tables."""
    from click.testing import CliRunner

    from lnca.cli.app import app

    root = tmp_path_factory.mktemp("paper")
    miniatures.folder(root / "pictures")
    runner = CliRunner()

    def run(*arguments):
        result = runner.invoke(app, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.stdout

    run("data", "prepare", "folder", root / "pictures", "--side", 32, "--out", root / "tiles" / "photos")
    where = ["--tiles", root / "tiles", "--out", root / "runs", "--results", root / "results", "--device", "cpu"]
    first = run(
        "paper", "run", "table1", "--models", ",".join(MODELS), "--budget", "epochs=3", "--minutes", 0, *where, *SMALL
    )
    said = [
        run("paper", "run", table, "--models", ",".join(MODELS), "--budget", "epochs=3", *where, *SMALL)
        for table in ("table1", "table2", "table1")
    ]
    return root, run, first, said


def test_without_time_nothing_is_trained_and_said_so(trained):
    _, _, first, _ = trained
    assert first.count("time is up") == 3
    assert "3 of 3 are not done" in first


def test_each_model_leaves_a_result_and_is_not_trained_again(trained):
    root, _, _, said = trained
    results = {path.stem: json.loads(path.read_text()) for path in (root / "results").glob("*.json")}
    assert len(results) == 6
    assert said[0] == said[2]
    for name, result in results.items():
        assert f"photos-{result['task']}-{result['model']}-stable-3-epochs-8-tiles-seed-0" == name
        assert sum(result["epochs"].values()) == 3
        assert len(result["history"]) == 3
        assert 0 < result["output"]["ssim"]["mean"] < 1
        assert (result["steps"] is None) == (result["model"] == "nafnet-tiny")
    samples = {result["samples"] for result in results.values()}
    inputs = {(result["task"], result["input"]["ssim"]["mean"]) for result in results.values()}
    assert len(samples) == 1
    assert len(inputs) == 2


def test_an_interrupted_run_goes_on_to_the_same_result(trained, tmp_path, monkeypatch):
    from lnca.training.run import Run

    root, run, _, _ = trained
    where = ["--tiles", root / "tiles", "--out", tmp_path / "runs", "--results", tmp_path, "--device", "cpu"]
    arguments = ["paper", "run", "table1", "--models", "latent-nafca", "--budget", "epochs=3", *where, *SMALL]
    progress = []

    def stopped(self, *values):
        progress.append(values)
        # In the first phase.
        if len(progress) == 1:
            self.interrupt()

    initialise = Run.__init__
    monkeypatch.setattr(
        Run,
        "__init__",
        lambda self, *a, **k: initialise(self, *a, **{**k, "progress": lambda *values: stopped(self, *values)}),
    )
    assert "run again to go on" in run(*arguments)
    run(*arguments)
    assert json.loads((tmp_path / RESULT).read_text()) == json.loads((root / "results" / RESULT).read_text())


def test_the_report_shows_the_papers_figures_and_ours(trained):
    root, run, _, _ = trained
    text = run("paper", "report", "--results", root / "results")
    ours = json.loads((root / "results" / RESULT).read_text())
    row = next(line for line in text.splitlines() if line.startswith("| LatentNAFCA"))
    assert [part.strip() for part in row.split("|")[2:-1]] == [
        "0.837 / -",
        "0.833 / -",
        "0.776 / -",
        "0.880 / -",
        "0.652 / -",
        f"- / {ours['output']['ssim']['mean']:.3f}",
    ]
    assert "| NAFNet-tiny" in text
    assert "| Restormer-tiny" not in text
    assert f"PSNR {ours['output']['psnr']['mean']:.2f} dB" in text
    plain = json.loads(run("paper", "report", "--json", "--results", root / "results"))
    cell = plain["table1"]["latent-nafca"]["photos"]
    assert cell["ours"] == ours["output"]["ssim"]["mean"]
    assert plain["table2"]["restormer"]["gopro"] == {"paper": 0.934, "ours": None, "spread_over_seeds": 0.0, "runs": []}


def test_what_the_pictures_were_made_from_stands_beside_the_score(trained, tmp_path):
    root, *_ = trained
    result = json.loads((root / "results" / RESULT).read_text())
    assert result["note"] == ""
    (tmp_path / "result.json").write_text(json.dumps({**result, "note": "from JPEG files"}))
    assert "- our photographs (from JPEG files), LatentNAFCA: SSIM" in report.as_text(tmp_path)


def test_seeds_are_averaged_and_the_larger_budget_counts(trained, tmp_path):
    root, *_ = trained
    result = json.loads((root / "results" / RESULT).read_text())
    for seed, samples, ssim in ((0, 100, 0.5), (1, 100, 0.7), (0, 50, 0.9)):
        output = {**result["output"], "ssim": {"mean": ssim, "deviation": 0.1}}
        text = json.dumps({**result, "seed": seed, "samples": samples, "output": output})
        (tmp_path / f"{samples}-{seed}.json").write_text(text)
    cell = report.tables(tmp_path)["table1"]["latent-nafca"]["photos"]
    assert cell.ssim == pytest.approx(0.6)
    assert cell.spread == pytest.approx(0.1414, abs=1e-4)
    assert str(cell) == "- / 0.600±0.141"


def test_another_recipe_has_a_row_of_its_own(trained, tmp_path):
    root, *_ = trained
    result = json.loads((root / "results" / RESULT).read_text())
    for recipe, ssim in (("stable", 0.5), ("paper", 0.7)):
        output = {**result["output"], "ssim": {"mean": ssim, "deviation": 0.1}}
        (tmp_path / f"{recipe}.json").write_text(json.dumps({**result, "recipe": recipe, "output": output}))
    rows = report.tables(tmp_path)["table1"]
    assert list(rows)[-1] == "latent-nafca, recipe paper"
    assert str(rows["latent-nafca"]["photos"]) == "- / 0.500"
    assert str(rows["latent-nafca, recipe paper"]["photos"]) == "- / 0.700"
    assert rows["latent-nafca, recipe paper"]["celeba"].paper is None
    assert "| LatentNAFCA, recipe paper | " in report.as_text(tmp_path)


def test_a_broken_result_and_missing_tiles_are_named(trained, tmp_path, command):
    (tmp_path / "x.json").write_text("{")
    status, _, error = command("paper", "report", "--results", tmp_path)
    assert (status, "x.json is no result of lnca paper run" in error) == (2, True)
    status, _, error = command("paper", "run", "table2", "--columns", "gopro", "--tiles", tmp_path)
    assert status == 2
    assert f"lnca data prepare gopro ROOT --out {tmp_path / 'gopro'}" in error
    status, _, error = command("paper", "run", "table1", "--budget", "hours=2")
    assert (status, error) == (2, "lnca: --budget should be epochs=N with N >= 1, got 'hours=2'\n")


def test_figures_are_drawn_from_results_and_weights(trained, tmp_path, command):
    root, run, _, _ = trained
    where = ["--results", root / "results", "--tiles", root / "tiles", "--runs"]
    drawn = run("paper", "figures", "--out", tmp_path, "--count", 3, *where, root / "runs").split()
    names = [
        f"photos-{task}-{kind}.png" for task in ("denoise", "deblur") for kind in ("steps", "learning", "sheet", "swap")
    ]
    assert drawn == [str(tmp_path / name) for name in names]
    for name in names:
        with Image.open(tmp_path / name) as picture:
            assert len(picture.convert("L").getcolors(256)) > 20
    status, _, error = command("paper", "figures", "--out", tmp_path, *where, tmp_path / "none")
    assert status == 2
    assert "holds no weights of" in error
    status, _, error = command("paper", "figures", "--column", "sid", *where, root / "runs")
    assert "no result for sid" in error


def grid_search(run, root, out, *more):
    return run(
        "paper",
        "search",
        "--model",
        "latent-nafca",
        "--task",
        "denoise",
        "--data",
        root / "tiles" / "photos",
        "--out",
        out,
        "--epochs",
        1,
        "--grid",
        "autoencoder.distance=0,10",
        "--grid",
        "automaton.latent=0.3,1",
        "--json",
        *SMALL,
        *more,
    )


def test_the_grid_search_saves_the_best_point_as_a_recipe_and_goes_on(trained, tmp_path):
    root, run, _, _ = trained
    first = json.loads(grid_search(run, root, tmp_path / "search"))
    assert len(first["points"]) == 4
    asked = {
        (point["values"]["autoencoder.distance"], point["values"]["automaton.latent"]) for point in first["points"]
    }
    assert asked == {(0, 0.3), (0, 1), (10, 0.3), (10, 1)}
    assert first["ssim"] == max(point["ssim"] for point in first["points"])
    best = load_recipe(first["recipe"])
    assert best.autoencoder.distance == first["best"]["autoencoder.distance"]
    assert best.automaton.latent == first["best"]["automaton.latent"]
    assert best.batch_size == 4
    assert best.name == "stable-searched"
    assert json.loads(grid_search(run, root, tmp_path / "search")) == first


@pytest.mark.slow
def test_two_workers_find_what_one_finds(trained, tmp_path):
    root, run, _, _ = trained
    one, two = (json.loads(grid_search(run, root, tmp_path / str(n), "--workers", n)) for n in (1, 2))

    def by_values(result):
        return {tuple(point["values"].values()): point["ssim"] for point in result["points"]}

    assert by_values(one).keys() == by_values(two).keys()
    assert by_values(one) == pytest.approx(by_values(two), abs=1e-3)


def test_a_grid_of_unknown_fields_is_refused_before_anything_is_trained(trained, tmp_path, command):
    root, *_ = trained
    base = ["paper", "search", "--model", "latent-nafca", "--task", "denoise", "--data", root / "tiles" / "photos"]
    status, _, error = command(*base, "--out", tmp_path / "s", "--grid", "autoencoder.distanc=1")
    assert status == 2
    assert "has no field 'distanc'" in error
    status, _, error = command(*base, "--out", tmp_path / "s", "--grid", "nothing")
    assert (status, error) == (2, "lnca: 'nothing' should have the form field=value,value,...\n")
    assert not (tmp_path / "s").exists()
    shutil.rmtree(tmp_path)
