// The cells of one picture: encoded, stepped and decoded, as a whole or in tiles that reach as far as the model does,
// so that large pictures fit into memory and tiles leave no seams.
import type { Graphs, Values } from './graphs'
import type { Rect } from './protocol'

/** A part of the lattice, in cells; `bottom` and `right` are the first that do not belong to it. */
export interface Part {
  top: number
  left: number
  bottom: number
  right: number
}

export const SMALLEST_SIDE = 8
const TILE = 192
// Red, green and blue of grey.
const LUMINANCE = [0.299, 0.587, 0.114]

export class Lattice {
  readonly rows: number
  readonly columns: number
  readonly whole: Part
  private readonly side: number
  private readonly stride: number
  private readonly planes: Float32Array
  private readonly alpha: Uint8Array
  private readonly grey: boolean
  private cells: Values
  private skip?: Values

  /**
   * @param pixels RGBA bytes
   * @param tile cells on a tile's side
   */
  constructor(
    private readonly graphs: Graphs,
    pixels: Uint8Array,
    readonly width: number,
    readonly height: number,
    private readonly tile = TILE,
  ) {
    this.side = graphs.description.multiple
    this.rows = Math.ceil(height / this.side)
    this.columns = Math.ceil(width / this.side)
    this.whole = { top: 0, left: 0, bottom: this.rows, right: this.columns }
    this.stride = this.columns * this.side
    this.planes = new Float32Array(3 * this.stride * this.rows * this.side)
    this.alpha = new Uint8Array(width * height)
    this.grey = isGrey(pixels)
    this.cells = { data: new Float32Array(0), dims: [1, this.rows, this.columns, 0] }
    this.paint(pixels, { left: 0, top: 0, width, height })
  }

  /** Makes fresh cells of the picture, everywhere or in a part. */
  async encode(part = this.whole, only?: Uint8Array): Promise<void> {
    for (const tile of this.tiles(part)) {
      const around = this.grown(tile, this.graphs.description.reach)
      const { cells, skip } = await this.graphs.encode(this.image(around))
      const channels = cells.dims[3]
      if (this.cells.dims[3] !== channels) {
        this.cells = {
          data: new Float32Array(this.rows * this.columns * channels),
          dims: [1, this.rows, this.columns, channels],
        }
      }
      this.put(cells, around, tile, only)
      this.skip = isSame(around, this.whole) ? skip : undefined
    }
  }

  /**
   * One step.
   *
   * @param active 1 for cells that take part; all do without it
   * @returns how much each cell of the lattice changed: the mean over its channels
   */
  async step(part = this.whole, active?: Uint8Array): Promise<Float32Array> {
    const change = new Float32Array(this.rows * this.columns)
    const results: [Part, Part, Values][] = []
    for (const tile of this.tiles(part)) {
      const around = this.grown(tile, 1)
      results.push([tile, around, await this.graphs.step(this.take(around))])
    }
    // Tiles beside each other need each other's old cells, so that none is put in its place before all are there.
    for (const [tile, around, cells] of results) this.put(cells, around, tile, active, change)
    return change
  }

  /** The picture as the cells have it now: RGBA bytes, of everything or of a part. */
  async decode(part = this.whole): Promise<{ pixels: Uint8ClampedArray<ArrayBuffer>; rect: Rect }> {
    const rect = this.pixelsOf(part)
    const pixels = new Uint8ClampedArray(4 * rect.width * rect.height)
    for (const tile of this.tiles(part)) {
      const around = this.grown(tile, this.graphs.description.reach)
      const restored = await this.graphs.decode(this.take(around), await this.past(around))
      this.draw(restored, around, this.pixelsOf(tile), pixels, rect)
    }
    return { pixels, rect }
  }

