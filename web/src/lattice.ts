// The cells of one picture of a latent automaton: encoded, stepped and decoded, as a whole or in tiles that reach as far
// as the model does, so that large pictures fit into memory and tiles leave no seams.
import type { Automaton } from './automaton'
import type { Graphs, Values } from './graphs'
import { around, grown, isSame, tiles, type Part } from './parts'
import { Planes } from './planes'
import type { Rect } from './protocol'

const TILE = 192
// Cells beside changed pixels that begin anew, and cells beside those that go on.
const ANEW = 2
const AROUND = 3

export class Lattice implements Automaton {
  readonly rows: number
  readonly columns: number
  private readonly planes: Planes
  private cells: Values
  private skip?: Values
  /** While a part heals: where it lies and which of its cells take part. */
  private part?: Part
  private active?: Uint8Array

  /**
   * @param pixels RGBA bytes
   * @param tile cells on a tile's side
   */
  constructor(
    private readonly graphs: Graphs,
    pixels: Uint8Array,
    width: number,
    height: number,
    private readonly tile = TILE,
  ) {
    this.planes = new Planes(pixels, width, height, graphs.description.multiple)
    this.rows = this.planes.rows
    this.columns = this.planes.columns
    this.cells = { data: new Float32Array(0), dims: [1, this.rows, this.columns, 0] }
  }

  begin(): Promise<void> {
    return this.encode()
  }

  async heal(pixels: Uint8Array, rect: Rect): Promise<boolean> {
    const { planes } = this
    const fresh = planes.spread(planes.paint(pixels, rect), ANEW)
    const touched = around(fresh, this.columns)
    if (!touched) return false
    await this.encode(touched, fresh)
    const active = planes.spread(fresh, AROUND)
    this.active?.forEach((mark, index) => mark && (active[index] = 1))
    this.active = active
    this.part = around(active, this.columns)
    return true
  }

  rest(): void {
    this.active = this.part = undefined
  }

  picture(everything: boolean): Promise<{ pixels: Uint8ClampedArray<ArrayBuffer>; rect: Rect }> {
    return this.decode(everything ? undefined : this.part)
  }

  /** Makes fresh cells of the picture, everywhere or in a part. */
  private async encode(part = this.planes.whole, only?: Uint8Array): Promise<void> {
    for (const tile of tiles(part, this.tile)) {
      const seen = grown(tile, this.graphs.description.reach, this.planes.whole)
      const { cells, skip } = await this.graphs.run('encoder', { image: this.planes.image(seen) })
      const channels = cells.dims[3]
      if (this.cells.dims[3] !== channels) {
        this.cells = {
          data: new Float32Array(this.rows * this.columns * channels),
          dims: [1, this.rows, this.columns, channels],
        }
      }
      this.put(cells, seen, tile, only)
      this.skip = isSame(seen, this.planes.whole) ? skip : undefined
    }
  }

  async step(): Promise<Float32Array<ArrayBuffer>> {
    const change = new Float32Array(this.rows * this.columns)
    const results: [Part, Part, Values][] = []
    for (const tile of tiles(this.part ?? this.planes.whole, this.tile)) {
      const seen = grown(tile, 1, this.planes.whole)
      results.push([tile, seen, (await this.graphs.run('steps', { cells: this.take(seen) })).next_cells])
    }
    // Tiles beside each other need each other's old cells, so that none is put in its place before all are there.
    for (const [tile, seen, cells] of results) this.put(cells, seen, tile, this.active, change)
    return change
  }

  /** The picture as the cells have it now: RGBA bytes, of everything or of a part. */
  private async decode(part = this.planes.whole): Promise<{ pixels: Uint8ClampedArray<ArrayBuffer>; rect: Rect }> {
    const rect = this.planes.pixelsOf(part)
    const pixels = new Uint8ClampedArray(4 * rect.width * rect.height)
    for (const tile of tiles(part, this.tile)) {
      const seen = grown(tile, this.graphs.description.reach, this.planes.whole)
      const { restored } = await this.graphs.run('decoder', { cells: this.take(seen), skip: await this.past(seen) })
      this.planes.draw(restored.data, 0, seen, this.planes.pixelsOf(tile), pixels, rect)
    }
    return { pixels, rect }
  }

  private take(part: Part): Values {
    if (isSame(part, this.planes.whole)) return this.cells
    const channels = this.cells.dims[3]
    const width = part.right - part.left
    const data = new Float32Array((part.bottom - part.top) * width * channels)
    for (let row = part.top; row < part.bottom; row++) {
      const from = (row * this.columns + part.left) * channels
      data.set(this.cells.data.subarray(from, from + width * channels), (row - part.top) * width * channels)
    }
    return { data, dims: [1, part.bottom - part.top, width, channels] }
  }

  /** Puts cells of the part `of` into the lattice, as far as they lie in `part` and are marked. */
  private put(cells: Values, of: Part, part: Part, only?: Uint8Array, change?: Float32Array): void {
    const channels = cells.dims[3]
    const kept = this.cells.data
    for (let row = part.top; row < part.bottom; row++) {
      for (let column = part.left; column < part.right; column++) {
        const index = row * this.columns + column
        if (only && !only[index]) continue
        const to = index * channels
        const from = ((row - of.top) * (of.right - of.left) + column - of.left) * channels
        let total = 0
        for (let channel = 0; channel < channels; channel++) {
          const value = cells.data[from + channel]
          total += Math.abs(value - kept[to + channel])
          kept[to + channel] = value
        }
        if (change) change[index] = total / channels
      }
    }
  }

  /** What goes past the cells of a part; made anew where it does not lie ready. */
  private async past(part: Part): Promise<Values> {
    if (this.skip && isSame(part, this.planes.whole)) return this.skip
    const seen = grown(part, this.graphs.description.reach, this.planes.whole)
    const { skip } = await this.graphs.run('encoder', { image: this.planes.image(seen) })
    const [, channels, height, width] = skip.dims
    const share = width / (seen.right - seen.left)
    const [rows, columns] = [(part.bottom - part.top) * share, (part.right - part.left) * share]
    const [down, across] = [(part.top - seen.top) * share, (part.left - seen.left) * share]
    const data = new Float32Array(channels * rows * columns)
    for (let channel = 0; channel < channels; channel++) {
      for (let row = 0; row < rows; row++) {
        const from = (channel * height + down + row) * width + across
        data.set(skip.data.subarray(from, from + columns), (channel * rows + row) * columns)
      }
    }
    return { data, dims: [1, channels, rows, columns] }
  }
}
