"""Progress bars."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class RateColumn(ProgressColumn):
    """Steps done in a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f}/s")


def share_bar(shown: bool = True) -> Progress:
    """A bar of one thing with its share and time left, which goes when it is done; otherwise as `progress_bar`."""
    return _bar([TaskProgressColumn(), TimeRemainingColumn()], shown, transient=True)


def progress_bar(*details: str, shown: bool = True) -> Progress:
    """A bar with description, count, rate and time left on stderr, when that is a terminal and it is to be `shown`;
    `details` are further columns, such as "loss {task.fields[loss]:.3f}"."""
    return _bar([MofNCompleteColumn(), *map(TextColumn, details), RateColumn(), TimeRemainingColumn()], shown)


def _bar(columns: list[ProgressColumn], shown: bool, transient: bool = False) -> Progress:
    console = Console(stderr=True)
    hidden = not (shown and console.is_terminal)
    return Progress(
        TextColumn("{task.description}"), BarColumn(), *columns, console=console, transient=transient, disable=hidden
    )


@contextmanager
def training_bars(shown: bool = True) -> Iterator[Callable[[str, int, int, dict[str, float]], None]]:
    """A bar for each phase of a training, with loss, best validation SSIM and speed; gives what `Run` reports to."""
    bars: dict[str, TaskID] = {}
    columns = ("loss {task.fields[loss]:.3f}", "best SSIM {task.fields[ssim]:.4f}", "{task.fields[speed]:.3g} MP/s")
    with progress_bar(*columns, shown=shown) as progress:

        def report(phase: str, done: int, total: int, values: dict[str, float]) -> None:
            if phase not in bars:
                bars[phase] = progress.add_task(phase, total=total, completed=done - 1, loss=0.0, ssim=0.0, speed=0.0)
            progress.update(
                bars[phase], completed=done, loss=values["loss"], ssim=values["ssim"], speed=values["speed"]
            )

        yield report
