"""Pictures in object stores: finding them, their outputs, and whole files."""

import json

import fsspec
import numpy as np
import pytest

from conftest import textured
from lnca import LncaError
from lnca.images.photo import Photo
from lnca.images.reading import open_photo
from lnca.restoration.batch import Record, write_manifest
from lnca.restoration.stores import (
    StoredJob,
    StoredManifest,
    manifests,
    plan_files,
    plan_stored,
    read_bytes,
    save_stored,
    write_bytes,
    written_down,
)


@pytest.fixture
def store():
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    for name in ("in/a.png", "in/below/b.jpg", "in/below/raw.dng", "in/notes.txt", "in/.lnca-temporary.png"):
        memory.pipe_file(name, b"content")
    yield memory
    memory.store.clear()


def test_a_folder_gives_the_same_tree(store):
    plan = plan_stored(["memory://in"], "memory://out/", overwrite=False)
    assert plan.jobs == [
        StoredJob("memory://in/a.png", "memory://out/a.png", "memory://out"),
        StoredJob("memory://in/below/b.jpg", "memory://out/below/b.jpg", "memory://out"),
        StoredJob("memory://in/below/raw.dng", "memory://out/below/raw.tif", "memory://out"),
    ]
    assert (plan.done, plan.folder) == ([], "memory://out")
    store.pipe_file("out/a.png", b"done")
    plan = plan_stored(["memory://in"], "memory://out", overwrite=False)
    assert [job.output for job in plan.done] == ["memory://out/a.png"]
    assert len(plan.jobs) == 2
    assert len(plan_stored(["memory://in"], "memory://out", overwrite=True).jobs) == 3


def test_several_sources_and_single_pictures(store, tmp_path):
    store.pipe_file("more/a.png", b"content")
    plan = plan_stored(["memory://in/below", "memory://more/a.png"], str(tmp_path), overwrite=False)
    names = ("below/b.jpg", "below/raw.tif", "a.png")
    assert {job.output for job in plan.jobs} == {str(tmp_path / name) for name in names}


def test_an_output_inside_the_input_is_not_restored_again(store):
    store.pipe_file("in/out/a.png", b"done")
    plan = plan_stored(["memory://in"], "memory://in/out", overwrite=True)
    assert len(plan.jobs) == 3


@pytest.mark.parametrize(
    ("source", "names", "sentence"),
    [
        ("memory://nothing", [], "does not exist, or is empty"),
        ("memory://text", ["text/a.txt"], "holds no picture"),
        ("memory://two", ["two/a.tif", "two/a.dng"], "would both become"),
        ("nowhere://bucket", [], "nowhere://bucket cannot be reached: Protocol not known"),
    ],
)
def test_plans_that_are_refused(store, source, names, sentence):
    for name in names:
        store.pipe_file(name, b"content")
    with pytest.raises(LncaError, match=sentence):
        plan_stored([source], "memory://out", overwrite=False)


def test_a_name_that_leads_out_of_the_output_is_refused(store, monkeypatch, tmp_path):
    """In object stores a name can be any string."""
    monkeypatch.setattr(type(store), "find", lambda self, path, **_: [f"{path}/../../etc/a.png"])
    with pytest.raises(LncaError, match="which leads out of the output; rename it"):
        plan_stored(["memory://in"], str(tmp_path), overwrite=False)


def test_files_here_are_planned_as_always(pictures, tmp_path):
    out = tmp_path / "out"
    plan = plan_files([pictures], out, overwrite=False)
    assert (len(plan.jobs), plan.done, plan.folder) == (6, [], str(out))
    out.mkdir()
    (out / "0.png").touch()
    plan = plan_files([pictures], out, overwrite=False)
    assert plan.done == [StoredJob(str(pictures / "0.png"), str(out / "0.png"), str(out))]
    assert len(plan.jobs) == 5


