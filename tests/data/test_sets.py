"""Each reader on the published layout of its set: reader, preparation, one epoch of training."""

import json
import pickle
import re
import shutil

import miniatures
import numpy as np
import pytest
import torch
from PIL import Image

from lnca import LncaError
from lnca.data.prepare import prepare
from lnca.data.prepared import Prepared
from lnca.data.sets import SETS, data_set
from lnca.data.sets.sid import RawPicture, brighten

# Set, miniature, samples, groups, and the problem of a miniature that has fewer pictures than the real set.
CIFAR_JPEG = ["1 of 5000 pictures in train/"] * 10 + ["1 of 1000 pictures in test/"] * 10
LAYOUTS = [
    ("celeba", miniatures.celeba, 6, 6, ["6 of 202599 pictures are there"]),
    ("celeba", miniatures.celeba_zip, 6, 6, ["6 of 202599 pictures are there"]),
    ("cifar10", miniatures.cifar10_python, 36, 36, ["has 6 pictures instead of 10000"] * 6),
    ("cifar10", miniatures.cifar10_binary, 36, 36, ["has 6 pictures instead of 10000"] * 6),
    ("cifar10", miniatures.cifar10_parquet, 12, 12, []),
    ("cifar10", miniatures.cifar10_jpeg, 20, 20, CIFAR_JPEG),
    ("cifar10", miniatures.cifar10_zip, 20, 20, CIFAR_JPEG),
    (
        "tiny-imagenet",
        miniatures.tiny_imagenet,
        9,
        9,
        ["n01443537/images has 3 of 500", "n01629819/images has 3 of 500", "val/images has 3 of 10000"],
    ),
    ("renoir", miniatures.renoir, 12, 6, []),
    ("sid", miniatures.sid, 8, 4, []),
    ("sid", miniatures.sid_png, 6, 6, []),
    ("gopro", miniatures.gopro, 6, 3, []),
    ("realblur-j", miniatures.realblur, 8, 4, []),
    ("realblur-r", miniatures.realblur_r, 8, 4, []),
    ("folder", miniatures.folder, 5, 5, []),
    ("pairs", miniatures.pairs, 5, 5, []),
]
# The model that trains soonest, in one phase.
SMALL = [
    f"--set={change}"
    for change in (
        "training_tiles=4",
        "validation_tiles=2",
        "model.nafnet-tiny={width: 4, encoder_blocks: [1], middle_blocks: 1, decoder_blocks: [1]}",
    )
]


@pytest.mark.parametrize(
    ("name", "build", "samples", "groups", "problems"), LAYOUTS, ids=lambda x: getattr(x, "__name__", None)
)
def test_a_published_layout_is_read_prepared_and_trained_on(name, build, samples, groups, problems, tmp_path, command):
    build(tmp_path / "root")
    found = data_set(name).scan(tmp_path / "root")
    assert len(found.samples) == samples
    assert len({sample.group for sample in found.samples}) == groups
    assert len({sample.name for sample in found.samples}) == samples
    assert len(found.problems) == len(problems)
    assert all(said in problem for said, problem in zip(problems, found.problems, strict=True))
    skip = ["--skip-broken"] if problems else []
    out = tmp_path / "tiles"
    status, _, error = command("data", "prepare", name, tmp_path / "root", "--out", out, "--workers", 1, *skip)
    assert (status, error) == (0, "")
    prepared = Prepared.open(out)
    assert len(prepared.groups) == groups
    assert ("JPEG" in prepared.note) == (problems is CIFAR_JPEG)
    assert (prepared.corrupted is not None) == (SETS[name].task is not None or name == "pairs")
    assert len(prepared.clean) >= samples if SETS[name].side is None else len(prepared.clean) > 0
    task = SETS[name].task or "denoise"
    status, _, error = command(
        "train",
        "--model",
        "nafnet-tiny",
        "--task",
        task,
        "--data",
        out,
        "--out",
        tmp_path / "run",
        "--epochs",
        1,
        "--batch-size",
        2,
        "--device",
        "cpu",
        *SMALL,
    )
    assert status == 0
    assert re.fullmatch(r"trained on [0-9.e-]+ megapixels a second\n", error)
    assert (tmp_path / "run" / f"nafnet-tiny-{task}.safetensors").exists()


def test_cifar_pictures_are_the_same_in_every_form(tmp_path):
    for build in (miniatures.cifar10_python, miniatures.cifar10_binary):
        build(tmp_path)
    rows = miniatures.cifar_rows(0)
    expected = rows[3].reshape(3, 32, 32).transpose(1, 2, 0)
    assert np.array_equal(data_set("cifar10").scan(tmp_path).samples[3].clean.read(), expected)
    shutil.rmtree(tmp_path / "cifar-10-batches-py")
    assert np.array_equal(data_set("cifar10").scan(tmp_path).samples[3].clean.read(), expected)


