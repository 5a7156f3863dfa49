// PSNR and SSIM as in `lnca compare`: for values in [0, 1], over red, green and blue.

const WINDOW = 11
const SIGMA = 1.5
const C1 = 0.01 ** 2
const C2 = 0.03 ** 2

export interface Scores {
  psnr: number
  /** Undefined for pictures smaller than the window. */
  ssim?: number
}

export function scores(picture: ImageData, clean: ImageData): Scores {
  return { psnr: psnr(picture, clean), ssim: ssim(picture, clean) }
}

function psnr(a: ImageData, b: ImageData): number {
  let total = 0
  for (let at = 0; at < a.data.length; at++) {
    if (at % 4 !== 3) total += (a.data[at] - b.data[at]) ** 2
  }
  return 10 * Math.log10((255 ** 2 * 3 * a.width * a.height) / total)
}

function ssim(a: ImageData, b: ImageData): number | undefined {
  const { width, height } = a
  if (Math.min(width, height) < WINDOW) return undefined
  let total = 0
  for (let colour = 0; colour < 3; colour++) {
    const x = plane(a, colour)
    const y = plane(b, colour)
    const product = (p: Float32Array, q: Float32Array) =>
      smooth(
        p.map((value, at) => value * q[at]),
        width,
        height,
      )
    const [mx, my] = [smooth(x, width, height), smooth(y, width, height)]
    const [xx, yy, xy] = [product(x, x), product(y, y), product(x, y)]
    let sum = 0
    for (let at = 0; at < mx.length; at++) {
      const means = mx[at] * my[at]
      const squares = mx[at] ** 2 + my[at] ** 2
      sum += ((2 * means + C1) * (2 * (xy[at] - means) + C2)) / ((squares + C1) * (xx[at] + yy[at] - squares + C2))
    }
    total += sum / mx.length
  }
  return total / 3
}

function plane(picture: ImageData, colour: number): Float32Array {
  const result = new Float32Array(picture.width * picture.height)
  for (let at = 0; at < result.length; at++) result[at] = picture.data[4 * at + colour] / 255
  return result
}

/** Gaussian means, only where the window lies inside the picture. */
function smooth(x: Float32Array, width: number, height: number): Float32Array {
  const weights = Array.from({ length: WINDOW }, (_, at) => Math.exp(-(((at - (WINDOW - 1) / 2) / SIGMA) ** 2) / 2))
  const sum = weights.reduce((a, b) => a + b)
  const columns = width - WINDOW + 1
  const rows = height - WINDOW + 1
  const across = new Float32Array(columns * height)
  const result = new Float32Array(columns * rows)
  weights.forEach((weight, tap) => {
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < columns; column++)
        across[row * columns + column] += (weight / sum) * x[row * width + column + tap]
    }
  })
  weights.forEach((weight, tap) => {
    for (let at = 0; at < result.length; at++) result[at] += (weight / sum) * across[at + tap * columns]
  })
  return result
}
