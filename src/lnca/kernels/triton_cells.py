"""Functions of the Triton kernels of both rules. A program works on a block of cells; a row of its tiles is a cell.

The width of a tile is the next power of two, at least 16; columns beyond the true width are zero.
"""

import triton
import triton.language as tl

# Whether the kernels run in Triton's interpreter, whose matrix product treats bfloat16 as integers.
INTERPRETED = tl.constexpr(triton.knobs.runtime.interpret)


@triton.jit
def pcg(value):
    """The hash of `lnca.randomness`, on uint32."""
    state = value * 747796405 + 2891336453
    word = ((state >> ((state >> 28) + 4)) ^ state) * 277803737
    return (word >> 22) ^ word


@triton.jit
def takes_part(key, row, column, threshold):
    """`Automaton.mask`: whether a cell's random number times 2^32 is below the threshold."""
    value = pcg(key.to(tl.uint32, bitcast=True))
    value = pcg(pcg(value + row.to(tl.uint32)) + column.to(tl.uint32))
    return value.to(tl.int64) < threshold


@triton.jit
def where(count, rows, columns, BLOCK: tl.constexpr):
    """Number, row and column of this program's cells, and which of them exist."""
    cell = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    return cell.to(tl.int64), cell // columns % rows, cell % columns, cell < count


@triton.jit
def inside(row, column, rows, columns):
    """Whether cells lie inside the lattice."""
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

    Float32 uses the matrix units as three products of tf32, which is as exact and needs a fifth of the code.
    """
    weight = tl.load(matrix + tl.arange(0, INPUTS)[:, None] * OUTPUTS + tl.arange(0, OUTPUTS)[None, :])
    x = x.to(weight.dtype)
    if INTERPRETED:
        x, weight = x.to(tl.float32), weight.to(tl.float32)
    return tl.dot(x, weight, input_precision="tf32x3")


@triton.jit
def vector(pointer, WIDTH: tl.constexpr):
    """Loads a row of numbers that all cells share, (1, WIDTH)."""
    return tl.load(pointer + tl.arange(0, WIDTH))[None, :]


@triton.jit
def load_rows(pointer, cell, present, width, WIDTH: tl.constexpr):
    """Loads rows of an array (cells, width) as a float32 tile; cells that are not present get zeros."""
    column = tl.arange(0, WIDTH)[None, :]
    return tl.load(pointer + cell[:, None] * width + column, present[:, None] & (column < width), other=0.0).to(
        tl.float32
    )


@triton.jit
def store_rows(pointer, cell, present, tile, width, WIDTH: tl.constexpr):
    """Stores rows; the inverse of `load_rows`."""
    column = tl.arange(0, WIDTH)[None, :]
    tl.store(
        pointer + cell[:, None] * width + column,
        tile.to(pointer.dtype.element_ty),
        present[:, None] & (column < width),
    )
