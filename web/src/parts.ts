// Rectangular parts of a lattice.

/** A part in cells; `bottom` and `right` are exclusive. */
export interface Part {
  top: number
  left: number
  bottom: number
  right: number
}

export function isSame(a: Part, b: Part): boolean {
  return a.top === b.top && a.left === b.left && a.bottom === b.bottom && a.right === b.right
}

/** The part with a margin, clipped to `whole`. */
export function grown(part: Part, by: number, whole: Part): Part {
  return {
    top: Math.max(part.top - by, 0),
    left: Math.max(part.left - by, 0),
    bottom: Math.min(part.bottom + by, whole.bottom),
    right: Math.min(part.right + by, whole.right),
  }
}

/** Tiles of nearly equal size, with sides of at most `side` cells. */
export function tiles(part: Part, side: number): Part[] {
  const split = (begin: number, end: number) => {
    const count = Math.ceil((end - begin) / side)
    return Array.from({ length: count }, (_, index) => [
      begin + Math.floor(((end - begin) * index) / count),
      begin + Math.floor(((end - begin) * (index + 1)) / count),
    ])
  }
  const columns = split(part.left, part.right)
  return split(part.top, part.bottom).flatMap(([top, bottom]) =>
    columns.map(([left, right]) => ({ top, left, bottom, right })),
  )
}

/** The smallest part with all marked cells, `columns` in a row; undefined if no cell is marked. */
export function around(marks: Uint8Array, columns: number): Part | undefined {
  const part = { top: Infinity, left: Infinity, bottom: 0, right: 0 }
  marks.forEach((mark, index) => {
    if (!mark) return
    const row = Math.floor(index / columns)
    const column = index % columns
    part.top = Math.min(part.top, row)
    part.left = Math.min(part.left, column)
    part.bottom = Math.max(part.bottom, row + 1)
    part.right = Math.max(part.right, column + 1)
  })
  return part.bottom ? part : undefined
}

/** The values of a part, from those of `whole`: rows of columns of channels. */
export function taken(data: Float32Array, channels: number, whole: Part, part: Part): Float32Array {
  const [columns, width] = [whole.right - whole.left, channels * (part.right - part.left)]
  const result = new Float32Array((part.bottom - part.top) * width)
  for (let row = part.top; row < part.bottom; row++) {
    const from = channels * ((row - whole.top) * columns + part.left - whole.left)
    result.set(data.subarray(from, from + width), (row - part.top) * width)
  }
  return result
}
