"""Restoring many pictures on a Ray cluster of two nodes: whatever dies, each picture has one whole output and one
line."""

import json
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from conftest import textured
from lnca.restoration import cluster as cluster_module
from lnca.restoration.batch import RestoreOptions, restore_files
from lnca.restoration.jobs import plan
from lnca.restoration.stores import plan_files

# On a busy machine a node takes long to start.
os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
pytest.importorskip("ray", reason="make test-ray installs it")

# Warnings of the libraries.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{kind}")
    for kind in ("DeprecationWarning", "FutureWarning", "ResourceWarning", "pytest.PytestUnraisableExceptionWarning")
]

COUNT = 40


@pytest.fixture(scope="module")
def store():
    """A server that speaks S3, and which fsspec finds in the environment, also that of the cluster's nodes; or None."""
    try:
        import s3fs  # noqa: F401
        from moto.server import ThreadedMotoServer
    except ImportError:
        yield None
        return
    import fsspec

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    options = {"endpoint_url": f"http://{host}:{port}", "key": "k", "secret": "s"}
    os.environ["FSSPEC_S3"] = json.dumps(options)
    fsspec.config.conf["s3"] = options
    yield fsspec.filesystem("s3")
    del os.environ["FSSPEC_S3"], fsspec.config.conf["s3"]
    server.stop()


@pytest.fixture(scope="module")
def cluster(store):
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    yield made
    made.shutdown()


@pytest.fixture(scope="module")
def expected(tmp_path_factory, weights):
    """A folder of pictures, one of them broken, and a folder with the results of this process."""
    root = tmp_path_factory.mktemp("bulk")
    (root / "in" / "below").mkdir(parents=True)
    for number in range(COUNT):
        folder = root / "in" / ("below" if number % 5 == 0 else ".")
        textured(700, 600, number).save(folder / f"{number:02}.png")
    (root / "in" / "broken.png").write_text("no picture")
    jobs = plan([root / "in"], root / "expected", overwrite=False).jobs
    records = list(restore_files(jobs, RestoreOptions(str(weights), device="cpu")))
    assert sum(record.error is None for record in records) == COUNT
    return root / "in", root / "expected"


def outputs(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("[!.]*.png")}


def lines(folder):
    return [json.loads(line) for line in (folder / "lnca.jsonl").read_text().splitlines()]


def working(cluster):
    """Processes of the cluster that restore pictures."""
    raylets = {process.process.pid for node in cluster.list_all_nodes() for process in node.all_processes["raylet"]}
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent in raylets and b"ray::Map" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def when(condition, action):
    """Does something in a thread as soon as possible; returns the list for its result."""
    done = []

    def watch():
        while not condition():
            time.sleep(0.02)
        done.append(action())

    threading.Thread(target=watch, daemon=True).start()
    return done


def test_a_killed_worker_costs_no_picture_and_doubles_none(cluster, expected, weights, command, tmp_path):
    source, wanted = expected
    out = tmp_path / "out"
    asked = ("restore", source, "-o", out, "--model", weights, "--engine", "ray", "--address", cluster.address)

    def kill():
        (victim, *_) = working(cluster)
        os.kill(victim, signal.SIGKILL)
        return len(outputs(out))

    killed = when(lambda: len(list(out.rglob("[!.]*.png"))) >= 2 and working(cluster), kill)
    status, said, errors = command(*asked)
    assert killed
    assert killed[0] < COUNT
    assert (status, f"{COUNT} of {COUNT + 1} pictures restored" in said) == (1, True)
    sentence = f"{source / 'broken.png'} is not a picture in a format that is known here"
    assert errors == f"lnca: {sentence}\nlnca: 1 of {COUNT + 1} pictures failed\n"
    assert outputs(out) == outputs(wanted)
    written = [line["output"] for line in lines(out)]
    assert len(written) == len(set(written)) == COUNT + 1
    assert {line["model"] for line in lines(out)} == {str(weights)}

    # Like after a command that was killed before it wrote all lines, and with one missing output.
    (out / "03.png").unlink()
    kept = [line for line in lines(out)[5:] if line["output"] != str(out / "03.png")]
    (out / "lnca.jsonl").write_text("".join(json.dumps(line) + "\n" for line in kept) + '{"file": "cut off')
    status, said, _ = command(*asked)
    assert (status, "1 of 2 pictures restored" in said, f"{COUNT - 1} were there already" in said) == (1, True, True)
    assert outputs(out) == outputs(wanted)
    text = [line for line in (out / "lnca.jsonl").read_text().splitlines() if "cut off" not in line]
    good = [record["output"] for record in map(json.loads, text) if record["error"] is None]
    assert len(good) == len(set(good)) == COUNT

    # A manifest elsewhere has each output only once too.
    for _ in range(2):
        command(*asked, "--manifest", tmp_path / "told.jsonl")
    told = [json.loads(line) for line in (tmp_path / "told.jsonl").read_text().splitlines()]
    good = [record["output"] for record in told if record["error"] is None]
    assert len(good) == len(set(good)) == COUNT


