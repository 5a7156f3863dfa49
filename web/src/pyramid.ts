// A picture restored by graphs that take it with its noise levels, in tiles that overlap by what the model reaches. The
// levels are those of the whole picture, so that tiles agree.
import type { Automaton } from './automaton'
import type { Graphs } from './graphs'
import { around, grown, taken, tiles, type Part } from './parts'
import { LUMINANCE, Planes } from './planes'
import type { Rect } from './protocol'

// Of 8x8 pixels.
const TILE = 96
const GUESSES = 42
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

export class Pyramid implements Automaton {
  readonly rows: number
  readonly columns: number
  private readonly planes: Planes
  private readonly guesses: Float32Array
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
    private readonly graphs: Graphs,
    pixels: Uint8Array,
    width: number,
    height: number,
    private readonly tile = TILE,
    private readonly told: number | undefined,
    private readonly between: (done: number, all: number) => Promise<boolean>,
  ) {
    this.planes = new Planes(pixels, width, height, graphs.description.multiple)
    this.rows = this.planes.rows
    this.columns = this.planes.columns
    this.part = this.planes.whole
    this.guesses = new Float32Array(GUESSES * this.rows * this.columns)
    this.level = new Float32Array(LEVELS * this.rows * this.columns)
    this.shown = new Uint8ClampedArray(pixels)
  }

  get noise(): { level: number; chroma: number } {
    const cells = this.rows * this.columns
    const mean = (kind: number) =>
      this.level.subarray(kind * cells, (kind + 1) * cells).reduce((sum, value) => sum + value, 0) / cells
    return { level: this.planes.grey ? mean(0) * SHARE_OF_LUMA : mean(0), chroma: mean(1) }
  }

  async begin(): Promise<void> {
    if (this.told === undefined) {
      await this.estimate(this.planes.whole)
      return
    }
    const cells = this.rows * this.columns
    this.level.fill(this.planes.grey ? this.told / SHARE_OF_LUMA : this.told, 0, cells)
    this.level.fill(this.planes.grey ? 0 : this.told, cells)
  }

  async step(): Promise<Float32Array<ArrayBuffer> | undefined> {
    if (!this.coming.length && !(await this.restore())) return undefined
    const { pixels, change } = this.coming.shift()!
    this.put(pixels, this.planes.pixelsOf(this.part))
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
      await this.estimate(grown(touched, this.graphs.description.guess_reach!, planes.whole))
      const cells = marks.length
      this.level.forEach((level, at) => {
        if (Math.abs(level - before[at]) > SAME * before[at]) marks[at % cells] = 1
      })
    }
    // What an earlier stroke has begun is not done.
    const unfinished = this.coming.length > 0 ? this.part : undefined
    const changed = grown(around(marks, this.columns)!, this.graphs.description.reach, planes.whole)
    this.part = unfinished ? joined(changed, unfinished) : changed
    this.coming = []
    return true
  }

  rest(): void {
    this.part = this.planes.whole
    this.coming = []
  }

  /** Guesses anew in a part, and agrees on the levels of the whole picture. */
  private async estimate(part: Part): Promise<void> {
    const { planes, graphs } = this
    for (const tile of tiles(part, this.tile)) {
      const seen = grown(tile, graphs.description.guess_reach!, planes.whole)
      const { guesses } = await graphs.run('guesses', { input: planes.image(seen) })
      const width = tile.right - tile.left
      const inner = taken(guesses.data, GUESSES, seen, tile)
      for (let row = 0; row < inner.length / width; row++) {
        const height = tile.bottom - tile.top
        const to = (Math.floor(row / height) * this.rows + tile.top + (row % height)) * this.columns + tile.left
        this.guesses.set(inner.subarray(row * width, (row + 1) * width), to)
      }
    }
    const all = { data: this.guesses.slice(), dims: [1, GUESSES, this.rows, this.columns] }
    this.level = (await graphs.run('levels', { guesses: all })).level.data.slice()
  }

  /** Makes all steps of the part; whether it was allowed to end. */
  private async restore(): Promise<boolean> {
    const { planes, graphs } = this
    const { steps, reach } = graphs.description
    const rect = planes.pixelsOf(this.part)
    const coming = Array.from({ length: steps }, () => ({
      pixels: new Uint8ClampedArray(4 * rect.width * rect.height),
      change: new Float32Array(this.rows * this.columns),
    }))
    const all = tiles(this.part, this.tile)
    for (const [done, tile] of all.entries()) {
      const seen = grown(tile, reach, planes.whole)
      const level = taken(this.level, LEVELS, planes.whole, seen)
      const dims = [1, LEVELS, seen.bottom - seen.top, seen.right - seen.left]
      const made = await graphs.run('restore', { input: planes.image(seen), noise_level: { data: level, dims } })
      for (const [step, { pixels, change }] of coming.entries()) {
        planes.draw(made.steps.data, (step * made.steps.data.length) / steps, seen, planes.pixelsOf(tile), pixels, rect)
        this.putChange(made.change.data, step, seen, tile, change)
      }
      if (!(await this.between(done + 1, all.length))) return false
    }
    this.coming = coming
    return true
  }

  private putChange(changes: Float32Array, step: number, seen: Part, tile: Part, change: Float32Array): void {
    const size = (seen.bottom - seen.top) * (seen.right - seen.left)
    const inner = taken(changes.subarray(step * size, (step + 1) * size), 1, seen, tile)
    const width = tile.right - tile.left
    for (let row = tile.top; row < tile.bottom; row++) {
      const from = (row - tile.top) * width
      change.set(inner.subarray(from, from + width), row * this.columns + tile.left)
    }
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
  private put(pixels: Uint8ClampedArray, rect: Rect): void {
    for (let row = 0; row < rect.height; row++) {
      const from = 4 * row * rect.width
      const to = 4 * ((rect.top + row) * this.planes.width + rect.left)
      this.shown.set(pixels.subarray(from, from + 4 * rect.width), to)
    }
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
