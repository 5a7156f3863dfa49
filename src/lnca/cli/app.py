"""All commands."""

from collections.abc import Callable
from typing import Annotated

import typer

from ..idle import let_idle_threads_sleep
from ..version import __version__
from .bench import app as bench
from .data import app as data
from .export import export
from .groups import Grouped
from .inspect import convert, evaluate, models
from .page import app as page
from .paper import app as paper
from .pictures import compare, corrupt, demo
from .restore import EXAMPLES, restore
from .serve import serve
from .train import train

app = typer.Typer(
    help="Restores images with latent neural cellular automata.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from ..runtime.native import description

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


app.command(cls=Grouped, epilog=EXAMPLES)(restore)
COMMANDS: dict[Callable[..., None], str] = {
    page: "Open the page that restores pictures in the browser.",
    corrupt: "Add the paper's noise or motion blur to a picture.",
    compare: "Print SSIM and PSNR between two pictures.",
    train: "Train a model on a folder of pictures.",
    evaluate: "Score a model on a folder of clean pictures.",
    models: "List the trained models that come with lnca.",
    export: "Write a model as ONNX graphs or as a torch program.",
    convert: "Make a weight file of a public NAFNet or Restormer.",
    demo: "Corrupt the photograph that comes with lnca, and restore it.",
    serve: "Restore pictures over HTTP.",
}
for command, help_in_short in COMMANDS.items():
    app.command(short_help=help_in_short)(command)
app.add_typer(bench, name="bench", short_help="Measure the paper's efficiency tables here, beside others.")
app.add_typer(data, name="data", short_help="Prepare the paper's data sets, and yours.")
app.add_typer(paper, name="paper", short_help="Make the paper's Tables 1 and 2 again, beside its figures.")
