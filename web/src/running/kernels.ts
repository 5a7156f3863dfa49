// lnca's C++ kernels (src/lnca/runtime/cpu) in WebAssembly, and their memory.
import type { Part } from '../parts'

/** A picture or lattice in the kernels' memory: float32 in order of rows, columns and channels. */
export interface Grid {
  /** Address of the first number. */
  at: number
  rows: number
  columns: number
  channels: number
}

/** A picture or lattice outside of the kernels' memory. */
export interface Picture {
  data: Float32Array
  rows: number
  columns: number
  channels: number
}

/** One number for each pixel. */
export interface Plane {
  data: Float32Array
  rows: number
  columns: number
}

/** Of a real picture, whose other half is the conjugate of this one: (rows, columns / 2 + 1). */
export interface Spectrum {
  re: Float32Array
  im: Float32Array
  rows: number
  columns: number
}

/** What a helping thread is told, which is to call `help`. */
export interface Help {
  module: WebAssembly.Module
  memory: WebAssembly.Memory
  /** The upper end of its stack, which grows downwards. */
  stack: number
}

/** The numbers are those of cpu/plan.h. */
export const KINDS = { same: 0, halving: 1, doubling: 2, pointwise: 3, winograd: 4 } as const
export const ACTIVATIONS = { swish: 0, sigmoid: 1, none: 2, relu: 3 } as const
export const RULES = { nafca: 0, vitca: 1 } as const

/** A convolution whose weights are in the kernels' memory. */
export interface Layer {
  kind: (typeof KINDS)[keyof typeof KINDS]
  activation: (typeof ACTIVATIONS)[keyof typeof ACTIVATIONS]
  inputs: number
  outputs: number
  weight: number
  bias: number
}

/** A rule whose weights are in the kernels' memory; see `page_step`. */
export interface Rule {
  kind: (typeof RULES)[keyof typeof RULES]
  channels: number
  inputChannels: number
  embed: number
  heads: number
  epsilon: number
  attentionBias: number
  maps: number
  gate: number
}

/** The functions of cpu/page.cpp. */
interface Exports {
  memory?: WebAssembly.Memory
  __stack_pointer?: WebAssembly.Global
  page_help?(): void
  page_take(bytes: number): number
  page_free(at: number): void
  page_vector(): number
  page_panel(...numbers: number[]): number
  page_convolve(...numbers: number[]): void
  page_step(...numbers: number[]): void
  page_gather(...numbers: number[]): void
  page_scatter(...numbers: number[]): void
  page_change(...numbers: number[]): void
  page_fourier_rows(...numbers: number[]): void
  page_fourier_rows_back(...numbers: number[]): void
  page_fourier_columns(...numbers: number[]): void
}

// Sizes of the memory as in tools/page_kernels.py, in pages of 64 KiB, and bytes of a stack.
const MEMORY = { initial: 2 ** 8, maximum: 2 ** 14, shared: true }
const STACK = 2 ** 18

export class Kernels {
  /** Number of floats in a vector; widths of weights are padded to its multiples. */
  readonly vector: number

  private constructor(
    private readonly exports: Exports,
    private readonly memory: WebAssembly.Memory,
    readonly threads: number,
  ) {
    this.vector = exports.page_vector()
  }

  /** Kernels with one thread; the module was compiled without shared memory. */
  static alone(module: WebAssembly.Module): Kernels {
    const exports = instance(module)
    return new Kernels(exports, exports.memory!, 1)
  }

  /**
   * Kernels with several threads; the module was compiled for shared memory.
   *
   * @param start starts a thread that calls `help`; it is not awaited
   */
  static shared(module: WebAssembly.Module, threads: number, start: (help: Help) => void): Kernels {
    const memory = new WebAssembly.Memory(MEMORY)
    const exports = instance(module, memory)
    const kernels = new Kernels(exports, memory, threads)
    for (let thread = 1; thread < threads; thread++) start({ module, memory, stack: kernels.take(STACK) + STACK - 16 })
    return kernels
  }

  /** Number of outputs of a convolution, padded to `wide`, that are computed together from output `first` on. */
  panel(wide: number, first: number): number {
    return this.exports.page_panel(wide, first)
  }

  /** A view of numbers in the memory, valid until the next allocation. */
  values({ at, rows, columns, channels }: Grid): Float32Array {
    return new Float32Array(this.memory.buffer, at, rows * columns * channels)
  }

  /** Allocates an uninitialised grid; it must be freed. */
  grid(rows: number, columns: number, channels: number): Grid {
    return { at: this.take(4 * rows * columns * channels), rows, columns, channels }
  }

  /** Allocates a grid with the values of a picture. */
  given(picture: Picture): Grid {
    const grid = this.grid(picture.rows, picture.columns, picture.channels)
    this.values(grid).set(picture.data)
    return grid
  }

  /** The picture of a grid, which is freed. */
  taken(grid: Grid): Picture {
    const { at: _, ...size } = grid
    const data = this.values(grid).slice()
    this.free(grid)
    return { ...size, data }
  }

  copy(grid: Grid): Grid {
    const copied = this.grid(grid.rows, grid.columns, grid.channels)
    this.values(copied).set(this.values(grid))
    return copied
  }

  /** A copy of a part of a grid. */
  cut(grid: Grid, { top, left, bottom, right }: Part): Grid {
    const part = this.grid(bottom - top, right - left, grid.channels)
    const [from, to] = [this.values(grid), this.values(part)]
    const width = part.columns * grid.channels
    for (let row = 0; row < part.rows; row++) {
      const begin = ((top + row) * grid.columns + left) * grid.channels
      to.set(from.subarray(begin, begin + width), row * width)
    }
    return part
  }

