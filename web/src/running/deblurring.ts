// Deblurring with a given or estimated kernel: src/lnca/runtime/deblurring.py, where its methods and numbers are explained.
import { grown, tiles } from '../parts'
import { estimateKernel, unblurred, type BlurKernelNumbers, type Work } from './blurKernel'
import { cropped, energy, fastMargin, Fourier, periodic, plane } from './fourier'
import type { Kernels, Picture, Plane, Spectrum } from './kernels'
import { gradientMagnitude, hanning, meanOfBrightness, means, quantile, rmsGradient, sum } from './measures'
import { SIDE } from './noise'
import type { Pyramid } from './pyramid'

export interface DeblurringNumbers extends BlurKernelNumbers {
  first_level: number
  min_level: number
  estimate_level_factor: number
  fills: number
  prior_weight: number
  rounds: number
  earlier_steps: number
  last_steps: number
  luma: number[]
  corner_frequency: number
  min_spectrum_side: number
  estimation_side: number
  edge_block: number
  max_gradient: number
  kernel_sides: number[]
  central_sum: number
  trial_side: number
  misfit_base: number
  misfit_per_noise: number
  misfit_cutoff: number
  flat_gradient: number
  edge_quantile: number
  min_change: number
  full_change: number
  sharp_sum: number
}

/** Red, green and blue. */
export type Colours = Plane[]

/** The kernel of a picture's blur, the confidence in it from 0 to 1, and the noise level in 255ths that the filter assumes. */
export interface Blur {
  kernel: Plane
  confidence: number
  level: number
}

// Cells of 8x8 pixels on the side of a tile.
const TILE = 96

export class Deblurring {
  private readonly fourier: Fourier

  /** @param cells clean what the filter leaves */
  constructor(
    kernels: Kernels,
    readonly cells: Pyramid,
    readonly numbers: DeblurringNumbers,
    readonly steps: number,
  ) {
    this.fourier = new Fourier(kernels)
  }

  free(): void {
    this.cells.free()
  }

  /** The picture after 0, 1, ..., all rounds, blended with the given one by the confidence in the kernel. */
  *rounds(image: Colours, blur: Blur, count = this.steps): Work<Colours[]> {
    const { kernel, confidence, level } = blur
    if (confidence === 0) return Array.from({ length: count + 1 }, () => image)
    const { rows, columns } = image[0]
    const [down, across] = [rows, columns].map((size) => fastMargin(size, extent(kernel)))
    let cleaned = image.map((part) => periodic(part, down, across))
    const spectrum = this.fourier.spectrum(kernel, rows + 2 * down, columns + 2 * across)
    const data = cleaned.map((part) => this.fourier.kernels.fourierRows(part))
    const found = [image]
    for (const [round, current] of this.schedule(level, count).entries()) {
      const sharp: Colours = []
      for (const [colour, given] of image.entries()) {
        yield `round ${round + 1} of ${count}`
        const weight = this.numbers.prior_weight * (level / current) ** 2
        sharp.push(this.filtered(given, spectrum, data[colour], cleaned[colour], weight))
      }
      const steps = round + 1 === count ? this.numbers.last_steps : this.numbers.earlier_steps
      cleaned = yield* this.clean(sharp, current, steps, `round ${round + 1} of ${count}`)
      const inner = cleaned.map((part) => cropped(part, down, across, rows, columns))
      found.push(inner.map((part, colour) => blended(image[colour], part, confidence)))
    }
    return found
  }

