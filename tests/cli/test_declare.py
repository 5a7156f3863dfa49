"""Commands made of functions: what they are given, what they refuse, and what their help says."""

from pathlib import Path
from typing import Annotated

import click
import pytest
from click.testing import CliRunner

from lnca.cli.declare import Argument, Group, Option, command


def run(function, *words):
    """Exit status, and what is printed."""
    result = CliRunner().invoke(command(function), list(words), prog_name="it")
    return result.exit_code, result.output


def every_kind(
    sources: Annotated[list[str], Argument(metavar="IN...", help="Some words.")],
    many: Annotated[list[str] | None, Option("--set", help="Given any number of times.")] = None,
    place: Annotated[Path, Option("-p", "--place", help="A path.")] = Path("there"),
    share_of_all: Annotated[float | None, Option(min=0, max=1, help="A number.")] = None,
    count: Annotated[int, Option(min=1, help="A whole number.")] = 2,
    quiet: Annotated[bool, Option("--quiet", help="A flag.")] = False,
) -> None:
    """Says what it is given. More of it."""
    print(repr((sources, many, place, share_of_all, count, quiet)))


def test_a_function_gets_values_of_its_types():
    assert run(every_kind, "a") == (0, f"(['a'], None, {Path('there')!r}, None, 2, False)\n")
    words = ("b", "a", "--set", "x", "--set", "y", "-p", "q/r", "--share-of-all", "1", "--count", "7", "--quiet")
    assert run(every_kind, *words) == (0, f"(['b', 'a'], ['x', 'y'], {Path('q/r')!r}, 1.0, 7, True)\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "Missing argument 'IN...'."),
        (("a", "--count", "0"), "'--count': 0 is not in the range x>=1."),
        (("a", "--count", "1.5"), "'1.5' is not a valid integer"),
        (("a", "--share-of-all", "2"), "2.0 is not in the range 0<=x<=1."),
        (("a", "--share-of-all", "nan"), "'nan' is not a number."),
        (("a", "--quite"), "No such option"),
    ],
    ids=["missing", "below", "no integer", "above", "nan", "unknown"],
)
def test_what_does_not_fit_is_refused_with_status_2(words, sentence):
    status, said = run(every_kind, *words)
    assert (status, said.count(sentence)) == (2, 1)


def test_the_help_says_all_that_is_declared():
    status, said = run(every_kind, "--help")
    assert status == 0
    told = " ".join(said.split())
    for words in (
        "Usage: it [OPTIONS] IN...",
        "Says what it is given. More of it.",
        "Arguments: IN... Some words. [required]",
        "--set TEXT Given any number of times.",
        "-p, --place PATH A path. [default: there]",
        "--share-of-all FLOAT A number. [0<=x<=1]",
        "--count INT A whole number. [default: 2; x>=1]",
        "--quiet A flag.",
    ):
        assert words in told


def test_a_group_lists_its_commands_in_their_order_and_leaves_the_functions_as_they_are():
    group = Group("all")

    @group.declared("second-one")
    def zebra() -> None:
        """Comes first."""
        print("zebra")

    @group.declared()
    def an_ape() -> None:
        """Comes last."""

    zebra()
    assert list(group.commands) == ["second-one", "an-ape"]
    said = CliRunner().invoke(group, ["--help"]).output
    assert said.index("second-one  Comes first.") < said.index("an-ape      Comes last.")
    assert CliRunner().invoke(group, ["second-one"]).output == "zebra\n"


def test_every_command_can_be_imported_and_says_of_itself_what_the_list_does():
    from lnca.cli.app import COMMANDS, app

    for name, (_, said) in COMMANDS.items():
        found = app.commands[name].imported()
        assert isinstance(found, click.Command)
        assert found.name == name
        assert found.get_help(click.Context(found)).strip()
        assert said.endswith(".")
