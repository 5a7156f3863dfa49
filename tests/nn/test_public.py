"""Public checkpoints become weight files; nothing in them runs."""

import io

import pytest
import torch

import lnca
from lnca import LncaError
from lnca.nn.public import read_public

SMALL = {
    "nafnet": {"width": 4, "encoder_blocks": (1, 2), "middle_blocks": 1, "decoder_blocks": (1, 1)},
    "restormer": {"dim": 8, "num_blocks": (1, 1, 1, 2), "num_refinement_blocks": 1},
}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("nested", [None, "params", "params_ema", "state_dict"])
def test_a_checkpoint_becomes_a_weight_file_that_restores(name, nested, tmp_path, command, picture):
    torch.manual_seed(0)
    model = lnca.build(name, **SMALL[name]).eval()
    state = {f"module.{key}": value for key, value in model.state_dict().items()}
    torch.save(state if nested is None else {nested: state, "iter": 7}, tmp_path / "public.pth")
    out = tmp_path / "own.safetensors"
    status, said, error = command("convert", tmp_path / "public.pth", "--model", name, "-o", out)
    assert (status, said, error) == (0, f"{out}\n", "")
    x = torch.rand(1, 3, 24, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(lnca.load(out, "cpu").restore(x), model(x).clamp(0, 1))
    status, _, error = command("convert", tmp_path / "public.pth", "--model", name, "-o", out)
    assert (status, error) == (2, f"lnca: {out} exists; add --overwrite to replace it\n")


def test_code_damage_and_other_things_are_refused(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "harm"), "w"))

    torch.save({"params": Bomb()}, tmp_path / "bomb.pth")
    with pytest.raises(LncaError, match="could run code"):
        read_public(tmp_path / "bomb.pth")
    assert not (tmp_path / "harm").exists()
    (tmp_path / "text.pth").write_text("hello, world")
    (tmp_path / "empty.pth").write_bytes(b"")
    torch.save({"params": torch.ones(3)}, tmp_path / "whole.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:100])
    for name in ("text", "empty", "cut"):
        with pytest.raises(LncaError, match="is damaged, or holds more|is no checkpoint that torch can read"):
            read_public(tmp_path / f"{name}.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(LncaError, match="holds no state dict"):
        read_public(tmp_path / "list.pth")
    with pytest.raises(LncaError, match="does not exist"):
        read_public(tmp_path / "none.pth")


def test_weights_of_something_else_are_refused(tmp_path, command):
    torch.save({"layer.weight": torch.ones(3, 3)}, tmp_path / "other.pth")
    out = tmp_path / "x.safetensors"
    status, _, error = command("convert", tmp_path / "other.pth", "--model", "nafnet", "-o", out)
    assert status == 2
    assert error.startswith("lnca: these are no weights of nafnet")
    assert not out.exists()


@pytest.mark.parametrize("old", [False, True])
def test_damage_anywhere_is_a_sentence(tmp_path, old):
    content = io.BytesIO()
    torch.save({"params": {"a": torch.zeros(3)}}, content, _use_new_zipfile_serialization=not old)
    whole = content.getvalue()
    path = tmp_path / "a.pth"
    said = []
    for place in range(0, min(len(whole), 1200), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            read_public(path)
        except LncaError as error:
            said.append(str(error))
    assert len(said) > 20
    assert not any("\n" in text for text in said)
