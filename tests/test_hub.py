"""Models from the hub's cache, folders and files, and uploads; with the real library, without the network."""

import json

import huggingface_hub
import pytest
from huggingface_hub import constants

import lnca
from lnca import LncaError
from lnca.architectures import ARCHITECTURES
from lnca.hub import AUTOMATA, push_to_hub, save_pretrained
from lnca.nn.deblurring import Deblurrer
from lnca.nn.latent import LatentAutomaton
from lnca.nn.pixel import PixelAutomaton
from lnca.nn.pyramid import PyramidAutomaton
from lnca.nn.registry import module_of
from lnca.nn.weights_file import save_weights

COMMITS = {"main": "a" * 40, "v1": "b" * 40}


@pytest.fixture
def cache(tmp_path, monkeypatch, weights):
    """The hub's cache with two commits of a model, the older one another model; without a network."""
    root = tmp_path / "cache" / "models--someone--small"
    for name, commit in COMMITS.items():
        (root / "refs").mkdir(parents=True, exist_ok=True)
        (root / "refs" / name).write_text(commit)
        save_pretrained(weights if name == "main" else "lnca-denoise", root / "snapshots" / commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def test_the_hub_with_and_without_a_revision(cache, weights):
    assert lnca.from_pretrained("someone/small", device="cpu").info.settings == lnca.load(weights).info.settings
    assert lnca.from_pretrained("someone/small", "v1").info.architecture == "lnca"
    assert lnca.from_pretrained("someone/small", COMMITS["v1"]).info.architecture == "lnca"
    with pytest.raises(LncaError, match="someone/small at v9 cannot be had from the hub"):
        lnca.from_pretrained("someone/small", "v9")
    with pytest.raises(LncaError, match="someone/else cannot be had from the hub"):
        lnca.from_pretrained("someone/else")


def test_folders_files_and_shipped_names(tmp_path, weights, picture):
    expected = lnca.load(weights).restore(picture).tobytes()
    folder = save_pretrained(weights, tmp_path / "folder")
    for where in (folder, str(folder), weights):
        assert lnca.from_pretrained(where).restore(picture).tobytes() == expected
    assert lnca.from_pretrained("lnca-denoise").info.name == "lnca-denoise"
    with pytest.raises(LncaError, match="no model 'lnca-denois'; did you mean lnca-denoise"):
        lnca.from_pretrained("lnca-denois")
    with pytest.raises(LncaError, match="holds no model.safetensors"):
        lnca.from_pretrained(tmp_path)


def test_a_folder_says_what_it_holds(tmp_path):
    folder = save_pretrained("lnca-denoise", tmp_path / "folder")
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert json.loads((folder / "config.json").read_text())["architecture"] == "lnca"
    card = huggingface_hub.ModelCard.load(folder / "README.md")
    told = card.data.to_dict()
    assert (told["library_name"], told["license"]) == ("lnca", "apache-2.0")
    assert "| restored | 0.8440 |" in card.text


@pytest.mark.parametrize(
    ("architecture", "settings", "kind"),
    [
        ("latent-nafca", {}, "A latent neural cellular automaton (latent-nafca)"),
        ("vitca", {"embed": 24, "heads": 4, "mlp": 16}, "A neural cellular automaton in pixel space (vitca)"),
        (
            "nafnet",
            {"width": 8, "encoder_blocks": [1], "middle_blocks": 1, "decoder_blocks": [1]},
            "A network (nafnet)",
        ),
    ],
)
def test_a_card_says_what_kind_of_model_it_is(tmp_path, architecture, settings, kind):
    save_weights(tmp_path / "w.safetensors", lnca.build(architecture, **settings), architecture, settings, {})
    card = huggingface_hub.ModelCard.load(save_pretrained(tmp_path / "w.safetensors", tmp_path / "out") / "README.md")
    assert f"\n{kind} for restoration, " in card.text
    assert ("neural-cellular-automata" in card.data.tags) == ("automaton" in kind)
    assert "from_pretrained('OWNER/NAME')" in card.text


def test_all_automata_are_called_so():
    automata = {
        name
        for name, settings in ARCHITECTURES.items()
        if isinstance(module_of(settings()), LatentAutomaton | PixelAutomaton | PyramidAutomaton | Deblurrer)
    }
    assert automata == set(AUTOMATA)


def test_what_is_uploaded(monkeypatch, weights):
    calls, cards = [], []

    class Api:
        def create_repo(self, name, private, exist_ok):
            calls.append((name, private, exist_ok))

        def upload_folder(self, repo_id, folder_path, commit_message):
            import pathlib

            calls.append(sorted(path.name for path in pathlib.Path(folder_path).iterdir()))
            cards.append((pathlib.Path(folder_path) / "README.md").read_text())
            return "https://example.org/commit"

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    assert push_to_hub(weights, "someone/small", private=True) == "https://example.org/commit"
    assert calls == [("someone/small", True, True), ["README.md", "config.json", "model.safetensors"]]
    assert "lnca.from_pretrained('someone/small')" in cards[0]
    assert "OWNER/NAME" not in cards[0]
    with pytest.raises(LncaError, match="is no repository of the hub; write owner/name"):
        push_to_hub(weights, "small")

    def refuse(*_, **__):
        raise PermissionError("401 Unauthorized")

    monkeypatch.setattr(Api, "create_repo", refuse)
    with pytest.raises(LncaError, match="the hub refused someone/small: 401"):
        push_to_hub(weights, "someone/small")
