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
from lnca.runtime import blur_kernel, deblurring, weights
from lnca.runtime.engine import Numpy
from lnca.runtime.models import Latent, load
from lnca.runtime.noise_level import MAX_LEVEL_RATIO
from lnca.runtime.pyramid import FULL_CORRECTION_LEVEL


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
    assert (facts["most"], facts["full"], facts["ycbcr"][0][1]) == (MAX_LEVEL_RATIO, FULL_CORRECTION_LEVEL, 0.587)


def test_a_deblurrer_names_the_cells_that_another_model_holds(tmp_path):
    facts, tensors = written(tmp_path, "photo-deblur")
    cells, _ = written(tmp_path, "photo-denoise")
    assert tensors == {}
    assert facts["shared"] == {"model": "photo-denoise", "sha256": cells["sha256"]}
    assert (facts["form"], facts["rounds"]) == ("deblurring", 4)
    assert facts["numbers"]["kernel_sides"] == list(deblurring.KERNEL_SIDES)
    assert facts["numbers"]["scale_ratio"] == blur_kernel.SCALE_RATIO


def test_a_deblurrer_with_cells_of_its_own_has_them_in_its_file(tmp_path):
    whole = tmp_path / "own.safetensors"
    whole.write_bytes(weights.whole(locate("photo-deblur")))
    page_models.main(tmp_path / "page", [str(whole)])
    with safe_open(tmp_path / "page" / "own.safetensors", "np") as file:
        facts, names = json.loads(file.metadata()["lnca-page"]), set(file.keys())
    cells, tensors = written(tmp_path, "photo-denoise")
    assert "shared" not in facts
    assert names == set(tensors)
    assert (facts["layers"], facts["reach"], facts["form"]) == (cells["layers"], cells["reach"], "deblurring")


def test_what_the_page_cannot_run_is_a_sentence(tmp_path):
    with pytest.raises(LncaError, match="the page runs latent automata, automata on three lattices and deblurrers"):
        page_models.described(None, weights.Weights({}), {})
    tool = Path(page_models.__file__)
    done = subprocess.run([sys.executable, str(tool), str(tmp_path), "nothing"], capture_output=True, text=True)
    assert (done.returncode, list(tmp_path.iterdir())) == (1, [])
    assert done.stderr.startswith("no model 'nothing'")
