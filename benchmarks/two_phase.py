"""The blind kernel of Xu and Jia ("Two-phase kernel estimation for robust motion deblurring", ECCV 2010), as another
method to compare with. It shares nothing with lnca's own estimate, except how borders are padded.

From coarse to fine, three steps alternate: select gradients, estimate the kernel that turns them into those of the
given picture, and restore the picture. B is the given picture, I the sharp one, k the kernel.

    r = |sum of grad B| / (sum of |grad B| + 0.5), sums over 5x5 pixels                                       (1)
    S = grad(shock(I)) where r >= tau_r and |grad(shock(I))| >= tau_s, and 0 elsewhere                        (2)
    k = argmin |S * k - grad B|^2 + gamma |k|^2                                                               (3)
    I = argmin |I * k - B|^2 + lambda |grad I - S|^2                                                          (4)

r is small where edges are too close together to be useful. Both thresholds fall from one alternation to the next. This
is the paper's first phase. Its second, which refines the support of the kernel, gained nothing (0.03 dB on four
pictures) and is left out. The authors have published no source code, and this is written from descriptions of their
method; the equations are numbered here, not as in the paper. gamma, the alternations on each scale, the width and step
of the shock filter, and the limits of small values and patches were chosen on pictures outside the published table.

Shape suffixes: D directions (across and down), H rows, W columns, K a kernel's rows and columns.
"""

import numpy as np
from scipy.ndimage import gaussian_filter, label, sum_labels, uniform_filter

from lnca.runtime.fourier import fast_margin, periodic

# Of (1): side of the windows, and what keeps r small in flat parts.
WINDOW, FLAT = 5, 0.5
# Of (2): pixels of each direction that pass the first thresholds are at least the first times the root of the picture's
# and the kernel's pixels, and the second times the root of the kernel's; what thresholds are divided by.
USEFUL, STEEP, LOWER = 0.5, 2.0, 1.1
# Standard deviation in pixels of the smoothing before the shock filter.
SMOOTH = 1.0
# gamma of (3), lambda of (4).
GAMMA, LAMBDA = 0.1, 2e-3
# Alternations on each scale.
TURNS = 5
# Values below this share of the kernel's largest, and patches below this share of its sum, are noise.
SMALL, PATCH = 0.05, 0.1
# Kernel sides grow by this from scale to scale, from 3 pixels.
GROWTH, COARSEST = 2**0.5, 3


