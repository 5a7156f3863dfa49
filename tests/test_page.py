"""`lnca app`: what it serves, to whom, and what it says where there is no page."""

import http.client
import importlib.resources
import socket
import threading
import webbrowser

import pytest

from lnca.errors import LncaError
from lnca.page import TYPES, built_page, server

FILES = {
    "index.html": b"<!doctype html>",
    "assets/a-1.js": b"1",
    "kernels/a.wasm": b"\0asm",
    "models/m.safetensors": b"3",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package folder with a page and a file beside it that is nobody's."""
    for name, content in FILES.items():
        (tmp_path / "web" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "web" / name).write_bytes(content)
    (tmp_path / "secret").write_text("secret")
    monkeypatch.setattr(importlib.resources, "files", lambda name: tmp_path)
    return tmp_path


@pytest.fixture
def ask(package):
    """Asks a running server; gives status, headers and body."""
    with server(package / "web") as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        assert running.server_address[0] == "127.0.0.1"

        def ask(path, method="GET", host=None):
            connection = http.client.HTTPConnection("127.0.0.1", running.server_port, timeout=10)
            connection.request(method, path, headers={"Host": host or f"127.0.0.1:{running.server_port}"})
            answer = connection.getresponse()
            result = answer.status, answer.headers, answer.read()
            connection.close()
            return result

        yield ask
        running.shutdown()


def test_files_have_their_types_and_the_page_is_isolated(ask):
    for path, content in {"": FILES["index.html"], "?a=b": FILES["index.html"], **FILES}.items():
        status, headers, body = ask(f"/{path}")
        assert (status, body) == (200, content)
        assert headers["Content-Type"] == TYPES[f".{path.rpartition('.')[2]}" if path in FILES else ".html"]
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert TYPES[".wasm"] == "application/wasm"
    assert TYPES[".js"].startswith("text/javascript")


def test_heads(ask):
    status, headers, body = ask("/kernels/a.wasm", "HEAD")
    assert (status, headers["Content-Length"], body) == (200, "4", b"")


@pytest.mark.parametrize(
    "path",
    ["/assets", "/assets/", "/../secret", "/%2e%2e/secret", "/assets/..%2f..%2f..%2fsecret", "//etc/passwd", "/x"],
)
def test_nothing_else_is_served(ask, path):
    status, _, body = ask(path)
    assert status == 404
    assert b"secret" not in body.replace(path.encode(), b"")


def test_other_names_of_this_machine_and_other_methods_are_refused(ask):
    assert ask("/", host="localhost:1")[0] == 200
    assert ask("/", host="pictures.example:80")[0] == 404
    assert ask("/", "POST")[0] == 501


def test_a_browser_that_has_gone_is_no_error(package, capsys):
    (package / "web" / "large.wasm").write_bytes(bytes(20_000_000))
    with server(package / "web") as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        with socket.create_connection(running.server_address) as connection:
            connection.sendall(f"GET /large.wasm HTTP/1.1\r\nHost: localhost:{running.server_port}\r\n\r\n".encode())
            connection.recv(1)
        running.shutdown()
        running.server_close()
    assert capsys.readouterr().err == ""


def test_the_command_opens_the_page(command, package, monkeypatch):
    opened = []

    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr("http.server.ThreadingHTTPServer.serve_forever", interrupted)
    status, out, err = command("app", "--port", 0)
    assert (status, err, len(opened)) == (0, "", 1)
    assert out.startswith(f"{opened[0]}  (")
    assert command("app", "--port", 0, "--no-browser")[0] == 0
    assert len(opened) == 1


def test_what_the_command_refuses(refused, package, tmp_path, monkeypatch):
    with server(package / "web") as running:
        assert "choose another with --port" in refused("app", "--port", running.server_port)
    (package / "web" / "index.html").unlink()
    monkeypatch.chdir(tmp_path)
    assert "the page was not built; run `make web`" in refused("app")


def test_the_page_of_a_checkout_is_found_where_the_package_has_none(package, tmp_path_factory, monkeypatch):
    checkout = tmp_path_factory.mktemp("checkout")
    page = checkout / "src" / "lnca" / "web"
    page.mkdir(parents=True)
    (page / "index.html").write_text("<!doctype html>")
    (checkout / "docs").mkdir()
    monkeypatch.chdir(checkout / "docs")
    assert built_page() == package / "web"
    (package / "web" / "index.html").unlink()
    (checkout / "pyproject.toml").write_text('[project]\nname = "other"\n')
    with pytest.raises(LncaError, match="the page was not built"):
        built_page()
    (checkout / "pyproject.toml").write_text('[project]\nname = "lnca"\n')
    assert built_page() == page
