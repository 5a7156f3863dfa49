"""Help texts that show options in groups, each with a heading."""

import click

from .declare import Command, DeclaredArgument, DeclaredOption

# Headings of `lnca restore`.
USUAL, WHAT, AMOUNT, PLACE = "Most used", "Blur", "How much", "Where in the picture"
OUTPUT, MACHINE, HELP = "Output", "Machine", "Help"


class Grouped(Command):
    """A command whose options stand below their headings, which come in the order of their first options."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes a table of each group."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                groups.setdefault(_heading(parameter), []).append(record)
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the examples, line by line as they are."""
        if self.epilog:
            formatter.write_paragraph()
            formatter.write("Examples:\n")
            for line in self.epilog.strip().splitlines():
                formatter.write(f"  {line.strip()}\n")


def _heading(parameter: click.Parameter) -> str:
    if isinstance(parameter, DeclaredArgument):
        return "Arguments"
    return (isinstance(parameter, DeclaredOption) and parameter.heading) or HELP