  /** Puts changed RGBA bytes into the picture; gives 1 for each cell that has changed pixels. */
  paint(pixels: Uint8Array, rect: Rect): Uint8Array {
    const touched = new Uint8Array(this.rows * this.columns)
    const { planes, stride, side } = this
    const plane = planes.length / 3
    for (let y = 0; y < rect.height; y++) {
      for (let x = 0; x < rect.width; x++) {
        const from = 4 * (y * rect.width + x)
        const row = rect.top + y
        const column = rect.left + x
        let changed = false
        for (let colour = 0; colour < 3; colour++) {
          const value = pixels[from + colour] / 255
          const to = colour * plane + row * stride + column
          // What is kept has fewer digits.
          changed ||= planes[to] !== Math.fround(value)
          planes[to] = value
        }
        this.alpha[row * this.width + column] = pixels[from + 3]
        if (changed) touched[Math.floor(row / side) * this.columns + Math.floor(column / side)] = 1
      }
    }
    this.mirror()
    return touched
  }

  /** The same marks, and all cells within so many of one that is marked. */
  spread(marks: Uint8Array, distance: number): Uint8Array {
    const result = new Uint8Array(marks.length)
    for (let row = 0; row < this.rows; row++) {
      for (let column = 0; column < this.columns; column++) {
        if (!marks[row * this.columns + column]) continue
        const part = this.grown({ top: row, left: column, bottom: row + 1, right: column + 1 }, distance)
        for (let r = part.top; r < part.bottom; r++)
          result.fill(1, r * this.columns + part.left, r * this.columns + part.right)
      }
    }
    return result
  }

  /** The smallest part with all marked cells; undefined where there is none. */
  around(marks: Uint8Array): Part | undefined {
    const part = { top: this.rows, left: this.columns, bottom: 0, right: 0 }
    marks.forEach((mark, index) => {
      if (!mark) return
      const row = Math.floor(index / this.columns)
      const column = index % this.columns
      part.top = Math.min(part.top, row)
      part.left = Math.min(part.left, column)
      part.bottom = Math.max(part.bottom, row + 1)
      part.right = Math.max(part.right, column + 1)
    })
    return part.bottom ? part : undefined
  }

  /** Mirrors the lower and right border to whole cells, without the border row or column itself. */
  private mirror(): void {
    const { stride, width, height } = this
    const full = this.rows * this.side
    for (let colour = 0; colour < 3; colour++) {
      const plane = this.planes.subarray(colour * stride * full, (colour + 1) * stride * full)
      for (let y = 0; y < height; y++) {
        for (let x = width; x < stride; x++) plane[y * stride + x] = plane[y * stride + 2 * width - 2 - x]
      }
      for (let y = height; y < full; y++)
        plane.copyWithin(y * stride, (2 * height - 2 - y) * stride, (2 * height - 1 - y) * stride)
    }
  }

  private tiles(part: Part): Part[] {
    const split = (begin: number, end: number) => {
      const count = Math.ceil((end - begin) / this.tile)
      return Array.from({ length: count }, (_, index) => [
        begin + Math.floor(((end - begin) * index) / count),
        begin + Math.floor(((end - begin) * (index + 1)) / count),
      ])
    }
    const columns = split(part.left, part.right)
    return split(part.top, part.bottom).flatMap(([top, bottom]) =>
      columns.map(([left, right]) => ({ top, left, bottom, right })),
    )
  }

  private grown(part: Part, by: number): Part {
    return {
      top: Math.max(part.top - by, 0),
      left: Math.max(part.left - by, 0),
      bottom: Math.min(part.bottom + by, this.rows),
      right: Math.min(part.right + by, this.columns),
    }
  }

  private pixelsOf(part: Part): Rect {
    const left = part.left * this.side
    const top = part.top * this.side
    return {
      left,
      top,
      width: Math.min(part.right * this.side, this.width) - left,
      height: Math.min(part.bottom * this.side, this.height) - top,
    }
  }

  /** The picture of a part, as the encoder wants it. */
  private image(part: Part): Values {
    const height = (part.bottom - part.top) * this.side
    const width = (part.right - part.left) * this.side
    const data = new Float32Array(3 * height * width)
    const full = this.rows * this.side
    for (let row = 0; row < 3 * height; row++) {
      const from =
        (Math.floor(row / height) * full + part.top * this.side + (row % height)) * this.stride + part.left * this.side
      data.set(this.planes.subarray(from, from + width), row * width)
    }
    return { data, dims: [1, 3, height, width] }
  }