def test_a_picture_that_kills_its_workers_is_the_only_one_missing(cluster, expected, weights, monkeypatch, tmp_path):
    whole = cluster_module.restore_row

    def deadly(row, way, weights):
        if "17.png" in row["job"]:
            os._exit(1)
        return whole(row, way, weights)

    monkeypatch.setattr(cluster_module, "restore_row", deadly)
    monkeypatch.setattr(cluster_module, "RETRIES", 1)
    # Two pictures a task, so that another picture shares a task with the deadly one.
    monkeypatch.setattr(cluster_module, "TASKS", 4)
    shutil.copytree(expected[0], tmp_path / "in", ignore=shutil.ignore_patterns("2*", "3*", "broken*"))
    jobs = plan_files([tmp_path / "in"], tmp_path / "out", overwrite=False).jobs
    records = list(cluster_module.restore_on_cluster(jobs, RestoreOptions(str(weights), device="cpu"), cluster.address))
    assert len(records) == len(jobs) == 20
    assert [record.error for record in records if record.error] == [
        f"{tmp_path / 'in' / '17.png'} ended its worker 2 times, perhaps for want of memory; see --max-memory"
    ]
    wanted = outputs(expected[1])
    assert outputs(tmp_path / "out") == {
        name: wanted[name] for name in wanted if name[-6] in "01" and not name.endswith("17.png")
    }


def test_from_one_object_store_to_another_with_a_node_lost(cluster, store, expected, weights, command):
    if store is None:
        pytest.skip("s3fs or moto is not installed")
    node = cluster.add_node(num_cpus=1)
    store.mkdir("given")
    store.mkdir("made")
    store.put(f"{expected[0]}/", "given/in/", recursive=True)

    def found():
        store.invalidate_cache()
        return store.find("made")

    lost = when(lambda: len(found()) >= 2, lambda: cluster.remove_node(node))
    asked = ("restore", "s3://given/in", "-o", "s3://made/out", "--model", weights, "--engine", "ray")
    for _ in range(2):
        status, said, _ = command(*asked, "--address", cluster.address)
        assert status == 1
    assert lost
    assert f"{COUNT} were there already" in said
    contents = {path.removeprefix("made/out/"): store.cat_file(path) for path in found()}
    assert {name: content for name, content in contents.items() if name.endswith(".png")} == outputs(expected[1])
    written = [json.loads(line) for name, text in contents.items() if name.endswith("l") for line in text.splitlines()]
    good = [record["output"] for record in written if record["error"] is None]
    assert len(good) == len(set(good)) == COUNT


def test_no_cluster_and_no_ray_are_said_in_a_sentence(refused, expected, weights, tmp_path, monkeypatch):
    asked = ("restore", expected[0], "-o", tmp_path / "out", "--model", weights, "--engine", "ray")
    assert "there is no Ray cluster at 127.0.0.1:1: " in refused(*asked, "--address", "127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "ray", None)
    assert "--engine ray needs Ray: pip install 'lnca[ray]'" in refused(*asked)