  /**
   * The picture that fits the blurred and the denoised one best. In each iteration the pixels beyond the border, which are unknown,
   * become those of the estimate, blurred.
   *
   * @param data the blurred picture with its border, transformed along the rows; it is overwritten
   */
  private filtered(image: Plane, blur: Spectrum, data: Spectrum, cleaned: Plane, weight: number): Plane {
    const { kernels } = this.fourier
    const [top, left] = [(cleaned.rows - image.rows) / 2, (cleaned.columns - image.columns) / 2]
    const inverse = energy(blur).map((power) => 1 / (power + weight))
    const prior = this.fourier.transform(cleaned)
    for (const part of [prior.re, prior.im]) part.forEach((value, at) => (part[at] = value * weight * inverse[at]))
    const sharp = { ...prior, re: new Float32Array(prior.re.length), im: new Float32Array(prior.im.length) }
    for (let fill = 0; fill < this.numbers.fills; fill++) {
      kernels.fourierColumns(data)
      for (let at = 0; at < inverse.length; at++) {
        const [a, b] = [blur.re[at], blur.im[at]]
        const re = (a * data.re[at] + b * data.im[at]) * inverse[at] + prior.re[at]
        const im = (a * data.im[at] - b * data.re[at]) * inverse[at] + prior.im[at]
        sharp.re[at] = re
        sharp.im[at] = im
        data.re[at] = a * re - b * im
        data.im[at] = a * im + b * re
      }
      kernels.fourierColumns(data, true)
      const filled = kernels.fourierRowsBack(data)
      for (let row = 0; row < image.rows; row++) {
        const given = image.data.subarray(row * image.columns, (row + 1) * image.columns)
        filled.data.set(given, (top + row) * filled.columns + left)
      }
      const next = kernels.fourierRows(filled)
      data.re.set(next.re)
      data.im.set(next.im)
    }
    return this.fourier.inverseTransform(sharp)
  }

  /** The noise level of the cells in each round, in 255ths. */
  private schedule(level: number, count: number): number[] {
    const first = Math.max(this.numbers.first_level, level)
    return Array.from({ length: count }, (_, step) => first * (level / first) ** (step / Math.max(1, count - 1)))
  }

  /** A picture, whose values may lie outside [0, 1], that steps of the cells have denoised at a level in 255ths. */
  private *clean(image: Colours, level: number, steps: number, text: string): Work<Colours> {
    const { rows, columns } = image[0]
    const whole = { top: 0, left: 0, bottom: Math.ceil(rows / SIDE), right: Math.ceil(columns / SIDE) }
    const result = image.map(() => plane(rows, columns))
    for (const tile of tiles(whole, TILE)) {
      yield text
      const seen = grown(tile, this.cells.reach, whole)
      const given = mirrored(image, SIDE * seen.top, SIDE * seen.left, SIDE * seen.bottom, SIDE * seen.right)
      const [high, wide] = [seen.bottom - seen.top, seen.right - seen.left]
      const levels = new Float32Array(2 * high * wide).fill(level)
      const map = { data: levels, rows: high, columns: wide, channels: 2 }
      const { pictures } = this.cells.restored(given, map, steps)
      const [bottom, right] = [Math.min(SIDE * tile.bottom, rows), Math.min(SIDE * tile.right, columns)]
      for (let row = SIDE * tile.top; row < bottom; row++)
        for (let column = SIDE * tile.left; column < right; column++) {
          const from = 3 * ((row - SIDE * seen.top) * given.columns + column - SIDE * seen.left)
          for (let colour = 0; colour < 3; colour++)
            result[colour].data[row * columns + column] = pictures.at(-1)![from + colour]
        }
    }
    return result
  }

  /** Levels (rows, columns, 2), scaled down so that their mean is at most what the spectrum of a part of the picture says. */
  cappedBySpectrum(levels: Float32Array, part: Colours): Float32Array {
    const mean = meanOfBrightness(levels)
    if (!(mean > 0)) return levels
    const bound = this.spectralLevel(this.brightness(part)) / Math.hypot(...this.numbers.luma)
    return levels.map((level) => level * Math.min(1, bound / mean))
  }

  /** Standard deviation of the noise of a blurred picture in 255ths, from the corners of its spectrum. */
  spectralLevel({ data, rows, columns }: Plane): number {
    const { corner_frequency, min_spectrum_side } = this.numbers
    if (Math.min(rows, columns) < min_spectrum_side) return Infinity
    const mean = Math.fround(sum(data) / data.length)
    const [down, across] = [hanning(rows), hanning(columns)]
    const window = data.map((_, at) => down[Math.floor(at / columns)] * across[at % columns])
    const windowed = data.map((value, at) => (value - mean) * window[at])
    const power = energy(this.fourier.transform({ data: windowed, rows, columns }))
    const half = Math.floor(columns / 2) + 1
    const corner: number[] = []
    power.forEach((value, at) => {
      const [row, column] = [Math.floor(at / half), at % half]
      if (Math.min(row, rows - row) / rows <= corner_frequency || column / columns <= corner_frequency) return
      corner.push(value)
      // And its conjugate.
      if (2 * column !== columns) corner.push(value)
    })
    corner.sort((a, b) => a - b)
    const squares = window.reduce((sum, value) => sum + value * value, 0)
    const median = (corner[(corner.length - 1) >> 1] * data.length) / squares
    return 255 * Math.sqrt(median / Math.log(2))
  }

