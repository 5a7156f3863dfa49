"""Metrics for Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class Metrics:
    """Counters and gauges of one service."""

    def __init__(self) -> None:
        here = self.registry = CollectorRegistry()
        self.answers = Counter("lnca_answers", "Answers to requests to restore.", ["status"], registry=here)
        self.accepted = Counter("lnca_accepted", "Requests to restore that were queued.", registry=here)
        self.seconds = Histogram(
            "lnca_seconds",
            "Time from when a request was queued until it was answered.",
            buckets=SECONDS,
            registry=here,
        )
        self.waiting = Histogram(
            "lnca_waiting_seconds",
            "Time in the queue before a worker took the request.",
            buckets=SECONDS,
            registry=here,
        )
        self.batches = Histogram(
            "lnca_batch_requests",
            "Requests given to a worker together.",
            buckets=(1, 2, 4, 8, 16, 32),
            registry=here,
        )
        self.pixels = Counter("lnca_pixels", "Pixels restored.", registry=here)
        self.restarts = Counter("lnca_worker_restarts", "Workers that had to be replaced.", registry=here)
        self.places = Gauge("lnca_queue_places", "Requests that are read, wait or are restored.", registry=here)
        ProcessCollector(registry=here)

    def watch(self, places: Callable[[], int]) -> None:
        """Sets the function that returns the number of requests in the service."""
        self.places.set_function(places)

    def text(self) -> bytes:
        """All metrics, in Prometheus's text format."""
        return generate_latest(self.registry)
