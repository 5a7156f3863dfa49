"""What the Triton kernels of both rules share. A program works on a block of cells, a row of its tiles being a cell.

Tiles are as wide as the next power of two, at least 16; what is beyond the true width is zero.
"""

import triton
import triton.language as tl

# Whether the kernels run in Triton's interpreter, whose matrix product takes a bfloat16 for an integer.
INTERPRETED = tl.constexpr(triton.knobs.runtime.interpret)


@triton.jit
def pcg(value):
    """The hash of `lnca.randomness`, on uint32."""
    state = value * 747796405 + 2891336453
    word = ((state >> ((state >> 28) + 4)) ^ state) * 277803737
    return (word >> 22) ^ word


@triton.jit
def takes_part(key, row, column, threshold):
    """`Automaton.mask`: whether a cell's draw, times 2^32, lies below the threshold."""
    value = pcg(key.to(tl.uint32, bitcast=True))
    value = pcg(pcg(value + row.to(tl.uint32)) + column.to(tl.uint32))
    return value.to(tl.int64) < threshold


@triton.jit
def where(count, rows, columns, BLOCK: tl.constexpr):
    """Number, row and column of this program's cells, and which of them there are."""
    cell = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    return cell.to(tl.int64), cell // columns % rows, cell % columns, cell < count


@triton.jit
def inside(row, column, rows, columns):
    """Which cells lie in the lattice."""
    return (row >= 0) & (row < rows) & (column >= 0) & (column < columns)


@triton.jit
def normalise(x, width, epsilon, WIDTH: tl.constexpr):
    """Layer normalisation without scale and shift, over the first `width` of WIDTH columns."""
    mean = tl.sum(x, 1) / width
    centred = tl.where(tl.arange(0, WIDTH)[None, :] < width, x - mean[:, None], 0.0)
    variance = tl.sum(centred * centred, 1) / width
    return centred / tl.sqrt(variance + epsilon)[:, None]


@triton.jit
def product(x, matrix, INPUTS: tl.constexpr, OUTPUTS: tl.constexpr):
    """x (BLOCK, INPUTS) times a matrix (INPUTS, OUTPUTS), in the matrix's precision with sums in float32.

    Float32 goes through the matrix units as three products of tf32, as exact, and in a fifth of the code.
    """
    weight = tl.load(matrix + tl.arange(0, INPUTS)[:, None] * OUTPUTS + tl.arange(0, OUTPUTS)[None, :])
    x = x.to(weight.dtype)
    if INTERPRETED:
        x, weight = x.to(tl.float32), weight.to(tl.float32)
    return tl.dot(x, weight, input_precision="tf32x3")


@triton.jit
def vector(pointer, WIDTH: tl.constexpr):
    """A row of numbers that all cells share, (1, WIDTH)."""
    return tl.load(pointer + tl.arange(0, WIDTH))[None, :]


@triton.jit
def load_rows(pointer, cell, present, width, WIDTH: tl.constexpr):
    """Rows of an array (cells, width), as a float32 tile; zeros where a cell is not present."""
    column = tl.arange(0, WIDTH)[None, :]
    return tl.load(pointer + cell[:, None] * width + column, present[:, None] & (column < width), other=0.0).to(
        tl.float32
    )


@triton.jit
def store_rows(pointer, cell, present, tile, width, WIDTH: tl.constexpr):
    """The opposite of `load_rows`."""
    column = tl.arange(0, WIDTH)[None, :]
    tl.store(
        pointer + cell[:, None] * width + column,
        tile.to(pointer.dtype.element_ty),
        present[:, None] & (column < width),
    )
