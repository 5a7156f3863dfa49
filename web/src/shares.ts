// The shares of the correction that are applied, in brightness and in colour.
import { LUMINANCE } from './planes'

/** Each from 0 to 1; `strength` is the common factor. */
export interface Shares {
  strength: number
  luma: number
  chroma: number
}

/** The given picture with these shares of the correction. The part that is equal in all channels is brightness. */
export function shared(given: ImageData, restored: ImageData, { strength, luma, chroma }: Shares): ImageData {
  if (strength === 1 && luma === 1 && chroma === 1) return restored
  const result = new ImageData(restored.data.slice(), restored.width, restored.height)
  const [before, after, { data }] = [given.data, restored.data, result]
  const correction = [0, 0, 0]
  for (let at = 0; at < data.length; at += 4) {
    let bright = 0
    for (let c = 0; c < 3; c++) {
      correction[c] = after[at + c] - before[at + c]
      bright += LUMINANCE[c] * correction[c]
    }
    // Uint8ClampedArray rounds and clips.
    for (let c = 0; c < 3; c++) {
      data[at + c] = before[at + c] + strength * (luma * bright + chroma * (correction[c] - bright))
    }
  }
  return result
}
