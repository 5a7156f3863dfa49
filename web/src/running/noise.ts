// Estimates the noise level of a picture, like src/lnca/runtime/noise_level.py, which explains the constants.
import type { PyramidNumbers } from './file'
import type { Grid, Kernels, Layer, Picture } from './kernels'
import type { Kept } from './layers'

/** Side of a cell in pixels. */
export const SIDE = 8
const LEVEL_CHANNELS = 2

export class NoiseEstimator {
  private readonly filters: Layer[]
  private readonly say: Layer[]
  private readonly conclude: Layer[]
  /** Number of shared features of a cell, each with a confidence; the cell's own features follow them. */
  private readonly shared: number

  constructor(
    private readonly kernels: Kernels,
    kept: Kept,
    private readonly facts: PyramidNumbers,
  ) {
    this.filters = kept.chain('filters')
    this.say = [0, 2, 4].map((number) => kept.layer(`say.${number}`))
    this.conclude = [0, 2].map((number) => kept.layer(`conclude.${number}`))
    this.shared = this.say[2].outputs - this.conclude[0].inputs
  }

  /** For each cell of a picture, whose sides are multiples of 8: the shared features times the confidence, the
   * confidence, the cell's own features, and its variances. */
  statements(image: Picture): Picture {
    const { shared } = this
    const { energy_scales, surest } = this.facts
    const around = widened(this.energies(image), energy_scales)
    const said = this.mapped(this.say, joined(around))
    const variances = widened(this.variances(image), energy_scales).at(-1)!
    const channels = said.channels + LEVEL_CHANNELS
    return made(said, channels, (cell, to) => {
      const own = said.data.subarray(cell * said.channels, (cell + 1) * said.channels)
      for (let kind = 0; kind < shared; kind++) {
        const trust = Math.exp(clipped(own[shared + kind], -surest, surest))
        to[kind] = own[kind] * trust
        to[shared + kind] = trust
      }
      to.set(own.subarray(2 * shared), 2 * shared)
      to.set(variances.data.subarray(2 * cell, 2 * cell + 2), said.channels)
    })
  }

  /** The levels (rows, columns, 2) in 255ths, from the `statements` of all cells of a picture. */
  levels(statements: Picture): Picture {
    const { shared } = this
    const { statement_scales, energy_scales, level_scales, little, most, lowest, highest } = this.facts
    const last = statements.channels - LEVEL_CHANNELS
    const wide = widened(slice(statements, 0, 2 * shared), statement_scales).at(-1)!
    const common = made(statements, last - shared, (cell, to) => {
      const around = wide.data.subarray(2 * shared * cell, 2 * shared * (cell + 1))
      for (let kind = 0; kind < shared; kind++) to[kind] = around[kind] / around[shared + kind]
      to.set(
        statements.data.subarray(cell * statements.channels + 2 * shared, cell * statements.channels + last),
        shared,
      )
    })
    const levels = this.mapped(this.conclude, common)
    // The noise cannot be much larger than the variation of the picture.
    const variances = widened(slice(statements, last, LEVEL_CHANNELS), energy_scales).at(-1)!
    levels.data.forEach((level, at) => {
      const bound = 255 * most * Math.sqrt(Math.max(variances.data[at] - little, 0))
      levels.data[at] = Math.min(Math.exp(clipped(level, lowest, highest)), bound)
    })
    return widened(levels, level_scales).at(-1)!
  }

  /** The logarithms of the filters' mean squares and the mean colour of each cell. */
  private energies(image: Picture): Picture {
    const parts = this.filters.map((filter, scale) => {
      const room = this.kernels.given(bordered(means(image, 2 ** scale)))
      const answers = this.kernels.convolve(filter, room)
      const energy = this.inner(answers, SIDE >> scale)
      this.kernels.free(room, answers)
      energy.data.forEach((mean, at) => (energy.data[at] = Math.log(mean + this.facts.little) / 2 + 4))
      return energy
    })
    const colour = means(image, SIDE)
    colour.data.forEach((mean, at) => (colour.data[at] = mean - 0.5))
    return joined([...parts, colour])
  }

  /** Mean squares of blocks of the grid, without a border of one position. */
  private inner(answers: Grid, side: number): Picture {
    const { channels } = answers
    const [rows, columns] = [(answers.rows - 2) / side, (answers.columns - 2) / side]
    const values = this.kernels.values(answers)
    const data = new Float32Array(rows * columns * channels)
    const sums = new Float64Array(channels)
    for (let cell = 0; cell < rows * columns; cell++) {
      sums.fill(0)
      const [top, left] = [1 + side * Math.floor(cell / columns), 1 + side * (cell % columns)]
      for (let row = top; row < top + side; row++) {
        let from = (row * answers.columns + left) * channels
        for (let column = 0; column < side; column++)
          for (let channel = 0; channel < channels; channel++, from++) sums[channel] += values[from] * values[from]
      }
      for (let channel = 0; channel < channels; channel++) data[cell * channels + channel] = sums[channel] / side ** 2
    }
    return { data, rows, columns, channels }
  }

