"""What the check of a release says of the page in a wheel."""

import sys
import textwrap
import zipfile

import pytest

import page_check
import release_check

PAGES = {
    "index.html": b'<script type="module" src="./assets/a-1.js"></script>',
    "assets/a-1.js": b"1",
    "kernels/a.wasm": b"\0asm",
    "models/m.safetensors": b"2",
}


@pytest.fixture
def wheel(tmp_path):
    """Writes a wheel with the given files of the page."""

    def wheel(pages):
        path = tmp_path / "lnca-1-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in {"../__init__.py": b"", **pages}.items():
                archive.writestr(f"lnca/web/{name}".replace("web/../", ""), content)
        return path

    return wheel


@pytest.fixture
def app(tmp_path):
    """`lnca app` of a folder that has the given files."""

    def app(pages):
        for name, content in pages.items():
            path = tmp_path / "web" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        program = textwrap.dedent("""
            import sys
            from pathlib import Path
            from lnca.page import server
            with server(Path("web"), int(sys.argv[sys.argv.index("--port") + 1])) as running:
                print(f"http://127.0.0.1:{running.server_port}/  (...)", flush=True)
                running.serve_forever()
        """)
        return [sys.executable, "-c", program]

    return app


def test_the_page_that_the_wheel_holds_is_served(wheel, app, tmp_path):
    pages = page_check.files(wheel(PAGES))
    assert pages == PAGES
    assert page_check.wrong(app(pages), tmp_path, pages, "m") is None


def test_what_is_wrong_is_said(app, tmp_path):
    command = app(PAGES)
    other = {**PAGES, "models/m.safetensors": b"3"}
    assert page_check.wrong(command, tmp_path, other, "m").endswith("m.safetensors: other bytes than in the wheel")
    assert page_check.wrong(command, tmp_path, PAGES, "n") == "models/n.safetensors is missing"
    assert "names no script" in page_check.wrong(command, tmp_path, {"index.html": b""}, "m")
    (tmp_path / "web/assets/a-1.js").unlink()
    assert "404" in page_check.wrong(command, tmp_path, PAGES, "m")
    assert "in place of its address" in page_check.wrong([sys.executable, "-c", ""], tmp_path, PAGES, "m")


def test_a_wheel_without_the_page(wheel, monkeypatch):
    path = wheel({"icon.svg": b""})
    assert page_check.files(path) == {}
    with pytest.raises(SystemExit, match="expected the page in lnca-1-py3-none-any.whl; build it first"):
        release_check.check(path, with_page=True, with_torch=True)


def test_a_wrong_argument_is_a_sentence(tmp_path, monkeypatch):
    (tmp_path / "a.whl").write_text("no wheel")
    for name, said in (("a.whl", "release check failed; BadZipFile"), ("b.whl", "expected a wheel at")):
        monkeypatch.setattr(sys, "argv", ["release_check.py", str(tmp_path / name)])
        with pytest.raises(SystemExit, match=said):
            release_check.main()
