// A picture restored by a model that takes it with its noise levels, in tiles that overlap by what the model reaches. The levels are
// those of the whole picture, so that tiles agree.
import type { Automaton } from './automaton'
import { around, grown, taken, tiles, type Part } from './parts'
import { LUMINANCE, Planes } from './planes'
import type { Rect } from './protocol'
import type { Picture } from './running/kernels'
import type { PyramidModel } from './running/pyramid'

// Of 8x8 pixels.
const TILE = 96
const LEVELS = 2
// A level that changes by less than this share changes nothing that can be seen.
const SAME = 0.01
// Of independent noise in three channels, this much is in their brightness; in a grey picture all of it is.
const SHARE_OF_LUMA = Math.hypot(...LUMINANCE)

/** The picture after a step that is still to be shown. */
interface Coming {
  pixels: Uint8ClampedArray<ArrayBuffer>
  change: Float32Array<ArrayBuffer>
}

export class Tiled implements Automaton {
  readonly rows: number
  readonly columns: number
  private readonly planes: Planes
  /** What all cells say of the noise, as soon as it is estimated. */
  private said?: Picture
  private level: Float32Array
  private readonly shown: Uint8ClampedArray<ArrayBuffer>
  private part: Part
  private coming: Coming[] = []

  /**
   * @param pixels RGBA bytes
   * @param told the noise level in 255ths; estimated without it
   * @param between is asked after each tile, told how many of how many are done, whether to go on
   */
  constructor(
    private readonly model: PyramidModel,
    pixels: Uint8Array,
    width: number,
    height: number,
    private readonly tile = TILE,
    private readonly told: number | undefined,
    private readonly between: (done: number, all: number) => Promise<boolean>,
  ) {
    this.planes = new Planes(pixels, width, height, model.multiple)
    this.rows = this.planes.rows
    this.columns = this.planes.columns
    this.part = this.planes.whole
    this.level = new Float32Array(LEVELS * this.rows * this.columns)
    this.shown = new Uint8ClampedArray(pixels)
  }

  get noise(): { level: number; chroma: number } {
    const cells = this.rows * this.columns
    const mean = (kind: number) =>
      this.level.reduce((sum, value, at) => (at % LEVELS === kind ? sum + value : sum), 0) / cells
    return { level: this.planes.grey ? mean(0) * SHARE_OF_LUMA : mean(0), chroma: mean(1) }
  }

  async begin(): Promise<void> {
    if (this.told === undefined) {
      await this.estimate(this.planes.whole)
      return
    }
    const { grey } = this.planes
    const told = grey ? [this.told / SHARE_OF_LUMA, 0] : [this.told, this.told]
    this.level.forEach((_, at) => (this.level[at] = told[at % LEVELS]))
  }

  async step(): Promise<Float32Array<ArrayBuffer> | undefined> {
    if (!this.coming.length && !(await this.restore())) return undefined
    const { pixels, change } = this.coming.shift()!
    this.show(pixels, this.planes.pixelsOf(this.part))
    return change
  }

  picture(everything: boolean): Promise<{ pixels: Uint8ClampedArray<ArrayBuffer>; rect: Rect }> {
    const rect = this.planes.pixelsOf(everything ? this.planes.whole : this.part)
    const pixels = new Uint8ClampedArray(4 * rect.width * rect.height)
    for (let row = 0; row < rect.height; row++) {
      const from = 4 * ((rect.top + row) * this.planes.width + rect.left)
      pixels.set(this.shown.subarray(from, from + 4 * rect.width), 4 * row * rect.width)
    }
    return Promise.resolve({ pixels, rect })
  }

