"""All commands, each of which is imported when it is called."""

from importlib import import_module
from typing import Any

import click
from click.exceptions import Exit

from ..idle import let_idle_threads_sleep
from ..version import __version__
from .declare import Group, command

# Where each command is, and what the list of them says.
COMMANDS = {
    "restore": ("restore:command", "Restore a picture, or every picture in a folder."),
    "app": ("page:app", "Open the page that restores pictures in the browser."),
    "corrupt": ("pictures:corrupt", "Add the paper's noise or motion blur to a picture."),
    "compare": ("pictures:compare", "Print SSIM and PSNR between two pictures."),
    "train": ("train:train", "Train a model on a folder of pictures."),
    "evaluate": ("inspect:evaluate", "Score a model on a folder of clean pictures."),
    "models": ("inspect:models", "List the trained models that come with lnca."),
    "export": ("export:export", "Write a model as ONNX graphs or as a torch program."),
    "convert": ("inspect:convert", "Convert a public NAFNet or Restormer to a weight file."),
    "demo": ("pictures:demo", "Corrupt the photograph that comes with lnca, and restore it."),
    "serve": ("serve:serve", "Restore pictures over HTTP."),
    "bench": ("bench:app", "Measure the paper's efficiency tables on this machine."),
    "data": ("data:app", "Prepare the paper's data sets, or your own."),
    "paper": ("paper:app", "Make the paper's Tables 1 and 2 again."),
}
# Commands that train or measure, and may use the CPU alone.
LEARNING = ("train", "bench", "paper")


class Later(click.Command):
    """What the list of commands has to know of one that is not imported yet.

    Args:
        name: of the command.
        where: a module of this package, and a function or command in it.
        said: of it in the list.
    """

    def __init__(self, name: str, where: str, said: str):
        super().__init__(name, short_help=said)
        self._where = where

    def imported(self) -> click.Command:
        """The command itself."""
        module, _, attribute = self._where.partition(":")
        found = getattr(import_module(f".{module}", __package__), attribute)
        return found if isinstance(found, click.Command) else command(found, self.name)


class Commands(Group):
    """Commands that are imported when they are called; Ctrl-C ends them with status 130."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names, and the words that follow."""
        name, found, rest = super().resolve_command(ctx, args)
        return name, found.imported() if isinstance(found, Later) else found, rest

    def invoke(self, ctx: click.Context) -> Any:
        """Calls the command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interruption:
            raise Exit(130) from interruption


def _version(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        from ..runtime.native import description

        print(__version__)
        print(f"kernels for the processor: {description()}")
        raise Exit


@click.group(
    "lnca",
    cls=Commands,
    commands=[Later(name, *rest) for name, rest in COMMANDS.items()],
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Print the version, and which kernels are used.",
)
@click.pass_context
def app(context: click.Context) -> None:
    """Restores images with latent neural cellular automata."""
    if context.invoked_subcommand not in LEARNING:
        let_idle_threads_sleep()
