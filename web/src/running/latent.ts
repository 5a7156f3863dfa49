// A latent automaton (paper 3.1): encoder, steps of the cells, decoder.
import { coder, type Coder } from './coders'
import type { LatentFacts, ModelFile } from './file'
import type { Grid, Kernels, Picture, Rule } from './kernels'
import { Kept } from './layers'

// Initial value of the output channels.
const BEGIN = 0.5

export class Latent {
  readonly steps: number
  readonly multiple: number
  readonly reach: number
  /** Channels of a cell. */
  readonly channels: number
  private readonly kept: Kept
  private readonly coder: Coder
  private readonly rule: Rule
  private readonly inputs: number
  private readonly outputs: number

  constructor(
    readonly kernels: Kernels,
    file: ModelFile,
    facts: LatentFacts,
  ) {
    this.steps = facts.steps
    this.multiple = facts.multiple
    this.reach = facts.reach
    const { channels, input_channels, output_channels } = facts.rule
    ;[this.channels, this.inputs, this.outputs] = [channels, input_channels, output_channels]
    this.kept = new Kept(kernels, file)
    this.coder = coder(kernels, this.kept, facts)
    this.rule = this.kept.rule(facts.rule)
  }

  /** The features that bypass the cells; the sides of the picture are multiples of a cell's. */
  past(image: Picture): Grid {
    return this.coder.past(image)
  }

  /** Cells before the first step: the latent, output 0.5, hidden 0. */
  encode(image: Picture, past: Grid): Grid {
    const latent = this.coder.encode(image, past)
    const cells = this.kernels.grid(latent.rows, latent.columns, this.channels)
    const [from, to] = [this.kernels.values(latent), this.kernels.values(cells)]
    to.fill(0)
    for (let cell = 0; cell < latent.rows * latent.columns; cell++) {
      const begin = cell * this.channels
      to.set(from.subarray(cell * this.inputs, (cell + 1) * this.inputs), begin)
      to.fill(BEGIN, begin + this.inputs, begin + this.inputs + this.outputs)
    }
    this.kernels.free(latent)
    return cells
  }

  /** One step, in place. */
  step(cells: Grid): void {
    this.kernels.step(this.rule, cells)
  }

  /** The decoded picture in [0, 1], in the current state of the cells. */
  decode(image: Picture, past: Grid, cells: Grid): Picture {
    const output = this.kernels.grid(cells.rows, cells.columns, this.outputs)
    const [from, to] = [this.kernels.values(cells), this.kernels.values(output)]
    for (let cell = 0; cell < cells.rows * cells.columns; cell++) {
      const begin = cell * this.channels + this.inputs
      to.set(from.subarray(begin, begin + this.outputs), cell * this.outputs)
    }
    return this.kernels.taken(this.coder.decode(image, past, output))
  }

  free(): void {
    this.kept.free()
  }
}
