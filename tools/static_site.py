"""The site for any host of static files: the documents in build/site, with the page in the browser in them.

    python tools/static_site.py

Links are checked: they have to be relative and to lead to a file, so that the site works below any path.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lnca.errors import LncaError
from lnca.page import built_page

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "build" / "site"
# Folder of the page in the site, which docs/try.md leads to.
PAGE = "app"
# Tells GitHub's pages to serve files as they are, those whose names begin with an underscore as well.
AS_IT_IS = ".nojekyll"
# Its links begin at the host's root, which is not where the site is below a path.
NOT_FOUND = "404.html"
ATTRIBUTES = {"href", "src"}


class Links(HTMLParser):
    """Collects what a document links to and loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ATTRIBUTES and value]


def build(site: Path, page: Path) -> None:
    """Puts the built page into the site of the documents.

    Raises:
        LncaError: there are no documents.
    """
    if not (site / "index.html").is_file():
        raise LncaError(f"{site} holds no documents; run `make docs` first")
    shutil.rmtree(site / PAGE, ignore_errors=True)
    shutil.copytree(page, site / PAGE)
    (site / AS_IT_IS).touch()
    (site / NOT_FOUND).unlink(missing_ok=True)


def missing(site: Path) -> Iterator[tuple[Path, str, Path]]:
    """Links that lead nowhere or begin at the host's root: the document, the link, and the file it should lead to."""
    for document in sorted(site.rglob("*.html")):
        links = Links()
        links.feed(document.read_text("utf-8"))
        for link in links.found:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or not parts.path:
                continue
            there = Path(os.path.normpath(document.parent / unquote(parts.path)))
            there = there / "index.html" if there.is_dir() else there
            if parts.path.startswith("/") or not there.is_file():
                yield document, link, there


def bring(site: Path, root: Path) -> None:
    """Copies files of the sources that documents link to, such as results and code, to where the links lead."""
    for _, _, there in list(missing(site)):
        if there.is_relative_to(site) and (source := root / there.relative_to(site)).is_file():
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, there)


def broken(site: Path) -> list[str]:
    """What `missing` finds, as text."""
    return [f"{document.relative_to(site)}: {link}" for document, link, _ in missing(site)]


def main() -> None:
    build(SITE, built_page())
    bring(SITE, ROOT)
    if found := broken(SITE):
        raise LncaError("links lead nowhere:\n" + "\n".join(found))
    print(SITE)


if __name__ == "__main__":
    try:
        main()
    except LncaError as error:
        sys.exit(f"site: {error}")
