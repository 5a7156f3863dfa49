// Pictures and kernels of other sizes: `shrunk` and `resized` of src/lnca/runtime/blur_kernel.py.
import { plane } from './fourier'
import type { Plane } from './kernels'

/** The nearest whole number, of two the even one. */
export function rounded(value: number): number {
  const below = Math.floor(value)
  return value - below === 0.5 ? below + (below & 1) : Math.round(value)
}

/** Positions of old rows or columns that are mixed, `taps` for each new one, and their weights. */
interface Taps {
  taps: number
  positions: Int32Array
  weights: Float32Array
}

/** A picture shrunk by a factor of at most 1, by linear interpolation with antialiasing. */
export function shrunk(picture: Plane, factor: number): Plane {
  const [rows, columns] = [picture.rows, picture.columns].map((size) => rounded(size * factor))
  return resampled(picture, linearWeights(picture.rows, rows), linearWeights(picture.columns, columns))
}

/** A kernel resampled to (side, side) by cubic convolution, without negative values, of sum 1. */
export function resized(kernel: Plane, side: number, slope: number): Plane {
  const found = resampled(kernel, cubicWeights(kernel.rows, side, slope), cubicWeights(kernel.columns, side, slope))
  return ofSumOne({ ...found, data: found.data.map((value) => Math.max(value, 0)) })
}

/** New rows, and then new columns, each a weighted sum of old ones; beyond the border the last one is repeated. */
function resampled(picture: Plane, down: Taps, across: Taps): Plane {
  const target = (taps: Taps) => taps.weights.length / taps.taps
  const inside = (place: number, size: number) => Math.min(Math.max(place, 0), size - 1)
  const tall = plane(target(down), picture.columns)
  for (let row = 0; row < tall.rows; row++)
    for (let tap = row * down.taps; tap < (row + 1) * down.taps; tap++) {
      const from = inside(down.positions[tap], picture.rows) * picture.columns
      for (let column = 0; column < tall.columns; column++)
        tall.data[row * tall.columns + column] += picture.data[from + column] * down.weights[tap]
    }
  const result = plane(tall.rows, target(across))
  for (let row = 0, to = 0; row < result.rows; row++)
    for (let column = 0; column < result.columns; column++, to++)
      for (let tap = column * across.taps; tap < (column + 1) * across.taps; tap++) {
        const from = row * tall.columns + inside(across.positions[tap], tall.columns)
        result.data[to] += tall.data[from] * across.weights[tap]
      }
  return result
}

/** A triangle, two new pixels wide where the picture shrinks. */
function linearWeights(size: number, target: number): Taps {
  const scale = size / target
  const radius = Math.max(scale, 1)
  const taps = 2 * Math.ceil(radius) + 2
  const found = { taps, positions: new Int32Array(target * taps), weights: new Float32Array(target * taps) }
  for (let at = 0; at < target; at++) {
    const centre = scale * (at + 0.5)
    const weights = Array.from({ length: taps }, (_, tap) => {
      const position = Math.floor(centre - radius) + tap
      found.positions[at * taps + tap] = position
      const inside = position >= 0 && position < size
      return inside ? Math.max(1 - Math.abs(position + 0.5 - centre) / radius, 0) : 0
    })
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    found.weights.set(
      weights.map((weight) => weight / total),
      at * taps,
    )
  }
  return found
}

/** Cubic convolution (Keys 1981, equation 4). */
function cubicWeights(size: number, target: number, slope: number): Taps {
  const taps = 4
  const found = { taps, positions: new Int32Array(target * taps), weights: new Float32Array(target * taps) }
  for (let at = 0; at < target * taps; at++) {
    const centre = (size / target) * (Math.floor(at / taps) + 0.5) - 0.5
    found.positions[at] = Math.floor(centre) - 1 + (at % taps)
    const distance = Math.abs(found.positions[at] - centre)
    found.weights[at] =
      distance <= 1
        ? ((slope + 2) * distance - (slope + 3)) * distance ** 2 + 1
        : slope * (((distance - 5) * distance + 8) * distance - 4)
  }
  return found
}

/** A kernel divided by its sum. */
export function ofSumOne(kernel: Plane): Plane {
  const total = kernel.data.reduce((sum, value) => sum + value, 0)
  return { ...kernel, data: kernel.data.map((value) => value / total) }
}
