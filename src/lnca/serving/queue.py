"""The queue: requests wait in order for a worker, which gets them together with others with equal options."""

import asyncio
import contextlib
import itertools
import logging
import math
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from ..errors import LncaError
from .metrics import Metrics
from .process import WorkerGone, WorkerProcess
from .settings import RequestOptions, Settings

log = logging.getLogger("lnca.serving")

# Seconds between attempts to start a worker again.
PAUSES = (0.1, 1, 5, 30)
LESS = "send a smaller picture or ask for fewer steps"
BROKE = f"it broke the process that restores it, or needs more memory than a picture may have; {LESS}"


class Refusal(Exception):
    """An answer with an error instead of a picture.

    Args:
        status: HTTP status.
        sentence: the cause and the remedy.
        after: seconds after which the client may retry; None if retrying does not help.

    Attributes:
        number: number of the request, if it was accepted.
    """

    def __init__(self, status: int, sentence: str, after: int | None = None):
        super().__init__(sentence)
        self.status, self.sentence, self.after = status, sentence, after
        self.number: int | None = None


@dataclass(frozen=True)
class Answer:
    """The answer to a request.

    Attributes:
        content: the restored picture file.
        kind: its format.
        steps: steps of the cells, on average; None for models without steps.
        noise_level: levels of "brightness" and "colour" noise that the model got, in 255ths; None for models without.
        notes: what could not be kept, one phrase each.
        kernel: file of the estimated blur kernel in base64, if the request asked for it.
    """

    content: bytes
    kind: str
    steps: float | None
    noise_level: dict[str, float] | None
    notes: list[str]
    kernel: str | None = None


@dataclass
class Tally:
    """Numbers of requests so far: accepted, answered, and cancelled by their clients."""

    accepted: int = 0
    answered: int = 0
    taken_back: int = 0

    def __str__(self) -> str:
        back = f", {self.taken_back} taken back by their clients" if self.taken_back else ""
        return f"{self.accepted} pictures accepted, {self.answered} answered{back}"


@dataclass(eq=False)
class Job:
    """An accepted request. If the worker dies, it is tried again, `alone`."""

    number: int
    content: bytes
    kind: str | None
    options: RequestOptions
    answer: asyncio.Future[Answer]
    since: float = field(default_factory=time.monotonic)
    alone: bool = False


