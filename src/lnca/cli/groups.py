"""Help whose options stand in groups, each below a heading of its own."""

from typing import Any

from typer.core import TyperCommand

# Headings of `lnca restore`.
USUAL, WHAT, AMOUNT, PLACE = "Most used", "What is undone", "How much", "Where in the picture"
OUTPUT, MACHINE, HELP = "What is written and said", "Machine", "Help"


class Grouped(TyperCommand):
    """A command whose options' `rich_help_panel` is their heading; groups come in the order of their first options."""

    def format_options(self, context: Any, formatter: Any) -> None:
        """Writes a table of each group."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(context):
            record = parameter.get_help_record(context)
            if record is not None:
                kind = "Arguments" if parameter.param_type_name == "argument" else HELP
                groups.setdefault(getattr(parameter, "rich_help_panel", None) or kind, []).append(record)
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl(records)

    def format_epilog(self, context: Any, formatter: Any) -> None:
        """Writes the examples, line by line as they are."""
        if self.epilog:
            formatter.write_paragraph()
            formatter.write("Examples:\n")
            for line in self.epilog.strip().splitlines():
                formatter.write(f"  {line.strip()}\n")
