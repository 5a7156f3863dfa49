"""Links between documents are not broken."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.S)
# Pages that a hook of the site or its builder makes.
MADE = {"changelog.md", "reference.md"}


def anchors(page):
    """The anchors of a page's headings."""
    found = set()
    for line in CODE.sub("", page.read_text("utf-8")).splitlines():
        if line.startswith("#"):
            words = re.sub(r"[^\w\- ]", "", line.lstrip("#").strip().lower())
            found.add(words.replace(" ", "-"))
    return found


def links(page):
    return [
        link
        for link in LINK.findall(CODE.sub("", page.read_text("utf-8")))
        if "://" not in link and "mailto:" not in link
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    broken = []
    for link in links(page):
        name, _, anchor = link.partition("#")
        there = page.parent / name if name else page
        known = not anchor or there.suffix != ".md" or there.name in MADE
        if not there.exists() or not (known or anchor in anchors(there)):
            broken.append(link)
    assert not broken


def test_what_a_page_leads_to_is_kept_by_git():
    """A link to a built file is broken on a fresh clone."""
    there = {
        (page.parent / link.partition("#")[0]).resolve() for page in PAGES for link in links(page) if link[0] != "#"
    }
    ignored = subprocess.run(
        ["git", "check-ignore", *map(str, there)], cwd=ROOT, capture_output=True, text=True
    ).stdout.split()
    assert not ignored


def test_the_readme_has_no_sentence_of_more_than_25_words():
    text = CODE.sub("", (ROOT / "README.md").read_text("utf-8"))
    prose = [line for line in text.split("\n\n") if not line.strip("\n").startswith(("|", "    ", "#", "!"))]
    for block in prose:
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", block)
        for sentence in re.split(r"(?<=[.:;])\s|\n- ", plain):
            assert len(sentence.split()) <= 25, sentence
