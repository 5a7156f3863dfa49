// PNG files of numbers: a browser's own reader knows 8 bits only, and changes colours.
import { PictureError } from './picture'
import { plane } from './running/fourier'
import type { Plane } from './running/kernels'

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10]
// Samples of a pixel, by the kind of its colours.
const SAMPLES: Record<number, number> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }
const GREY = 0
const PALETTE = 3

interface Header {
  width: number
  height: number
  depth: number
  kind: number
  interlaced: boolean
}

/**
 * The values of a PNG file: grey ones as they are, else means of red, green and blue with 8 bits each; undefined of another file, and
 * of an interlaced one.
 *
 * @throws PictureError where it is damaged, or a side longer than `largest`
 */
export async function readPng(file: Blob, largest: number): Promise<Plane | undefined> {
  const bytes = new Uint8Array(await file.arrayBuffer())
  if (!SIGNATURE.every((byte, at) => bytes[at] === byte)) return undefined
  try {
    const parts = chunks(bytes)
    const header = headerOf(parts.find(({ name }) => name === 'IHDR')!.data)
    const { width, height } = header
    if (Math.max(width, height) > largest)
      throw new PictureError(`This picture is ${width} × ${height}; a kernel has ${largest} rows at most.`)
    if (header.interlaced) return undefined
    const palette = parts.find(({ name }) => name === 'PLTE')?.data
    const packed = new Blob(parts.filter(({ name }) => name === 'IDAT').map(({ data }) => data))
    const rows = unfiltered(await through(packed, new DecompressionStream('deflate')), header)
    return values(rows, header, palette)
  } catch (error) {
    if (error instanceof PictureError) throw error
    throw new PictureError('This PNG file is damaged.')
  }
}

function chunks(bytes: Uint8Array<ArrayBuffer>): { name: string; data: Uint8Array<ArrayBuffer> }[] {
  const view = new DataView(bytes.buffer)
  const found = []
  for (let at = SIGNATURE.length; at < bytes.length;) {
    const size = view.getUint32(at)
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8))
    found.push({ name, data: bytes.subarray(at + 8, at + 8 + size) })
    at += size + 12
  }
  return found
}

function headerOf(data: Uint8Array<ArrayBuffer>): Header {
  const view = new DataView(data.buffer, data.byteOffset, data.length)
  const [depth, kind, , , interlaced] = data.subarray(8)
  if (!(kind in SAMPLES)) throw new Error('unknown colours')
  return { width: view.getUint32(0), height: view.getUint32(4), depth, kind, interlaced: interlaced !== 0 }
}

async function through(blob: Blob, stream: GenericTransformStream): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Response(blob.stream().pipeThrough(stream)).arrayBuffer())
}

/** Bytes of a row, and those from one pixel to the next. */
function sizes({ width, depth, kind }: Header): { row: number; pixel: number } {
  const bits = depth * SAMPLES[kind]
  return { row: Math.ceil((width * bits) / 8), pixel: Math.ceil(bits / 8) }
}

/** The rows without what stands before each, and what is predicted of them added. */
function unfiltered(bytes: Uint8Array, header: Header): Uint8Array {
  const { row: size, pixel } = sizes(header)
  if (bytes.length < header.height * (size + 1)) throw new Error('too short')
  const rows = new Uint8Array(header.height * size)
  for (let row = 0; row < header.height; row++) {
    const filter = bytes[row * (size + 1)]
    for (let column = 0; column < size; column++) {
      const to = row * size + column
      const left = column < pixel ? 0 : rows[to - pixel]
      const above = row ? rows[to - size] : 0
      const beside = row && column >= pixel ? rows[to - size - pixel] : 0
      rows[to] = bytes[row * (size + 1) + 1 + column] + predicted(filter, left, above, beside)
    }
  }
  return rows
}

function predicted(filter: number, left: number, above: number, beside: number): number {
  if (filter === 4) {
    const [a, b, c] = [left, above, beside].map((value) => Math.abs(left + above - beside - value))
    return a <= b && a <= c ? left : b <= c ? above : beside
  }
  return [0, left, above, (left + above) >> 1][filter]
}

function values(rows: Uint8Array, header: Header, palette?: Uint8Array): Plane {
  const { width, height, depth, kind } = header
  const { row: size } = sizes(header)
  const result = plane(height, width)
  const sample = (row: number, number: number) => {
    const bit = number * depth
    const at = row * size + (bit >> 3)
    if (depth === 16) return kind === GREY ? 256 * rows[at] + rows[at + 1] : rows[at]
    return (rows[at] >> (8 - depth - (bit & 7))) & (2 ** depth - 1)
  }
  const mean = (colour: (number: number) => number) => (colour(0) + colour(1) + colour(2)) / 3
  result.data.forEach((_, at) => {
    const [row, first] = [Math.floor(at / width), (at % width) * SAMPLES[kind]]
    const own = sample(row, first)
    if (kind === PALETTE) result.data[at] = mean((number) => palette![3 * own + number])
    else if (SAMPLES[kind] < 3) result.data[at] = own
    else result.data[at] = mean((number) => sample(row, first + number))
  })
  return result
}

/** A grey PNG file of 16 bits. */
export async function writeGrey16(numbers: Uint16Array, width: number, height: number): Promise<Blob> {
  const rows = new DataView(new ArrayBuffer(height * (2 * width + 1)))
  numbers.forEach((value, at) => rows.setUint16(Math.floor(at / width) * (2 * width + 1) + 1 + 2 * (at % width), value))
  const header = new DataView(new ArrayBuffer(13))
  header.setUint32(0, width)
  header.setUint32(4, height)
  header.setUint8(8, 16)
  const packed = await through(new Blob([rows]), new CompressionStream('deflate'))
  const parts = [chunk('IHDR', new Uint8Array(header.buffer)), chunk('IDAT', packed), chunk('IEND', new Uint8Array())]
  return new Blob([Uint8Array.from(SIGNATURE), ...parts], { type: 'image/png' })
}

function chunk(name: string, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(data.length + 12)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, data.length)
  bytes.set(
    Array.from(name, (letter) => letter.charCodeAt(0)),
    4,
  )
  bytes.set(data, 8)
  view.setUint32(8 + data.length, checksum(bytes.subarray(4, 8 + data.length)))
  return bytes
}

/** CRC-32, as PNG has it. */
function checksum(bytes: Uint8Array): number {
  let sum = ~0
  for (const byte of bytes) {
    sum ^= byte
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0)
  }
  return ~sum >>> 0
}
