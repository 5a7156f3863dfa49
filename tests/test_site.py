"""The site: the page is in it, and links that would not work below a path are found."""

import pytest

import static_site
from lnca import LncaError


@pytest.fixture
def documents(tmp_path):
    site = tmp_path / "site"
    (site / "try").mkdir(parents=True)
    (site / "index.html").write_text('<a href="try/">a</a> <a href="https://example.org">b</a> <a href="#c">c</a>')
    (site / "try" / "index.html").write_text('<iframe src="../app/"></iframe> <img src="data:,">')
    (site / "404.html").write_text('<a href="/">home</a>')
    page = tmp_path / "page"
    (page / "assets").mkdir(parents=True)
    (page / "index.html").write_text('<script src="./assets/a%201.js?v=1"></script>')
    (page / "assets" / "a 1.js").touch()
    return site, page


def test_the_page_is_in_the_site_and_all_links_lead_somewhere(documents):
    site, page = documents
    assert static_site.broken(site) == ["404.html: /", "try/index.html: ../app/"]
    for _ in range(2):
        static_site.build(site, page)
    assert not static_site.broken(site)
    assert (site / "app" / "assets" / "a 1.js").is_file()
    assert (site / ".nojekyll").is_file()
    assert not (site / "404.html").exists()


def test_links_that_work_at_the_root_alone_are_found(documents):
    site, page = documents
    static_site.build(site, page)
    (site / "index.html").write_text('<a href="/try/">a</a> <img src="gone.png"> <a href="app/assets">b</a>')
    assert static_site.broken(site) == ["index.html: /try/", "index.html: gone.png", "index.html: app/assets"]


def test_files_of_the_sources_are_brought_to_where_links_lead(documents, tmp_path):
    site, page = documents
    static_site.build(site, page)
    (site / "try" / "index.html").write_text('<a href="../results/a.json">a</a> <a href="../../secret">b</a>')
    (tmp_path / "root" / "results").mkdir(parents=True)
    (tmp_path / "root" / "results" / "a.json").write_text("{}")
    (tmp_path / "root" / "secret").touch()
    static_site.copy_linked_files(site, tmp_path / "root")
    assert (site / "results" / "a.json").read_text() == "{}"
    assert static_site.broken(site) == ["try/index.html: ../../secret"]


def test_without_documents_a_sentence_says_what_to_do(documents, tmp_path):
    with pytest.raises(LncaError, match="holds no documents; run `make docs` first"):
        static_site.build(tmp_path / "empty", documents[1])
