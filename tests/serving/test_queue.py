"""The service with workers that do what a test says: limits, queue, batches, workers that break, who may ask."""

import asyncio
import json
import re

import httpx2
import pytest

from lnca import LncaError
from lnca.serving.app import create_app
from lnca.serving.metrics import Metrics
from lnca.serving.process import WorkerGone
from lnca.serving.queue import Queue
from lnca.serving.server import bound, chosen_token
from lnca.serving.settings import Settings

TOKEN = "a token that is long enough"


class Scripted:
    """A worker that gives back what it is sent, and breaks, hangs or waits where the picture says so."""

    def __init__(self, settings):
        self.settings, self.batches, self.starts = settings, [], 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def start(self):
        self.starts += 1
        return {"small": "scripted"}

    async def restore(self, tasks, wish):
        self.batches.append([content for _, content, _ in tasks])
        await self.gate.wait()
        for number, content, kind in tasks:
            if content == b"break":
                raise WorkerGone("it broke")
            if content == b"hang":
                raise TimeoutError
            if content == b"rubbish":
                yield {"number": number, "status": 200}, b""
                continue
            if content == b"odd":
                yield {"number": number, "status": 422, "error": "the picture is odd"}, b""
                continue
            yield (
                {
                    "number": number,
                    "status": 200,
                    "kind": kind or "PNG",
                    "steps": wish.steps,
                    "noise_level": None,
                    "notes": ["a note"],
                },
                content,
            )

    async def kill(self):
        pass

    async def stop(self):
        pass


def served(check, token=None, **settings):
    """Runs `check(client, queue, worker)` on a service of one scripted worker."""
    chosen = Settings(models={"small": "small"}, **settings)

    class ScriptedQueue(Queue):
        def worker(self):
            return Scripted(self.settings)

    async def run():
        async with ScriptedQueue(chosen, Metrics()) as queue:
            transport = httpx2.ASGITransport(create_app(chosen, queue, token))
            async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
                await check(client, queue, queue._workers[0])

    asyncio.run(run())


def sentence(answer, status):
    assert answer.status_code == status, answer.text
    said = answer.json()
    assert list(said) == ["error"]
    assert said["error"]
    assert "\n" not in said["error"]
    return said["error"]


