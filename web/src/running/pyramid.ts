// The automaton on three lattices, like src/lnca/runtime/pyramid.py, for a whole tile at a time.
import type { ModelFile, PyramidNumbers } from './file'
import type { Grid, Kernels, Layer, Picture } from './kernels'
import { Kept } from './layers'
import { NoiseEstimator, SIDE } from './noise'

// Side of a cell of the fine lattice in pixels.
const FINE = 2

/** A tile after each step, and the mean change of its fine cells over channels and 8x8 pixels. */
export interface Steps {
  pictures: Float32Array[]
  changes: Float32Array[]
}

interface Cells {
  fine: Grid
  middle?: Grid
  coarse?: Grid
}

/** The interface of a model for `Pyramid`. The sides of pictures are multiples of 8, and channels are last. */
export interface PyramidModel {
  readonly steps: number
  readonly multiple: number
  readonly reach: number
  readonly guessReach: number
  /** The noise features of each cell of a tile. */
  statements(image: Picture): Picture
  /** The levels (rows, columns, 2), from the features of all cells of a picture. */
  levels(statements: Picture): Picture
  /** @param steps the model's own number if not given */
  restored(image: Picture, level: Picture, steps?: number): Steps
  free(): void
}

export class Pyramid implements PyramidModel {
  readonly steps: number
  readonly multiple = SIDE
  readonly reach: number
  readonly guessReach: number
  private readonly kept: Kept
  private readonly encode: Layer
  private readonly decode: Layer
  private readonly rules: Rules[]
  private readonly estimator: NoiseEstimator

  constructor(
    private readonly kernels: Kernels,
    file: ModelFile,
    private readonly facts: PyramidNumbers,
  ) {
    this.steps = facts.steps
    this.reach = facts.reach
    this.guessReach = facts.guess_reach
    const kept = (this.kept = new Kept(kernels, file))
    this.encode = kept.layer('encode')
    this.decode = kept.layer('decode')
    this.rules = Array.from({ length: facts.steps }, (_, number) => rules(kept, `rules.${number}`))
    this.estimator = new NoiseEstimator(kernels, kept, facts)
  }

  statements(image: Picture): Picture {
    return this.estimator.statements(image)
  }

  levels(statements: Picture): Picture {
    return this.estimator.levels(statements)
  }

  restored(image: Picture, level: Picture, steps = this.steps): Steps {
    const { kernels } = this
    const wide = spread(level)
    const inputs = kernels.given(joined(image, wide, this.facts.level_input_scale / 255))
    const cells: Cells = { fine: kernels.convolve(this.encode, inputs) }
    kernels.free(inputs)
    const result: Steps = { pictures: [], changes: [] }
    for (const rule of this.rules.slice(0, steps)) {
      const before = kernels.copy(cells.fine)
      this.step(rule, cells)
      result.changes.push(kernels.change(before, cells.fine, SIDE / FINE))
      kernels.free(before)
      result.pictures.push(this.read(cells.fine, image, wide))
    }
    kernels.free(cells.fine, cells.middle, cells.coarse)
    return result
  }

  free(): void {
    this.kept.free()
  }

  /** One step of all lattices; the old cells are freed. */
  private step(rule: Rules, cells: Cells): void {
    cells.middle = this.gathered(rule.toMiddle, cells.fine, cells.middle)
    cells.coarse = this.updated(rule.coarse, this.gathered(rule.toCoarse, cells.middle, cells.coarse))
    this.scattered(rule.fromCoarse, cells.coarse, cells.middle)
    cells.middle = this.updated(rule.middle, cells.middle)
    this.scattered(rule.fromMiddle, cells.middle, cells.fine)
    cells.fine = this.updated(rule.fine, cells.fine)
  }

  /** The cells plus messages from the next finer lattice. */
  private gathered(layer: Layer, finer: Grid, cells?: Grid): Grid {
    const blocks = this.kernels.gather(finer, 2)
    const made = this.kernels.convolve(layer, blocks, cells)
    this.kernels.free(blocks, cells)
    return made
  }

  /** Adds messages from the next coarser lattice to cells, in place. */
  private scattered(layer: Layer, coarser: Grid, cells: Grid): void {
    const heard = this.kernels.convolve(layer, coarser)
    this.kernels.scatter(heard, 2, cells)
    this.kernels.free(heard)
  }

