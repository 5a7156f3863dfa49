"""ViTCA against the authors' code, and its local attention against a plain softmax over nine neighbours."""

import pytest
import torch
import torch.nn.functional as F

from golden import VITCA as NAMES
from golden import Golden, assert_close, needs_golden
from lnca.nn.vitca import ViTCA, position_code


@needs_golden
@pytest.mark.parametrize(("name", "channels"), [("vitca_pixel", 3), ("vitca_latent", 16)])
def test_one_and_eight_steps_are_the_authors(name, channels):
    golden = Golden(name)
    rule = ViTCA(channels, channels, 32).double().eval()
    rule.load_state_dict(golden.rule(NAMES))
    with torch.no_grad():
        assert_close(rule.step(golden["x"]), golden["y1"])
        assert_close(rule.run(golden["x"], 8), golden["y8"])


@needs_golden
def test_position_code_seed_and_reading_are_the_authors():
    golden = Golden("vitca_pixel")
    rule = ViTCA(3, 3, 32).double()
    assert_close(position_code(48, 128), golden["pos_encoding"][0])
    assert_close(rule.seed(golden["img"]), golden["seed_of_img"])
    assert_close(rule.read(golden["y1"]), golden["rgb_out_of_y1"])


def test_local_attention_is_a_softmax_over_nine_neighbours_with_zeros_outside():
    rule = ViTCA(2, 2, 4, embed=8, heads=2).double()
    x = torch.randn(1, 3, 4, 8, dtype=torch.float64)
    query, key, value = rule.qkv(x).chunk(3, -1)
    key, value = (F.pad(t, (0, 0, 1, 1, 1, 1)) for t in (key, value))
    expected = torch.zeros_like(x)
    for row in range(3):
        for column in range(4):
            for head in (slice(0, 4), slice(4, 8)):
                keys = key[0, row : row + 3, column : column + 3, head].reshape(9, 4)
                values = value[0, row : row + 3, column : column + 3, head].reshape(9, 4)
                weights = (keys @ query[0, row, column, head] / 2).softmax(0)
                expected[0, row, column, head] = weights @ values
    torch.testing.assert_close(rule.local_attention(x), expected)


def test_without_position_code_the_rule_is_the_same_everywhere():
    rule = ViTCA(2, 2, 4, embed=8, heads=2, position="none").double()
    torch.nn.init.normal_(rule.head.weight)
    cells = torch.randn(1, 7, 9, 8, dtype=torch.float64)
    shifted = rule.update(cells[:, 1:, 2:])
    torch.testing.assert_close(rule.update(cells)[:, 2:-1, 3:-1], shifted[:, 1:-1, 1:-1])


def test_the_position_code_is_no_part_of_an_untrained_update():
    cells = torch.randn(1, 4, 4, 64)
    assert ViTCA(16, 16, 32).update(cells).abs().max() == 0


@pytest.mark.parametrize("settings", [{"heads": 3}, {"position": "2d"}])
def test_values_that_do_not_fit_are_refused(settings):
    with pytest.raises(ValueError, match="must be"):
        ViTCA(16, 16, 32, **settings)
