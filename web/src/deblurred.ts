// A picture deblurred window by window, as src/lnca/restoration/deblurring.py does it: windows overlap, and their results are blended
// there.
import type { Automaton } from './automaton'
import { NoiseLevels } from './levels'
import { Planes } from './planes'
import type { Rect } from './protocol'
import type { Work } from './running/blurKernel'
import type { Blur, Colours, Deblurring } from './running/deblurring'
import type { Plane } from './running/kernels'
import { SIDE } from './running/noise'

// Sides of windows and of what two of them share, in pixels; both grow for kernels with a longer side than the last.
const WINDOW = 1088
const OVERLAP = 128
const LARGE_KERNEL = 96
// Cells on the side of a tile whose noise is estimated.
const TILE = 96

export interface Told {
  /** Standard deviation of the noise in 255ths; estimated without it. */
  noiseLevel?: number
  /** Not negative, of sum 1; estimated without it. */
  kernel?: Plane
}

export class Deblurred implements Automaton {
  readonly rows: number
  readonly columns: number
  blur?: Blur
  private readonly planes: Planes
  private readonly levels: NoiseLevels
  private readonly whole: Rect
  private readonly shown: Uint8ClampedArray<ArrayBuffer>
  /** The pictures after the rounds that are still to be shown. */
  private coming: Uint8ClampedArray<ArrayBuffer>[] = []

  /**
   * @param pixels RGBA bytes
   * @param between is asked from time to time, told what goes on, whether to go on
   */
  constructor(
    private readonly model: Deblurring,
    pixels: Uint8Array,
    width: number,
    height: number,
    private readonly told: Told,
    private readonly between: (text: string) => Promise<boolean>,
    private readonly window = WINDOW,
  ) {
    this.planes = new Planes(pixels, width, height, SIDE)
    this.rows = this.planes.rows
    this.columns = this.planes.columns
    this.levels = new NoiseLevels(model.cells, this.planes, TILE, told.noiseLevel)
    this.whole = this.planes.pixelsOf(this.planes.whole)
    this.shown = new Uint8ClampedArray(pixels)
  }

  get noise(): { level: number; chroma: number } {
    return this.levels.mean
  }

  /** Knows the noise levels and the blur of the whole picture. */
  async begin(): Promise<void> {
    const { model, levels, told } = this
    const part = this.estimationPart()
    levels.estimate(this.planes.whole)
    if (told.noiseLevel === undefined) levels.values = model.cappedBySpectrum(levels.values, part)
    const level = model.filterLevel(levels.values)
    this.blur = told.kernel
      ? { kernel: told.kernel, confidence: 1, level }
      : await this.result(model.estimated(part, level))
  }

  async step(): Promise<Float32Array<ArrayBuffer> | undefined> {
    if (!this.coming.length && !(await this.restore())) return undefined
    const next = this.coming.shift()!
    const change = this.change(next)
    this.shown.set(next)
    return change
  }

  picture(): Promise<{ pixels: Uint8ClampedArray<ArrayBuffer>; rect: Rect }> {
    return Promise.resolve({ pixels: this.shown.slice(), rect: this.whole })
  }

  /** The blur of a picture that was painted on is another one: everything begins anew. */
  async heal(pixels: Uint8Array, rect: Rect): Promise<boolean> {
    if (!this.planes.paint(pixels, rect).includes(1)) return false
    for (let row = 0; row < rect.height; row++) {
      const part = pixels.subarray(4 * row * rect.width, 4 * (row + 1) * rect.width)
      this.shown.set(part, 4 * ((rect.top + row) * this.planes.width + rect.left))
    }
    this.coming = []
    await this.begin()
    return true
  }

  rest(): void {
    this.coming = []
  }

  free(): void {
    // Between two steps it has nothing there.
  }

  /** The result of some work; undefined when it was given up. */
  private async result<Result>(work: Work<Result>, saying?: string): Promise<Result | undefined> {
    for (;;) {
      const next = work.next()
      if (next.done) return next.value
      if (!(await this.between(saying ?? next.value))) return undefined
    }
  }

  /** The part of the picture in which the kernel is estimated; its edges are looked for in one row of blocks after the other. */
  private estimationPart(): Colours {
    const { model, planes } = this
    const { width, height } = planes
    const { edge_block, estimation_side } = model.numbers
    const [rows, columns] = [height, width].map((size) => Math.floor(size / edge_block))
    const edges: Plane = { data: new Float32Array(rows * columns), rows, columns }
    for (let row = 0; row < rows; row++) {
      const band = planes.colours({ left: 0, top: row * edge_block, width, height: edge_block })
      edges.data.set(model.edges(model.brightness(band)).data, row * columns)
    }
    const { top, left } = model.estimationCorner(edges, height, width)
    const size = { width: Math.min(estimation_side, width - left), height: Math.min(estimation_side, height - top) }
    return planes.colours({ left, top, ...size })
  }