def test_an_answer_says_what_it_is():
    async def check(client, queue, worker):
        answer = await client.post("/restore?steps=3&strength=0.5&region=1,2,3,4&format=webp", content=b"picture")
        assert (answer.status_code, answer.content) == (200, b"picture")
        assert answer.headers["content-type"] == "image/webp"
        assert (answer.headers["lnca-model"], answer.headers["lnca-steps"]) == ("small", "3")
        assert json.loads(answer.headers["lnca-notes"]) == ["a note"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert (await client.get("/models")).json() == {
            "default": "small",
            "models": [{"name": "small", "backend": "scripted"}],
        }
        assert (await client.get("/health/live")).text == "alive\n"
        assert (await client.get("/health/ready")).text == "ready\n"
        metrics = (await client.get("/metrics")).text
        assert 'lnca_answers_total{status="200"} 1.0' in metrics
        assert "lnca_queue_places 0.0" in metrics
        assert "lnca_seconds_count 1.0" in metrics

    served(check)


def test_an_answer_that_is_not_understood_keeps_nobody_waiting():
    async def check(client, queue, worker):
        for _ in range(3):
            answer = await client.post("/restore", content=b"rubbish")
            assert sentence(answer, 500) == "this is an error of the service, which has been logged"
        answer = await client.post("/restore", content=b"picture")
        assert (answer.status_code, answer.content) == (200, b"picture")
        # A worker of which nobody knows what it says next is replaced.
        assert worker.starts == 1 + 3

    served(check)


@pytest.mark.parametrize(
    ("query", "sent", "status", "said"),
    [
        ("steps=129", {}, 422, "steps should be 0 to 128, got 129"),
        ("steps=many", {}, 422, "steps is wrong: .*'many'"),
        ("strength=2", {}, 422, "strength is wrong"),
        ("strength=nan", {}, 422, "strength is wrong"),
        ("region=1,2", {}, 422, "'1,2' is no region"),
        ("format=psd", {}, 422, "format is wrong"),
        ("model=/etc/passwd", {}, 422, "no model '/etc/passwd' is served here; there are small"),
        ("strenght=1", {}, 422, "no parameter 'strenght'; there are model, steps"),
        ("", {"content": b"x" * 101}, 413, "more than 0.0001 MB"),
        ("", {"headers": {"content-type": "application/json"}}, 415, "send the bytes of the file"),
        ("", {"headers": {"content-type": "multipart/form-data"}}, 415, "multipart/form-data is no picture"),
        ("", {"headers": {"content-encoding": "gzip"}}, 415, "compressed body"),
        ("", {"content": b"odd"}, 422, "the picture is odd"),
    ],
)
def test_what_is_refused(query, sent, status, said):
    async def check(client, queue, worker):
        answer = await client.post(f"/restore?{query}", **{"content": b"x", **sent})
        assert re.search(said, sentence(answer, status))
        assert queue._places == queue._bytes == 0

    served(check, max_bytes=100)


def test_other_paths_and_methods():
    async def check(client, queue, worker):
        assert "POST /restore restores" in sentence(await client.get("/"), 404)
        assert "another method" in sentence(await client.get("/restore"), 405)

    served(check)


def test_a_body_without_a_length_is_counted_and_a_slow_one_is_not_waited_for():
    async def pieces(count, pause):
        for _ in range(count):
            yield b"x" * 60
            await asyncio.sleep(pause)

    async def check(client, queue, worker):
        assert (await client.post("/restore", content=pieces(1, 0))).content == b"x" * 60
        assert "send a smaller one" in sentence(await client.post("/restore", content=pieces(2, 0)), 413)
        sent = asyncio.create_task(client.post("/restore", content=pieces(1, 60)))
        answer = await asyncio.wait_for(sent, 30)
        assert "did not arrive within 0.2 s" in sentence(answer, 408)
        assert answer.headers["connection"] == "close"

    served(check, max_bytes=100, upload_seconds=0.2)


def test_requests_that_wait_go_together_where_they_are_restored_the_same_way():
    async def check(client, queue, worker):
        worker.gate.clear()
        first = asyncio.create_task(client.post("/restore", content=b"first"))
        await until(lambda: worker.batches)
        queries = [("a", 1), ("b", 1), ("c", 2), ("d", 1), ("e", 1)]
        others = []
        for index, (content, steps) in enumerate(queries):
            others.append(asyncio.create_task(client.post(f"/restore?steps={steps}", content=content.encode())))
            await until(lambda wanted=index + 1: len(queue._waiting) == wanted)
        worker.gate.set()
        answers = await asyncio.gather(first, *others)
        assert [answer.content.decode() for answer in answers] == ["first", *(content for content, _ in queries)]
        assert worker.batches == [[b"first"], [b"a", b"b", b"d"], [b"c"], [b"e"]]

    served(check, batch=3)


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def test_a_full_queue_says_when_to_try_again():
    async def check(client, queue, worker):
        worker.gate.clear()
        accepted = [asyncio.create_task(client.post("/restore", content=b"x")) for _ in range(2)]
        await until(lambda: queue._places == 2)
        answer = await client.post("/restore", content=b"x")
        assert "too many pictures are waiting" in sentence(answer, 429)
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert (await client.get("/health/ready")).status_code == 503
        worker.gate.set()
        assert [answer.status_code for answer in await asyncio.gather(*accepted)] == [200, 200]
        assert (await client.post("/restore", content=b"x")).status_code == 200

    served(check, queue=2)


def test_the_queue_counts_bytes_too():
    async def check(client, queue, worker):
        worker.gate.clear()
        accepted = asyncio.create_task(client.post("/restore", content=b"x" * 60))
        await until(lambda: queue._places == 1)
        sentence(await client.post("/restore", content=b"x" * 60), 429)
        worker.gate.set()
        assert (await accepted).status_code == 200

    served(check, queue_bytes=100, max_bytes=80)


def test_who_waits_too_long_is_told_so():
    async def check(client, queue, worker):
        worker.gate.clear()
        first = asyncio.create_task(client.post("/restore", content=b"first"))
        await until(lambda: worker.batches)
        answer = await client.post("/restore", content=b"late")
        assert "it waited for 0.2 s" in sentence(answer, 503)
        assert "retry-after" in answer.headers
        worker.gate.set()
        assert (await first).status_code == 200
        assert worker.batches == [[b"first"]]

    served(check, seconds=0.2)


def test_a_picture_that_breaks_its_worker_takes_no_other_with_it():
    async def check(client, queue, worker):
        worker.gate.clear()
        first = asyncio.create_task(client.post("/restore", content=b"first"))
        await until(lambda: worker.batches)
        contents = [b"a", b"break", b"b"]
        others = [asyncio.create_task(client.post("/restore", content=content)) for content in contents]
        await until(lambda: len(queue._waiting) == 3)
        worker.gate.set()
        answers = await asyncio.gather(first, *others)
        assert [answer.status_code for answer in answers] == [200, 200, 422, 200]
        assert "it broke the process" in sentence(answers[2], 422)
        assert worker.batches == [[b"first"], contents, [b"break"], [b"b"]]
        assert worker.starts == 3
        assert "lnca_worker_restarts_total 2.0" in (await client.get("/metrics")).text

    served(check)


def test_a_picture_that_never_ends_is_given_up():
    async def check(client, queue, worker):
        assert "took longer than 120 s" in sentence(await client.post("/restore", content=b"hang"), 422)
        assert (await client.post("/restore", content=b"x")).status_code == 200
        assert worker.starts == 2

    served(check)


def test_a_client_that_goes_takes_its_picture_back():
    async def check(client, queue, worker):
        worker.gate.clear()
        first = asyncio.create_task(client.post("/restore", content=b"first"))
        await until(lambda: worker.batches)
        messages = asyncio.Queue()
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/restore",
            "raw_path": b"/restore",
            "query_string": b"",
            "headers": [(b"host", b"localhost")],
            "http_version": "1.1",
            "scheme": "http",
            "asgi": {"version": "3.0"},
        }
        sent = []

        async def send(message):
            sent.append(message)

        await messages.put({"type": "http.request", "body": b"gone", "more_body": False})
        going = asyncio.create_task(client._transport.app(scope, messages.get, send))
        await until(lambda: len(queue._waiting) == 1)
        await messages.put({"type": "http.disconnect"})
        await going
        assert queue._places == 1
        worker.gate.set()
        await first
        assert (await client.post("/restore", content=b"x")).status_code == 200
        assert worker.batches == [[b"first"], [b"x"]]

    served(check)


