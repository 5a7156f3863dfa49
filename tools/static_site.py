"""Completes the static site: adds the browser page to the documents in build/site.

    python tools/static_site.py

All links must be relative and lead to a file, so that the site works below any path of a host; this is checked.
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
# Folder of the page in the site, to which docs/try.md links.
PAGE = "app"
# Tells GitHub Pages to serve all files, including those whose names begin with an underscore.
AS_IT_IS = ".nojekyll"
# A document whose links begin at the root of the host, so that they fail below a path.
NOT_FOUND = "404.html"
ATTRIBUTES = {"href", "src"}


class Links(HTMLParser):
    """Collects the links of a document, and the files that it loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ATTRIBUTES and value]


def build(site: Path, page: Path) -> None:
    """Adds the built page to the site.

    Args:
        site: folder of the documents.
        page: folder of the page.

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
    """Yields links without a target, and links that begin at the root of the host: the document, the link, and the
    missing file."""
    for document in sorted(site.rglob("*.html")):
        links = Links()
        links.feed(document.read_text("utf-8"))
        for link in links.found:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or not parts.path:
                continue
            target = Path(os.path.normpath(document.parent / unquote(parts.path)))
            target = target / "index.html" if target.is_dir() else target
            if parts.path.startswith("/") or not target.is_file():
                yield document, link, target


def copy_linked_files(site: Path, root: Path) -> None:
    """Copies files of the repository that documents link to, such as results and code, into the site."""
    for _, _, target in list(missing(site)):
        if target.is_relative_to(site) and (source := root / target.relative_to(site)).is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def broken(site: Path) -> list[str]:
    """The links that `missing` yields, as text."""
    return [f"{document.relative_to(site)}: {link}" for document, link, _ in missing(site)]


def main() -> None:
    build(SITE, built_page())
    copy_linked_files(SITE, ROOT)
    if found := broken(SITE):
        raise LncaError("links lead nowhere:\n" + "\n".join(found))
    print(SITE)


if __name__ == "__main__":
    try:
        main()
    except LncaError as error:
        sys.exit(f"site: {error}")
