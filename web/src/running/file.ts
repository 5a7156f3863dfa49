// A model's file, as tools/page_models.py writes it: tensors in the format of safetensors, and a header.

/** What the header says of a layer. */
export interface LayerFacts {
  activation: 'swish' | 'sigmoid' | 'none' | 'relu'
  stride: 1 | 2
  transposed: boolean
}

interface Common {
  version: number
  steps: number
  /** Pixels on a cell's side. */
  multiple: number
  /** Cells that a tile has to see around itself. */
  reach: number
  layers: Record<string, LayerFacts>
}

export interface PyramidFacts extends Common {
  form: 'pyramid'
  /** The same for what its cells say of the noise. */
  guess_reach: number
  /** As src/lnca/runtime/noise_level.py explains them. */
  little: number
  statement_scales: number
  energy_scales: number
  level_scales: number
  ycbcr: number[][]
  most: number
  lowest: number
  highest: number
  surest: number
  /** As src/lnca/runtime/pyramid.py does. */
  level_input_scale: number
  full: number
}

export interface LatentFacts extends Common {
  form: 'latent'
  coder: 'autoencoder' | 'residual'
  /** Of a residual coder: pixels on the side of a position, and positions on that of a cell. */
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
  readonly facts: PyramidFacts | LatentFacts
  private readonly tensors: Record<string, Entry>
  private readonly begin: number

  /** @throws where it is no file of a model for the page, or of another version */
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

  /** Its numbers; of a name with a shape. */
  tensor(name: string): Tensor {
    const entry = this.tensors[name]
    if (!entry) throw new Error(`${name} is missing in the model’s file`)
    const [first, last] = entry.data_offsets
    const bytes = this.bytes.slice(this.begin + first, this.begin + last)
    const data = entry.dtype === 'F16' ? widened(new Uint16Array(bytes)) : new Float32Array(bytes)
    return { data, shape: entry.shape }
  }
}

/** float16 as float32, which has the same bits elsewhere; what is below 2^-14 is a multiple of 2^-24. */
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
