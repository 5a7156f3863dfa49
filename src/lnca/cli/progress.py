"""Progress bars: a line on stderr, where that is a terminal."""

import math
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

ItemT = TypeVar("ItemT")
# Seconds between two drawings, and characters of the bar itself.
PAUSE, LENGTH = 0.1, 30


class Bar:
    """How far something is: its count, rate and time left; a context that draws the line a last time when it ends.

    Args:
        what: is being done, such as "restoring".
        total: how many there are; None where that is not known yet.
        details: further words, formats of the `values`, such as "loss {loss:.3f}".
        begun: how many were done before.
        whole: one thing, of which the share is shown in place of a count; the line goes when it is done.
        shown: whether there is a line, if stderr is a terminal.
        values: of the details, to begin with.
    """

    def __init__(
        self,
        what: str,
        total: float | None = None,
        *details: str,
        begun: float = 0,
        whole: bool = False,
        shown: bool = True,
        **values: Any,
    ):
        self._what, self._total, self._details, self._whole = what, total, details, whole
        self._values = values
        self._shown = shown and sys.stderr.isatty()
        self._done = self._begun = begun
        self._start, self._drawn, self._width = time.monotonic(), -math.inf, 0

    @property
    def elapsed(self) -> float:
        """Seconds since it began, more than 0."""
        return max(time.monotonic() - self._start, 1e-9)

    def update(self, done: float, total: float | None = None, **values: Any) -> None:
        """Says how many are done, and how many there are if that has become known."""
        self._done, self._total = done, self._total if total is None else total
        self._values |= values
        if time.monotonic() - self._drawn >= PAUSE:
            self._draw()

    def advance(self, count: float = 1, total: float | None = None) -> None:
        """Says that more are done."""
        self.update(self._done + count, total)

    def track(self, items: Iterable[ItemT]) -> Iterator[ItemT]:
        """The items, each done when the next one is asked for."""
        for item in items:
            yield item
            self.advance()

    @contextmanager
    def away(self) -> Iterator[None]:
        """The line is away, so that something can be said."""
        self._clear()
        yield
        self._draw()

    def __enter__(self) -> "Bar":
        self._draw()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Draws the line a last time."""
        self._draw()
        if self._whole:
            self._clear()
        elif self._shown:
            print(file=sys.stderr)

    def _draw(self) -> None:
        if not self._shown:
            return
        self._drawn = time.monotonic()
        room = shutil.get_terminal_size().columns - 1
        line = self._line()[:room]
        print(f"\r{line:{min(self._width, room)}}", end="", file=sys.stderr, flush=True)
        self._width = len(line)

    def _clear(self) -> None:
        if self._shown and self._width:
            print(f"\r{'':{self._width}}\r", end="", file=sys.stderr, flush=True)
            self._width = 0

    def _line(self) -> str:
        share = self._done / self._total if self._total else 0.0
        full = int(share * LENGTH)
        words = [self._what, f"[{'#' * full}{'.' * (LENGTH - full)}]"]
        rate = (self._done - self._begun) / self.elapsed
        if self._whole:
            words.append(f"{share:4.0%}")
        else:
            words.append(f"{self._done:.0f}/{'?' if self._total is None else f'{self._total:.0f}'}")
            words += [detail.format(**self._values) for detail in self._details]
            words.append(f"{rate:.1f}/s")
        words.append(_time((self._total - self._done) / rate if self._total and rate else None))
        return " ".join(words)


def _time(seconds: float | None) -> str:
    """Hours, minutes and seconds."""
    if seconds is None:
        return "-:--:--"
    minutes, rest = divmod(math.ceil(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


@contextmanager
def training_bars(shown: bool = True) -> Iterator[Callable[[str, int, int, dict[str, float]], None]]:
    """A bar for each phase of a training, with loss, best validation SSIM and speed; gives what `Run` reports to."""
    bars: dict[str, Bar] = {}

    def end_of_the_last() -> None:
        for bar in list(bars.values())[-1:]:
            bar.end()

    def report(phase: str, done: int, total: int, values: dict[str, float]) -> None:
        if phase not in bars:
            end_of_the_last()
            details = ("loss {loss:.3f}", "best SSIM {ssim:.4f}", "{speed:.3g} MP/s")
            bars[phase] = Bar(phase, total, *details, begun=done - 1, shown=shown)
        bars[phase].update(done, loss=values["loss"], ssim=values["ssim"], speed=values["speed"])

    try:
        yield report
    finally:
        end_of_the_last()
