"""Tables compare methods on the same pictures, and mark quoted, refused and worse results."""

import pytest

from lnca import LncaError
from lnca.evaluation.public_sets import SETS
from lnca.measuring.judged import SHOWN, Judged, cost, gaussian, published, real, steps, tables

PAPERS, USERS = SHOWN


def entry(rows, **more):
    return {
        "identity": "1",
        "parameters": None,
        "operations": None,
        "refusal": "",
        "heeds": True,
        "steps": None,
        "rows": rows,
        **more,
    }


def content(**methods):
    return {"version": 1, "methods": methods}


def set_rows(protocol, scores):
    return {f"{protocol}/colour/CBSD68/{sigma}": scores for sigma in (15, 25, 50)}


def cells(text, method):
    """The cells of a method's row."""
    return next(line for line in text.splitlines() if line.startswith(f"| {method} |")).split(" | ")[1:]


def test_methods_are_compared_on_the_pictures_that_all_have():
    judged = Judged(
        content(
            one=entry(set_rows("papers", {"a": [30.0, 0.9], "b": [20.0, 0.5]})),
            two=entry(set_rows("papers", {"a": [31.0, 0.8]})),
        )
    )
    text = gaussian(judged, PAPERS, "colour")
    assert "CBSD68, 1 pictures" in text
    assert cells(text, "one") == ["30.00 / 30.00 / 30.00, 0.900 |"]
    assert cells(text, "two") == ["31.00 / 31.00 / 31.00, 0.800 |"]
    assert "FFDNet, quoted from FFDNet | 33.87 / 31.21 / 27.96 |" in text
    alone = gaussian(Judged(content(one=judged.methods["one"], two=judged.methods["two"]), ["one"]), PAPERS, "colour")
    assert cells(alone, "one") == ["25.00 / 25.00 / 25.00, 0.700 |"]


def test_a_model_that_cannot_be_told_refuses_the_input():
    judged = Judged(
        content(
            given=entry({**set_rows("papers", {"a": [20, 0.5]}), **set_rows("users", {"a": [20, 0.5]})}),
            ours=entry(set_rows("users", {"a": [30, 0.9]}), refusal="no level"),
        )
    )
    assert cells(gaussian(judged, PAPERS, "colour"), "ours") == ["refuses the input |"]
    users = gaussian(judged, USERS, "colour")
    assert cells(users, "ours, blind") == ["30.00 / 30.00 / 30.00, 0.900 |"]
    assert cells(users, "ours, told sigma") == ["refuses the input |"]
    assert "quoted" not in users


def test_on_a_users_file_blind_and_told_stand_side_by_side():
    judged = Judged(
        content(
            given=entry(set_rows("users", {"a": [20, 0.5], "b": [10, 0.5]}), heeds=False),
            ours=entry(
                {**set_rows("users", {"a": [30, 0.9], "b": [20, 0.9]}), **set_rows("users, told", {"a": [31, 0.9]})}
            ),
        )
    )
    text = gaussian(judged, USERS, "colour")
    assert cells(text, "given") == ["20.00 / 20.00 / 20.00, 0.500 |"]
    assert cells(text, "ours, blind") == ["30.00 / 30.00 / 30.00, 0.900 |"]
    assert cells(text, "ours, told sigma") == ["31.00 / 31.00 / 31.00, 0.900 |"]


def test_a_set_that_is_half_done_is_compared_on_what_all_sigmas_have():
    rows = set_rows("papers", {"a": [30, 0.9], "b": [20, 0.9]})
    rows["papers/colour/CBSD68/50"] = {"a": [28, 0.9]}
    text = gaussian(Judged(content(one=entry(rows))), PAPERS, "colour")
    assert "CBSD68, 1 pictures" in text
    assert cells(text, "one") == ["30.00 / 30.00 / 28.00, 0.900 |"]
    rows["papers/colour/CBSD68/50"] = {}
    assert gaussian(Judged(content(one=entry(rows))), PAPERS, "colour") == ""


def test_real_pairs_say_how_many_are_made_worse_and_by_how_much():
    judged = Judged(
        content(
            given=entry({"real": {"a": [36, 0.9], "b": [40, 0.9], "c": [40, 0.9]}}),
            ours=entry({"real": {"a": [38, 0.95], "b": [39, 0.9], "c": [39.96, 0.9]}}),
            told=entry(
                {
                    "real/5": {"a": [37, 0.9], "b": [42, 0.9], "c": [41, 0.9]},
                    "real/10": {"a": [39, 0.9], "b": [41, 0.9], "c": [37, 0.9]},
                }
            ),
        )
    )
    text = real(judged)
    assert "3 pairs" in text
    # A loss of 0.04 dB does not count as worse.
    assert cells(text, "ours") == ["38.99", "0.9167", "1, by 1.00, at most 1.00 dB", "- |"]
    # 39, 42 and 41 at 10, 5 and 5.
    assert cells(text, "told, told the best of its levels") == ["40.67", "0.9000", "0", "7 |"]


def test_steps_are_a_line_with_the_trained_number_marked():
    rows = {f"steps/real/{count}": {"a": [30 + count, 0.9], "b": [32 + count, 0.9]} for count in (1, 2, 4)}
    text = steps(Judged(content(ours=entry(rows, steps=2), other=entry({}))))
    assert "| | 1 | **2** | 4 |" in text
    assert "| real, 2 pictures | 32.00 | 33.00 | 35.00 |" in text


def test_cost_has_times_by_their_way_and_the_floor():
    timing = {"median": 2.0, "low": 1.9, "high": 2.1, "rounds": 5}
    judged = Judged(
        {
            **content(net=entry({}, parameters=852_108, operations=213e3), blur=entry({})),
            "seconds a megapixel": {
                "environment": {"multiply-adds a second": 1e11},
                "net, float32": timing,
                "blur": timing,
                "network": timing,
            },
        }
    )
    text = cost(judged)
    # 213e3 a pixel, a million pixels, 1e11 a second.
    assert cells(text, "net") == ["2 (1.9 to 2.1) float32", "2.1", "213", "852 |"]
    assert cells(text, "blur") == ["2 (1.9 to 2.1)", "-", "-", "- |"]


def test_quoted_figures_say_where_they_are_from():
    rows = {f"papers/grey/CBSD68/{sigma}": {"a": [30, 0.9]} for sigma in (15, 25, 50)}
    text = tables(Judged(content(one=entry(rows))))
    assert "- DnCNN: Zhang et al." in text
    assert "- DPIR" not in text


def test_a_method_that_was_not_judged():
    with pytest.raises(LncaError, match="no judged method 'two'"):
        Judged(content(one=entry({})), ["two"])


def test_only_tables_with_results():
    assert tables(Judged(content(one=entry({})))) == ""


@pytest.mark.parametrize("kind", ["colour", "grey"])
def test_published_figures_name_their_source_and_fall_with_sigma(kind):
    quoted = published()
    for method, figures in quoted[kind].items():
        assert figures["source"] in quoted["sources"], method
        for name in SETS if kind == "colour" else ["CBSD68"]:
            assert len(figures[name]) == 3
            assert figures[name] == sorted(figures[name], reverse=True)
