"""All commands."""

from typing import Annotated

import typer

from .. import __version__
from .bench import app as bench
from .data import app as data
from .export import export
from .inspect import convert, evaluate, models
from .page import app as page
from .paper import app as paper
from .pictures import compare, corrupt, demo
from .restore import restore
from .serve import serve
from .train import train

app = typer.Typer(
    help="Restores images with latent neural cellular automata.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Restores images with latent neural cellular automata."""


for command in (restore, page, corrupt, compare, train, evaluate, models, export, convert, demo, serve):
    app.command()(command)
app.add_typer(bench, name="bench")
app.add_typer(data, name="data")
app.add_typer(paper, name="paper")
