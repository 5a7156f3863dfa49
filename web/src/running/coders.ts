// Encoder and decoder of a latent automaton, as in src/lnca/runtime/autoencoder.py and residual.py, for a whole tile at a time.
import type { LatentFacts } from './file'
import type { Grid, Kernels, Layer, Picture } from './kernels'
import type { Kept } from './layers'

export interface Coder {
  /** The features that bypass the cells; the sides of the picture are multiples of a cell's. */
  past(image: Picture): Grid
  /** The latent, from the picture and the features that bypass the cells. */
  encode(image: Picture, past: Grid): Grid
  /** The picture (rows, columns, 3) in [0, 1], from the cells' output, which is freed. */
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

/** The residual coder: a path at full resolution, and a correction from the cells. */
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

/** The output of a sequence of layers for a grid, which is freed. */
function chained(kernels: Kernels, layers: Layer[], grid: Grid): Grid {
  for (const layer of layers) {
    const next = kernels.convolve(layer, grid)
    kernels.free(grid)
    grid = next
  }
  return grid
}
