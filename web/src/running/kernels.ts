// lnca's C++ kernels (src/lnca/runtime/cpu) in WebAssembly, and the memory that they work in.
import type { Part } from '../parts'

/** A picture or a lattice in the kernels' memory: float32; rows, then columns, then channels. */
export interface Grid {
  /** Address of the first number. */
  at: number
  rows: number
  columns: number
  channels: number
}

/** The same outside of it. */
export interface Picture {
  data: Float32Array
  rows: number
  columns: number
  channels: number
}

/** What a helping thread is told, which is to call `help`. */
export interface Help {
  module: WebAssembly.Module
  memory: WebAssembly.Memory
  /** Where its stack begins; it grows downwards. */
  stack: number
}

/** As cpu/plan.h numbers them. */
export const KINDS = { same: 0, halving: 1, doubling: 2, pointwise: 3, winograd: 4 } as const
export const ACTIVATIONS = { swish: 0, sigmoid: 1, none: 2, relu: 3 } as const
export const RULES = { nafca: 0, vitca: 1 } as const

/** A convolution whose weights lie in the memory. */
export interface Layer {
  kind: (typeof KINDS)[keyof typeof KINDS]
  activation: (typeof ACTIVATIONS)[keyof typeof ACTIVATIONS]
  inputs: number
  outputs: number
  weight: number
  bias: number
}

/** A rule whose weights lie in the memory; see `page_step`. */
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

/** Of cpu/page.cpp. */
interface Exports {
  memory?: WebAssembly.Memory
  __stack_pointer?: WebAssembly.Global
  page_help?(): void
  page_take(bytes: number): number
  page_free(at: number): void
  page_vector(): number
  page_convolve(...numbers: number[]): void
  page_step(...numbers: number[]): void
  page_gather(...numbers: number[]): void
  page_scatter(...numbers: number[]): void
  page_change(...numbers: number[]): void
}

// As tools/page_kernels.py has them, in pages of 64 KiB, and the bytes of a stack.
const MEMORY = { initial: 2 ** 8, maximum: 2 ** 14, shared: true }
const STACK = 2 ** 18

export class Kernels {
  /** Floats to whose multiples widths of weights are padded. */
  readonly vector: number

  private constructor(
    private readonly exports: Exports,
    private readonly memory: WebAssembly.Memory,
    readonly threads: number,
  ) {
    this.vector = exports.page_vector()
  }

  /** With this thread alone; the module is one for memory that is not shared. */
  static alone(module: WebAssembly.Module): Kernels {
    const exports = instance(module)
    return new Kernels(exports, exports.memory!, 1)
  }

  /**
   * With several threads; the module is one for shared memory.
   *
   * @param start makes another thread call `help`; nothing waits for it
   */
  static shared(module: WebAssembly.Module, threads: number, start: (help: Help) => void): Kernels {
    const memory = new WebAssembly.Memory(MEMORY)
    const exports = instance(module, memory)
    const kernels = new Kernels(exports, memory, threads)
    for (let thread = 1; thread < threads; thread++) start({ module, memory, stack: kernels.take(STACK) + STACK - 16 })
    return kernels
  }

  /** Numbers in the memory, for as long as nothing is taken. */
  values({ at, rows, columns, channels }: Grid): Float32Array {
    return new Float32Array(this.memory.buffer, at, rows * columns * channels)
  }

  /** A grid of any numbers; it has to be given back. */
  grid(rows: number, columns: number, channels: number): Grid {
    return { at: this.take(4 * rows * columns * channels), rows, columns, channels }
  }

  /** A grid with the numbers of a picture. */
  given(picture: Picture): Grid {
    const grid = this.grid(picture.rows, picture.columns, picture.channels)
    this.values(grid).set(picture.data)
    return grid
  }

  /** The picture of a grid, which is given back. */
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

  /** A copy of a part. */
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

  /** Address of a copy of some weights, which stays. */
  keep(numbers: Float32Array | Int32Array): number {
    const at = this.take(numbers.byteLength)
    new Uint8Array(this.memory.buffer, at).set(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength))
    return at
  }

  /** Gives back what was kept. */
  drop(at: number): void {
    this.exports.page_free(at)
  }

  /** What a layer makes of a grid, with another one added to it. */
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

  /** Each block of side x side positions as one, its channels by row, column and channel. */
  gather(from: Grid, side: number): Grid {
    const to = this.grid(from.rows / side, from.columns / side, side * side * from.channels)
    this.exports.page_gather(from.at, to.rows, to.columns, from.channels, side, to.at, this.threads)
    return to
  }

  /** Adds such blocks to a grid, in its channels from `first` on. */
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

  private take(bytes: number): number {
    const at = bytes < 65536 * MEMORY.maximum ? this.exports.page_take(bytes) : 0
    if (!at) throw new Error('the memory is used up')
    return at
  }
}

/** What a helping thread does until it is ended. */
export function help({ module, memory, stack }: Help): void {
  const exports = instance(module, memory)
  exports.__stack_pointer!.value = stack
  exports.page_help!()
}

function instance(module: WebAssembly.Module, memory?: WebAssembly.Memory): Exports {
  const imports: WebAssembly.Imports = memory ? { env: { memory } } : {}
  return new WebAssembly.Instance(module, imports).exports as unknown as Exports
}
