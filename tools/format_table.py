"""Writes the table of what each format keeps in docs/formats.md, from the records of the formats.

    python tools/format_table.py

tests/images/test_table.py fails if the table is out of date.
"""

from pathlib import Path

from lnca.images.formats import ALL, Format, Part

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "formats.md"
BEGIN, END = "<!-- formats: made by tools/format_table.py -->", "<!-- formats: end -->"
COLUMNS = {
    Part.DEEP: "16 bits",
    Part.FLOAT: "float",
    Part.ALPHA: "alpha",
    Part.PAGES: "pages",
    Part.ANIMATION: "animation",
    Part.EXIF: "EXIF",
    Part.XMP: "XMP",
    Part.ICC: "profile",
    Part.IPTC: "IPTC",
    Part.RESOLUTION: "resolution",
    Part.COMMENTS: "comments",
    Part.SIGNAL: "gAMA, cHRM, cICP",
    Part.GEO: "GeoTIFF",
}


def table() -> str:
    """The table in Markdown."""
    head = ["", "suffixes", "colours", *COLUMNS.values(), "needs"]
    rows = [head, ["---"] * len(head), *map(row, ALL)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def row(fmt: Format) -> list[str]:
    """The cells of the row of a format."""
    kept = ["yes" if part in fmt.keeps else "" for part in COLUMNS]
    if fmt.signals == {"cICP"}:
        kept[list(COLUMNS).index(Part.SIGNAL)] = "cICP"
    name = fmt.name if fmt.write is not None else f"{fmt.name} (read only)"
    return [name, " ".join(fmt.suffixes), fmt.coded, *kept, fmt.library]


def with_table(text: str) -> str:
    """A document with the current table between its two markers."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(with_table(DOCUMENT.read_text("utf-8")), "utf-8")
