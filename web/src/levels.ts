// The noise levels of a whole picture, estimated in tiles or told.
import { grown, taken, tiles, type Part } from './parts'
import { LUMINANCE, type Planes } from './planes'
import type { Picture } from './running/kernels'
import type { PyramidModel } from './running/pyramid'

/** Levels of a cell: of brightness and of colour. */
export const LEVELS = 2
// Of independent noise in three channels, this much is in their brightness; in a grey picture all of it is.
const SHARE_OF_LUMA = Math.hypot(...LUMINANCE)

/** What cells say of the noise of a picture, and the levels that follow. */
export class NoiseLevels {
  /** A pair for each cell, in 255ths. */
  values: Float32Array
  /** What all cells say, as soon as they are asked. */
  private said?: Picture

  /**
   * @param tile cells on a tile's side
   * @param told the noise level in 255ths; estimated without it
   */
  constructor(
    private readonly model: Pick<PyramidModel, 'statements' | 'levels' | 'guessReach'>,
    private readonly planes: Planes,
    private readonly tile: number,
    readonly told: number | undefined,
  ) {
    this.values = new Float32Array(LEVELS * planes.rows * planes.columns)
    if (told === undefined) return
    const pair = planes.grey ? [told / SHARE_OF_LUMA, 0] : [told, told]
    this.values.forEach((_, at) => (this.values[at] = pair[at % LEVELS]))
  }

  /** Their means. */
  get mean(): { level: number; chroma: number } {
    const cells = this.planes.rows * this.planes.columns
    const mean = (kind: number) =>
      this.values.reduce((sum, value, at) => (at % LEVELS === kind ? sum + value : sum), 0) / cells
    return { level: this.planes.grey ? mean(0) * SHARE_OF_LUMA : mean(0), chroma: mean(1) }
  }

  /** Asks the cells of a part anew, and agrees on the levels of the whole picture; does nothing if they are told. */
  estimate(part: Part): void {
    if (this.told !== undefined) return
    const { planes, model } = this
    const { rows, columns } = planes
    for (const tile of tiles(part, this.tile)) {
      const seen = grown(tile, model.guessReach, planes.whole)
      const { data, channels } = model.statements(planes.image(seen))
      this.said ??= { data: new Float32Array(channels * rows * columns), rows, columns, channels }
      put(taken(data, channels, seen, tile), channels, tile, this.said.data, columns)
    }
    this.values = model.levels(this.said!).data
  }
}

/** Puts numbers of a part into those of the whole, `columns` a row. */
export function put(data: Float32Array, channels: number, part: Part, whole: Float32Array, columns: number): void {
  const width = channels * (part.right - part.left)
  for (let row = part.top; row < part.bottom; row++) {
    const from = (row - part.top) * width
    whole.set(data.subarray(from, from + width), channels * (row * columns + part.left))
  }
}
