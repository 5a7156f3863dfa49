"""Progress bars, as they are seen on a terminal."""

import io
from types import SimpleNamespace

import pytest

from lnca.cli import progress
from lnca.cli.progress import Bar, training_bars


class Screen(io.StringIO):
    def isatty(self):
        return True

    def rows(self):
        """What is seen: what follows the last return in each row, over what it does not cover."""
        seen = []
        for row in self.getvalue().split("\n"):
            shown = ""
            for part in row.split("\r"):
                shown = part + shown[len(part) :]
            seen.append(shown.rstrip())
        return seen


@pytest.fixture
def clock(monkeypatch):
    """Sets the time."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, 100.0 + seconds)


@pytest.fixture
def screen(monkeypatch):
    made = Screen()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=made))
    monkeypatch.setenv("COLUMNS", "100")
    return made


def test_count_details_rate_and_time_left(screen, clock):
    with Bar("restoring", 40, "{megapixels:.2f} MP/s", megapixels=0.0) as bar:
        clock(4)
        bar.update(10, megapixels=1.5)
        assert bar.elapsed == 4
        assert screen.rows() == [f"restoring [{'#' * 7}{'.' * 23}] 10/40 1.50 MP/s 2.5/s 0:00:12"]
        clock(7261)
        bar.advance()
        assert screen.rows()[0].endswith(" 11/40 1.50 MP/s 0.0/s 5:19:03")
        clock(7261.05)
        bar.advance(29)
        assert "11/40" in screen.rows()[0], "it is drawn ten times a second at most"
    assert screen.rows()[0].endswith(" 40/40 1.50 MP/s 0.0/s 0:00:00")
    assert screen.rows()[1:] == [""]


def test_what_was_done_before_is_no_speed(screen, clock):
    bar = Bar("pyramid", 100, begun=80)
    clock(10)
    bar.update(90)
    assert screen.rows()[0].endswith(" 90/100 1.0/s 0:00:10")


def test_a_total_may_become_known(screen, clock):
    bar = Bar("tiles")
    clock(1)
    bar.update(3)
    assert screen.rows()[0].endswith(" 3/? 3.0/s -:--:--")
    clock(2)
    bar.advance(1, 8)
    assert screen.rows()[0].endswith(" 4/8 2.0/s 0:00:02")


def test_the_share_of_one_thing_goes_when_it_is_done(screen, clock):
    with Bar("restoring", 1, whole=True) as bar:
        clock(3)
        bar.update(0.25)
        assert screen.rows()[0].endswith("]  25% 0:00:09")
    assert screen.rows() == [""]


def test_what_is_said_meanwhile_stands_alone(screen, clock):
    with Bar("restoring", 2) as bar:
        with bar.away():
            print("a note", file=screen)
        assert screen.rows()[0] == "a note"
        assert screen.rows()[1].startswith("restoring [")


def test_no_line_is_longer_than_the_terminal(screen, clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    with Bar("restoring", 2):
        assert len(screen.rows()[0]) == 29


def test_what_is_tracked_is_counted(screen, clock):
    with Bar("looking", 3) as bar:
        assert list(bar.track("abc")) == ["a", "b", "c"]
    assert " 3/3 " in screen.rows()[0]


def test_phases_of_a_training_have_a_row_each(screen, clock):
    with training_bars() as report:
        for done in (1, 2):
            clock(done)
            report("autoencoder", done, 2, {"loss": 0.5, "ssim": 0.25, "speed": 3.0})
        report("automaton", 5, 8, {"loss": 0.125, "ssim": 0.5, "speed": 2.0})
    first, second, rest = screen.rows()
    assert first.startswith("autoencoder [")
    assert " 2/2 loss 0.500 best SSIM 0.2500 3 MP/s " in first
    assert " 5/8 loss 0.125 best SSIM 0.5000 2 MP/s " in second
    assert rest == ""


def test_nothing_is_drawn_where_it_is_no_terminal_or_not_wanted(screen, monkeypatch):
    with Bar("restoring", 2, shown=False) as bar:
        bar.advance()
    assert screen.getvalue() == ""
    file = io.StringIO()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=file))
    with Bar("restoring", 2) as bar, bar.away():
        bar.advance()
    assert file.getvalue() == ""
