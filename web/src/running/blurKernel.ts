// Blind estimation of the blur kernel of a photograph: src/lnca/runtime/blur_kernel.py, where its methods and numbers are explained.
import { energy, fastMargin, multiply, periodic, plane, type Fourier } from './fourier'
import type { Plane, Spectrum } from './kernels'
import { leastSquares } from './leastSquares'
import { ofSumOne, resized, rounded, shrunk } from './resampling'

export interface BlurKernelNumbers {
  coarsest_side: number
  scale_ratio: number
  iterations: number
  first_penalty: number
  penalty_decay: number
  least_penalty: number
  largest_weight: number
  energy_weight: number
  cg_tolerance: number
  faint_value: number
  small_patch: number
  cubic_slope: number
}

/** Work that says what it is at, wherever it may be given up. */
export type Work<Result> = Generator<string, Result>

/** Estimates the blur kernel (side, side) of the brightness of a photograph, whose sides are larger than three times that. */
export function* estimateKernel(
  fourier: Fourier,
  numbers: BlurKernelNumbers,
  picture: Plane,
  side: number,
): Work<Plane> {
  const { coarsest_side, scale_ratio, iterations, penalty_decay, least_penalty } = numbers
  const scales = Math.max(1, Math.floor(Math.log(coarsest_side / side) / Math.log(scale_ratio)) + 1)
  let kernel: Plane | undefined
  let penalty = numbers.first_penalty
  for (let scale = scales - 1; scale >= 0; scale--) {
    const smaller = Math.max(3, 2 * Math.floor(Math.ceil(side * scale_ratio ** scale) / 2) + 1)
    const size = scale === 0 ? side : smaller
    const given = scale === 0 ? picture : shrunk(picture, scale_ratio ** scale)
    const blurred = periodic(given, fastMargin(given.rows, size), fastMargin(given.columns, size))
    kernel = kernel ? resized(kernel, size, numbers.cubic_slope) : beginning(size)
    for (let iteration = 0; iteration < iterations; iteration++) {
      yield `scale ${scales - scale} of ${scales}`
      const sharp = l0SharpImage(fourier, blurred, kernel, penalty, numbers.largest_weight)
      kernel = tidied(leastSquares(fourier, numbers, sharp, blurred, size, size), numbers)
      penalty = Math.max(penalty / penalty_decay, least_penalty)
    }
    kernel = centred(kernel)
  }
  return tidied(kernel!, numbers)
}

/** What the coarsest kernel begins with: two pixels beside each other. */
function beginning(size: number): Plane {
  const kernel = plane(size, size)
  const middle = (size >> 1) * size + (size >> 1)
  kernel.data.fill(0.5, middle, middle + 2)
  return kernel
}

/**
 * The latent sharp picture with sparse gradients, by half-quadratic splitting: a pass along the rows keeps the gradients that are
 * worth their penalty, and one along the columns solves for the spectrum.
 */
export function l0SharpImage(
  fourier: Fourier,
  picture: Plane,
  kernel: Plane,
  penalty: number,
  largestWeight: number,
): Plane {
  const { kernels } = fourier
  const blur = fourier.spectrum(kernel, picture.rows, picture.columns)
  const power = energy(blur)
  const dataTerm = fourier.transform(picture)
  multiply(dataTerm, blur, true)
  const ofRows = gradientPower(picture.rows)
  const ofColumns = gradientPower(picture.columns)
  let half = kernels.fourierRows(picture)
  for (let weight = 2 * penalty; weight < largestWeight; weight *= 2) {
    half = kernels.fourierRows(divergence(kernels.fourierRowsBack(half), penalty / weight, weight))
    kernels.fourierColumns(half)
    solve(half, dataTerm, power, weight, ofRows, ofColumns)
    kernels.fourierColumns(half, true)
  }
  return kernels.fourierRowsBack(half)
}

/** Squared absolute spectra of the differences along a line. */
function gradientPower(size: number): Float64Array {
  return Float64Array.from({ length: size }, (_, at) => 4 * Math.sin((Math.PI * at) / size) ** 2)
}