  /** Equation (1) on one lattice: cells + phi(cells). */
  private updated([perceive, act]: Layer[], cells: Grid): Grid {
    const perceived = this.kernels.convolve(perceive, cells)
    const made = this.kernels.convolve(act, perceived, cells)
    this.kernels.free(perceived, cells)
    return made
  }

  /** The picture in [0, 1], in the current state of the cells. */
  private read(fine: Grid, image: Picture, level: Picture): Float32Array {
    const corrections = this.kernels.convolve(this.decode, fine)
    const [blocks, result] = [this.kernels.values(corrections), image.data.slice()]
    const width = 3 * image.columns
    for (let row = 0, at = 0; row < fine.rows; row++) {
      for (let column = 0; column < fine.columns; column++) {
        const cell = row * fine.columns + column
        // Without noise the correction is zero.
        const share = Math.min(Math.max(level.data[2 * cell], level.data[2 * cell + 1], 0) / this.facts.full, 1)
        for (let down = 0; down < FINE; down++) {
          const to = (FINE * row + down) * width + 3 * FINE * column
          for (let next = 0; next < 3 * FINE; next++) {
            const value = result[to + next] + share * blocks[at++]
            result[to + next] = Math.min(Math.max(value, 0), 1)
          }
        }
      }
    }
    this.kernels.free(corrections)
    return result
  }
}

interface Rules {
  toMiddle: Layer
  toCoarse: Layer
  fromCoarse: Layer
  fromMiddle: Layer
  fine: Layer[]
  middle: Layer[]
  coarse: Layer[]
}

/** The layers of a step. */
function rules(kept: Kept, name: string): Rules {
  const layer = (part: string) => kept.layer(`${name}.${part}`)
  const rule = (lattice: string) => [layer(`${lattice}.perceive`), layer(`${lattice}.act`)]
  return {
    toMiddle: layer('to_middle'),
    toCoarse: layer('to_coarse'),
    fromCoarse: layer('from_coarse'),
    fromMiddle: layer('from_middle'),
    fine: rule('fine'),
    middle: rule('middle'),
    coarse: rule('coarse'),
  }
}

/** The input of the fine lattice: the pixels of its cells, and their levels. */
function joined(image: Picture, level: Picture, scale: number): Picture {
  const { rows, columns } = level
  const [pixels, channels] = [3 * FINE ** 2, 3 * FINE ** 2 + 2]
  const data = new Float32Array(rows * columns * channels)
  for (let cell = 0; cell < rows * columns; cell++) {
    const [row, column] = [Math.floor(cell / columns), cell % columns]
    for (let next = 0; next < pixels; next++) {
      const [down, across] = [Math.floor(next / (3 * FINE)), next % (3 * FINE)]
      data[cell * channels + next] = image.data[(FINE * row + down) * 3 * image.columns + 3 * FINE * column + across]
    }
    for (let kind = 0; kind < 2; kind++) data[cell * channels + pixels + kind] = level.data[2 * cell + kind] * scale
  }
  return { data, rows, columns, channels }
}

/** The levels for the cells of the fine lattice, interpolated linearly so that edges of cells do not show. */
function spread({ data, rows, columns, channels }: Picture): Picture {
  const factor = SIDE / FINE
  const [down, across] = [between(rows, factor), between(columns, factor)]
  const result = new Float32Array(rows * columns * channels * factor ** 2)
  let at = 0
  for (const [above, below, low] of down) {
    for (const [left, right, more] of across) {
      for (let channel = 0; channel < channels; channel++) {
        const value = (row: number, column: number) => data[(row * columns + column) * channels + channel]
        const upper = value(above, left) * (1 - more) + value(above, right) * more
        const lower = value(below, left) * (1 - more) + value(below, right) * more
        result[at++] = upper * (1 - low) + lower * low
      }
    }
  }
  return { data: result, rows: rows * factor, columns: columns * factor, channels }
}

/** For linear interpolation of `size` positions by `factor`: the positions before and after, and the weight of the latter. */
function between(size: number, factor: number): [number, number, number][] {
  return Array.from({ length: size * factor }, (_, index) => {
    const place = Math.min(Math.max((index + 0.5) / factor - 0.5, 0), size - 1)
    const below = Math.floor(place)
    return [below, Math.min(below + 1, size - 1), place - below]
  })
}
