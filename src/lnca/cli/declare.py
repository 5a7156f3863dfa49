"""Commands declared by the signatures of functions: a parameter `Annotated[type, Option(...)]` becomes an option.

click parses the words and says what is wrong with them; the function gets the values.
"""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin

import click

# What stands for a value in the help.
METAVARS = {int: "INT", float: "FLOAT", Path: "PATH", str: "TEXT"}
FunctionT = TypeVar("FunctionT", bound=Callable[..., None])


class Option:
    """What an option is called, and what the help says of it.

    Args:
        names: such as "-o" and "--output"; the parameter's own when there are none.
        help: one sentence.
        metavar: stands for the value in the help; see `METAVARS`.
        min, max: of a number.
        heading: of the options that it stands with in the help (`groups.Grouped`).
    """

    def __init__(
        self,
        *names: str,
        help: str,
        metavar: str | None = None,
        min: float | None = None,
        max: float | None = None,
        heading: str | None = None,
    ):
        self.names, self.help, self.metavar, self.heading = names, help, metavar, heading
        self.min, self.max = min, max


@dataclass(frozen=True, kw_only=True)
class Argument:
    """What an argument is called in the help, and what that says of it."""

    metavar: str
    help: str


class DeclaredOption(click.Option):
    """An option that knows the heading which it stands below in the help."""

    heading: str | None = None


class DeclaredArgument(click.Argument):
    """An argument that the help says something of."""

    text = ""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        """Its name and what is said of it."""
        return self.make_metavar(ctx), self.text + ("  [required]" if self.required else "")


class Command(click.Command):
    """A command whose help has a list of its arguments."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes a table of the arguments, and one of the options."""
        arguments = [each.get_help_record(ctx) for each in self.params if isinstance(each, DeclaredArgument)]
        if arguments:
            with formatter.section("Arguments"):
                formatter.write_dl(arguments)
        records = [each.get_help_record(ctx) for each in self.get_params(ctx) if isinstance(each, click.Option)]
        with formatter.section("Options"):
            formatter.write_dl([record for record in records if record is not None])


class Group(click.Group):
    """Commands below one name, which the help lists in their order."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, as they were added."""
        return list(self.commands)

    def declared(self, name: str | None = None) -> Callable[[FunctionT], FunctionT]:
        """Decorates a function that is a command of the group, and stays a function."""

        def add(function: FunctionT) -> FunctionT:
            self.add_command(command(function, name))
            return function

        return add


class FloatRange(click.FloatRange):
    """A number within bounds; NaN, which compares as neither below nor above them, is not."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number; fails for anything else."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


def command(
    function: Callable[..., None], name: str | None = None, kind: type[Command] = Command, epilog: str | None = None
) -> Command:
    """The command that a function is.

    Args:
        function: its docstring is the help.
        name: the function's own, with hyphens, when None.
        kind: class of the command.
        epilog: end of the help.
    """
    declared = inspect.signature(function).parameters.values()
    parameters = [_parameter(each) for each in declared]
    defaults = {each.name: each.default for each in declared if _is_list(each.annotation)}

    def call(**values: Any) -> None:
        # What may be given several times is a tuple, empty where it was not given.
        lists = {name: list(values[name]) or default for name, default in defaults.items()}
        function(**values | lists)

    named = name or function.__name__.replace("_", "-")
    return kind(named, callback=call, params=parameters, help=inspect.getdoc(function), epilog=epilog)


def _parameter(declared: inspect.Parameter) -> click.Parameter:
    """What click is told of a parameter."""
    kind, told = get_args(declared.annotation)[:2]
    is_list, is_required = _is_list(declared.annotation), declared.default is inspect.Parameter.empty
    settings: dict[str, Any] = {"metavar": told.metavar, "required": is_required}
    if not is_required:
        settings["default"] = declared.default
    if isinstance(told, Argument):
        argument = DeclaredArgument([declared.name], type=_type_of(kind, None), nargs=-1 if is_list else 1, **settings)
        argument.text = told.help
        return argument
    names = told.names or (f"--{declared.name.replace('_', '-')}",)
    if kind is bool:
        settings["is_flag"] = True
    else:
        settings |= {"type": _type_of(kind, told), "metavar": told.metavar or METAVARS[_alone(kind)]}
    option = DeclaredOption([declared.name, *names], help=told.help, multiple=is_list, show_default=True, **settings)
    option.heading = told.heading
    return option


def _is_list(annotation: Any) -> bool:
    kind = get_args(annotation)[0]
    return any(get_origin(each) is list for each in (kind, *get_args(kind)))


def _alone(kind: Any) -> Any:
    """A type without None beside it and without a list around it."""
    if NoneType in get_args(kind):
        kind = next(each for each in get_args(kind) if each is not NoneType)
    return get_args(kind)[0] if get_origin(kind) is list else kind


def _type_of(kind: Any, told: Option | None) -> click.ParamType:
    """How click makes a value of a word."""
    kind = _alone(kind)
    bounds: dict[str, Any] = {}
    if told is not None:
        bounds = {name: bound for name, bound in (("min", told.min), ("max", told.max)) if bound is not None}
    if kind is int:
        return click.IntRange(**bounds) if bounds else click.INT
    if kind is float:
        return FloatRange(**bounds) if bounds else click.FLOAT
    # Whether a file can be read is said by what reads it.
    return click.Path(path_type=Path, readable=False) if kind is Path else click.STRING
