"""What a command imports: as little as it can, since that is most of the time of a short one."""

import subprocess
import sys

import pytest
from PIL import Image

IMPORTED = """
import sys
from lnca.cli import main
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""
# What restoring one picture does not need: other ways to restore it, many pictures, other formats, training.
NEVER = (
    "asyncio",
    "concurrent.futures",
    "hashlib",
    "lnca.restoration.cluster",
    "lnca.restoration.deblurring",
    "lnca.restoration.film",
    "lnca.restoration.latent",
    "multiprocessing",
    "numpy.fft",
    "numpy.ma",
    "numpy.random",
    "numpy.testing",
    "PIL.ImageCms",
    "pydantic",
    "rich",
    "socket",
    "torch",
    "typer",
    "yaml",
)


def imported(folder, *words):
    """The modules that a command has imported when it ends."""
    line = [sys.executable, "-c", IMPORTED, *words]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_the_help_needs_no_arithmetic_and_no_command(tmp_path):
    names = imported(tmp_path, "--help")
    assert not names & {"numpy", "PIL", "safetensors", "ctypes", *NEVER}
    inside = {name.split(".")[2] for name in names if name.startswith("lnca.cli.")}
    assert inside == {"app", "declare", "importing", "plain"}


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_restoring_a_picture_imports_what_that_takes(tmp_path, suffix):
    Image.linear_gradient("L").resize((32, 24)).convert("RGB").save(tmp_path / f"a.{suffix}")
    names = imported(tmp_path, "restore", f"a.{suffix}", "--device", "cpu")
    assert (tmp_path / f"a-restored.{suffix}").is_file()
    assert {"numpy", "lnca.restoration.pyramid"} <= names
    assert not names & set(NEVER)


def test_garbage_is_looked_for_again_after_the_imports():
    import gc

    from lnca.cli.importing import importing

    with importing():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count()
    gc.unfreeze()
