// The layers and rules of a model, in the kernels' memory.
import type { LatentFacts, ModelFile } from './file'
import { ACTIVATIONS, KINDS, RULES, type Kernels, type Layer, type Rule } from './kernels'

// From this number of input channels on, the Winograd algorithm (cpu/winograd.h) is faster; G is its matrix.
const FEWEST = 8
const WINOGRAD = [
  [1, 0, 0],
  [0.5, 0.5, 0.5],
  [0.5, -0.5, 0.5],
  [0, 0, 1],
]
const MAPS = 6

/** Weights in the kernels' memory, until they are freed. */
export class Kept {
  private readonly places: number[] = []

  constructor(
    private readonly kernels: Kernels,
    private readonly file: ModelFile,
  ) {}

  /** A layer by its name. */
  layer(name: string): Layer {
    const { activation, stride, transposed } = this.file.facts.layers[name]
    const { data, shape } = this.file.tensor(`${name}.kernel`)
    const [taps, , inputs, outputs] = shape
    const wide = Math.ceil(outputs / this.kernels.vector) * this.kernels.vector
    let kernel = spread(data, outputs, wide)
    const plain = taps === 1 ? 'pointwise' : transposed ? 'doubling' : stride === 2 ? 'halving' : 'same'
    const kind = plain === 'same' && inputs >= FEWEST ? 'winograd' : plain
    if (kind === 'winograd') kernel = transformed(kernel, inputs * wide)
    const bias = spread(this.file.tensor(`${name}.bias`).data, outputs, wide)
    return {
      kind: KINDS[kind],
      activation: ACTIVATIONS[activation],
      inputs,
      outputs,
      weight: this.keep(this.inPanels(kernel, wide)),
      bias: this.keep(bias),
    }
  }

  /** Layers NAME.0, NAME.1 and so on. */
  chain(name: string): Layer[] {
    const names = Object.keys(this.file.facts.layers).filter((key) => key.startsWith(`${name}.`))
    return names.map((_, number) => this.layer(`${name}.${number}`))
  }

  rule(facts: LatentFacts['rule']): Rule {
    const maps = new Int32Array(4 * MAPS)
    for (let number = 0; number < MAPS; number++) {
      const { data, shape } = this.file.tensor(`rule.${number}.weight`)
      const bias = this.keep(this.file.tensor(`rule.${number}.bias`).data)
      maps.set([...shape, this.keep(data), bias], 4 * number)
    }
    return {
      kind: RULES[facts.kind],
      channels: facts.channels,
      inputChannels: facts.input_channels,
      embed: facts.embed,
      heads: facts.heads,
      epsilon: facts.epsilon,
      attentionBias: facts.attention_bias,
      maps: this.keep(maps),
      gate: this.keep(this.file.tensor('rule.gate').data),
    }
  }

  free(): void {
    for (const at of this.places.splice(0)) this.kernels.drop(at)
  }

  /** A kernel of rows of `wide` outputs in the order in which it is read: in panels of outputs that are computed together. */
  private inPanels(kernel: Float32Array, wide: number): Float32Array {
    const result = new Float32Array(kernel.length)
    let to = 0
    for (let first = 0; first < wide; first += this.kernels.panel(wide, first)) {
      const size = this.kernels.panel(wide, first)
      for (let row = 0; row < kernel.length; row += wide, to += size)
        result.set(kernel.subarray(row + first, row + first + size), to)
    }
    return result
  }

  private keep(numbers: Float32Array | Int32Array): number {
    const at = this.kernels.keep(numbers)
    this.places.push(at)
    return at
  }
}

/** Pads rows of `narrow` numbers with zeros to rows of `wide` numbers. */
function spread(data: Float32Array<ArrayBuffer>, narrow: number, wide: number): Float32Array<ArrayBuffer> {
  if (narrow === wide) return data
  const result = new Float32Array((data.length / narrow) * wide)
  for (let row = 0; row < data.length / narrow; row++)
    result.set(data.subarray(row * narrow, (row + 1) * narrow), row * wide)
  return result
}

/** G g G^T of a kernel g: (3, 3, size) -> (4, 4, size). */
function transformed(kernel: Float32Array, size: number): Float32Array<ArrayBuffer> {
  const result = new Float32Array(16 * size)
  const sums = new Float64Array(size)
  for (let place = 0; place < 16; place++) {
    sums.fill(0)
    for (let tap = 0; tap < 9; tap++) {
      const factor = WINOGRAD[place >> 2][Math.floor(tap / 3)] * WINOGRAD[place & 3][tap % 3]
      if (factor) for (let at = 0; at < size; at++) sums[at] += factor * kernel[tap * size + at]
    }
    result.set(sums, place * size)
  }
  return result
}
