"""The workflow of a release, and what docs/releasing.md says of it."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
JOBS = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text("utf-8"))["jobs"]
BUILDS = re.compile(r"-m (cibuildwheel|build)\b(?!=)")
WORDS = (ROOT / "docs/releasing.md").read_text("utf-8")


def place(steps, right):
    """The position of the first step that is right."""
    return next(number for number, step in enumerate(steps) if right(step))


def builds(step):
    return bool(BUILDS.search(step.get("run", "")))


@pytest.mark.parametrize("name", [name for name, job in JOBS.items() if any(map(builds, job["steps"]))])
def test_a_wheel_is_built_with_the_page_and_checked_with_it(name):
    steps = JOBS[name]["steps"]
    page = {"name": "page", "path": "src/lnca/web"}
    assert place(steps, lambda step: step.get("with") == page and "download-artifact" in step["uses"]) < place(
        steps, builds
    )
    assert place(steps, builds) < place(steps, lambda step: "release_check.py --page" in step.get("run", ""))
    assert JOBS[name]["needs"] == "page"


def test_three_jobs_build_and_one_publishes_what_they_built():
    assert [name for name, job in JOBS.items() if any(map(builds, job["steps"]))] == ["kernels", "desktop", "plain"]
    assert set(JOBS["publish"]["needs"]) == {"supply", "kernels", "desktop", "plain"}
    assert [name for name, job in JOBS.items() if "write" in job.get("permissions", {}).values()] == ["publish"]


def test_each_platform_of_make_wheels_has_a_runner_of_its_own():
    """In the workflow, GCC builds the wheels for Linux, and Zig builds the others."""
    built = {machine["target"] for machine in JOBS["desktop"]["strategy"]["matrix"]["include"]}
    targets = set(re.findall(r'^    "(.+)": "', (ROOT / "hatch_build.py").read_text("utf-8"), re.MULTILINE))
    assert len(targets) == 7
    assert built == {name for name in targets if "linux" not in name}
    (step,) = (step for step in JOBS["kernels"]["steps"] if "CIBW_BUILD" in step.get("env", {}))
    assert step["env"]["CIBW_BUILD"] == "cp311-manylinux_* cp311-musllinux_*"
    assert JOBS["kernels"]["strategy"]["matrix"]["runner"] == ["ubuntu-latest", "ubuntu-24.04-arm"]


def test_the_page_is_handed_on_as_it_was_built():
    steps = JOBS["page"]["steps"]
    built = place(steps, lambda step: step.get("run") == "make web")
    assert steps[built + 1]["with"] == {"name": "page", "path": "src/lnca/web", "if-no-files-found": "error"}


def test_the_document_names_the_environment_and_the_actions():
    environment = JOBS["publish"]["environment"]
    assert set(re.findall(r"environment `(\w+)`", WORDS)) == {environment}
    for action in ("attest-build-provenance", "gh-action-sigstore-python", "gh-action-pypi-publish"):
        assert any(action in step.get("uses", "") for step in JOBS["publish"]["steps"])
        assert action in WORDS