/** The weighted divergence of the gradients whose squared magnitude is `least` or more. */
function divergence({ data, rows, columns }: Plane, least: number, weight: number): Plane {
  const across = new Float32Array(data.length)
  const down = new Float32Array(data.length)
  for (let row = 0; row < rows; row++) {
    const begin = row * columns
    const below = row + 1 < rows ? columns : begin * -1
    for (let column = 0; column < columns; column++) {
      const at = begin + column
      const right = Math.fround(data[column + 1 < columns ? at + 1 : begin] - data[at])
      const next = Math.fround(data[at + below] - data[at])
      if (right * right + next * next < least) continue
      across[at] = right
      down[at] = next
    }
  }
  const result = plane(rows, columns)
  for (let row = 0; row < rows; row++) {
    const begin = row * columns
    const above = row ? -columns : (rows - 1) * columns
    for (let column = 0; column < columns; column++) {
      const at = begin + column
      const before = column ? at - 1 : begin + columns - 1
      result.data[at] = weight * (down[at + above] - down[at] - across[at] + across[before])
    }
  }
  return result
}

/** The spectrum that the data term and the divergence ask for, in place of that of the divergence. */
function solve(
  { re, im, rows }: Spectrum,
  dataTerm: Spectrum,
  power: Float32Array,
  weight: number,
  ofRows: Float64Array,
  ofColumns: Float64Array,
): void {
  const half = re.length / rows
  for (let row = 0, at = 0; row < rows; row++)
    for (let column = 0; column < half; column++, at++) {
      const inverse = 1 / (power[at] + weight * (ofRows[row] + ofColumns[column]))
      re[at] = (re[at] + dataTerm.re[at]) * inverse
      im[at] = (im[at] + dataTerm.im[at]) * inverse
    }
}

/** The kernel without negative values, faint values and small patches, of sum 1; a unit impulse if nothing is left. */
export function tidied({ data, rows: side }: Plane, { faint_value, small_patch }: BlurKernelNumbers): Plane {
  const least = data.reduce((most, value) => Math.max(most, value), -Infinity) * faint_value
  const kernel = data.map((value) => (value > least ? value : 0))
  const total = kernel.reduce((sum, value) => sum + value, 0)
  if (!kernel.some((value) => value > 0)) return unblurred(side)
  for (const patch of patches(kernel, side)) {
    const sum = patch.reduce((sum, at) => sum + kernel[at], 0)
    if (sum < small_patch * total) for (const at of patch) kernel[at] = 0
  }
  if (!kernel.some((value) => value > 0)) return unblurred(side)
  return ofSumOne({ data: kernel, rows: side, columns: side })
}

/** The places of values above 0 that are connected, with diagonal neighbours. */
function patches(kernel: Float32Array, side: number): number[][] {
  const left = new Set<number>()
  kernel.forEach((value, at) => value > 0 && left.add(at))
  const found: number[][] = []
  for (const first of left) {
    left.delete(first)
    const patch = [first]
    for (const place of patch) {
      const [row, column] = [Math.floor(place / side), place % side]
      for (let near = Math.max(row - 1, 0); near <= Math.min(row + 1, side - 1); near++)
        for (let beside = Math.max(column - 1, 0); beside <= Math.min(column + 1, side - 1); beside++)
          if (left.delete(near * side + beside)) patch.push(near * side + beside)
    }
    found.push(patch)
  }
  return found
}

/** The kernel without blur, a unit impulse. */
export function unblurred(side: number): Plane {
  const kernel = plane(side, side)
  kernel.data[(side >> 1) * side + (side >> 1)] = 1
  return kernel
}

/** The kernel, shifted by whole pixels so that its centroid is in the centre; a blind estimate leaves the shift open. */
export function centred({ data, rows: side }: Plane): Plane {
  let [total, down, across] = [0, 0, 0]
  data.forEach((value, at) => {
    total += value
    down += value * (Math.floor(at / side) - (side >> 1))
    across += value * ((at % side) - (side >> 1))
  })
  const [rows, columns] = [down, across].map((sum) => rounded(sum / total))
  const kernel = plane(side, side)
  data.forEach((value, at) => {
    const row = (Math.floor(at / side) - rows + side) % side
    kernel.data[row * side + (((at % side) - columns + side) % side)] = value
  })
  return kernel
}