def test_a_pickled_batch_with_code_in_it_is_refused(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "harm"), "w"))

    miniatures.cifar10_python(tmp_path)
    (tmp_path / "cifar-10-batches-py" / "data_batch_2").write_bytes(pickle.dumps({b"data": Bomb()}, protocol=2))
    found = data_set("cifar10").scan(tmp_path)
    assert any("data_batch_2" in problem and "does not belong" in problem for problem in found.problems)
    assert not (tmp_path / "harm").exists()
    assert len(found.samples) == 30


def test_raw_pairs_are_as_bright_as_each_other(tmp_path):
    miniatures.sid(tmp_path)
    for sample in data_set("sid").scan(tmp_path).samples:
        long, short = sample.clean.read(), sample.corrupted.read()
        assert long.shape == short.shape
        assert long.mean() > 40
        assert abs(long.mean() - short.mean()) < 0.15 * long.mean()
    unbrightened = RawPicture(tmp_path / "Sony" / "short" / "00001_00_0.1s.dng", 1.0).read()
    assert unbrightened.mean() < 20


def test_brightening_is_in_linear_light():
    assert brighten(np.array([[[0, 128, 255]]], np.uint8), 1.0).tolist() == [[[0, 128, 255]]]
    # 55 is 0.0382 in linear light; four times that is 0.1529, which is 109.
    assert brighten(np.array([[[55, 55, 200]]], np.uint8), 4.0).tolist() == [[[109, 109, 255]]]


def test_sid_pairs_by_scene_and_leaves_out_the_misaligned(tmp_path):
    miniatures.sid_png(tmp_path)
    sony = tmp_path / "Sony"
    for name in ("long/10034_00_10s", "short/10034_00_0.1s", "short/00017_00_0.1s", "long/00018_00_30s"):
        miniatures.save(sony / f"{name}.png")
    miniatures.save(sony / "short" / "odd.png")
    found = data_set("sid").scan(tmp_path)
    assert [sample.name for sample in found.samples] == [f"Sony/0000{n}_00_0.1s.png" for n in range(1, 7)]
    assert found.samples[0].corrupted.gain == pytest.approx(100)
    said = "\n".join(found.problems)
    assert "00017_00_0.1s.png has no long exposure of scene 00017" in said
    assert "00018_00_30s.png has no short exposure" in said
    assert "odd.png is not named" in said
    assert len(found.problems) == 3


def test_gopro_names_what_has_no_partner(tmp_path):
    miniatures.gopro(tmp_path)
    film = tmp_path / "GOPRO_Large" / "train" / "GOPR0372_07_00"
    (film / "sharp" / "000001.png").unlink()
    shutil.rmtree(tmp_path / "GOPRO_Large" / "test")
    found = data_set("gopro").scan(tmp_path)
    assert len(found.samples) == 3
    assert f"{film / 'blur' / '000001.png'} has no sharp partner" in found.problems
    assert any("test is missing; get it from https://" in problem for problem in found.problems)


def test_realblur_follows_its_lists_and_never_leaves_its_folder(tmp_path):
    miniatures.realblur(tmp_path)
    listed = tmp_path / "RealBlur_J_test_list.txt"
    listed.write_text(listed.read_text() + "../../etc/gt.png ../../etc/blur.png\nonly-one.png\n")
    (tmp_path / listed.read_text().split()[1]).unlink()
    found = data_set("realblur-j").scan(tmp_path)
    assert len(found.samples) == 7
    assert len(found.problems) == 3
    assert "which RealBlur_J_test_list.txt names in line 1" in found.problems[0]
    assert all("is not two names below the folder" in problem for problem in found.problems[1:])


def test_renoir_names_scenes_without_a_reference_and_cameras_that_are_missing(tmp_path):
    miniatures.renoir(tmp_path)
    (tmp_path / "Mi3_Aligned" / "Batch_001" / "IMG_1Reference.bmp").unlink()
    shutil.rmtree(tmp_path / "T3i_Aligned")
    found = data_set("renoir").scan(tmp_path)
    assert len(found.samples) == 6
    assert "T3i_Aligned is missing" in found.problems[0]
    assert "Batch_001 has 0 reference pictures" in found.problems[1]
    assert len(data_set("renoir").scan(tmp_path / "S90_Aligned").samples) == 4


