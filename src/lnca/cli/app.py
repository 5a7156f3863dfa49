"""All commands."""

from typing import Annotated

import typer

from .. import __version__
from ..workers import let_idle_threads_sleep
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
        from ..kernels.native import description

        print(__version__)
        print(f"kernels for the processor: {description()}")
        raise typer.Exit


# Commands that learn or measure, where the processor is theirs alone.
LEARNING = ("train", "bench", "paper")


@app.callback()
def common(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version, and which kernels there are."
        ),
    ] = False,
) -> None:
    """Restores images with latent neural cellular automata."""
    if context.invoked_subcommand not in LEARNING:
        let_idle_threads_sleep()


for command in (restore, page, corrupt, compare, train, evaluate, models, export, convert, demo, serve):
    app.command()(command)
app.add_typer(bench, name="bench")
app.add_typer(data, name="data")
app.add_typer(paper, name="paper")