  /** The noise level in 255ths that the filter assumes for the whole picture. */
  filterLevel(levels: Float32Array): number {
    return Math.max(meanOfBrightness(levels), this.numbers.min_level)
  }

  brightness([red, green, blue]: Colours): Plane {
    const [r, g, b] = this.numbers.luma
    return { ...red, data: red.data.map((value, at) => r * value + g * green.data[at] + b * blue.data[at]) }
  }

  /** Estimates the blur of a part of a picture; the confidence is 0 if it is flat, or too small for the smallest kernel. */
  *estimated(image: Colours, level: number): Work<Blur> {
    const { numbers } = this
    const picture = this.brightness(image)
    const largest = numbers.kernel_sides.at(-1)!
    const assumed = level * numbers.estimate_level_factor
    let best: Blur = { kernel: unblurred(largest), confidence: 0, level: assumed }
    let smallest = Infinity
    if (quantile(gradientMagnitude(picture).data, numbers.edge_quantile) < numbers.flat_gradient) return best
    const trial = this.estimationPart(image, numbers.trial_side)
    const before = this.brightness(trial)
    const trialGradient = rmsGradient(before)
    if (!(trialGradient > 0)) return best
    // Deblurring changes a picture in proportion to its gradients, which are stronger in the trial part.
    const ratio = rmsGradient(picture) / trialGradient
    let kernel: Plane | undefined
    for (const side of numbers.kernel_sides.toReversed()) {
      if (Math.min(picture.rows, picture.columns) <= 3 * side) continue
      if (kernel && sum(centralPart(kernel, side).data) < numbers.central_sum) break
      kernel = yield* estimateKernel(this.fourier, numbers, picture, side)
      const blur = { kernel, confidence: 1, level: assumed }
      const sharp = (yield* this.rounds(trial, blur, numbers.rounds)).at(-1)!
      const error = this.misfit(this.brightness(sharp), before, kernel)
      if (error >= smallest) continue
      const change = 255 * ratio * rmsDifference(sharp, trial)
      const padded = centred(kernel, largest)
      smallest = error
      best = { kernel: padded, confidence: this.confidence(kernel, error, level, change), level: assumed }
    }
    return best
  }

  /** The confidence in an estimated kernel, 0 to 1. */
  private confidence(kernel: Plane, error: number, level: number, change: number): number {
    const { misfit_base, misfit_per_noise, misfit_cutoff, min_change, full_change, sharp_sum } = this.numbers
    if (sum(centralPart(kernel, 3).data) > sharp_sum) return 0
    const expected = misfit_base + misfit_per_noise * level
    const byMisfit = (misfit_cutoff - error / expected) / (misfit_cutoff - 1)
    const byChange = (change - min_change) / (full_change - min_change)
    return Math.min(Math.max(Math.min(byMisfit, byChange), 0), 1)
  }

  /** The difference between the given picture and the sharp one blurred again, at the strongest edges, in 255ths. */
  private misfit(sharp: Plane, picture: Plane, kernel: Plane): number {
    const side = Math.max(kernel.rows, kernel.columns)
    const wide = this.fourier.blurred(periodic(sharp, side, side), kernel)
    const reblurred = cropped(wide, side, side, picture.rows, picture.columns)
    const missed = { ...picture, data: reblurred.data.map((value, at) => value - picture.data[at]) }
    const [difference, given] = [missed, picture].map((part) => {
      const { rows, columns } = part
      return cropped(means(part), side, side, rows - 2 - 2 * side, columns - 2 - 2 * side)
    })
    const magnitude = gradientMagnitude(given)
    const least = Math.fround(quantile(magnitude.data, this.numbers.edge_quantile))
    let [total, count] = [0, 0]
    magnitude.data.forEach((value, at) => {
      if (value < least) return
      const row = Math.floor(at / magnitude.columns) + 1
      total += difference.data[row * difference.columns + (at % magnitude.columns) + 1] ** 2
      count++
    })
    return 255 * Math.sqrt(total / count)
  }

  /** The part of a picture with the strongest edges, at most `side` pixels high and wide. */
  private estimationPart(image: Colours, side: number): Colours {
    const { rows, columns } = image[0]
    const { top, left } = this.estimationCorner(this.edges(this.brightness(image)), rows, columns, side)
    return image.map((part) => cropped(part, top, left, Math.min(side, rows - top), Math.min(side, columns - left)))
  }

