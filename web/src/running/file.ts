// A model's file, as tools/page_models.py writes it: tensors in the format of safetensors, and a header.
import type { DeblurringNumbers } from './deblurring'

/** The header's fields of a layer. */
export interface LayerFacts {
  activation: 'swish' | 'sigmoid' | 'none' | 'relu'
  stride: 1 | 2
  transposed: boolean
}

interface Common {
  version: number
  /** Hash of all its tensors. */
  sha256: string
  steps: number
  /** Side of a cell in pixels. */
  multiple: number
  /** Radius of the receptive field in cells. */
  reach: number
  layers: Record<string, LayerFacts>
}

/** Fields of an automaton on three lattices. */
export interface PyramidNumbers extends Common {
  /** Radius of the receptive field of the noise features, in cells. */
  guess_reach: number
  /** Constants of src/lnca/runtime/noise_level.py. */
  little: number
  statement_scales: number
  energy_scales: number
  level_scales: number
  ycbcr: number[][]
  most: number
  lowest: number
  highest: number
  surest: number
  /** Constants of src/lnca/runtime/pyramid.py. */
  level_input_scale: number
  full: number
}

export interface PyramidFacts extends PyramidNumbers {
  form: 'pyramid'
}

/** Those of its cells are there as well, unless another model's file holds them. */
export interface DeblurFacts extends PyramidNumbers {
  form: 'deblurring'
  rounds: number
  numbers: DeblurringNumbers
  /** Model that holds the cells, and the hash of its tensors. */
  shared?: { model: string; sha256: string }
}

export interface LatentFacts extends Common {
  form: 'latent'
  coder: 'autoencoder' | 'residual'
  /** For a residual coder: side of a position in pixels, and side of a cell in positions. */
  shrink?: number
  places?: number
  rule: {
    kind: 'nafca' | 'vitca'
    channels: number
    input_channels: number
    output_channels: number
    embed: number
    heads: number
    epsilon: number
    attention_bias: number
  }
}

export interface Tensor {
  data: Float32Array<ArrayBuffer>
  shape: number[]
}

interface Entry {
  dtype: string
  shape: number[]
  data_offsets: [number, number]
}

const HEADER = 'lnca-page'
const VERSION = 1

export class ModelFile {
  readonly facts: PyramidFacts | LatentFacts | DeblurFacts
  private readonly tensors: Record<string, Entry>
  private readonly begin: number

  /** @throws if it is no model file for the page, or has another version */
  constructor(private readonly bytes: ArrayBuffer) {
    try {
      const size = Number(new DataView(bytes).getBigUint64(0, true))
      this.begin = 8 + size
      const { __metadata__: said, ...tensors } = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 8, size)))
      this.tensors = tensors
      this.facts = JSON.parse(said[HEADER])
    } catch {
      throw new Error('the model’s file is damaged, or not one for the page')
    }
    if (this.facts.version !== VERSION) throw new Error('the model’s file is of another version')
  }

  /** The values of a tensor, with its shape. */
  tensor(name: string): Tensor {
    const entry = this.tensors[name]
    if (!entry) throw new Error(`${name} is missing in the model’s file`)
    const [first, last] = entry.data_offsets
    const bytes = this.bytes.slice(this.begin + first, this.begin + last)
    const data = entry.dtype === 'F16' ? widened(new Uint16Array(bytes)) : new Float32Array(bytes)
    return { data, shape: entry.shape }
  }
}

/** Converts float16 to float32 by moving bits; numbers below 2^-14 are multiples of 2^-24. */
function widened(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const result = new Float32Array(halves.length)
  const bits = new Uint32Array(result.buffer)
  for (let at = 0; at < halves.length; at++) {
    const [sign, rest] = [(halves[at] & 0x8000) << 16, halves[at] & 0x7fff]
    if (rest < 0x400) result[at] = (sign ? -rest : rest) * 2 ** -24
    else bits[at] = sign | ((rest << 13) + (112 << 23))
  }
  return result
}
