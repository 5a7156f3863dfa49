"""Everything in lnca that writes something, each as a function of a folder; the tests of failing disks walk them all.

    python writers.py FOLDER MODEL

writes each with room for all but the last byte (RLIMIT_FSIZE), and prints, as JSON, what came of each.
"""

import contextlib
import json
import resource
import sys
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import torch
from PIL import Image

import lnca
from lnca import LncaError, exporting, hub
from lnca.cli import bench
from lnca.cli.records import lines_of
from lnca.data import prepare as preparing
from lnca.data.sets import data_set
from lnca.files import write_whole
from lnca.images.eight_bit import save_picture
from lnca.images.formats import FORMATS
from lnca.images.photo import Photo
from lnca.images.writing import save_photo
from lnca.nn.weights_file import save_weights
from lnca.paper.figures import figure
from lnca.restoration import cluster
from lnca.restoration.batch import Record, RestoreOptions, write_manifest
from lnca.restoration.film import restore_film
from lnca.restoration.showing import save_film
from lnca.restoration.stores import StoredManifest, save_stored, write_bytes
from lnca.training.checkpoint import write_checkpoint
from lnca.training.log import ContactSheet, Events, Log

NOISE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
DEEP = NOISE.astype(np.uint16) * 257
PICTURE = Image.fromarray(NOISE)
SHEET = torch.from_numpy(NOISE[None, :32, :32]).permute(0, 3, 1, 2) / 255
FILM = [Image.fromarray(np.roll(NOISE, number, 0)) for number in range(3)]
MODEL: list[Path] = []


def model():
    torch.manual_seed(0)
    return lnca.build("latent-nafca", hidden_channels=8, steps=4)


def manifest(folder):
    with lines_of(folder / "manifest.jsonl", None) as lines:
        list(write_manifest(lines, [Record("a" * 300, "b" * 300, "c")]))


def stored_manifest(folder):
    lines = StoredManifest(f"file://{folder}/out")
    lines.write("x" * 999 + "\n")
    lines.close()


def log(folder):
    Log(folder, 0).epoch(1, {"phase": "automaton", "loss": 0.1, "validation_ssim": 0.5})


def events(folder):
    written = Events(folder, 0)
    written.scalar("loss", 0.1, 1)
    written.flush()


def epoch(folder):
    write_whole(folder / "log.jsonl", b'{"step": 1}\n' * 40 + b'{"step": 99}\n')
    Log(folder, 1)


def pictures_of(folder):
    given = folder.parent / "given"
    given.mkdir(exist_ok=True)
    for number in () if any(given.iterdir()) else range(2):
        Image.fromarray(np.roll(NOISE, number, 1)).save(given / f"{number}.png")
    return given


def prepared(folder):
    preparing.prepare(data_set("folder"), pictures_of(folder), folder / "tiles", side=40)


def exported(folder):
    """The files of an export, without the minute that a real export takes."""

    def graphs(exporter, info, room, variants):
        for name in ("encoder.onnx", "steps.onnx", "decoder.onnx", "model.json"):
            write_whole(room / name, name.encode() * 200)
        return {}

    usual, exporting._export_graphs = exporting._export_graphs, graphs
    try:
        exporting.export(MODEL[0], folder / "export", overwrite=True)
    finally:
        exporting._export_graphs = usual


def on_the_hub(folder):
    hub.save_pretrained(MODEL[0], folder / "hub")


def drawn(folder):
    with figure(folder / "figure.png", 1, 1, (2, 2)) as (_, axes):
        axes[0, 0].plot([1, 2])


def benchmark(folder):
    with contextlib.redirect_stdout(None):
        bench.finish({}, folder / "bench.json")


def film_of(folder):
    """A film of two frames beside the folder; it is written once."""
    given = folder.parent / "given.mkv"
    if not given.exists():
        with av.open(str(given), "w") as film:
            stream = film.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 80, 60, "yuv420p"
            for number in range(2):
                frame = av.VideoFrame.from_ndarray(np.roll(NOISE, number, 0), "rgb24")
                film.mux(stream.encode(frame))
            film.mux(stream.encode())
    return given


def restored_film(folder):
    record = restore_film(film_of(folder), folder / "film.mkv", RestoreOptions(str(MODEL[0]), device="cpu"))
    if record.error is not None:
        raise LncaError(record.error)


def weights_on_a_cluster(folder):
    usual, cluster._own_folder = cluster._own_folder, lambda: SimpleNamespace(name=str(folder))
    try:
        cluster._written.__wrapped__("w", bytes(9999))
    finally:
        cluster._own_folder = usual


def checkpoint(folder):
    write_checkpoint(folder, 7, {"plan": {}, "model": model().state_dict()})


WRITERS = {
    **{
        f"picture {suffix}": lambda folder, suffix=suffix: save_photo(Photo([NOISE]), folder / f"a{suffix}")
        for suffix in FORMATS
    },
    **{
        f"picture of 16 bits {suffix}": lambda folder, suffix=suffix: save_photo(Photo([DEEP]), folder / f"a{suffix}")
        for suffix in (".png", ".tif")
    },
    "animation": lambda folder: save_photo(Photo([NOISE, NOISE[::-1]], durations=[9, 9]), folder / "a.webp"),
    "comparison": lambda folder: save_picture(PICTURE, folder / "both.jpg"),
    "heat map": lambda folder: save_picture(PICTURE, folder / "map.png"),
    "film .gif": lambda folder: save_film(FILM, folder / "film.gif"),
    "film .mp4": lambda folder: save_film(FILM, folder / "film.mp4"),
    "restored film": restored_film,
    "film in a folder": lambda folder: save_film(FILM[:1], folder / "film"),
    "picture in a store": lambda folder: save_stored(Photo([NOISE]), f"file://{folder}/out/a.png"),
    "bytes in a store": lambda folder: write_bytes(str(folder / "a"), bytes(9999)),
    "manifest": manifest,
    "manifest in a store": stored_manifest,
    "weights": lambda folder: save_weights(
        folder / "w.safetensors", model(), "latent-nafca", {"hidden_channels": 8, "steps": 4}, {}
    ),
    "weights on a cluster": weights_on_a_cluster,
    "checkpoint": checkpoint,
    "log": log,
    "log of a resumed run": epoch,
    "events": events,
    "contact sheet": lambda folder: ContactSheet(folder).save("s.png", [SHEET]),
    "prepared tiles": prepared,
    "export": exported,
    "folder for the hub": on_the_hub,
    "figure": drawn,
    "result": benchmark,
}


def files(folder):
    """The files of a folder by name, without parts of tiles and films, which are whole too and are used on resuming."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.endswith("parts") for part in path.parts)
    }


def limited(write, folder):
    """The result of a writer whose largest file has no room for its last byte."""
    whole, room = folder / "whole", folder / "room"
    whole.mkdir(parents=True)
    room.mkdir()
    write(whole)
    largest = max(map(len, files(whole).values()))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest - 1, before[1]))
    try:
        write(room)
        said = "nothing"
    except LncaError as error:
        said = str(error)
    except BaseException as error:
        said = f"{type(error).__name__}: {error}"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    cut = [name for name, content in files(room).items() if len(content) == largest - 1]
    return {"said": said, "cut": cut, "left": [name for name in files(room) if ".lnca-" in name]}


if __name__ == "__main__":
    MODEL.append(Path(sys.argv[2]))
    print(
        json.dumps(
            {
                name: limited(write, Path(sys.argv[1]) / str(number))
                for number, (name, write) in enumerate(WRITERS.items())
            }
        )
    )