  /** Variances of brightness and of colour in each cell. */
  private variances(image: Picture): Picture {
    const [rows, columns] = [image.rows / SIDE, image.columns / SIDE]
    const shares = this.facts.ycbcr.map((row) => row.map((share) => share / Math.hypot(...row)))
    return made({ rows, columns }, LEVEL_CHANNELS, (cell, to) => {
      const [sums, squares] = [new Float64Array(3), new Float64Array(3)]
      const [top, left] = [SIDE * Math.floor(cell / columns), SIDE * (cell % columns)]
      for (let pixel = 0; pixel < SIDE ** 2; pixel++) {
        const from = 3 * ((top + (pixel >> 3)) * image.columns + left + (pixel & 7))
        for (let part = 0; part < 3; part++) {
          const share = shares[part]
          const value = share[0] * image.data[from] + share[1] * image.data[from + 1] + share[2] * image.data[from + 2]
          sums[part] += value
          squares[part] += value * value
        }
      }
      const [luma, blue, red] = sums.map((sum, part) => Math.max(squares[part] / 64 - (sum / 64) ** 2, 0))
      to.set([luma, (blue + red) / 2])
    })
  }

  /** A sequence of linear maps of the channels of each cell. */
  private mapped(layers: Layer[], cells: Picture): Picture {
    let grid = this.kernels.given(cells)
    for (const layer of layers) {
      const next = this.kernels.convolve(layer, grid)
      this.kernels.free(grid)
      grid = next
    }
    return this.kernels.taken(grid)
  }
}

type Size = Pick<Picture, 'rows' | 'columns'>

/** A new picture; a function computes the channels of each position. */
function made({ rows, columns }: Size, channels: number, fill: (cell: number, to: Float32Array) => void): Picture {
  const data = new Float32Array(rows * columns * channels)
  for (let cell = 0; cell < rows * columns; cell++) fill(cell, data.subarray(cell * channels, (cell + 1) * channels))
  return { data, rows, columns, channels }
}

/** Pictures of equal size, with their channels concatenated. */
function joined(parts: Picture[]): Picture {
  const channels = parts.reduce((sum, part) => sum + part.channels, 0)
  return made(parts[0], channels, (cell, to) => {
    let first = 0
    for (const { data, channels } of parts) {
      to.set(data.subarray(cell * channels, (cell + 1) * channels), first)
      first += channels
    }
  })
}

/** A picture with some channels of another one. */
function slice(picture: Picture, first: number, channels: number): Picture {
  return made(picture, channels, (cell, to) => {
    const from = cell * picture.channels + first
    to.set(picture.data.subarray(from, from + channels))
  })
}

/** Means over blocks of side x side positions. */
function means(picture: Picture, side: number): Picture {
  if (side === 1) return picture
  const { channels } = picture
  const [rows, columns] = [picture.rows / side, picture.columns / side]
  return made({ rows, columns }, channels, (cell, to) => {
    const [top, left] = [side * Math.floor(cell / columns), side * (cell % columns)]
    for (let channel = 0; channel < channels; channel++) {
      let sum = 0
      for (let row = top; row < top + side; row++)
        for (let column = left; column < left + side; column++)
          sum += picture.data[(row * picture.columns + column) * channels + channel]
      to[channel] = sum / side ** 2
    }
  })
}

/** Padded by one mirrored row or column on each side, without repeating the border. */
function bordered(picture: Picture): Picture {
  const { channels } = picture
  const [rows, columns] = [picture.rows + 2, picture.columns + 2]
  const [inner, outer] = [picture.columns * channels, columns * channels]
  const data = new Float32Array(rows * outer)
  for (let row = 0; row < rows; row++) {
    const from = row === 0 ? 1 : row > picture.rows ? picture.rows - 2 : row - 1
    const to = data.subarray(row * outer, (row + 1) * outer)
    to.set(picture.data.subarray(from * inner, (from + 1) * inner), channels)
    to.copyWithin(0, 2 * channels, 3 * channels)
    to.copyWithin(outer - channels, outer - 3 * channels, outer - 2 * channels)
  }
  return { data, rows, columns, channels }
}

/** Means of the cells' channels over wider and wider neighbourhoods, beginning with the cell itself. */
function widened(picture: Picture, scales: number): Picture[] {
  const found = [picture]
  for (let scale = 0; scale < scales - 1; scale++) {
    const { rows, columns, channels } = picture
    const last = found.at(-1)!.data
    const down = smoothed(last, rows, columns * channels, 2 ** scale)
    // Along each row.
    const data = new Float32Array(down.length)
    const width = columns * channels
    for (let row = 0; row < rows; row++)
      data.set(smoothed(down.subarray(row * width, (row + 1) * width), columns, channels, 2 ** scale), row * width)
    found.push({ data, rows, columns, channels })
  }
  return found
}

/** Applies the binomial filter 1/4, 1/2, 1/4 with a dilation, over `count` positions of `size` numbers. */
function smoothed(data: Float32Array, count: number, size: number, hole: number): Float32Array {
  const result = new Float32Array(data.length)
  for (let place = 0; place < count; place++) {
    const [here, before, after] = [place, Math.max(place - hole, 0), Math.min(place + hole, count - 1)].map(
      (at) => at * size,
    )
    for (let at = 0; at < size; at++)
      result[here + at] = (data[before + at] + data[after + at]) / 4 + data[here + at] / 2
  }
  return result
}

function clipped(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high)
}