def test_the_token_is_asked_for():
    async def check(client, queue, worker):
        for path in ("/models", "/metrics", "/openapi.json", "/nothing"):
            for headers in ({}, {"authorization": f"Bearer {TOKEN}x"}, {"authorization": f"Basic {TOKEN}"}):
                answer = await client.get(path, headers=headers)
                assert "Authorization: Bearer" in sentence(answer, 401)
                assert answer.headers["www-authenticate"] == "Bearer"
        sentence(await client.post("/restore", content=b"x"), 401)
        assert not worker.batches
        known = {"authorization": f"bearer {TOKEN}"}
        assert (await client.post("/restore", content=b"x", headers=known)).status_code == 200
        assert (await client.get("/health/ready")).status_code == 200
        described = (await client.get("/openapi.json", headers=known)).json()
        assert described["paths"]["/restore"]["post"]["requestBody"]["content"] == {
            "image/*": {"schema": {"type": "string", "format": "binary"}}
        }
        assert {"200", "401", "408", "413", "415", "422", "429", "503"} <= set(
            described["paths"]["/restore"]["post"]["responses"]
        )

    served(check, token=TOKEN)


def test_without_a_token_only_names_of_this_machine_are_answered():
    async def check(client, queue, worker):
        for host, status in (("localhost:8000", 200), ("127.0.0.1", 200), ("[::1]:80", 200), ("evil.example", 403)):
            assert (await client.get("/models", headers={"host": host})).status_code == status

    served(check)


def test_tokens(tmp_path, monkeypatch):
    monkeypatch.delenv("LNCA_TOKEN", raising=False)
    (first, new), (second, _) = chosen_token(None, False), chosen_token(None, False)
    assert new
    assert first != second
    assert len(first) >= 32
    assert chosen_token(None, True) == (None, False)
    monkeypatch.setenv("LNCA_TOKEN", "an-environment-token")
    assert chosen_token(None, False) == ("an-environment-token", False)
    file = tmp_path / "token"
    file.write_text("a-token-in-a-file\n")
    assert chosen_token(file, False) == ("a-token-in-a-file", False)
    with pytest.raises(LncaError, match="contradict"):
        chosen_token(file, True)
    for content in (b"short", b"with spaces in between it", b"\xff" * 20):
        file.write_bytes(content)
        with pytest.raises(LncaError, match="a token should be|cannot be read"):
            chosen_token(file, False)


def test_addresses():
    taken = bound("127.0.0.1", 0, None)
    with taken, pytest.raises(LncaError, match="cannot listen on 127.0.0.1:.*in use"):
        bound("127.0.0.1", taken.getsockname()[1], TOKEN)
    for host in ("0.0.0.0", "::"):
        with pytest.raises(LncaError, match="can be reached from other machines; leave out --no-token"):
            bound(host, 0, None)
    bound("0.0.0.0", 0, TOKEN).close()
    with pytest.raises(LncaError, match="cannot listen on"):
        bound("no.such.host.invalid", 0, TOKEN)
