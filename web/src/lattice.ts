// The cells of a picture in a latent automaton. All cells step together; encoding and decoding use tiles with the context of the
// model's receptive field, so that large pictures fit into memory and tiles leave no seams.
import type { Automaton } from './automaton'
import { around, grown, isSame, tiles, type Part } from './parts'
import { Planes } from './planes'
import type { Rect } from './protocol'
import type { Grid } from './running/kernels'
import type { Latent } from './running/latent'

const TILE = 128
// Cells within the first distance from changed pixels are initialised again; those within the second one from these are updated.
const ANEW = 2
const AROUND = 3

export class Lattice implements Automaton {
  readonly rows: number
  readonly columns: number
  private readonly planes: Planes
  private readonly cells: Grid
  /** The features that bypass the cells, if the picture is a single tile. */
  private past?: Grid
  /** While a part is restored again: its position, and its active cells. */
  private part?: Part
  private active?: Uint8Array

  /**
   * @param pixels RGBA bytes
   * @param tile side of a tile in cells
   */
  constructor(
    private readonly model: Latent,
    pixels: Uint8Array,
    width: number,
    height: number,
    private readonly tile = TILE,
  ) {
    this.planes = new Planes(pixels, width, height, model.multiple)
    this.rows = this.planes.rows
    this.columns = this.planes.columns
    this.cells = model.kernels.grid(this.rows, this.columns, model.channels)
  }

  async begin(): Promise<void> {
    this.encode()
  }

  async heal(pixels: Uint8Array, rect: Rect): Promise<boolean> {
    const { planes } = this
    const fresh = planes.spread(planes.paint(pixels, rect), ANEW)
    const touched = around(fresh, this.columns)
    if (!touched) return false
    this.forget()
    this.encode(touched, fresh)
    const active = planes.spread(fresh, AROUND)
    this.active?.forEach((mark, index) => mark && (active[index] = 1))
    this.active = active
    this.part = around(active, this.columns)
    return true
  }

  async step(): Promise<Float32Array<ArrayBuffer>> {
    const { kernels } = this.model
    if (this.part) return this.stepPart(this.part)
    const before = kernels.copy(this.cells)
    this.model.step(this.cells)
    const change = kernels.change(before, this.cells)
    kernels.free(before)
    return change
  }

  async picture(everything: boolean): Promise<{ pixels: Uint8ClampedArray<ArrayBuffer>; rect: Rect }> {
    return this.decode(everything ? undefined : this.part)
  }

  rest(): void {
    this.active = this.part = undefined
  }

  free(): void {
    this.forget()
    this.model.kernels.free(this.cells)
  }

  /** One step of the active cells. */
  private stepPart(part: Part): Float32Array<ArrayBuffer> {
    const { kernels } = this.model
    const seen = grown(part, 1, this.planes.whole)
    const cells = kernels.cut(this.cells, seen)
    const before = kernels.copy(cells)
    this.model.step(cells)
    const inner = kernels.change(before, cells)
    kernels.free(before)
    const change = new Float32Array(this.rows * this.columns)
    this.put(cells, seen, part, this.active, (index, from) => (change[index] = inner[from]))
    kernels.free(cells)
    return change
  }

  /** Initialises the cells from the picture, everywhere or in a part. */
  private encode(part = this.planes.whole, only?: Uint8Array): void {
    for (const tile of tiles(part, this.tile)) {
      const seen = grown(tile, this.model.reach, this.planes.whole)
      const image = this.planes.image(seen)
      const past = this.model.past(image)
      const cells = this.model.encode(image, past)
      this.put(cells, seen, tile, only)
      this.model.kernels.free(cells)
      this.keep(past, seen)
    }
  }

  /** The picture in the current state of the cells, RGBA bytes, whole or a part. */
  private decode(part = this.planes.whole): { pixels: Uint8ClampedArray<ArrayBuffer>; rect: Rect } {
    const { kernels, reach } = this.model
    const rect = this.planes.pixelsOf(part)
    const pixels = new Uint8ClampedArray(4 * rect.width * rect.height)
    for (const tile of tiles(part, this.tile)) {
      const seen = grown(tile, reach, this.planes.whole)
      const image = this.planes.image(seen)
      const past = this.past && isSame(seen, this.planes.whole) ? this.past : this.model.past(image)
      const cells = kernels.cut(this.cells, seen)
      const restored = this.model.decode(image, past, cells)
      kernels.free(cells)
      this.keep(past, seen)
      this.planes.draw(restored.data, seen, this.planes.pixelsOf(tile), pixels, rect)
    }
    return { pixels, rect }
  }

  /** Keeps the features that bypass the cells if the part is the whole lattice, else frees them. */
  private keep(past: Grid, part: Part): void {
    if (past === this.past) return
    if (!isSame(part, this.planes.whole)) {
      this.model.kernels.free(past)
      return
    }
    this.forget()
    this.past = past
  }

  private forget(): void {
    this.model.kernels.free(this.past)
    this.past = undefined
  }

  /** Writes the cells of the part `of` that lie in `part` and are marked. */
  private put(
    cells: Grid,
    of: Part,
    part: Part,
    only?: Uint8Array,
    tell?: (index: number, from: number) => void,
  ): void {
    const { kernels } = this.model
    const [from, to] = [kernels.values(cells), kernels.values(this.cells)]
    const { channels } = cells
    for (let row = part.top; row < part.bottom; row++) {
      for (let column = part.left; column < part.right; column++) {
        const index = row * this.columns + column
        if (only && !only[index]) continue
        const place = (row - of.top) * cells.columns + column - of.left
        to.set(from.subarray(place * channels, (place + 1) * channels), index * channels)
        tell?.(index, place)
      }
    }
  }
}
