// Blur kernels in files, as src/lnca/restoration/kernel.py reads and writes them.
import { PictureError } from './picture'
import { readPng, writeGrey16 } from './png'
import type { Kernel } from './protocol'
import { rounded } from './running/resampling'
import { plane } from './running/fourier'

const LARGEST_SIDE = 1023
const MOST_BYTES = 32e6

/** A kernel of sum 1, as models take it, for a picture of so many pixels; raises where it does not suit. */
export function kernelOf(kernel: Kernel | undefined, width: number, height: number): Kernel | undefined {
  if (!kernel) return undefined
  const { data, rows, columns } = kernel
  if (!data.every((value) => Number.isFinite(value) && value >= 0) || !data.some((value) => value > 0))
    throw new PictureError('a kernel’s values should be finite and not negative, and not all be 0')
  if (rows > Math.min(height, LARGEST_SIDE) || columns > Math.min(width, LARGEST_SIDE))
    throw new PictureError(
      `the kernel is ${columns}x${rows}, the picture ${width}x${height}; it should fit into the picture and have ${LARGEST_SIDE} rows at most`,
    )
  const sum = data.reduce((total, value) => total + value, 0)
  return { data: data.map((value) => value / sum), rows, columns }
}

/** The kernel that a picture shows, brighter where more light falls; raises where it is none. */
export async function readKernel(file: Blob): Promise<Kernel> {
  if (file.size > MOST_BYTES)
    throw new PictureError(`This file has more than ${MOST_BYTES / 1e6} MB, which no file of a kernel has.`)
  const kernel = (await readPng(file, LARGEST_SIDE)) ?? (await readOther(file))
  if (!kernel.data.some((value) => value > 0)) throw new PictureError('A kernel is not black everywhere; this one is.')
  return kernel
}

/** What the browser reads of another picture: the mean of its colours. */
async function readOther(file: Blob): Promise<Kernel> {
  const bitmap = await createImageBitmap(file, { premultiplyAlpha: 'none', colorSpaceConversion: 'none' }).catch(() => {
    throw new PictureError('This is no picture of a kernel that a browser can read. Take a PNG.')
  })
  checkSize(bitmap.width, bitmap.height)
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d', { willReadFrequently: true })!
  context.drawImage(bitmap, 0, 0)
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height)
  const kernel = plane(bitmap.height, bitmap.width)
  bitmap.close()
  kernel.data.forEach((_, at) => (kernel.data[at] = (data[4 * at] + data[4 * at + 1] + data[4 * at + 2]) / 3))
  return kernel
}

export function checkSize(width: number, height: number): void {
  if (Math.max(width, height) > LARGEST_SIDE)
    throw new PictureError(`This picture is ${width} × ${height}; a kernel has ${LARGEST_SIDE} rows at most.`)
}

/** A grey picture of 16 bits, its largest value white. */
export async function kernelFile(kernel: Kernel): Promise<Blob> {
  const most = kernel.data.reduce((most, value) => Math.max(most, value), 0)
  const values = Uint16Array.from(kernel.data, (value) => rounded(Math.fround(Math.fround(value / most) * 65535)))
  return writeGrey16(values, kernel.columns, kernel.rows)
}
