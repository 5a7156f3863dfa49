"""Tests `lnca serve` with many clients at once: good pictures of mixed sizes, broken ones, and clients that misbehave.

    python benchmarks/load.py --minutes 10 --clients 200 --out benchmarks/results/load.json

Requirements: every request gets the promised answer, the same picture always gives the same bytes, memory does not
grow, and stopping under load (SIGTERM, then a new service) loses no accepted request. The report has the times of
answers. The exit status is 1 if a requirement fails.
"""

import argparse
import asyncio
import collections
import contextlib
import hashlib
import io
import json
import os
import random
import re
import secrets
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lnca.files import write_whole

UPLOAD_SECONDS, MEGABYTES = 10, 2
# Allowed growth of memory between the first and the last third of a service's life, after warming up.
GROWTH = 0.05


@dataclass(frozen=True)
class Kind:
    """A kind of request.

    Args:
        name: name in the report.
        share: frequency relative to the others.
        statuses: allowed statuses, beside 429 and 503 if the token is right.
        bodies: bodies to choose from.
        query, headers: query and headers of the request.
        manner: "whole" sends the whole request, "half" disconnects after half of the body, "stalled" stops sending
            there, "away" disconnects before the answer, "noise" sends random bytes instead of HTTP.
    """

    name: str
    share: float
    statuses: tuple[int, ...]
    bodies: tuple[bytes, ...]
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    manner: str = "whole"