  /** Makes all rounds of all windows; whether it was allowed to end. */
  private async restore(): Promise<boolean> {
    const { model, planes } = this
    const { width, height } = planes
    const blur = this.blur!
    const { side, overlap } = windowOf(Math.max(blur.kernel.rows, blur.kernel.columns), this.window)
    const [tops, lefts] = [height, width].map((size) => windowStarts(size, side, overlap))
    const coming = Array.from({ length: model.steps }, () => new Uint8ClampedArray(4 * width * height))
    const bands = coming.map(() => new Float32Array(3 * Math.min(side, height) * width))
    for (const [row, top] of tops.entries()) {
      const bottom = Math.min(top + side, height)
      for (const [column, left] of lefts.entries()) {
        const rect = { left, top, width: Math.min(side, width - left), height: bottom - top }
        const all = tops.length * lefts.length
        const saying = all > 1 ? `window ${row * lefts.length + column + 1} of ${all}` : undefined
        const pictures = await this.result(model.rounds(planes.colours(rect), blur), saying)
        if (!pictures) return false
        const weight = windowWeight(rect, width, height, overlap)
        for (const [round, band] of bands.entries()) add(band, pictures[round + 1], weight, left, width)
      }
      const done = bottom === height ? bottom : bottom - overlap
      for (const [round, band] of bands.entries()) {
        const area = { left: 0, top, width, height: done - top }
        planes.drawPixels(band, { left: 0, top, width }, area, coming[round], this.whole)
        // The next windows share the rest.
        const kept = 3 * (bottom - done) * width
        band.copyWithin(0, 3 * (done - top) * width, 3 * (bottom - top) * width)
        band.fill(0, kept)
      }
    }
    this.coming = coming
    return true
  }

  /** How much the pixels of each cell change, on average over colours. */
  private change(next: Uint8ClampedArray): Float32Array<ArrayBuffer> {
    const change = new Float32Array(this.rows * this.columns)
    const { width, height } = this.planes
    for (let y = 0, at = 0; y < height; y++)
      for (let x = 0; x < width; x++, at += 4) {
        const cell = (y >> 3) * this.columns + (x >> 3)
        for (let colour = at; colour < at + 3; colour++) change[cell] += Math.abs(next[colour] - this.shown[colour])
      }
    return change.map((sum, cell) => {
      const [row, column] = [Math.floor(cell / this.columns), cell % this.columns]
      const pixels = Math.min(SIDE, height - SIDE * row) * Math.min(SIDE, width - SIDE * column)
      return sum / (3 * 255 * pixels)
    })
  }
}

/** Side of a window and of what two share, for the longest side of a kernel. */
export function windowOf(kernel: number, window = WINDOW): { side: number; overlap: number } {
  const factor = Math.max(1, Math.ceil(kernel / LARGE_KERNEL))
  return { side: factor === 1 ? window : Math.max(window, 6 * OVERLAP * factor), overlap: OVERLAP * factor }
}

/** Where windows begin along a side of a picture. */
export function windowStarts(size: number, side: number, overlap: number): number[] {
  if (size <= side) return [0]
  return Array.from({ length: Math.ceil((size - overlap) / (side - overlap)) }, (_, at) => at * (side - overlap))
}

/** The weight of a window in each of its pixels. */
function windowWeight({ left, top, width, height }: Rect, wide: number, high: number, overlap: number): Plane {
  const down = lineWeight(top, top + height, high, overlap)
  const across = lineWeight(left, left + width, wide, overlap)
  const data = Float32Array.from(
    { length: width * height },
    (_, at) => down[Math.floor(at / width)] * across[at % width],
  )
  return { data, rows: height, columns: width }
}

/** The same along one side; the weights of all windows sum to 1. It is 0 in the outer quarter of an overlap, and then increases. */
function lineWeight(begin: number, end: number, size: number, overlap: number): Float32Array {
  const ramp = Math.floor(overlap / 2)
  const quarter = Math.floor(overlap / 4)
  const clipped = (value: number) => Math.min(Math.max(value, 0), 1)
  return Float32Array.from({ length: end - begin }, (_, at) => {
    const up = begin ? clipped((at + 0.5 - quarter) / ramp) : 1
    const down = end < size ? clipped((end - begin - 0.5 - quarter - at) / ramp) : 1
    return up * down
  })
}

/** Adds a window's weighted colours to a band of rows, `width` pixels wide, from a column on. */
function add(band: Float32Array, image: Colours, weight: Plane, left: number, width: number): void {
  for (let row = 0, at = 0; row < weight.rows; row++)
    for (let column = 0; column < weight.columns; column++, at++) {
      const to = 3 * (row * width + left + column)
      for (let colour = 0; colour < 3; colour++) band[to + colour] += weight.data[at] * image[colour].data[at]
    }
}
