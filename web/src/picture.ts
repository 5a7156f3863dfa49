// Reads and writes picture files.

export const MOST_PIXELS = 16e6
const MOST_BYTES = 200e6
const SMALLEST_SIDE = 8

/** An error with a sentence for the user. */
export class PictureError extends Error {}

/** Reads a picture as RGBA bytes, rotated upright. */
export async function read(file: Blob): Promise<ImageData> {
  if (file.size > MOST_BYTES) {
    throw new PictureError(
      `This file has ${(file.size / 1e6).toFixed(0)} MB, more than fits in here. “lnca restore” takes it.`,
    )
  }
  const { width, height } = await size(file)
  if (width * height > MOST_PIXELS) {
    throw new PictureError(
      `This picture has ${width} × ${height} pixels, more than the ${MOST_PIXELS / 1e6} million that fit in here. “lnca restore” takes it.`,
    )
  }
  if (Math.min(width, height) < SMALLEST_SIDE) {
    throw new PictureError(
      `A picture needs at least ${SMALLEST_SIDE} × ${SMALLEST_SIDE} pixels; this has ${width} × ${height}.`,
    )
  }
  const bitmap = await createImageBitmap(file, { premultiplyAlpha: 'none' }).catch(unreadable)
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d', { willReadFrequently: true })
  if (!context) throw new PictureError('This browser has no room for this picture.')
  context.drawImage(bitmap, 0, 0)
  const picture = context.getImageData(0, 0, bitmap.width, bitmap.height)
  bitmap.close()
  return picture
}

/** Width and height, without decoding the pixels. */
async function size(file: Blob): Promise<{ width: number; height: number }> {
  const image = new Image()
  image.src = URL.createObjectURL(file)
  try {
    await new Promise((resolve, reject) => {
      image.onload = resolve
      image.onerror = reject
    }).catch(unreadable)
    return { width: image.naturalWidth, height: image.naturalHeight }
  } finally {
    URL.revokeObjectURL(image.src)
  }
}

function unreadable(): never {
  throw new PictureError('This is no picture that a browser can read. Take a JPEG, PNG, WebP, GIF or BMP.')
}

/** Saves a picture as a PNG file. */
export async function download(picture: ImageData, name: string): Promise<void> {
  const canvas = new OffscreenCanvas(picture.width, picture.height)
  canvas.getContext('2d')!.putImageData(picture, 0, 0)
  handOver(await canvas.convertToBlob({ type: 'image/png' }), name)
}

/** Saves a file. */
export function handOver(file: Blob, name: string): void {
  const address = URL.createObjectURL(file)
  const link = document.createElement('a')
  link.href = address
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(address), 60_000)
}

/** The given and the restored picture, blended by a mask (one byte of alpha for each pixel). */
export function mixed(given: ImageData, restored: ImageData, mask: Uint8ClampedArray): ImageData {
  const result = new ImageData(restored.data.slice(), restored.width, restored.height)
  for (let at = 0; at < result.data.length; at++) {
    const share = mask[at | 3] / 255
    if (at % 4 !== 3) result.data[at] = given.data[at] + share * (restored.data[at] - given.data[at])
  }
  return result
}
