"""`lnca serve` as a process: pictures go in and out, hostile ones break nothing, its end loses nothing."""

import base64
import io
import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import numpy as np
import pytest
from PIL import Image

import lnca
from conftest import textured
from lnca.restoration.batch import RestoreOptions, restore_stream
from lnca.restoration.kernel import kernel_file, kernel_in, kernel_of


@contextmanager
def service(*options):
    """A running service: its process, a client with the token, and its address."""
    environment = {name: value for name, value in os.environ.items() if name != "LNCA_TOKEN"}
    words = [sys.executable, "-m", "lnca", "serve", "--port", "0", *map(str, options)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        address = re.search(r"on (http://[\d.:]+);", process.stderr.readline())[1]
        token = process.stdout.readline().removeprefix("token: ").strip()
        headers = {"authorization": f"Bearer {token}"}
        with httpx2.Client(base_url=address, headers=headers, timeout=60, trust_env=False) as client:
            yield process, client, address
    finally:
        process.terminate()
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def running(weights):
    with service("--model", weights, "--max-size", "1MB", "--max-memory", "200MB") as parts:
        yield parts


@pytest.fixture
def way(weights):
    return RestoreOptions(str(weights))


def encoded(picture, kind="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def restored(content, way):
    """What `lnca restore -` makes of it."""
    room = io.BytesIO()
    assert restore_stream(content, room, way).error is None
    return room.getvalue()


def workers(process):
    return [int(word) for word in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def test_the_answer_is_what_lnca_restore_gives(running, way):
    _, client, _ = running
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    for content, media in (
        (encoded(textured(90, 70), "JPEG", quality=90, exif=exif), "image/jpeg"),
        (encoded(textured(60, 50, 2).convert("LA")), "image/png"),
        (encoded(textured(60, 50), "GIF", save_all=True, append_images=[textured(60, 50, 3)]), "image/gif"),
    ):
        answer = client.post("/restore", content=content)
        assert (answer.status_code, answer.headers["content-type"]) == (200, media)
        assert answer.content == restored(content, way)
        assert answer.headers["lnca-steps"] == "4"
    answer = client.post("/restore?format=tiff", content=content)
    assert Image.open(io.BytesIO(answer.content)).n_frames == 2


def test_many_at_a_time_each_get_their_own(running, way):
    _, client, _ = running
    contents = [encoded(textured(40 + 8 * (index % 2), 40, index)) for index in range(12)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda content: client.post("/restore", content=content), contents))
    assert [answer.content for answer in answers] == [restored(content, way) for content in contents]
    assert len({answer.headers["lnca-request"] for answer in answers}) == 12


def test_hostile_pictures_are_refused_in_a_sentence(running):
    _, client, _ = running
    whole = encoded(textured(90, 70))
    bomb = encoded(Image.new("L", (6000, 6000)), compress_level=9)
    assert len(bomb) < 100_000
    for content, status, said in (
        (b"no picture", 415, "what was sent is not a picture in a format that is known"),
        (b"", 415, "what was sent is empty"),
        (whole[:800], 422, "broken or truncated"),
        (encoded(Image.new("RGB", (7, 90))), 422, "at least 8x8"),
        (bomb, 413, "more than 25 million pixels"),
        (encoded(Image.new("RGB", (4900, 4900))), 422, "memory"),
        (b"x" * 1_000_001, 413, "more than 1 MB"),
    ):
        answer = client.post("/restore", content=content)
        assert answer.status_code == status, answer.text
        assert said in answer.json()["error"]
    assert client.post("/restore", content=whole).status_code == 200


def test_paths_methods_and_fields_that_are_not_quite_right(running):
    _, client, _ = running
    content = encoded(textured(40, 40))
    answer = client.post("/restore/", content=content)
    assert (answer.status_code, answer.json()["error"]) == (
        404,
        "there is nothing here; POST /restore restores a picture",
    )
    for path in ("/health/live", "/health/ready", "/models", "/metrics", "/openapi.json"):
        answer = client.head(path)
        assert (answer.status_code, answer.content) == (200, b""), path
        assert answer.headers["content-type"] == client.get(path).headers["content-type"]
    assert client.head("/restore").status_code == 405
    answer = client.post("/restore?steps=1&steps=2", content=content)
    assert (answer.status_code, answer.json()["error"]) == (422, "steps is given 2 times; give it once")
    answer = client.post("/restore?strength=0.5&steps=1&strength=0.5", content=content)
    assert answer.json()["error"] == "strength is given 2 times; give it once"
    answer = client.post("/restore?steps=1", content=content[:33] + b"\0\0\0\1tEXta\0\0\0\0" + content[33:])
    assert (answer.status_code, "tEXt" in answer.headers["lnca-notes"]) == (200, True)


def test_a_worker_that_is_killed_is_replaced_and_nobody_notices(running, way):
    process, client, _ = running
    (worker,) = workers(process)
    os.kill(worker, signal.SIGKILL)
    content = encoded(textured(40, 40))
    assert client.post("/restore", content=content).content == restored(content, way)
    assert workers(process) not in ([], [worker])
    assert "lnca_worker_restarts_total 1.0" in client.get("/metrics").text


def test_half_a_request_and_no_http_at_all(running):
    _, client, address = running
    where = ("127.0.0.1", int(address.rpartition(":")[2]))
    token = client.headers["authorization"]
    head = f"POST /restore HTTP/1.1\r\nHost: localhost\r\nAuthorization: {token}\r\nContent-Length: 100\r\n\r\n"
    for sent in (b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", head.encode() + b"half"):
        with socket.create_connection(where) as connection:
            connection.sendall(sent)
    assert client.get("/health/ready").status_code == 200
    until = time.monotonic() + 10
    while "lnca_queue_places 0.0" not in client.get("/metrics").text:
        assert time.monotonic() < until
        time.sleep(0.1)


def test_the_end_loses_no_accepted_request(weights, way):
    contents = [encoded(textured(300, 200, index)) for index in range(16)]
    with service("--model", weights, "--queue", 64) as (process, client, _), ThreadPoolExecutor(16) as pool:
        answers = [pool.submit(client.post, "/restore?steps=20", content=content) for content in contents]
        until = time.monotonic() + 30
        while "lnca_accepted_total 16.0" not in client.get("/metrics").text:
            assert time.monotonic() < until
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert [answer.result().status_code for answer in answers] == [200] * 16
        assert process.wait(30) == 0
    assert process.returncode == 0


def test_a_blur_kernel_is_taken_and_given_back():
    told = np.outer([1, 2, 1], [1, 1, 1, 1, 1]) / 20
    picture = textured(60, 50)
    with service("--model", "photo-deblur", "--model", "photo-denoise") as (_, client, _):

        def post(**parameters):
            return client.post("/restore", content=encoded(picture), params=parameters)

        for suffix in (".png", ".npy"):
            file = kernel_file(told, suffix)
            answer = post(kernel=base64.b64encode(file).decode())
            assert answer.status_code == 200, answer.text
            assert "lnca-kernel" not in answer.headers
            restored = lnca.deblur(picture, kernel_of(kernel_in(file, "told"), 50, 60))
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(answer.content))), np.asarray(restored))
        answer = post(kernel_out="true")
        assert answer.status_code == 200
        _, found = lnca.deblur(picture, return_kernel=True)
        given = kernel_in(base64.b64decode(answer.headers["lnca-kernel"]), "found")
        np.testing.assert_allclose(given / given.sum(), found, atol=1e-4)
        objects = io.BytesIO()
        np.save(objects, np.array([[{}]], object), allow_pickle=True)
        large = io.BytesIO()
        np.lib.format.write_array_header_1_0(large, {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6)})
        for file, said in (
            (b"no picture", "the kernel cannot be read as a kernel: no picture in a known format"),
            (encoded(Image.new("L", (2000, 3))), "the kernel is 2000x3; a kernel has 1023 rows at most"),
            (encoded(Image.new("L", (300, 300), 9)), "the kernel is 300x300, the picture 60x50"),
            (objects.getvalue(), "it holds object, not numbers"),
            (large.getvalue(), "the kernel is 1000000x1000000; a kernel has 1023 rows at most"),
        ):
            answer = post(kernel=base64.b64encode(file).decode())
            assert (answer.status_code, said in answer.json()["error"]) == (422, True), answer.text
        kernel = base64.b64encode(kernel_file(told)).decode()
        for parameters, said in (
            ({"kernel": "?!"}, "kernel should be a PNG, TIFF or .npy file in base64"),
            ({"kernel": "A" * 48_004}, "kernel has more than 48000 letters"),
            ({"kernel": kernel, "kernel_out": "true"}, "leave kernel out"),
            ({"kernel": kernel, "model": "photo-denoise"}, "photo-denoise takes no blur kernel"),
            ({"kernel_out": "true", "model": "photo-denoise"}, "photo-denoise takes no blur kernel"),
        ):
            answer = post(**parameters)
            assert (answer.status_code, said in answer.json()["error"]) == (422, True), answer.text


def test_what_serve_refuses(refused, weights, tmp_path, monkeypatch):
    monkeypatch.delenv("LNCA_TOKEN", raising=False)
    (tmp_path / weights.name).write_bytes(weights.read_bytes())
    for options, said in (
        (("--host", "0.0.0.0", "--no-token"), "can be reached from other machines"),
        (("--model", "nothing"), "no model 'nothing'"),
        (("--model", weights, "--model", tmp_path / weights.name), "two models would be called small"),
        (("--max-size", "much"), "'much' is no size"),
        (("--max-size", "2MB", "--max-queue-size", "1MB"), "--max-queue-size should be no less"),
        (("--token-file", tmp_path / "none"), "the token cannot be read"),
    ):
        assert said in refused("serve", *options)