  free(...grids: (Grid | undefined)[]): void {
    for (const grid of grids) if (grid) this.exports.page_free(grid.at)
  }

  /** The address of a copy of weights in the kernels' memory. */
  keep(numbers: Float32Array | Int32Array): number {
    const at = this.take(numbers.byteLength)
    new Uint8Array(this.memory.buffer, at).set(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength))
    return at
  }

  /** Frees the copies of weights. */
  drop(at: number): void {
    this.exports.page_free(at)
  }

  /** The output of a layer for a grid, plus another grid if given. */
  convolve(layer: Layer, from: Grid, added?: Grid): Grid {
    const { kind, activation, inputs, outputs, weight, bias } = layer
    const scale = kind === KINDS.doubling ? 2 : kind === KINDS.halving ? 0.5 : 1
    const to = this.grid(scale * from.rows, scale * from.columns, outputs)
    const numbers = [kind, activation, inputs, outputs, weight, bias, from.at, from.rows, from.columns, added?.at ?? 0]
    this.exports.page_convolve(...numbers, to.at, this.threads)
    return to
  }

  /** One step of all cells, in place. */
  step(rule: Rule, cells: Grid): void {
    const { kind, channels, inputChannels, embed, heads, epsilon, attentionBias, maps, gate } = rule
    const numbers = [kind, channels, inputChannels, embed, heads, epsilon, attentionBias, maps, gate]
    this.exports.page_step(...numbers, cells.at, cells.rows, cells.columns, this.threads)
  }

  /** Each block of side x side positions becomes one position, the channels in order of row, column and channel. */
  gather(from: Grid, side: number): Grid {
    const to = this.grid(from.rows / side, from.columns / side, side * side * from.channels)
    this.exports.page_gather(from.at, to.rows, to.columns, from.channels, side, to.at, this.threads)
    return to
  }

  /** The inverse: adds blocks to a grid, in its channels from `first` on. */
  scatter(from: Grid, side: number, to: Grid, first = 0): void {
    const channels = from.channels / side ** 2
    const numbers = [from.at, from.rows, from.columns, channels, side, to.at + 4 * first, to.channels]
    this.exports.page_scatter(...numbers, this.threads)
  }

  /** Mean absolute difference of the channels of two grids, in blocks of side x side positions. */
  change(before: Grid, after: Grid, side = 1): Float32Array<ArrayBuffer> {
    const to = this.grid(before.rows / side, before.columns / side, 1)
    this.exports.page_change(before.at, after.at, to.rows, to.columns, before.channels, side, to.at, this.threads)
    const change = new Float32Array(this.values(to))
    this.free(to)
    return change
  }

  /** The unitary Fourier transforms of a picture's rows. */
  fourierRows({ data, rows, columns }: Plane): Spectrum {
    const half = Math.floor(columns / 2) + 1
    const [picture, roots] = [this.row(data), this.row(rootsOf(columns))]
    const [re, im] = [this.grid(rows, half, 1), this.grid(rows, half, 1)]
    this.exports.page_fourier_rows(picture.at, rows, columns, re.at, im.at, roots.at, this.threads)
    this.free(picture, roots)
    return { re: this.taken(re).data, im: this.taken(im).data, rows, columns }
  }

  /** The picture whose rows have these transforms. */
  fourierRowsBack({ re, im, rows, columns }: Spectrum): Plane {
    const [from, beside, roots] = [re, im, rootsOf(columns)].map((data) => this.row(data))
    const picture = this.grid(rows, columns, 1)
    this.exports.page_fourier_rows_back(from.at, beside.at, rows, columns, picture.at, roots.at, this.threads)
    this.free(from, beside, roots)
    return { data: this.taken(picture).data, rows, columns }
  }

  /** Transforms the columns of a spectrum in place, or back. */
  fourierColumns({ re, im, rows }: Spectrum, back = false): void {
    const [from, beside, roots] = [re, im, rootsOf(rows)].map((data) => this.row(data))
    const order = back ? [beside.at, from.at] : [from.at, beside.at]
    this.exports.page_fourier_columns(...order, rows, re.length / rows, roots.at, this.threads)
    re.set(this.values(from))
    im.set(this.values(beside))
    this.free(from, beside, roots)
  }

  /** Copies values into a new grid. */
  private row(data: Float32Array): Grid {
    return this.given({ data, rows: 1, columns: data.length, channels: 1 })
  }

  private take(bytes: number): number {
    const at = bytes < 65536 * MEMORY.maximum ? this.exports.page_take(bytes) : 0
    if (!at) throw new Error('the memory is used up')
    return at
  }
}

/** exp(-2 pi i k / length), as pairs. */
function rootsOf(length: number): Float32Array {
  const roots = new Float32Array(2 * length)
  for (let k = 0; k < length; k++) {
    roots[2 * k] = Math.cos((2 * Math.PI * k) / length)
    roots[2 * k + 1] = -Math.sin((2 * Math.PI * k) / length)
  }
  return roots
}

/** The loop of a helping thread, until it is terminated. */
export function help({ module, memory, stack }: Help): void {
  const exports = instance(module, memory)
  exports.__stack_pointer!.value = stack
  exports.page_help!()
}

function instance(module: WebAssembly.Module, memory?: WebAssembly.Memory): Exports {
  const imports: WebAssembly.Imports = memory ? { env: { memory } } : {}
  return new WebAssembly.Instance(module, imports).exports as unknown as Exports
}