  async heal(pixels: Uint8Array, rect: Rect): Promise<boolean> {
    const { planes } = this
    const marks = planes.paint(pixels, rect)
    const touched = around(marks, this.columns)
    if (!touched) return false
    this.putMarked(pixels, rect, marks)
    const before = this.level.slice()
    if (this.told === undefined) {
      await this.estimate(grown(touched, this.model.guessReach, planes.whole))
      this.level.forEach((level, at) => {
        if (Math.abs(level - before[at]) > SAME * before[at]) marks[Math.floor(at / LEVELS)] = 1
      })
    }
    // What an earlier stroke has begun is not done.
    const unfinished = this.coming.length > 0 ? this.part : undefined
    const changed = grown(around(marks, this.columns)!, this.model.reach, planes.whole)
    this.part = unfinished ? joined(changed, unfinished) : changed
    this.coming = []
    return true
  }

  rest(): void {
    this.part = this.planes.whole
    this.coming = []
  }

  free(): void {
    // Between two steps it has nothing there.
  }

  /** Asks the cells of a part anew, and agrees on the levels of the whole picture. */
  private async estimate(part: Part): Promise<void> {
    const { planes, model } = this
    for (const tile of tiles(part, this.tile)) {
      const seen = grown(tile, model.guessReach, planes.whole)
      const { data, channels } = model.statements(planes.image(seen))
      const { rows, columns } = this
      this.said ??= { data: new Float32Array(channels * rows * columns), rows, columns, channels }
      put(taken(data, channels, seen, tile), channels, tile, this.said.data, columns)
    }
    this.level = model.levels(this.said!).data
  }

  /** Makes all steps of the part; whether it was allowed to end. */
  private async restore(): Promise<boolean> {
    const { planes, model } = this
    const rect = planes.pixelsOf(this.part)
    const coming = Array.from({ length: model.steps }, () => ({
      pixels: new Uint8ClampedArray(4 * rect.width * rect.height),
      change: new Float32Array(this.rows * this.columns),
    }))
    const all = tiles(this.part, this.tile)
    for (const [done, tile] of all.entries()) {
      const seen = grown(tile, model.reach, planes.whole)
      const [rows, columns] = [seen.bottom - seen.top, seen.right - seen.left]
      const level = { data: taken(this.level, LEVELS, planes.whole, seen), rows, columns, channels: LEVELS }
      const { pictures, changes } = model.restored(planes.image(seen), level)
      for (const [step, { pixels, change }] of coming.entries()) {
        planes.draw(pictures[step], seen, planes.pixelsOf(tile), pixels, rect)
        put(taken(changes[step], 1, seen, tile), 1, tile, change, this.columns)
      }
      if (!(await this.between(done + 1, all.length))) return false
    }
    this.coming = coming
    return true
  }

  /** Puts the pixels of marked cells into what is shown. */
  private putMarked(pixels: Uint8Array, rect: Rect, marks: Uint8Array): void {
    const { side, width } = this.planes
    for (let y = rect.top; y < rect.top + rect.height; y++) {
      for (let x = rect.left; x < rect.left + rect.width; x++) {
        if (!marks[Math.floor(y / side) * this.columns + Math.floor(x / side)]) continue
        const from = 4 * ((y - rect.top) * rect.width + x - rect.left)
        this.shown.set(pixels.subarray(from, from + 4), 4 * (y * width + x))
      }
    }
  }

  /** Puts RGBA bytes of a part into what is shown. */
  private show(pixels: Uint8ClampedArray, rect: Rect): void {
    for (let row = 0; row < rect.height; row++) {
      const from = 4 * row * rect.width
      const to = 4 * ((rect.top + row) * this.planes.width + rect.left)
      this.shown.set(pixels.subarray(from, from + 4 * rect.width), to)
    }
  }
}

/** Puts numbers of a part into those of the whole, `columns` a row. */
function put(data: Float32Array, channels: number, part: Part, whole: Float32Array, columns: number): void {
  const width = channels * (part.right - part.left)
  for (let row = part.top; row < part.bottom; row++) {
    const from = (row - part.top) * width
    whole.set(data.subarray(from, from + width), channels * (row * columns + part.left))
  }
}

function joined(a: Part, b: Part): Part {
  return {
    top: Math.min(a.top, b.top),
    left: Math.min(a.left, b.left),
    bottom: Math.max(a.bottom, b.bottom),
    right: Math.max(a.right, b.right),
  }
}
