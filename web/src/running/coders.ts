// What goes around a latent automaton, as src/lnca/runtime/autoencoder.py and residual.py run it, of a whole tile at a time.
import type { LatentFacts } from './file'
import type { Grid, Kernels, Layer, Picture } from './kernels'
import type { Kept } from './layers'

export interface Coder {
  /** What goes past the cells of a picture; its sides are multiples of a cell's. */
  past(image: Picture): Grid
  /** The latent of the cells, of a picture and what goes past them. */
  encode(image: Picture, past: Grid): Grid
  /** The picture (rows, columns, 3) in [0, 1], of what the cells put out, which is given back. */
  decode(image: Picture, past: Grid, output: Grid): Grid
}

export function coder(kernels: Kernels, kept: Kept, facts: LatentFacts): Coder {
  return facts.coder === 'residual'
    ? new ResidualCoder(kernels, kept, facts.shrink!, facts.places!)
    : new Autoencoder(kernels, kept)
}

/** The paper's encoder and decoder (3.1.1). */
class Autoencoder implements Coder {
  private readonly skipBranch: Layer
  private readonly sideChannel: Layer
  private readonly down: Layer[]
  private readonly up: Layer[]
  private readonly last: Layer[]

  constructor(
    private readonly kernels: Kernels,
    kept: Kept,
  ) {
    this.skipBranch = kept.layer('skip_branch')
    this.sideChannel = kept.layer('side_channel')
    this.down = kept.chain('down')
    this.up = kept.chain('up')
    this.last = [kept.layer('mix'), kept.layer('output')]
  }

  past(image: Picture): Grid {
    const given = this.kernels.given(image)
    const skip = this.kernels.convolve(this.skipBranch, given)
    this.kernels.free(given)
    return skip
  }

  encode(image: Picture, past: Grid): Grid {
    const given = this.kernels.given(image)
    const both = this.kernels.convolve(this.sideChannel, given, past)
    this.kernels.free(given)
    return chained(this.kernels, this.down, both)
  }

  decode(_: Picture, past: Grid, output: Grid): Grid {
    const [last, ...first] = this.up.toReversed()
    const deep = chained(this.kernels, first.reverse(), output)
    const both = this.kernels.convolve(last, deep, past)
    this.kernels.free(deep)
    return chained(this.kernels, this.last, both)
  }
}

/** A path at full resolution, beside cells that correct it. */
class ResidualCoder implements Coder {
  private readonly features: Layer[]
  private readonly gather: Layer[]
  private readonly scatter: Layer[]
  private readonly correct: Layer[]

  constructor(
    private readonly kernels: Kernels,
    kept: Kept,
    private readonly shrink: number,
    private readonly places: number,
  ) {
    this.features = kept.chain('features')
    this.gather = kept.chain('gather')
    this.scatter = kept.chain('scatter')
    this.correct = kept.chain('correct')
  }

  past(image: Picture): Grid {
    const given = this.kernels.given(image)
    const blocks = this.kernels.gather(given, this.shrink)
    this.kernels.free(given)
    return chained(this.kernels, this.features, blocks)
  }

  encode(_: Picture, past: Grid): Grid {
    return chained(this.kernels, this.gather, this.kernels.gather(past, this.places))
  }

  decode(image: Picture, past: Grid, output: Grid): Grid {
    const { kernels } = this
    const heard = chained(kernels, this.scatter, output)
    const both = kernels.grid(past.rows, past.columns, 2 * past.channels)
    kernels.values(both).fill(0)
    kernels.scatter(past, 1, both)
    kernels.scatter(heard, this.places, both, past.channels)
    kernels.free(heard)
    const corrections = chained(kernels, this.correct, both)
    const restored = kernels.given(image)
    kernels.scatter(corrections, this.shrink, restored)
    kernels.free(corrections)
    const values = kernels.values(restored)
    for (let at = 0; at < values.length; at++) values[at] = Math.min(Math.max(values[at], 0), 1)
    return restored
  }
}

/** What layers make, one after the other, of a grid, which is given back. */
function chained(kernels: Kernels, layers: Layer[], grid: Grid): Grid {
  for (const layer of layers) {
    const next = kernels.convolve(layer, grid)
    kernels.free(grid)
    grid = next
  }
  return grid
}
