// Replaces the colours of invisible (transparent) pixels while a picture is restored.

/** Sums of colours over squares, with the numbers of pixels. */
interface Level {
  width: number
  height: number
  /** Red, green, blue and count for each square. */
  sums: Float32Array
}

/**
 * RGBA bytes in which hidden pixels have the mean colour of the visible ones in the smallest square that has any; the
 * same bytes if no pixel is hidden, or all are.
 */
export function filled(pixels: Uint8Array, width: number, height: number): Uint8Array {
  let hidden = 0
  for (let at = 3; at < pixels.length; at += 4) hidden += pixels[at] === 0 ? 1 : 0
  if (!hidden || hidden === width * height) return pixels
  const levels = [seen(pixels, width, height)]
  while (levels.at(-1)!.width * levels.at(-1)!.height > 1) levels.push(halved(levels.at(-1)!))
  const result = pixels.slice()
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const to = 4 * (y * width + x)
      if (pixels[to + 3] !== 0) continue
      let up = 0
      const place = () => 4 * ((y >> up) * levels[up].width + (x >> up))
      while (!levels[up].sums[place() + 3]) up++
      const from = place()
      for (let colour = 0; colour < 3; colour++) {
        result[to + colour] = Math.round(levels[up].sums[from + colour] / levels[up].sums[from + 3])
      }
    }
  }
  return result
}

function seen(pixels: Uint8Array, width: number, height: number): Level {
  const sums = new Float32Array(pixels.length)
  for (let at = 0; at < pixels.length; at += 4) {
    if (pixels[at + 3] === 0) continue
    sums.set(pixels.subarray(at, at + 3), at)
    sums[at + 3] = 1
  }
  return { width, height, sums }
}

function halved({ width, height, sums }: Level): Level {
  const half = { width: Math.ceil(width / 2), height: Math.ceil(height / 2) }
  const result = new Float32Array(4 * half.width * half.height)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = 4 * (y * width + x)
      const to = 4 * ((y >> 1) * half.width + (x >> 1))
      for (let part = 0; part < 4; part++) result[to + part] += sums[from + part]
    }
  }
  return { ...half, sums: result }
}
