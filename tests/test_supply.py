"""The lock file matches the declared requirements and the tested versions."""

import re

import supply


def test_the_lock_fits_constraints_and_declared_dependencies():
    text = supply.LOCK.read_text("utf-8")
    assert supply.mismatch(text) is None
    assert "other versions than constraints.txt: pillow" in supply.mismatch(text.replace("pillow==", "pillow==0."))
    assert "missing: uvicorn" in supply.mismatch(text.replace("uvicorn==", "unicorn=="))
    assert "no hash: h11" in supply.mismatch(re.sub(r"(?m)^(h11==\S+) \\(\n    --hash.*)+", r"\1", text))
