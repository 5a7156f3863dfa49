// Convolution of pictures with blur kernels in the Fourier domain, with periodic borders: src/lnca/runtime/fourier.py.
import type { Kernels, Plane, Spectrum } from './kernels'

// Transforms are fast for sizes that are products of these factors.
const FACTORS = [2, 3, 5, 7, 11]

export class Fourier {
  constructor(readonly kernels: Kernels) {}

  /** The unitary spectrum of a picture. */
  transform(picture: Plane): Spectrum {
    const spectrum = this.kernels.fourierRows(picture)
    this.kernels.fourierColumns(spectrum)
    return spectrum
  }

  /** The picture of a spectrum, which is overwritten. */
  inverseTransform(spectrum: Spectrum): Plane {
    this.kernels.fourierColumns(spectrum, true)
    return this.kernels.fourierRowsBack(spectrum)
  }

  /** Spectrum of a kernel whose central pixel is the origin, not unitary: a product with it is a convolution. */
  spectrum(kernel: Plane, rows: number, columns: number): Spectrum {
    const padded = plane(rows, columns)
    const [top, left] = [Math.floor(kernel.rows / 2), Math.floor(kernel.columns / 2)]
    for (let row = 0; row < kernel.rows; row++)
      for (let column = 0; column < kernel.columns; column++) {
        const to = ((row - top + rows) % rows) * columns + ((column - left + columns) % columns)
        padded.data[to] = kernel.data[row * kernel.columns + column]
      }
    const found = this.transform(padded)
    const scale = Math.sqrt(rows * columns)
    for (const part of [found.re, found.im]) part.forEach((value, at) => (part[at] = value * scale))
    return found
  }

  /** A picture with periodic borders, convolved with a kernel. */
  blurred(picture: Plane, kernel: Plane): Plane {
    const own = this.transform(picture)
    multiply(own, this.spectrum(kernel, picture.rows, picture.columns))
    return this.inverseTransform(own)
  }
}

export function plane(rows: number, columns: number): Plane {
  return { data: new Float32Array(rows * columns), rows, columns }
}

/** Squared absolute values. */
export function energy({ re, im }: Spectrum): Float32Array {
  return re.map((value, at) => value * value + im[at] * im[at])
}

/** Multiplies a spectrum by another one, in place; by its conjugate where that is asked for. */
export function multiply(spectrum: Spectrum, { re, im }: Spectrum, conjugate = false): void {
  const sign = conjugate ? -1 : 1
  for (let at = 0; at < re.length; at++) {
    const a = spectrum.re[at]
    const b = spectrum.im[at]
    spectrum.re[at] = a * re[at] - sign * b * im[at]
    spectrum.im[at] = sign * a * im[at] + b * re[at]
  }
}

/**
 * A picture padded by so many rows and columns of pixels on each side, so that it continues periodically without an edge: mirrored
 * pixels, blended with those of the opposite side, with equal weights where both sides meet.
 */
export function periodic(picture: Plane, rows: number, columns: number): Plane {
  const padded = plane(picture.rows + 2 * rows, picture.columns + 2 * columns)
  const { data } = padded
  const mirrored = (place: number, size: number) => (place < 0 ? -place : place >= size ? 2 * size - 2 - place : place)
  for (let row = 0, to = 0; row < padded.rows; row++) {
    const from = mirrored(row - rows, picture.rows) * picture.columns
    for (let column = 0; column < padded.columns; column++, to++)
      data[to] = picture.data[from + mirrored(column - columns, picture.columns)]
  }
  const blend = (first: number, last: number, weight: number) => {
    const begin = data[first]
    const end = data[last]
    data[first] = begin * weight + end * (1 - weight)
    data[last] = end * weight + begin * (1 - weight)
  }
  for (let row = 0; row < rows; row++) {
    const [first, last] = [row * padded.columns, (padded.rows - 1 - row) * padded.columns]
    const weight = Math.fround(0.5 + (0.5 * row) / rows)
    for (let column = 0; column < padded.columns; column++) blend(first + column, last + column, weight)
  }
  for (let column = 0; column < columns; column++) {
    const weight = Math.fround(0.5 + (0.5 * column) / columns)
    for (let row = 0; row < padded.rows; row++) {
      const begin = row * padded.columns
      blend(begin + column, begin + padded.columns - 1 - column, weight)
    }
  }
  return padded
}

/**
 * A margin in pixels, at least `least`, with which on each side the transform of `size` pixels is fast; a smaller one if the picture
 * is too small to be mirrored that far.
 */
export function fastMargin(size: number, least: number): number {
  for (let margin = least; margin < size; margin++) {
    let left = size + 2 * margin
    for (const factor of FACTORS) while (left % factor === 0) left /= factor
    if (left === 1) return margin
  }
  return Math.min(least, size - 1)
}

/** A part of a picture. */
export function cropped(picture: Plane, top: number, left: number, rows: number, columns: number): Plane {
  const part = plane(rows, columns)
  for (let row = 0; row < rows; row++) {
    const from = (top + row) * picture.columns + left
    part.data.set(picture.data.subarray(from, from + columns), row * columns)
  }
  return part
}
