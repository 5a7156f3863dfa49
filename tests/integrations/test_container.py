"""The image that integrations/container describes, built and run: LNCA_ENGINE names the engine, such as podman."""

import io
import os
import shutil
import subprocess
import urllib.error
import urllib.request

import numpy as np
import pytest
from PIL import Image

import lnca
from hosts import ROOT, free_port, wait
from lnca.demo import photograph
from publish import source_archive

ENGINE = os.environ.get("LNCA_ENGINE")
# Options of `build` and `run`, for networks of an own kind.
OPTIONS = os.environ.get("LNCA_ENGINE_OPTIONS", "").split()
TAG, NAME, TOKEN = "localhost/lnca-test", "lnca-test", "of-sixteen-letters-or-more"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(ENGINE is None, reason="LNCA_ENGINE names no container engine")]


def engine(*arguments):
    """What the engine prints; fails with what it says."""
    done = subprocess.run([ENGINE, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The image, built from the folder that `make publish` writes; removed in the end."""
    folder = tmp_path_factory.mktemp("container")
    source_archive(folder)
    for path in (ROOT / "integrations" / "container" / "Containerfile", ROOT / "requirements.lock"):
        shutil.copyfile(path, folder / path.name)
    # podman's own format has no HEALTHCHECK; docker has no other.
    kind = ("--format", "docker") if "podman" in ENGINE else ()
    engine("build", *kind, *OPTIONS, "--tag", TAG, folder)
    yield TAG
    engine("rmi", TAG)


@pytest.fixture(scope="module")
def service(image, tmp_path_factory):
    """The service as docs/publishing.md runs it; gives its address."""
    port = free_port()
    hardened = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "all", "--security-opt", "no-new-privileges")
    there = () if OPTIONS else ("-p", f"127.0.0.1:{port}:{port}")
    engine(
        "run",
        "--detach",
        "--name",
        NAME,
        *hardened,
        *OPTIONS,
        *there,
        "--env",
        f"LNCA_TOKEN={TOKEN}",
        image,
        "--port",
        port,
    )
    log = tmp_path_factory.mktemp("log") / "log.txt"

    def alive():
        log.write_text(subprocess.run([ENGINE, "logs", NAME], capture_output=True, text=True).stderr)
        return engine("inspect", "--format", "{{.State.Running}}", NAME) == "true"

    address = f"http://127.0.0.1:{port}"
    try:
        wait(f"{address}/health/ready", alive, log)
        yield address
    finally:
        engine("rm", "--force", NAME)


def restored(address, body, token):
    headers = {"Authorization": f"Bearer {token}"}
    with urllib.request.urlopen(urllib.request.Request(f"{address}/restore", body, headers), timeout=300) as reply:
        return reply.read()


def test_it_restores_as_the_library_does_and_nobody_without_the_token(service):
    given = np.asarray(photograph().crop((0, 0, 200, 160)))
    packed = io.BytesIO()
    Image.fromarray(given).save(packed, "PNG")
    found = np.asarray(Image.open(io.BytesIO(restored(service, packed.getvalue(), TOKEN))))
    # The processors' own kernels round differently.
    assert np.abs(found.astype(int) - lnca.restore(given)).max() <= 1
    with pytest.raises(urllib.error.HTTPError, match="401"):
        restored(service, packed.getvalue(), "guessed")


def test_it_is_nobody_and_changes_nothing(service):
    told = "os.getuid(), os.getgid(), lnca.load('photo-denoise').backend"
    say = f"import os, sys, lnca; print({told}, flush=True); open(sys.argv[1], 'w')"
    python = ("exec", NAME, "/opt/lnca/bin/python", "-c", say)
    done = subprocess.run([ENGINE, *python, "/opt/lnca/a"], capture_output=True, text=True)
    assert done.stdout.split()[:3] == ["65532", "65532", "fused"]
    assert "Read-only file system" in done.stderr
    engine(*python, "/tmp/a")


def test_the_image_says_how_its_health_is_asked(image):
    assert "/health/ready" in engine("inspect", image)


def test_it_ends_when_it_is_told(service):
    engine("stop", "--time", 30, NAME)
    assert engine("inspect", "--format", "{{.State.ExitCode}}", NAME) == "0"
