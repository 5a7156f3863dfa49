// Corruptions of pictures: the noise and blur of the models' tasks, and damage.

/** Uniform random numbers in [0, 1), determined by the seed (mulberry32). */
export function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Normal random numbers (Box and Muller). */
export function normal(draw: () => number): () => number {
  return () => Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw())
}

export type Spoiling = 'none' | 'camera' | 'grain'

const GAMMA = 2.2
// Variances of the shot and read noise of a camera at night, relative to white.
const SHOT = 0.008
const READ = 8e-5
const BALANCE = [1 / 1.9, 1, 1 / 1.7]
// The paper's noise: share of the pixels, and standard deviation.
const SHARE = 0.5
const DEVIATION = 0.2

/** A corrupted copy of a picture, determined by the seed. */
export function spoiled(picture: ImageData, how: Spoiling, seed = 1): ImageData {
  const draw = random(seed)
  switch (how) {
    case 'none':
      return copy(picture)
    case 'camera':
      return cameraNoise(picture, normal(draw))
    case 'grain':
      return grain(picture, draw)
  }
}

export function copy({ data, width, height }: ImageData): ImageData {
  return new ImageData(data.slice(), width, height)
}

/** Sensor noise of a camera with a colour filter array, after demosaicing (`lnca.degradation.camera_noise`). */
function cameraNoise(picture: ImageData, noise: () => number): ImageData {
  const { width, height } = picture
  const raw = new Float32Array(width * height)
  const colour = (x: number, y: number) => (y % 2 === 0 && x % 2 === 0 ? 0 : y % 2 === 1 && x % 2 === 1 ? 2 : 1)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const c = colour(x, y)
      const value = (picture.data[4 * (y * width + x) + c] / 255) ** GAMMA * BALANCE[c]
      raw[y * width + x] = value + Math.sqrt(SHOT * value + READ) * noise()
    }
  }
  const result = copy(picture)
  const inside = (at: number, end: number) => (at < 0 ? -at : at >= end ? 2 * end - 2 - at : at)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const sums = [0, 0, 0]
      const weights = [0, 0, 0]
      for (let dy = -1; dy <= 1; dy++) {
        for (let dx = -1; dx <= 1; dx++) {
          const [row, column] = [inside(y + dy, height), inside(x + dx, width)]
          const c = colour(column, row)
          const weight = (2 - Math.abs(dy)) * (2 - Math.abs(dx))
          sums[c] += weight * raw[row * width + column]
          weights[c] += weight
        }
      }
      for (let c = 0; c < 3; c++) {
        const linear = Math.min(Math.max(sums[c] / weights[c] / BALANCE[c], 0), 1)
        result.data[4 * (y * width + x) + c] = 255 * linear ** (1 / GAMMA)
      }
    }
  }
  return result
}

/** The paper's noise: some pixels get the same noise in all colours (`lnca.corruption.masked_noise`). */
function grain(picture: ImageData, draw: () => number): ImageData {
  const noise = normal(draw)
  const result = copy(picture)
  for (let at = 0; at < result.data.length; at += 4) {
    const value = draw() < SHARE ? 255 * DEVIATION * noise() : 0
    for (let c = 0; c < 3; c++) result.data[at + c] = picture.data[at + c] + value
  }
  return result
}

/** Motion blur: the mean along a line of `length` pixels (`lnca.corruption.motion_blur`). */
export function motionBlur(picture: ImageData, angle: number, length: number): ImageData {
  const { width, height, data } = picture
  const result = copy(picture)
  const points = Array.from({ length }, (_, at) => at - (length - 1) / 2).map((along) => [
    along * Math.cos(angle),
    along * Math.sin(angle),
  ])
  const inside = (at: number, end: number) => Math.min(Math.max(at, 0), end - 1)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++) {
        let sum = 0
        for (const [across, down] of points) {
          const [column, row] = [Math.floor(x + across), Math.floor(y + down)]
          const [fx, fy] = [x + across - column, y + down - row]
          const at = (dx: number, dy: number) =>
            data[4 * (inside(row + dy, height) * width + inside(column + dx, width)) + c]
          sum += (1 - fy) * ((1 - fx) * at(0, 0) + fx * at(1, 0)) + fy * ((1 - fx) * at(0, 1) + fx * at(1, 1))
        }
        result.data[4 * (y * width + x) + c] = sum / length
      }
    }
  }
  return result
}
