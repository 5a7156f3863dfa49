// A brush that corrupts the pixels under it, once in each stroke, or marks where to restore.
import type { Rect } from './protocol'
import { copy, motionBlur, normal, random } from './spoil'

export type Tool = 'move' | 'noise' | 'blur' | 'damage' | 'where'

const NOISE = 45
const BLUR = 9

/** One stroke over a picture, which is changed in place. */
export class Stroke {
  private readonly covered: Uint8Array
  private readonly before: ImageData
  private readonly draw = random((Math.random() * 2 ** 32) | 0)
  private readonly noise = normal(this.draw)
  private readonly angle = Math.PI * this.draw()
  private last?: { x: number; y: number }
  private bounds?: { left: number; top: number; right: number; bottom: number }

  constructor(
    private readonly picture: ImageData,
    private readonly tool: 'noise' | 'blur' | 'damage',
    private readonly radius: number,
  ) {
    this.covered = new Uint8Array(picture.width * picture.height)
    this.before = copy(picture)
  }

  /** The part of the picture that the stroke changed. */
  get rect(): Rect | undefined {
    if (!this.bounds) return undefined
    const { left, top, right, bottom } = this.bounds
    return { left, top, width: right - left, height: bottom - top }
  }

  /** Continues the stroke to a point; returns the changed part. */
  to(x: number, y: number): Rect {
    const from = this.last ?? { x, y }
    this.last = { x, y }
    const { width, height } = this.picture
    const reach = this.radius + 1
    const left = Math.max(Math.floor(Math.min(from.x, x) - reach), 0)
    const top = Math.max(Math.floor(Math.min(from.y, y) - reach), 0)
    const right = Math.max(Math.min(Math.ceil(Math.max(from.x, x) + reach), width), left)
    const bottom = Math.max(Math.min(Math.ceil(Math.max(from.y, y) + reach), height), top)
    const rect = { left, top, width: right - left, height: bottom - top }
    if (!rect.width || !rect.height) return rect
    const changed = this.spoil(rect)
    for (let row = top; row < bottom; row++) {
      for (let column = left; column < right; column++) {
        const index = row * width + column
        if (this.covered[index] || distance(column + 0.5, row + 0.5, from, { x, y }) > this.radius) continue
        this.covered[index] = 1
        for (let c = 0; c < 3; c++) this.picture.data[4 * index + c] = changed(column, row, c)
      }
    }
    const old = this.bounds ?? { left, top, right, bottom }
    this.bounds = {
      left: Math.min(old.left, left),
      top: Math.min(old.top, top),
      right: Math.max(old.right, right),
      bottom: Math.max(old.bottom, bottom),
    }
    return rect
  }

  /** The new value of a colour of a pixel in the part. */
  private spoil(rect: Rect): (x: number, y: number, colour: number) => number {
    const { width, data } = this.before
    if (this.tool === 'noise') return (x, y, c) => data[4 * (y * width + x) + c] + NOISE * this.noise()
    // Damage: every second pixel is replaced by a random brightness.
    if (this.tool === 'damage') {
      let value: number
      let lost: boolean
      return (x, y, c) => {
        if (c === 0) [lost, value] = [this.draw() < 0.5, 255 * this.draw()]
        return lost ? value : data[4 * (y * width + x) + c]
      }
    }
    const margin = BLUR
    const left = Math.max(rect.left - margin, 0)
    const top = Math.max(rect.top - margin, 0)
    const right = Math.min(rect.left + rect.width + margin, width)
    const bottom = Math.min(rect.top + rect.height + margin, this.before.height)
    const blurred = motionBlur(
      cut(this.before, { left, top, width: right - left, height: bottom - top }),
      this.angle,
      BLUR,
    )
    return (x, y, c) => blurred.data[4 * ((y - top) * blurred.width + x - left) + c]
  }
}

/** A part of a picture. */
export function cut(picture: ImageData, { left, top, width, height }: Rect): ImageData {
  const result = new ImageData(width, height)
  for (let row = 0; row < height; row++) {
    const from = 4 * ((top + row) * picture.width + left)
    result.data.set(picture.data.subarray(from, from + 4 * width), 4 * row * width)
  }
  return result
}

/** The central part of a picture, at most that large. */
export function middle(picture: ImageData, most: { width: number; height: number }): ImageData {
  const width = Math.min(most.width, picture.width)
  const height = Math.min(most.height, picture.height)
  return cut(picture, { left: (picture.width - width) >> 1, top: (picture.height - height) >> 1, width, height })
}

/** Distance of a point from a line segment. */
function distance(x: number, y: number, a: { x: number; y: number }, b: { x: number; y: number }): number {
  const [dx, dy] = [b.x - a.x, b.y - a.y]
  const along = dx || dy ? Math.min(Math.max(((x - a.x) * dx + (y - a.y) * dy) / (dx * dx + dy * dy), 0), 1) : 0
  return Math.hypot(x - a.x - along * dx, y - a.y - along * dy)
}