def test_pictures_are_written_whole(store, monkeypatch, tmp_path):
    photo = Photo([np.asarray(textured(40, 30))])
    for address in ("memory://out/a.png", f"file://{tmp_path}/below/a.png", str(tmp_path / "b.png")):
        save_stored(photo, address)
        (tmp_path / "back.png").write_bytes(read_bytes(address))
        assert np.array_equal(open_photo(tmp_path / "back.png").frames[0], photo.frames[0])
    assert not list(tmp_path.rglob(".lnca-*"))


def test_where_a_file_is_seen_before_it_is_whole_it_has_another_name_first(store, monkeypatch):
    written, whole = [], type(store).pipe_file

    def noted(self, path, value, **options):
        written.append(path)
        whole(self, path, value, **options)

    monkeypatch.setattr(type(store), "protocol", "sftp")
    monkeypatch.setattr(type(store), "pipe_file", noted)
    write_bytes("memory://out/c.png", b"content")
    assert written[0].rpartition("/")[2].startswith(".lnca-")
    assert store.find("/out") == ["/out/c.png"]
    assert store.cat_file("/out/c.png") == b"content"


def test_what_cannot_be_read_or_written_is_said(store, monkeypatch, tmp_path):
    with pytest.raises(LncaError, match="memory://in/nothing.png does not exist"):
        read_bytes("memory://in/nothing.png")
    (tmp_path / "file").touch()
    with pytest.raises(LncaError, match="cannot write"):
        write_bytes(f"file://{tmp_path}/file/a.png", b"content")

    def away(*_, **__):
        raise RuntimeError("the store\nis away")

    for name in ("find", "ls", "cat_file", "pipe_file"):
        monkeypatch.setattr(type(store), name, away)
    calls = {
        "memory://in cannot be listed": lambda: plan_stored(["memory://in"], "memory://out", overwrite=False),
        "memory://out cannot be listed": lambda: StoredManifest("memory://out"),
        "memory://in/a.png cannot be read": lambda: read_bytes("memory://in/a.png"),
        "cannot write memory://out/a.png": lambda: write_bytes("memory://out/a.png", b""),
    }
    for sentence, call in calls.items():
        with pytest.raises(LncaError, match=f"{sentence}: the store is away"):
            call()


def test_a_manifest_in_a_store_is_written_in_parts_and_read_again(store):
    manifest = StoredManifest("memory://out", every=0)
    errors = (None, "broken", None)
    records = [Record(f"in/{number}", f"out/{number}", "m", error=error) for number, error in enumerate(errors)]
    assert list(write_manifest(manifest, records)) == records
    manifest.close()
    assert store.find("out") == [f"/out/lnca-{number:06d}.jsonl" for number in range(3)]
    again = StoredManifest("memory://out", every=1000)
    list(write_manifest(again, records[:1]))
    assert len(store.find("out")) == 3
    again.close()
    assert json.loads(store.cat_file("/out/lnca-000003.jsonl"))["file"] == "in/0"
    store.pipe_file("out/lnca.jsonl", b'{"output": "cut off')
    assert sorted(written_down(manifests("memory://out"))) == ["out/0", "out/0", "out/2"]


def test_addresses_need_the_engine_that_reads_them(refused, pictures):
    assert "is an address, which needs --engine ray" in refused("restore", "s3://bucket/in", "-o", "out")
    assert "--address is of a Ray cluster" in refused("restore", pictures, "--address", "auto")
    assert "say where pictures of memory://in go" in refused("restore", "memory://in", "--engine", "ray")
    assert "--compare is for --engine local" in refused("restore", pictures, "--engine", "ray", "--compare", "c.png")
    assert "- is for --engine local" in refused("restore", "-", "--engine", "ray")
    assert "--devices is for --engine local" in refused("restore", pictures, "--engine", "ray", "--devices", 2)
    assert "--engine should be local or ray" in refused("restore", pictures, "--engine", "dask")
