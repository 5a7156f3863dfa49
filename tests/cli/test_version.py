"""`lnca --version`: the kernels, and why no better ones."""

import shutil
from pathlib import Path

import pytest

import lnca
from lnca.runtime import native


def test_it_names_what_is_there(command):
    status, out, _ = command("--version")
    version, kernels = out.splitlines()
    assert (status, version) == (0, lnca.__version__)
    best = native.best_level()
    assert kernels.startswith(f"kernels for the processor: {best or 'none: '}")
    if best not in (None, "amx", "portable"):
        # Missing kernels are named with the reason.
        above = native.INSTRUCTION_SETS[native.INSTRUCTION_SETS.index(best) + 1 :]
        assert all(level in kernels.split("; ", 1)[1] for level in above)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "were not built; install lnca where there is a C++ compiler"),
        (b"of another machine", "cannot be loaded ("),
    ],
)
def test_it_says_why_there_is_none(command, monkeypatch, tmp_path, content, reason):
    if content is not None:
        (tmp_path / "_cpu.so").write_bytes(content)
    monkeypatch.setattr(native, "__file__", str(tmp_path / "native.py"))
    assert "kernels for the processor: none: " in (out := command("--version")[1])
    assert reason in out
    if content is not None:
        with pytest.warns(UserWarning, match=r"cannot be loaded .*restores without it, and is slower"):
            assert native.library.__wrapped__() is None


@pytest.mark.skipif(native.library() is None, reason="no C++ compiler when lnca was installed")
def test_a_library_of_another_version_is_named(command, monkeypatch, tmp_path):
    (library,) = native.library_files()
    shutil.copy(library, tmp_path / Path(library).name)
    monkeypatch.setattr(native, "__file__", str(tmp_path / "native.py"))
    monkeypatch.setattr(native, "LAYOUT", native.LAYOUT + 1)
    assert "is of another version of lnca: install lnca again" in command("--version")[1]