def blind_kernel(picture_HW: np.ndarray, side: int) -> np.ndarray:
    """The kernel (side, side) of a blurred picture: no value below 0, of sum 1, its centre of gravity in the middle;
    that of no blur for a picture without gradients.

    Args:
        picture_HW: brightness in [0, 1], both sides above twice `side`.
        side: odd, 3 or more; what is longer is not found.

    Raises:
        ValueError: the side is even or below 3, or the picture too small.
    """
    if side < 3 or side % 2 == 0 or min(picture_HW.shape) <= 2 * side:
        raise ValueError(f"a side of {side} for a picture of {picture_HW.shape}; sides are odd, from 3 to below half")
    picture = picture_HW.astype(np.float64)
    sharp, kernel = picture, unblurred(side)
    for size in sides_of_scales(side):
        shape = [length * size // side for length in picture.shape]
        sharp, kernel = on_one_scale(resized(sharp, *shape), resized(picture, *shape), size)
    return kernel


def on_one_scale(sharp_HW: np.ndarray, given_HW: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The sharp picture and the kernel (side, side) after the alternations on one scale.

    Both are moved so that the kernel's centre of gravity is in the middle.
    """
    margins = [fast_margin(length, side) for length in given_HW.shape]
    rows, columns = (slice(margin, margin + length) for margin, length in zip(margins, given_HW.shape, strict=True))
    sharp, given = (periodic(picture[None, None], *margins)[0, 0] for picture in (sharp_HW, given_HW))
    inside = np.zeros(given.shape, bool)
    inside[rows, columns] = True
    blurred, r = gradients(given), usefulness(given)
    tau_r = threshold(r, blurred, inside, USEFUL * given_HW.size**0.5 * side)
    tau_s = np.inf
    for turn in range(TURNS):
        predicted = gradients(shock(sharp))
        steepness = np.hypot(*predicted) * (r >= tau_r)
        if turn == 0:
            tau_s = threshold(steepness, predicted, inside, STEEP * side)
        selected = predicted * ((steepness >= tau_s) & inside)
        kernel = tidied(least_squares(selected, blurred * inside, side))
        sharp = restored(given, kernel, selected)
        tau_r, tau_s = tau_r / LOWER, tau_s / LOWER
    down, right = off_centre(kernel)
    sharp = np.roll(sharp, (down, right), (0, 1))[rows, columns]
    return sharp, moved(kernel, -down, -right)


def usefulness(picture_HW: np.ndarray) -> np.ndarray:
    """r of (1)."""
    parts = gradients(picture_HW)
    area = WINDOW**2
    sums = [uniform_filter(part, WINDOW, mode="wrap") * area for part in (*parts, np.hypot(*parts))]
    return np.hypot(sums[0], sums[1]) / (sums[2] + FLAT)


def shock(picture_HW: np.ndarray) -> np.ndarray:
    """One step of a shock filter (Osher and Rudin, "Feature-oriented image enhancement using shock filters", 1990), of
    length 1, after smoothing: away from where the picture turns, by the smaller of both one-sided slopes."""
    smooth = gaussian_filter(picture_HW, SMOOTH, mode="wrap")
    down, across = np.gradient(smooth)
    down_down, down_across = np.gradient(down)
    turning = across**2 * np.gradient(across, axis=1) + 2 * across * down * down_across + down**2 * down_down
    slopes = []
    for axis in (0, 1):
        ahead, behind = np.roll(smooth, -1, axis) - smooth, smooth - np.roll(smooth, 1, axis)
        slopes.append(np.where(ahead * behind > 0, np.minimum(abs(ahead), abs(behind)), 0))
    return smooth - np.sign(turning) * np.hypot(*slopes)


def threshold(values_HW: np.ndarray, parts_DHW: np.ndarray, inside_HW: np.ndarray, count: float) -> float:
    """The largest threshold that at least `count` values pass in each of four groups, by the gradients' directions."""
    across, down = parts_DHW
    groups = np.floor(np.arctan2(down, across) / np.pi * 4 + 0.5) % 4
    passed = []
    for group in range(4):
        ordered = np.sort(values_HW[inside_HW & (groups == group)])[::-1]
        passed += [float(ordered[min(round(count), len(ordered)) - 1])] if len(ordered) else []
    return min(passed)


def least_squares(selected_DHW: np.ndarray, blurred_DHW: np.ndarray, side: int) -> np.ndarray:
    """k of (3), not yet without negative values."""
    sharp, given = np.fft.rfft2(selected_DHW), np.fft.rfft2(blurred_DHW)
    spectrum = (sharp.conj() * given).sum(0) / (np.square(abs(sharp)).sum(0) + GAMMA)
    offsets = np.arange(side) - side // 2
    return np.fft.irfft2(spectrum, selected_DHW.shape[1:])[np.ix_(offsets, offsets)]


def restored(given_HW: np.ndarray, kernel_KK: np.ndarray, selected_DHW: np.ndarray) -> np.ndarray:
    """I of (4), for a picture whose borders meet."""
    shape = given_HW.shape
    blur = spectrum_of(kernel_KK, shape)
    changes = np.fft.rfft2(gradients(spot(shape)))
    wanted = blur.conj() * np.fft.rfft2(given_HW) + LAMBDA * (changes.conj() * np.fft.rfft2(selected_DHW)).sum(0)
    power = np.square(abs(blur)) + LAMBDA * np.square(abs(changes)).sum(0)
    return np.fft.irfft2(wanted / power, shape)


def gradients(picture_HW: np.ndarray) -> np.ndarray:
    """Differences (2, H, W) to the next column and row of a picture whose borders meet."""
    return np.stack([np.roll(picture_HW, -1, 1) - picture_HW, np.roll(picture_HW, -1, 0) - picture_HW])


def spot(shape: tuple[int, ...]) -> np.ndarray:
    """A picture that is 1 in its corner and 0 elsewhere."""
    picture = np.zeros(shape)
    picture[0, 0] = 1
    return picture


def spectrum_of(kernel_KK: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Of a kernel whose middle is the origin."""
    room = np.zeros(shape)
    offsets = np.arange(len(kernel_KK)) - len(kernel_KK) // 2
    room[np.ix_(offsets, offsets)] = kernel_KK
    return np.fft.rfft2(room)


def tidied(kernel_KK: np.ndarray) -> np.ndarray:
    """Without negative and small values and small patches, of sum 1."""
    kernel = np.where(kernel_KK >= SMALL * kernel_KK.max(), kernel_KK.clip(min=0), 0)
    if not kernel.sum() > 0:
        return unblurred(len(kernel))
    patches, count = label(kernel, np.ones((3, 3)))
    sums = np.append(0, sum_labels(kernel, patches, np.arange(1, count + 1)))
    kernel = np.where(sums[patches] >= PATCH * kernel.sum(), kernel, 0)
    return kernel / kernel.sum() if kernel.sum() > 0 else unblurred(len(kernel))


def unblurred(side: int) -> np.ndarray:
    kernel = np.zeros((side, side))
    kernel[side // 2, side // 2] = 1
    return kernel


def off_centre(kernel_KK: np.ndarray) -> tuple[int, int]:
    """Whole pixels by which the centre of gravity is below the middle and right of it."""
    offsets = np.arange(len(kernel_KK)) - len(kernel_KK) // 2
    down, right = (round(float(kernel_KK.sum(1 - axis) @ offsets)) for axis in (0, 1))
    return down, right


def moved(kernel_KK: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Moved down and to the right; what leaves is lost, and the sum is 1 again."""
    side = len(kernel_KK)
    room = np.pad(kernel_KK, side)
    kernel = room[side - rows : 2 * side - rows, side - columns : 2 * side - columns]
    return kernel / kernel.sum()


def sides_of_scales(side: int) -> list[int]:
    """Odd kernel sides from the coarsest scale to the finest."""
    sides = [COARSEST]
    while sides[-1] < side:
        larger = int(np.ceil(sides[-1] * GROWTH))
        sides.append(min(larger + 1 - larger % 2, side))
    return sides


def resized(picture_HW: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear; each pixel of a smaller picture is a mean over all that it covers."""
    rows, columns = picture_HW.shape
    return triangles(rows, height) @ picture_HW @ triangles(columns, width).T


def triangles(size: int, wanted: int) -> np.ndarray:
    """Shares (wanted, size) of each of `size` pixels in each of `wanted` ones."""
    scale = size / wanted
    middle = scale * (np.arange(wanted)[:, None] + 0.5) - 0.5
    shares = (1 - abs(np.arange(size) - middle) / max(scale, 1.0)).clip(min=0)
    return shares / shares.sum(1, keepdims=True)