  private take(part: Part): Values {
    if (isSame(part, this.whole)) return this.cells
    const channels = this.cells.dims[3]
    const width = part.right - part.left
    const data = new Float32Array((part.bottom - part.top) * width * channels)
    for (let row = part.top; row < part.bottom; row++) {
      const from = (row * this.columns + part.left) * channels
      data.set(this.cells.data.subarray(from, from + width * channels), (row - part.top) * width * channels)
    }
    return { data, dims: [1, part.bottom - part.top, width, channels] }
  }

  /** Puts cells of the part `of` into the lattice, as far as they lie in `part` and are marked. */
  private put(cells: Values, of: Part, part: Part, only?: Uint8Array, change?: Float32Array): void {
    const channels = cells.dims[3]
    const kept = this.cells.data
    for (let row = part.top; row < part.bottom; row++) {
      for (let column = part.left; column < part.right; column++) {
        const index = row * this.columns + column
        if (only && !only[index]) continue
        const to = index * channels
        const from = ((row - of.top) * (of.right - of.left) + column - of.left) * channels
        let total = 0
        for (let channel = 0; channel < channels; channel++) {
          const value = cells.data[from + channel]
          total += Math.abs(value - kept[to + channel])
          kept[to + channel] = value
        }
        if (change) change[index] = total / channels
      }
    }
  }

  /** What goes past the cells of a part; made anew where it does not lie ready. */
  private async past(part: Part): Promise<Values> {
    if (this.skip && isSame(part, this.whole)) return this.skip
    const around = this.grown(part, this.graphs.description.reach)
    const { skip } = await this.graphs.encode(this.image(around))
    const [, channels, height, width] = skip.dims
    const share = width / (around.right - around.left)
    const [rows, columns] = [(part.bottom - part.top) * share, (part.right - part.left) * share]
    const [down, across] = [(part.top - around.top) * share, (part.left - around.left) * share]
    const data = new Float32Array(channels * rows * columns)
    for (let channel = 0; channel < channels; channel++) {
      for (let row = 0; row < rows; row++) {
        const from = (channel * height + down + row) * width + across
        data.set(skip.data.subarray(from, from + columns), (channel * rows + row) * columns)
      }
    }
    return { data, dims: [1, channels, rows, columns] }
  }

  /** Writes decoded values of `of` into the bytes of `rect`, as far as they lie in `area`. */
  private draw(restored: Values, of: Part, area: Rect, pixels: Uint8ClampedArray, rect: Rect): void {
    const [, , height, width] = restored.dims
    const plane = height * width
    for (let y = area.top; y < area.top + area.height; y++) {
      for (let x = area.left; x < area.left + area.width; x++) {
        const from = (y - of.top * this.side) * width + x - of.left * this.side
        const to = 4 * ((y - rect.top) * rect.width + x - rect.left)
        // Clamped bytes round and clip by themselves.
        if (this.grey) {
          const grey = LUMINANCE.reduce((sum, share, colour) => sum + share * restored.data[from + colour * plane], 0)
          pixels.fill(255 * grey, to, to + 3)
        } else {
          for (let colour = 0; colour < 3; colour++) pixels[to + colour] = 255 * restored.data[from + colour * plane]
        }
        pixels[to + 3] = this.alpha[y * this.width + x]
      }
    }
  }
}

function isSame(a: Part, b: Part): boolean {
  return a.top === b.top && a.left === b.left && a.bottom === b.bottom && a.right === b.right
}

function isGrey(pixels: Uint8Array): boolean {
  for (let at = 0; at < pixels.length; at += 4) {
    if (pixels[at] !== pixels[at + 1] || pixels[at] !== pixels[at + 2]) return false
  }
  return true
}
