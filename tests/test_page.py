"""`lnca app`: what it serves, to whom, and what it says where there is no page."""

import http.client
import importlib.resources
import socket
import threading
import webbrowser

import pytest

from lnca.page import TYPES, server

FILES = {
    "index.html": b"<!doctype html>",
    "assets/a-1.js": b"1",
    "ort/a.mjs": b"2",
    "ort/a.wasm": b"\0asm",
    "models/m/steps.onnx": b"3",
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
    assert TYPES[".mjs"].startswith("text/javascript")


def test_heads(ask):
    status, headers, body = ask("/ort/a.wasm", "HEAD")
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
    (package / "web" / "large.onnx").write_bytes(bytes(20_000_000))
    with server(package / "web") as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        with socket.create_connection(running.server_address) as connection:
            connection.sendall(f"GET /large.onnx HTTP/1.1\r\nHost: localhost:{running.server_port}\r\n\r\n".encode())
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


def test_what_the_command_refuses(refused, package):
    with server(package / "web") as running:
        assert "choose another with --port" in refused("app", "--port", running.server_port)
    (package / "web" / "index.html").unlink()
    assert "the page was not built; run `make web`" in refused("app")