def test_pairs_without_partners_are_named(tmp_path):
    miniatures.pairs(tmp_path)
    (tmp_path / "GT" / "0.png").unlink()
    (tmp_path / "DAMAGED" / "4.jpg").unlink()
    found = data_set("pairs").scan(tmp_path)
    assert [sample.name for sample in found.samples] == ["1", "2", "3"]
    assert found.problems[0].endswith("0.jpg has no clean partner")
    assert found.problems[1].endswith("4.png has no corrupted partner")


@pytest.mark.parametrize("name", [name for name in SETS if name != "folder"])
def test_an_empty_folder_says_where_to_get_the_set(name, tmp_path, command):
    status, out, _ = command("data", "check", name, tmp_path)
    assert status == 1
    assert SETS[name].about.home in out
    assert all(line in out for line in SETS[name].about.tree.splitlines())
    status, _, error = command("data", "prepare", name, tmp_path, "--out", tmp_path / "out")
    assert status == 2
    assert SETS[name].about.home in error
    assert not (tmp_path / "out").exists()


def test_check_with_decode_looks_into_every_picture(tmp_path, command):
    miniatures.pairs(tmp_path)
    assert command("data", "check", "pairs", tmp_path)[0] == 0
    broken = tmp_path / "DAMAGED" / "2.jpg"
    broken.write_bytes(broken.read_bytes()[:300])
    assert command("data", "check", "pairs", tmp_path)[0] == 0
    status, out, _ = command("data", "check", "pairs", tmp_path, "--decode")
    assert status == 1
    assert f"{broken} is broken or truncated" in out


def test_a_broken_archive_is_named(tmp_path):
    miniatures.celeba_zip(tmp_path)
    archive = tmp_path / "img_align_celeba.zip"
    archive.write_bytes(archive.read_bytes()[:-200])
    (problem,) = data_set("celeba").scan(tmp_path).problems
    assert "img_align_celeba.zip is no whole zip archive" in problem


def test_every_set_is_described(command):
    _, out, _ = command("data", "list")
    assert [line.split()[0] for line in out.splitlines()] == [*SETS, "hf:NAME"]
    for name, known in SETS.items():
        status, out, _ = command("data", "list", name)
        assert status == 0
        assert all(getattr(known.about, field) in out for field in ("home", "licence", "size", "checksums", "tree"))
    assert [entry["name"] for entry in json.loads(command("data", "list", "--json")[1])] == list(SETS)
    status, _, error = command("data", "list", "celebra")
    assert (status, error) == (2, "lnca: no data set 'celebra'; did you mean celeba or folder?\n")


def test_the_hub_reader_takes_parquet_files_and_pairs(tmp_path, command):
    pictures = [Image.fromarray(np.asarray(miniatures.textured(40, 40, seed))) for seed in range(4)]
    path = tmp_path / "own.parquet"
    miniatures.parquet(path, {"good": pictures, "bad": pictures[::-1]})
    found = data_set(f"hf:{path}").scan(tmp_path)
    assert np.array_equal(found.samples[2].clean.read(), np.asarray(pictures[2]))
    assert found.samples[2].corrupted is None
    found = data_set(f"hf:{path}?column=good&corrupted=bad").scan(tmp_path)
    assert np.array_equal(found.samples[0].corrupted.read(), np.asarray(pictures[3]))
    assert "columns of pictures are good, bad" in data_set(f"hf:{path}?column=x").scan(tmp_path).problems[0]
    with pytest.raises(LncaError, match="'colour' is not known"):
        data_set(f"hf:{path}?colour=x")
    out = tmp_path / "tiles"
    assert command("data", "prepare", f"hf:{path}?column=good&corrupted=bad", "--out", out)[0] == 0
    assert Prepared.open(out).corrupted.shape == (4, 3, 32, 32)
    assert "cannot be read" in data_set(f"hf:{tmp_path / 'none.parquet'}").scan(tmp_path).problems[0]


def test_pairs_are_trained_on_as_they_are_and_for_their_own_task(tmp_path):
    from lnca.data.tile_set import open_tiles

    miniatures.gopro(tmp_path / "root")
    prepare(data_set("gopro"), tmp_path / "root", tmp_path / "tiles", side=32)
    tiles = open_tiles(tmp_path / "tiles", "all", 0, 64)
    draw = torch.Generator().manual_seed(0)
    index = torch.tensor([1, 0])
    clean, corrupted = tiles.pairs(index, "deblur", 7, draw)
    prepared = Prepared.open(tmp_path / "tiles")
    assert torch.equal(clean, torch.from_numpy(prepared.clean[[1, 0]]) / 255)
    assert torch.equal(corrupted, torch.from_numpy(prepared.corrupted[[1, 0]]) / 255)
    with pytest.raises(LncaError, match="these pairs are for --task deblur, not denoise"):
        tiles.check("denoise")
