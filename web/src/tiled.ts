// A picture restored in tiles by a model that takes noise levels. Tiles overlap by the radius of the model's receptive field, and
// the levels are those of the whole picture, so that tiles agree.
import type { Automaton } from './automaton'
import { LEVELS, NoiseLevels, put } from './levels'
import { around, grown, taken, tiles, type Part } from './parts'
import { Planes } from './planes'
import type { Rect } from './protocol'
import type { PyramidModel } from './running/pyramid'

// Of 8x8 pixels.
const TILE = 96
// A relative change of a level below this has no visible effect.
const SAME = 0.01

/** The picture after each step that has not been shown yet. */
interface Coming {
  pixels: Uint8ClampedArray<ArrayBuffer>
  change: Float32Array<ArrayBuffer>
}

export class Tiled implements Automaton {
  readonly rows: number
  readonly columns: number
  private readonly planes: Planes
  private readonly levels: NoiseLevels
  private readonly shown: Uint8ClampedArray<ArrayBuffer>
  private part: Part
  private coming: Coming[] = []

  /**
   * @param pixels RGBA bytes
   * @param told the given noise level in 255ths; estimated if undefined
   * @param between is called after each tile with the numbers of finished and of all tiles; returns whether to continue
   */
  constructor(
    private readonly model: PyramidModel,
    pixels: Uint8Array,
    width: number,
    height: number,
    private readonly tile = TILE,
    told: number | undefined,
    private readonly between: (done: number, all: number) => Promise<boolean>,
  ) {
    this.planes = new Planes(pixels, width, height, model.multiple)
    this.rows = this.planes.rows
    this.columns = this.planes.columns
    this.part = this.planes.whole
    this.levels = new NoiseLevels(model, this.planes, tile, told)
    this.shown = new Uint8ClampedArray(pixels)
  }

  get noise(): { level: number; chroma: number } {
    return this.levels.mean
  }

  async begin(): Promise<void> {
    this.levels.estimate(this.planes.whole)
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
    const before = this.levels.values.slice()
    this.levels.estimate(grown(touched, this.model.guessReach, planes.whole))
    this.levels.values.forEach((level, at) => {
      if (Math.abs(level - before[at]) > SAME * before[at]) marks[Math.floor(at / LEVELS)] = 1
    })
    // The restoration after an earlier stroke is not finished.
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
    // It has no memory in the kernels between two steps.
  }

  /** Runs all steps on a part; returns whether it was not cancelled. */
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
      const level = { data: taken(this.levels.values, LEVELS, planes.whole, seen), rows, columns, channels: LEVELS }
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

  /** Writes the pixels of marked cells into the shown pictures. */
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

  /** Writes RGBA bytes of a part into the shown pictures. */
  private show(pixels: Uint8ClampedArray, rect: Rect): void {
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
