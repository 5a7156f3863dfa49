// The kernel that maps the gradients of one picture to those of another: `least_squares` of src/lnca/runtime/blur_kernel.py.
import type { BlurKernelNumbers } from './blurKernel'
import { energy, multiply, plane, type Fourier } from './fourier'
import type { Plane } from './kernels'

/**
 * The kernel (side, side) that maps the gradients of a sharp picture to those of a blurred one with the smallest squared error.
 *
 * @param border pixels at each border that are ignored
 */
export function leastSquares(
  fourier: Fourier,
  numbers: BlurKernelNumbers,
  sharp: Plane,
  blurred: Plane,
  side: number,
  border: number,
): Plane {
  const { rows, columns } = blurred
  const own = innerGradients(sharp, border).map((part) => fourier.transform(part))
  const other = innerGradients(blurred, border).map((part) => fourier.transform(part))
  const auto = own[0]
  const power = own.map(energy)
  own.forEach((part, number) => multiply(other[number], part, true))
  const cross = other[0]
  cross.re.forEach((_, at) => {
    cross.re[at] += other[1].re[at]
    cross.im[at] += other[1].im[at]
    auto.re[at] = power[0][at] + power[1][at]
  })
  auto.im.fill(0)
  // The product of two unitary transforms is divided by the root of the number of pixels once too often.
  const scale = Math.sqrt(rows * columns)
  const found = [fourier.inverseTransform(auto), fourier.inverseTransform(cross)]
  const at = (part: Plane, row: number, column: number) =>
    scale * part.data[((row + rows) % rows) * columns + ((column + columns) % columns)]
  const [lags, middle] = [2 * side - 1, side >> 1]
  const autocorrelation = Float64Array.from({ length: lags * lags }, (_, place) => {
    const [row, column] = [Math.floor(place / lags) - side + 1, (place % lags) - side + 1]
    // Symmetric but for rounding.
    return (at(found[0], row, column) + at(found[0], -row, -column)) / 2
  })
  const crosscorrelation = Float64Array.from({ length: side * side }, (_, place) =>
    at(found[1], Math.floor(place / side) - middle, (place % side) - middle),
  )
  const kernel = solved(autocorrelation, crosscorrelation, side, numbers)
  return { data: Float32Array.from(kernel), rows: side, columns: side }
}

/** Gradients to the next column and row, 0 at the border. */
function innerGradients({ data, rows, columns }: Plane, border: number): Plane[] {
  const [across, down] = [plane(rows, columns), plane(rows, columns)]
  for (let row = border; row < rows - border; row++)
    for (let column = border; column < columns - border; column++) {
      const at = row * columns + column
      across.data[at] = data[at + 1] - data[at]
      down.data[at] = data[at + columns] - data[at]
    }
  return [across, down]
}

/**
 * The kernel that, convolved with the autocorrelation (2 side - 1, 2 side - 1) plus `energy_weight` at lag 0, gives the
 * cross-correlation: by conjugate gradients, preconditioned by the nearest circulant operator. Kernels are small, so that both
 * operators are applied without transforms.
 */
function solved(auto: Float64Array, cross: Float64Array, side: number, numbers: BlurKernelNumbers): Float64Array {
  const lags = 2 * side - 1
  const operator = auto.slice()
  operator[(side - 1) * lags + side - 1] += numbers.energy_weight
  const preconditioner = circulantInverse(auto, side, numbers.energy_weight)
  const kernel = new Float64Array(side * side)
  const residual = cross.slice()
  let direction = new Float64Array(side * side)
  let last = Infinity
  const tolerance = numbers.cg_tolerance ** 2 * product(cross, cross)
  for (let step = 0; step < side ** 2 && product(residual, residual) > tolerance; step++) {
    const preconditioned = applied(preconditioner, residual, side)
    const error = product(residual, preconditioned)
    direction = preconditioned.map((value, at) => value + direction[at] * (error / last))
    const image = applied(operator, direction, side)
    const length = error / product(direction, image)
    for (let at = 0; at < kernel.length; at++) {
      kernel[at] += length * direction[at]
      residual[at] -= length * image[at]
    }
    last = error
  }
  return kernel
}

function product(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, value, at) => sum + value * b[at], 0)
}

/** A picture (side, side), 0 around it, convolved with a kernel (2 side - 1, 2 side - 1). */
function applied(operator: Float64Array, picture: Float64Array, side: number): Float64Array<ArrayBuffer> {
  const lags = 2 * side - 1
  const result = new Float64Array(side * side)
  for (let row = 0; row < side; row++)
    for (let other = 0; other < side; other++) {
      const begin = (row - other + side - 1) * lags + side - 1
      for (let column = 0; column < side; column++) {
        let sum = 0
        for (let place = 0; place < side; place++)
          sum += operator[begin + column - place] * picture[other * side + place]
        result[row * side + column] += sum
      }
    }
  return result
}

/** The inverse of the circulant operator that is nearest to an autocorrelation (T. Chan 1988), as a kernel of all lags. */
function circulantInverse(auto: Float64Array, side: number, energyWeight: number): Float64Array {
  const lags = 2 * side - 1
  const circulant = new Float64Array(side * side)
  for (let row = 1 - side; row < side; row++)
    for (let column = 1 - side; column < side; column++) {
      const taper = (1 - Math.abs(row) / side) * (1 - Math.abs(column) / side)
      const to = ((row + side) % side) * side + ((column + side) % side)
      circulant[to] += taper * auto[(row + side - 1) * lags + column + side - 1]
    }
  const eigenvalues = cosines(circulant, side)
  const inverse = cosines(
    eigenvalues.map((value) => 1 / (value + energyWeight) / side ** 2),
    side,
  )
  return Float64Array.from({ length: lags * lags }, (_, place) => {
    const [row, column] = [Math.floor(place / lags) + 1, (place % lags) + 1]
    return inverse[(row % side) * side + (column % side)]
  })
}

/** The transform of what is symmetric about its first number. */
function cosines(values: Float64Array, side: number): Float64Array {
  const table = Float64Array.from({ length: side }, (_, at) => Math.cos((2 * Math.PI * at) / side))
  return values.map((_, place) => {
    const [row, column] = [Math.floor(place / side), place % side]
    let sum = 0
    for (let at = 0; at < values.length; at++)
      sum += values[at] * table[(row * Math.floor(at / side) + column * (at % side)) % side]
    return sum
  })
}