  /** The edge strength of each whole block of a picture: sums of absolute differences, each limited. */
  edges({ data, rows, columns }: Plane): Plane {
    const { edge_block: side, max_gradient } = this.numbers
    const found = plane(Math.floor(rows / side), Math.floor(columns / side))
    const limited = (a: number, b: number) => Math.min(Math.abs(data[a] - data[b]), max_gradient)
    for (let row = 0; row < found.rows * side; row++)
      for (let column = 0; column < found.columns * side; column++) {
        const at = row * columns + column
        const block = Math.floor(row / side) * found.columns + Math.floor(column / side)
        if ((column + 1) % side) found.data[block] += limited(at, at + 1)
        if ((row + 1) % side) found.data[block] += limited(at, at + columns)
      }
    return found
  }

  /** Where the part of a picture with the strongest edges begins; the first of equal ones. */
  estimationCorner(edges: Plane, rows: number, columns: number, side = this.numbers.estimation_side) {
    const { edge_block } = this.numbers
    let [best, top, left] = [-Infinity, 0, 0]
    if ((rows <= side && columns <= side) || !edges.data.length) return { top, left }
    const [high, wide] = [edges.rows, edges.columns].map((size) => Math.min(Math.floor(side / edge_block), size))
    for (let row = 0; row + high <= edges.rows; row++)
      for (let column = 0; column + wide <= edges.columns; column++) {
        const total = sum(cropped(edges, row, column, high, wide).data)
        if (total > best) [best, top, left] = [total, row * edge_block, column * edge_block]
      }
    return { top: rows > side ? top : 0, left: columns > side ? left : 0 }
  }
}

/** The kernel blended with a unit impulse by the confidence in it. */
export function asPicture({ kernel, confidence }: Blur): Plane {
  if (confidence === 1) return kernel
  return blended(unblurred(kernel.rows), kernel, confidence)
}

/** Linear interpolation, exactly the second picture at weight 1. */
function blended(first: Plane, second: Plane, weight: number): Plane {
  if (weight === 1) return second
  return { ...first, data: first.data.map((value, at) => value + weight * (second.data[at] - value)) }
}

/** Root mean square of the differences of two pictures. */
function rmsDifference(a: Colours, b: Colours): number {
  const squares = a.map(({ data }, colour) =>
    data.reduce((total, value, at) => total + (value - b[colour].data[at]) ** 2, 0),
  )
  return Math.sqrt(squares.reduce((total, value) => total + value) / (3 * a[0].data.length))
}

/** The side of the smallest square around the central pixel that contains all values of a kernel that are not zero. */
function extent({ data, rows, columns }: Plane): number {
  let reach = 0
  data.forEach((value, at) => {
    const [row, column] = [Math.floor(at / columns), at % columns]
    if (value) reach = Math.max(reach, Math.abs(row - (rows >> 1)), Math.abs(column - (columns >> 1)))
  })
  return 2 * reach + 1
}

function centralPart(kernel: Plane, side: number): Plane {
  const margin = (kernel.rows - side) >> 1
  return cropped(kernel, margin, margin, side, side)
}

/** A kernel with zeros around it. */
function centred(kernel: Plane, side: number): Plane {
  const wide = plane(side, side)
  const margin = (side - kernel.rows) >> 1
  for (let row = 0; row < kernel.rows; row++) {
    const own = kernel.data.subarray(row * kernel.columns, (row + 1) * kernel.columns)
    wide.data.set(own, (margin + row) * side + margin)
  }
  return wide
}

/** A part of a picture with its colours beside each other, mirrored at the lower and right border. */
function mirrored(image: Colours, top: number, left: number, bottom: number, right: number): Picture {
  const { rows, columns } = image[0]
  const picture = { data: new Float32Array(3 * (bottom - top) * (right - left)), channels: 3 }
  const inside = (place: number, size: number) => (place < size ? place : 2 * (size - 1) - place)
  let to = 0
  for (let row = top; row < bottom; row++) {
    const begin = inside(row, rows) * columns
    for (let column = left; column < right; column++)
      for (const { data } of image) picture.data[to++] = data[begin + inside(column, columns)]
  }
  return { ...picture, rows: bottom - top, columns: right - left }
}
