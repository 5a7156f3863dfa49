// A picture as the input of models: red, green and blue in [0, 1], mirrored at the lower and right border to whole cells.
import { filled } from './hidden'
import { taken, type Part } from './parts'
import type { Rect } from './protocol'
import type { Picture, Plane } from './running/kernels'

// Weights of red, green and blue in the brightness.
export const LUMINANCE = [0.299, 0.587, 0.114]

export class Planes {
  readonly rows: number
  readonly columns: number
  readonly whole: Part
  readonly grey: boolean
  private readonly stride: number
  private readonly data: Float32Array
  private readonly alpha: Uint8Array

  /**
   * @param pixels RGBA bytes
   * @param side side of a cell in pixels
   */
  constructor(
    pixels: Uint8Array,
    readonly width: number,
    readonly height: number,
    readonly side: number,
  ) {
    this.rows = Math.ceil(height / side)
    this.columns = Math.ceil(width / side)
    this.whole = { top: 0, left: 0, bottom: this.rows, right: this.columns }
    this.stride = this.columns * side
    this.data = new Float32Array(3 * this.stride * this.rows * side)
    this.alpha = new Uint8Array(width * height)
    this.grey = isGrey(pixels)
    this.paint(filled(pixels, width, height), { left: 0, top: 0, width, height })
  }

  /** Writes changed RGBA bytes into the picture; returns 1 for each cell with changed pixels. */
  paint(pixels: Uint8Array, rect: Rect): Uint8Array {
    const touched = new Uint8Array(this.rows * this.columns)
    const { data, stride, side } = this
    for (let y = 0; y < rect.height; y++) {
      for (let x = 0; x < rect.width; x++) {
        const from = 4 * (y * rect.width + x)
        const row = rect.top + y
        const column = rect.left + x
        let changed = false
        for (let colour = 0; colour < 3; colour++) {
          const value = pixels[from + colour] / 255
          const to = 3 * (row * stride + column) + colour
          // The stored values have lower precision.
          changed ||= data[to] !== Math.fround(value)
          data[to] = value
        }
        this.alpha[row * this.width + column] = pixels[from + 3]
        if (changed) touched[Math.floor(row / side) * this.columns + Math.floor(column / side)] = 1
      }
    }
    this.mirror()
    return touched
  }

  /** The marks, dilated by a number of cells. */
  spread(marks: Uint8Array, distance: number): Uint8Array {
    const result = new Uint8Array(marks.length)
    for (let row = 0; row < this.rows; row++) {
      for (let column = 0; column < this.columns; column++) {
        if (!marks[row * this.columns + column]) continue
        const end = Math.min(row + distance + 1, this.rows)
        for (let r = Math.max(row - distance, 0); r < end; r++) {
          const begin = r * this.columns
          result.fill(1, begin + Math.max(column - distance, 0), begin + Math.min(column + distance + 1, this.columns))
        }
      }
    }
    return result
  }

  /** The pixels of a part, clipped to the picture. */
  pixelsOf(part: Part): Rect {
    const left = part.left * this.side
    const top = part.top * this.side
    return {
      left,
      top,
      width: Math.min(part.right * this.side, this.width) - left,
      height: Math.min(part.bottom * this.side, this.height) - top,
    }
  }

  /** The picture of a part. */
  image(part: Part): Picture {
    const pixels = inPixels(part, this.side)
    const data = taken(this.data, 3, inPixels(this.whole, this.side), pixels)
    return { data, rows: pixels.bottom - pixels.top, columns: pixels.right - pixels.left, channels: 3 }
  }

  /** The three colours of a part of the picture's own pixels. */
  colours({ left, top, width, height }: Rect): Plane[] {
    return [0, 1, 2].map((colour) => {
      const data = new Float32Array(width * height)
      for (let row = 0, to = 0; row < height; row++) {
        let from = 3 * ((top + row) * this.stride + left) + colour
        for (let column = 0; column < width; column++, to++, from += 3) data[to] = this.data[from]
      }
      return { data, rows: height, columns: width }
    })
  }

  /** Writes the values of the part `of` that lie in `area` into the bytes of `rect`. */
  draw(values: Float32Array, of: Part, area: Rect, pixels: Uint8ClampedArray, rect: Rect): void {
    const { top, left, right } = inPixels(of, this.side)
    this.drawPixels(values, { top, left, width: right - left }, area, pixels, rect)
  }

  /** The same for values that start at any pixel. */
  drawPixels(values: Float32Array, of: Omit<Rect, 'height'>, area: Rect, pixels: Uint8ClampedArray, rect: Rect): void {
    const { grey } = this
    const [red, green, blue] = LUMINANCE
    for (let y = area.top; y < area.top + area.height; y++) {
      let from = 3 * ((y - of.top) * of.width + area.left - of.left)
      let to = 4 * ((y - rect.top) * rect.width + area.left - rect.left)
      for (let x = area.left; x < area.left + area.width; x++, from += 3, to += 4) {
        // Uint8ClampedArray rounds and clips.
        if (grey) {
          const light = red * values[from] + green * values[from + 1] + blue * values[from + 2]
          pixels[to] = pixels[to + 1] = pixels[to + 2] = 255 * light
        } else {
          for (let colour = 0; colour < 3; colour++) pixels[to + colour] = 255 * values[from + colour]
        }
        pixels[to + 3] = this.alpha[y * this.width + x]
      }
    }
  }

  /** Mirrors the lower and right border to whole cells, without repeating the border row or column. */
  private mirror(): void {
    const { data, width, height } = this
    const row = 3 * this.stride
    for (let y = 0; y < height; y++) {
      for (let x = width; x < this.stride; x++) {
        const from = y * row + 3 * (2 * width - 2 - x)
        data.copyWithin(y * row + 3 * x, from, from + 3)
      }
    }
    for (let y = height; y < this.rows * this.side; y++)
      data.copyWithin(y * row, (2 * height - 2 - y) * row, (2 * height - 1 - y) * row)
  }
}

function inPixels(part: Part, side: number): Part {
  return { top: part.top * side, left: part.left * side, bottom: part.bottom * side, right: part.right * side }
}

function isGrey(pixels: Uint8Array): boolean {
  for (let at = 0; at < pixels.length; at += 4) {
    if (pixels[at] !== pixels[at + 1] || pixels[at] !== pixels[at + 2]) return false
  }
  return true
}
