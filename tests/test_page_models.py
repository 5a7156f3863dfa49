"""What the page gets of a model: `tools/page_models.py`."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

import page_models
from lnca.catalogue import locate
from lnca.errors import LncaError
from lnca.runtime.engine import Numpy
from lnca.runtime.models import Latent, load
from lnca.runtime.noise_level import MOST
from lnca.runtime.pyramid import FULL


def written(folder, name):
    """Header and tensors of a model as it is written."""
    page_models.main(folder, [name])
    with safe_open(folder / f"{name}.safetensors", "np") as file:
        return json.loads(file.metadata()["lnca-page"]), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


def test_a_latent_automaton(tmp_path):
    facts, tensors = written(tmp_path, "latent-nafca-denoise")
    model, _ = load(locate("latent-nafca-denoise"), Numpy())
    assert isinstance(model, Latent)
    layer = model.coder.mix.layer
    np.testing.assert_array_equal(tensors["mix.kernel"], layer.kernel.astype(np.float32))
    np.testing.assert_array_equal(tensors["mix.bias"], layer.bias.astype(np.float32))
    assert facts["layers"]["output"] == {"activation": "sigmoid", "stride": 1, "transposed": True}
    assert (facts["form"], facts["steps"], facts["multiple"], facts["reach"]) == ("latent", 64, 4, 2)
    assert facts["rule"]["kind"] == "nafca"
    assert all(tensors[f"rule.{number}.weight"].shape[1] % 4 == 0 for number in range(6))


def test_what_was_trained_in_float16_stays_as_small(tmp_path):
    facts, tensors = written(tmp_path, "photo-denoise")
    assert {array.dtype for array in tensors.values()} == {np.dtype(np.float16)}
    assert (tmp_path / "photo-denoise.safetensors").stat().st_size < 3_000_000
    assert (facts["form"], facts["reach"], facts["guess_reach"]) == ("pyramid", 13, 4)
    assert (facts["most"], facts["full"], facts["ycbcr"][0][1]) == (MOST, FULL, 0.587)


def test_what_the_page_cannot_run_is_a_sentence(tmp_path):
    with pytest.raises(LncaError, match="the page runs latent automata and automata on three lattices only"):
        page_models.main(tmp_path, ["photo-deblur"])
    tool = Path(page_models.__file__)
    done = subprocess.run([sys.executable, str(tool), str(tmp_path), "nothing"], capture_output=True, text=True)
    assert (done.returncode, list(tmp_path.iterdir())) == (1, [])
    assert done.stderr.startswith("no model 'nothing'")