def picture(width: int, height: int, seed: int, mode: str = "RGB") -> Image.Image:
    """A smooth picture with noise."""
    random_ = np.random.default_rng(seed)
    small = Image.fromarray(random_.integers(0, 256, (height // 16 + 2, width // 16 + 2, 3), np.uint8))
    values = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)) + random_.normal(
        0, 20, (height, width, 3)
    )
    return Image.fromarray(values.clip(0, 255).astype(np.uint8)).convert(mode)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def kinds() -> list[Kind]:
    """All kinds of requests."""

    def several(width: int, height: int, kind: str, **options: Any) -> tuple[bytes, ...]:
        return tuple(encoded(picture(width, height, seed), kind, **options) for seed in range(4))

    film = [picture(48, 40, seed) for seed in range(3)]
    animated = encoded(film[0], "GIF", save_all=True, append_images=film[1:], duration=50)
    grey = encoded(Image.fromarray(np.asarray(picture(64, 64, 9, "L")).astype(np.uint16) * 257), "PNG")
    whole = several(64, 64, "JPEG", quality=90)
    bomb = encoded(Image.new("L", (6000, 6000)), "PNG")
    return [
        Kind("32x32 PNG", 20, (200,), several(32, 32, "PNG")),
        Kind("64x64 JPEG", 20, (200,), whole),
        Kind("96x64 WebP", 10, (200,), several(96, 64, "WEBP")),
        Kind("128x128 JPEG", 8, (200,), several(128, 128, "JPEG")),
        Kind("200x150 PNG, half strength", 4, (200,), several(200, 150, "PNG"), "?strength=0.5"),
        Kind("400x300 JPEG, 4 steps", 1, (200,), several(400, 300, "JPEG"), "?steps=4"),
        Kind("64x64 grey of 16 bits", 4, (200,), (grey,)),
        Kind("48x40 GIF of 3 frames as WebP", 2, (200,), (animated,), "?format=webp"),
        Kind("truncated", 6, (422,), tuple(body[: len(body) // 2] for body in whole)),
        Kind("no picture", 4, (415,), (b"no picture at all, but text", b"", bytes(500))),
        Kind("bomb", 3, (413,), (bomb,)),
        Kind("too many bytes", 2, (413,), (bytes(MEGABYTES * 10**6 + 1),)),
        Kind("form", 2, (415,), (b"--x--",), headers=(("Content-Type", "multipart/form-data; boundary=x"),)),
        Kind("wrong parameter", 3, (422,), whole, "?steps=100000"),
        Kind("wrong token", 3, (401,), whole, headers=(("Authorization", "Bearer wrong"),)),
        Kind("half and away", 3, (), whole, manner="half"),
        Kind("away before the answer", 2, (), whole, manner="away"),
        Kind("stalled", 0.5, (408,), whole, manner="stalled"),
        Kind("no HTTP", 1, (400,), (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",), manner="noise"),
    ]


@dataclass
class Service:
    """A process of `lnca serve`, from start to end, with samples of its memory."""

    model: str
    token: str
    process: asyncio.subprocess.Process | None = None
    port: int = 0
    up: asyncio.Event = field(default_factory=asyncio.Event)
    lines: list[str] = field(default_factory=list)
    memory: list[tuple[float, int, int]] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def start(self) -> None:
        """Starts a new process."""
        words = [sys.executable, "-m", "lnca", "serve", "--port", "0", "--model", self.model]
        words += ["--max-size", f"{MEGABYTES}MB", "--upload-seconds", str(UPLOAD_SECONDS)]
        environment = {**os.environ, "LNCA_TOKEN": self.token}
        self.lines, self.memory = [], []
        self.process = await asyncio.create_subprocess_exec(*words, stderr=asyncio.subprocess.PIPE, env=environment)
        assert self.process.stderr is not None
        first = (await self.process.stderr.readline()).decode()
        found = re.search(r":(\d+);", first)
        if found is None:
            raise SystemExit(f"the service does not start: {first}")
        self.port = int(found[1])
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._weigh())]
        self.up.set()

    async def _listen(self) -> None:
        assert self.process is not None
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.lines.append(line.decode().strip())

    async def _weigh(self) -> None:
        assert self.process is not None
        begin = time.monotonic()
        while self.process.returncode is None:
            with contextlib.suppress(OSError, ValueError):
                children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
                workers = sum(resident(int(child)) for child in children)
                self.memory.append((time.monotonic() - begin, resident(self.process.pid), workers))
            await asyncio.sleep(1)

    async def end(self) -> dict[str, Any]:
        """Sends SIGTERM; returns what the service reports about its requests, and the time until its end."""
        assert self.process is not None
        self.up.clear()
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        status = await self.process.wait()
        took = time.monotonic() - begin
        await asyncio.gather(*self._tasks)
        tally = next((line for line in reversed(self.lines) if "accepted" in line), "")
        accepted, answered, *back = map(int, re.findall(r"\d+", tally)) if tally else (-1, -1)
        return {
            "exit_status": status,
            "seconds": round(took, 1),
            "accepted": accepted,
            "answered": answered,
            "taken_back": back[0] if back else 0,
            "memory": growth(self.memory),
            "said": [line for line in self.lines if line != tally],
        }


def resident(pid: int) -> int:
    """Bytes of memory that a process uses."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def growth(samples: list[tuple[float, int, int]]) -> dict[str, Any]:
    """Medians of the first and the last third of the time, after one sixth for warming up."""
    if len(samples) < 6:
        return {}
    kept = samples[len(samples) // 6 :]
    third = len(kept) // 3
    report: dict[str, Any] = {}
    for name, column in (("service", 1), ("worker", 2)):
        values = np.array([sample[column] for sample in kept], float)
        first, last = float(np.median(values[:third])), float(np.median(values[-third:]))
        report[name] = {
            "first_third_mb": round(first / 1e6, 1),
            "last_third_mb": round(last / 1e6, 1),
            "growth": round(last / first - 1, 4),
            "peak_mb": round(float(values.max()) / 1e6, 1),
        }
    return report


class Load:
    """The clients and their answers.

    Args:
        service: see `Service`.
        seed: seed of the requests.
    """

    def __init__(self, service: Service, seed: int):
        self.service, self.random = service, random.Random(seed)
        self.kinds = kinds()
        self.statuses: dict[str, collections.Counter[str]] = {kind.name: collections.Counter() for kind in self.kinds}
        self.seconds: dict[str, list[float]] = collections.defaultdict(list)
        self.refused_seconds: list[float] = []
        self.unexpected: list[str] = []
        self.numbers: list[int] = []
        self.digests: dict[tuple[str, bytes], str] = {}
        self.done = False

    async def client(self) -> None:
        """Sends one request after another until the time is over."""
        shares = [kind.share for kind in self.kinds]
        while not self.done:
            await self.service.up.wait()
            kind = self.random.choices(self.kinds, shares)[0]
            port = self.service.port
            try:
                pause = await self.send(kind, self.random.choice(kind.bodies), port)
            except (OSError, asyncio.IncompleteReadError) as error:
                # Only a service that ends closes connections on which it has accepted nothing.
                ended = not self.service.up.is_set() or self.service.port != port
                self.note(kind, "no connection while it ended" if ended else "no answer")
                if not ended:
                    self.unexpected.append(f"{kind.name}: {type(error).__name__} {error}")
                pause = 0.2
            await asyncio.sleep(pause)

    def note(self, kind: Kind, what: object) -> None:
        self.statuses[kind.name][str(what)] += 1

    async def send(self, kind: Kind, body: bytes, port: int) -> float:
        """Sends one request; returns the seconds to wait before the next one."""
        begin = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            if kind.manner == "noise":
                writer.write(body)
            else:
                headers = {"Host": "localhost", "Authorization": f"Bearer {self.service.token}", **dict(kind.headers)}
                head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                sent = body if kind.manner in ("whole", "away") else body[: len(body) // 2]
                start = f"POST /restore{kind.query} HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n"
                writer.write(start.encode() + sent)
            await writer.drain()
            if kind.manner in ("half", "away"):
                await asyncio.sleep(self.random.random() / 10)
                self.note(kind, "went")
                return 0.0
            status, answer_headers, content = await answer(reader)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        return self.judge(kind, body, status, answer_headers, content, time.monotonic() - begin)

    def judge(
        self, kind: Kind, body: bytes, status: int, headers: dict[str, str], content: bytes, seconds: float
    ) -> float:
        """Records an answer, and whether it is a promised one."""
        self.note(kind, status)
        if "lnca-request" in headers:
            self.numbers.append(int(headers["lnca-request"]))
        promised = (*kind.statuses, 429, 503) if kind.statuses not in ((401,), (400,)) else kind.statuses
        wrong = None if status in promised else f"status {status}: {content[:200]!r}"
        if status in (429, 503):
            self.refused_seconds.append(seconds)
            if not headers.get("retry-after", "").isdecimal():
                wrong = f"{status} without Retry-After"
        if status == 200:
            self.seconds[kind.name].append(seconds)
            digest = hashlib.sha256(content).hexdigest()
            if self.digests.setdefault((kind.name, body), digest) != digest:
                wrong = "another picture than the last time"
        elif status != 400 and not is_sentence(content):
            wrong = f"no sentence: {content[:200]!r}"
        if wrong is not None:
            self.unexpected.append(f"{kind.name}: {wrong}")
        return int(headers["retry-after"]) * (0.5 + self.random.random()) if "retry-after" in headers else 0.0


def is_sentence(content: bytes) -> bool:
    """Whether an answer is JSON with a one-line error message."""
    try:
        said = json.loads(content)
    except ValueError:
        return False
    return isinstance(said, dict) and list(said) == ["error"] and bool(said["error"]) and "\n" not in said["error"]


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if "content-length" in headers:
        return int(first.split()[1]), headers, await reader.readexactly(int(headers["content-length"]))
    return int(first.split()[1]), headers, await reader.read()


def percentiles(values: list[float]) -> dict[str, float]:
    """Percentiles of times in seconds."""
    names = {"median": 50, "p90": 90, "p99": 99, "longest": 100}
    return {"answers": len(values)} | {
        name: round(float(np.percentile(values, share)), 3) for name, share in names.items() if values
    }


async def half(load: Load, service: Service, seconds: float, say: Callable[[str], None]) -> dict[str, Any]:
    """Runs a service under load and stops it; compares accepted requests with the answers of the clients."""
    load.numbers = []
    await service.start()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await asyncio.sleep(min(10, max(0.1, until - time.monotonic())))
        total = sum(sum(counts.values()) for counts in load.statuses.values())
        say(f"{total} requests, {len(load.unexpected)} not as promised")
    report = await service.end()
    # The last answers may still be on their way to the clients.
    await asyncio.sleep(2)
    report["answers_received"] = len(load.numbers)
    report["answered_twice"] = len(load.numbers) - len(set(load.numbers))
    return report


def failures(load: Load, halves: list[dict[str, Any]]) -> list[str]:
    """The requirements that failed, one phrase each."""
    found = [f"not as promised: {text}" for text in load.unexpected[:20]]
    for number, part in enumerate(halves, 1):
        if part["exit_status"] != 0:
            found.append(f"service {number} ended with status {part['exit_status']}")
        if part["accepted"] != part["answered"] + part["taken_back"]:
            found.append(f"service {number} accepted {part['accepted']} and answered {part['answered']}")
        if part["answers_received"] != part["answered"] or part["answered_twice"]:
            found.append(f"service {number} answered {part['answered']}, clients got {part['answers_received']}")
        if part["said"]:
            found.append(f"service {number} said {part['said'][:3]}")
        for name, memory in part["memory"].items():
            if memory["growth"] > GROWTH:
                found.append(f"memory of the {name} grew by {memory['growth']:.0%} in service {number}")
    return found


async def run(arguments: argparse.Namespace) -> dict[str, Any]:
    service = Service(arguments.model, secrets.token_urlsafe(32))
    load = Load(service, arguments.seed)
    begin = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - begin:6.0f} s: {text}", file=sys.stderr, flush=True)

    clients = [asyncio.create_task(load.client()) for _ in range(arguments.clients)]
    halves = [await half(load, service, arguments.minutes * 30, say) for _ in range(2)]
    load.done = True
    service.up.set()
    for task in clients:
        task.cancel()
    ended = await asyncio.gather(*clients, return_exceptions=True)
    crashed = [repr(error) for error in ended if isinstance(error, Exception)]
    counts = {name: dict(sorted(counter.items())) for name, counter in load.statuses.items()}
    every = [seconds for values in load.seconds.values() for seconds in values]
    return {
        "minutes": round((time.monotonic() - begin) / 60, 1),
        "clients": arguments.clients,
        "cores": os.cpu_count(),
        "model": arguments.model,
        "seed": arguments.seed,
        "requests": sum(sum(counter.values()) for counter in counts.values()),
        "answers": counts,
        "seconds_of_restored": percentiles(every)
        | {"by_kind": {name: percentiles(values) for name, values in load.seconds.items()}},
        "seconds_until_429_or_503": percentiles(load.refused_seconds),
        "services": halves,
        "failures": [*failures(load, halves), *crashed],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--model", default="photo-denoise")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="report, JSON")
    arguments = parser.parse_args()
    report = asyncio.run(run(arguments))
    text = json.dumps(report, indent=1) + "\n"
    if arguments.out is not None:
        write_whole(arguments.out, text.encode())
    print(text)
    sys.exit(1 if report["failures"] else 0)


if __name__ == "__main__":
    main()