class Queue:
    """The queue of requests and the workers. An asynchronous context manager, which starts and stops the workers.

    Args:
        settings: settings of the service.
        metrics: metrics to update.

    Attributes:
        backends: backend of each model.
        tally: numbers of requests.
    """

    def __init__(self, settings: Settings, metrics: Metrics):
        self.settings, self.metrics = settings, metrics
        self.backends: dict[str, str] = {}
        self._waiting: deque[Job] = deque()
        self._arrived = asyncio.Condition()
        self.tally = Tally()
        self._places, self._bytes = 0, 0
        self._ready = 0
        self._pace = 0.1
        self._tasks: list[asyncio.Task[None]] = []
        self._workers = [self.worker() for _ in range(settings.workers)]
        metrics.watch(lambda: self._places)

    def worker(self) -> WorkerProcess:
        """A new worker, not started."""
        return WorkerProcess(self.settings)

    async def __aenter__(self) -> "Queue":
        try:
            for worker in self._workers:
                self.backends = await worker.start()
        except BaseException:
            await self._stop()
            raise
        self._ready = len(self._workers)
        self._tasks = [asyncio.create_task(self._serve(worker)) for worker in self._workers]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(worker.stop() for worker in self._workers))

    @property
    def ready(self) -> bool:
        """Whether a worker runs and the queue has a free place."""
        return self._ready > 0 and self._places < self.settings.queue

    @property
    def after(self) -> int:
        """The expected time in seconds until the current requests are answered, 1 to 60."""
        return max(1, min(60, math.ceil(self._places * self._pace / self.settings.workers)))

    @contextmanager
    def place(self, size: int) -> Iterator[None]:
        """Reserves a place for a request of `size` bytes, from before it is read until it is answered.

        Raises:
            Refusal: 429, the queue is full.
        """
        if self._places >= self.settings.queue or self._bytes + size > self.settings.queue_bytes:
            after = self.after
            raise Refusal(429, f"too many pictures are waiting; try again in {after} s", after)
        self._places += 1
        self._bytes += size
        try:
            yield
        finally:
            self._places -= 1
            self._bytes -= size

    async def accept(self, content: bytes, options: RequestOptions, kind: str | None) -> Job:
        """Queues a picture. The `answer` of the job becomes an `Answer` or raises `Refusal`; cancelling it cancels the
        request."""
        loop = asyncio.get_running_loop()
        self.tally.accepted += 1
        job = Job(self.tally.accepted, content, kind, options, loop.create_future())
        late = loop.call_later(self.settings.seconds, self._late, job)

        def done(answer: asyncio.Future[Answer]) -> None:
            late.cancel()
            self.tally.answered += not answer.cancelled()
            self.tally.taken_back += answer.cancelled()
            self.metrics.seconds.observe(time.monotonic() - job.since)

        job.answer.add_done_callback(done)
        self.metrics.accepted.inc()
        async with self._arrived:
            self._waiting.append(job)
            self._arrived.notify()
        return job

    def _late(self, job: Job) -> None:
        """Refuses a job that no worker has taken in time. Jobs of a worker have their own time limit."""
        if job in self._waiting:
            after = self.after
            reason = f"it waited for {self.settings.seconds:g} s and others are before it; try again in {after} s"
            refuse(job, Refusal(503, reason, after))

    async def _batch(self) -> list[Job]:
        """Takes the first waiting job, and others with equal options."""
        async with self._arrived:
            while True:
                await self._arrived.wait_for(lambda: self._waiting)
                left = [job for job in self._waiting if not job.answer.done()]
                self._waiting.clear()
                if not left:
                    continue
                first = left[0]
                limit = min(self.settings.batch, math.ceil(len(left) / self.settings.workers))
                taken = (
                    [first]
                    if first.alone
                    else [job for job in left if job.options == first.options and not job.alone][:limit]
                )
                self._waiting.extend(job for job in left if job not in taken)
                if self._waiting:
                    self._arrived.notify()
                return taken

    async def _serve(self, worker: WorkerProcess) -> None:
        while True:
            jobs = await self._batch()
            begin = time.monotonic()
            self.metrics.batches.observe(len(jobs))
            for job in jobs:
                self.metrics.waiting.observe(begin - job.since)
            try:
                await self._restore(worker, jobs)
            except (WorkerGone, TimeoutError) as error:
                await self._replace(worker, [job for job in jobs if not job.answer.done()], error)
            except Exception as error:
                # No error with some pictures may block the next ones. The worker's other answers to these have not been
                # read, so the worker cannot be used again.
                log.exception("an answer of a worker was not understood")
                for job in jobs:
                    refuse(job, Refusal(500, "this is an error of the service, which has been logged"))
                await self._replace(worker, [], error)
            self._pace += 0.1 * ((time.monotonic() - begin) / len(jobs) - self._pace)

    async def _restore(self, worker: WorkerProcess, jobs: list[Job]) -> None:
        by_number = {job.number: job for job in jobs}
        tasks = [(job.number, job.content, job.kind) for job in jobs]
        async for header, content in worker.restore(tasks, jobs[0].options):
            settle(by_number[header["number"]], header, content)
            self.metrics.pixels.inc(header.get("pixels", 0))

    async def _replace(self, worker: WorkerProcess, jobs: list[Job], error: Exception) -> None:
        """Replaces a worker that died or was too slow. Its unfinished jobs are tried again, each alone, because only
        one of them may be the cause; a job that was already alone is refused."""
        self._ready -= 1
        self.metrics.restarts.inc()
        late = isinstance(error, TimeoutError)
        log.warning("a worker %s over %d pictures", "took too long" if late else "died", len(jobs))
        if len(jobs) == 1 and (late or jobs[0].alone):
            reason = BROKE if not late else f"restoring it took longer than {self.settings.seconds:g} s; {LESS}"
            refuse(jobs[0], Refusal(422, reason))
        else:
            for job in jobs:
                job.alone = True
            async with self._arrived:
                self._waiting.extendleft(reversed(jobs))
                self._arrived.notify()
        await worker.kill()
        for pause in itertools.chain(PAUSES, itertools.repeat(PAUSES[-1])):
            try:
                await worker.start()
            except LncaError as failure:
                log.error("a worker does not start again: %s", failure)
                await asyncio.sleep(pause)
            else:
                self._ready += 1
                return


def refuse(job: Job, refusal: Refusal) -> None:
    """Answers a job with a refusal, unless it has been answered."""
    if not job.answer.done():
        job.answer.set_exception(refusal)


def settle(job: Job, header: dict[str, Any], content: bytes) -> None:
    """Answers a job with the message of a worker, unless it has been answered."""
    if job.answer.done():
        return
    if header["status"] != 200:
        refuse(job, Refusal(header["status"], str(header.get("error", ""))))
        return
    with contextlib.suppress(asyncio.InvalidStateError):
        kernel = None if header.get("kernel") is None else str(header["kernel"])
        job.answer.set_result(
            Answer(content, str(header["kind"]), header["steps"], header["noise_level"], list(header["notes"]), kernel)
        )
