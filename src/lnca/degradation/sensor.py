"""Sensor noise, as it appears in the developed picture.

After Brooks, Mildenhall, Xue, Chen, Sharlet, Barron, "Unprocessing images for learned raw denoising", CVPR 2019: the
picture is converted back to linear light, the sensor's colours and its white balance. There each pixel gets shot noise
and read noise. The noise is then demosaiced and developed again.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .colour import times
from .demosaicing import WAYS, demosaiced, mosaic
from .draws import chance, changed, choice, log_uniform, normal, uniform

GAMMA = 2.2
# Variance of the shot noise of white: from base sensitivity to a phone in the dark.
SHOT = (1e-4, 0.05)
RED_GAIN, BLUE_GAIN = (1.2, 2.4), (1.2, 2.4)
# Probabilities of the demosaicing methods `WAYS`.
DEMOSAICINGS = (0.25, 0.4, 0.35)

# Matrices from XYZ to the sensors of the four cameras of Brooks et al. (by Adobe), and from linear sRGB to XYZ.
_XYZ = torch.tensor(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_CAMERAS = torch.tensor(
    [
        [[1.0234, -0.2969, -0.2266], [-0.5625, 1.6328, -0.0469], [-0.0703, 0.2188, 0.6406]],
        [[0.4913, -0.0541, -0.0202], [-0.6130, 1.3513, 0.2906], [-0.1564, 0.2151, 0.7183]],
        [[0.8380, -0.2630, -0.0639], [-0.2887, 1.0725, 0.2496], [-0.0627, 0.1427, 0.5438]],
        [[0.6596, -0.2079, -0.0562], [-0.4782, 1.3016, 0.1933], [-0.0970, 0.1581, 0.5181]],
    ]
)
SENSORS = (_CAMERAS @ _XYZ) / (_CAMERAS @ _XYZ).sum(2, keepdim=True)

# Entries of the table of linear light; between them the noise of neighbours serves.
_ENTRIES = 4096


def tone(display: Tensor) -> Tensor:
    """A camera's tone curve, v v (3 - 2 v), on values in [0, 1]."""
    return display.square() * (3 - 2 * display)


def untone(toned: Tensor) -> Tensor:
    """The inverse of `tone`."""
    return 0.5 - ((1 - 2 * toned).asin() / 3).sin()


def linear_light(image_BCHW: Tensor, curved_B: Tensor) -> Tensor:
    """Linear light of displayed values in [0, 1], to 1 / 4096 of the displayed scale. `curved_B` marks pictures with
    a tone curve."""
    steps = torch.linspace(0, 1, _ENTRIES, device=image_BCHW.device)
    table = torch.cat([steps, untone(steps)]) ** GAMMA
    places = (image_BCHW * (_ENTRIES - 1)).round_().int()
    return table[places.add_((curved_B.int() * _ENTRIES)[:, None, None, None])]


def displayed(linear_BCHW: Tensor, curved_B: Tensor) -> Tensor:
    """The inverse of `linear_light`; light is clipped to [0, 1]."""
    values = linear_BCHW.clamp(0, 1) ** (1 / GAMMA)
    return changed(values, curved_B, tone)


def camera_noise(image_BCHW: Tensor, draw: torch.Generator, shot: tuple[float, float] = SHOT) -> Tensor:
    """Adds the noise of a sensor to pictures.

    Gain, read noise, white balance, colour matrix, tone curve, demosaicing and the position of the pattern are drawn
    for each picture. The picture itself is not demosaiced, only the noise.

    Args:
        image_BCHW: (B, 3, H, W) in [0, 1].
        shot: least and largest variance of the shot noise of white; the gain grows with it.

    Returns:
        Pictures of the same shape, in [0, 1].
    """
    batch = len(image_BCHW)
    to_sensor, to_display = _colours(batch, draw)
    curved = chance(batch, 0.5, draw)
    linear = linear_light(image_BCHW, curved)
    flips = torch.randint(4, (batch,), generator=draw, device=draw.device)
    signal = _flipped(times(to_sensor, linear), flips)
    noise = _flipped(_demosaiced_noise(signal, log_uniform(batch, *shot, draw), draw), flips)
    return displayed(linear + times(to_display, noise), curved)


def variance(signal: Tensor, shot: Tensor, read: Tensor) -> Tensor:
    """Variance of Poisson-Gaussian noise: shot noise in proportion to the signal, and constant read noise."""
    return shot * signal.clamp(min=0) + read


def read_variance(shot_B111: Tensor, draw: torch.Generator) -> Tensor:
    """Draws the variance of the read noise at a gain, log-normal around a line (Brooks et al., (2))."""
    return (2.18 * shot_B111.log() + 1.2 + 0.26 * normal(shot_B111.shape, draw)).exp()


def _demosaiced_noise(signal_BCHW: Tensor, shot_B111: Tensor, draw: torch.Generator) -> Tensor:
    """Demosaiced noise (B, 3, H, W) of a sensor's raw picture."""
    height, width = signal_BCHW.shape[2:]
    raw = F.pad(mosaic(signal_BCHW), (0, width % 2, 0, height % 2), mode="reflect")
    noise = variance(raw, shot_B111, read_variance(shot_B111, draw)).sqrt() * normal(raw.shape, draw)
    result = noise.new_empty(len(raw), 3, *raw.shape[2:])
    ways = choice(len(raw), DEMOSAICINGS, draw)
    for number, way in enumerate(WAYS):
        rows = (ways == number).nonzero().flatten()
        if len(rows):
            result[rows] = demosaiced(noise[rows], way, (raw + noise)[rows] if way == "edge-directed" else None)
    return result[..., :height, :width]


def _colours(batch: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Matrices (B, 3, 3) from linear sRGB to a sensor before white balance, and back."""
    shares = torch.rand(batch, len(SENSORS), generator=draw, device=draw.device)
    matrix = torch.einsum("bn,nij->bij", shares / shares.sum(1, keepdim=True), SENSORS.to(shares))
    gains = torch.ones(batch, 3, 1, device=shares.device)
    gains[:, 0], gains[:, 2] = uniform(batch, *RED_GAIN, draw)[:, 0, 0], uniform(batch, *BLUE_GAIN, draw)[:, 0, 0]
    to_sensor = matrix / gains
    return to_sensor, torch.linalg.inv(to_sensor)


def _flipped(image_BCHW: Tensor, flips_B: Tensor) -> Tensor:
    """Mirrors each picture along rows, columns or both, so that any pixel may be the first of RGGB."""
    mirrored = changed(image_BCHW, (flips_B & 1).bool(), lambda some: some.flip(-1))
    return changed(mirrored, (flips_B & 2).bool(), lambda some: some.flip(-2))
