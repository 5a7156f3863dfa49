"""The gallery shows results of the models."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_drawn_again_it_is_the_same(tmp_path):
    script = ROOT / "benchmarks" / "gallery.py"
    subprocess.run([sys.executable, script, "--out", tmp_path], check=True, stdout=subprocess.DEVNULL)
    results = Path("benchmarks") / "results" / "gallery.json"
    drawn, shown = (json.loads((root / results).read_text())["scores"] for root in (tmp_path, ROOT))
    assert drawn.keys() == shown.keys()
    for name, scores in shown.items():
        for score, again in zip(scores, drawn[name], strict=True):
            assert again["picture"] == score["picture"]
            assert again["psnr"] == pytest.approx(score["psnr"], abs=0.05)
    page = (ROOT / "docs" / "gallery.md").read_text()
    for name, scores in shown.items():
        assert f"images/gallery/{name}.jpg" in page
        assert all(f"{score['psnr']:.1f} dB, {score['ssim']:.3f}" in page for score in scores)
