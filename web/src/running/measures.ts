// What is measured of a picture before and after it is deblurred: the small functions of src/lnca/runtime/deblurring.py.
import { plane } from './fourier'
import type { Plane } from './kernels'

export function sum(numbers: Float32Array): number {
  return numbers.reduce((total, value) => total + value, 0)
}

export function meanOfBrightness(levels: Float32Array): number {
  return levels.reduce((total, level, at) => (at % 2 ? total : total + level), 0) / (levels.length / 2)
}

/** Root mean square of the gradient magnitude, after means over 3x3 pixels, which reduce noise. */
export function rmsGradient(picture: Plane): number {
  const { data } = gradientMagnitude(means(picture))
  return Math.sqrt(data.reduce((total, value) => total + value * value, 0) / data.length)
}

/** Means over 3x3 pixels, (rows - 2, columns - 2). */
export function means({ data, rows, columns }: Plane): Plane {
  const result = plane(rows - 2, columns - 2)
  for (let row = 0, to = 0; row < result.rows; row++)
    for (let column = 0; column < result.columns; column++, to++) {
      let total = 0
      for (let down = row; down < row + 3; down++)
        for (let at = down * columns + column; at < down * columns + column + 3; at++) total += data[at]
      result.data[to] = total / 9
    }
  return result
}

/** The gradient magnitude of a picture, (rows - 1, columns - 1). */
export function gradientMagnitude({ data, rows, columns }: Plane): Plane {
  const result = plane(rows - 1, columns - 1)
  for (let row = 1, to = 0; row < rows; row++)
    for (let column = 1; column < columns; column++, to++) {
      const here = row * columns + column
      const across = data[here] - data[here - 1]
      const down = data[here] - data[here - columns]
      result.data[to] = Math.sqrt(across * across + down * down)
    }
  return result
}

/** The number below which such a share of all lies, between two of them by straight lines. */
export function quantile(numbers: Float32Array, share: number): number {
  const sorted = numbers.toSorted()
  const place = share * (sorted.length - 1)
  const below = Math.floor(place)
  const above = sorted[Math.min(below + 1, sorted.length - 1)]
  return sorted[below] + (place - below) * (above - sorted[below])
}

/** The symmetric Hann window. */
export function hanning(size: number): Float64Array {
  return Float64Array.from({ length: size }, (_, at) => 0.5 - 0.5 * Math.cos((2 * Math.PI * at) / (size - 1)))
}
