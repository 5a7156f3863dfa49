// A model's graphs, as `lnca export` writes them, in ONNX Runtime.
import type { InferenceSession, Tensor } from 'onnxruntime-web/wasm'
import type { Engine } from './protocol'

type Runtime = typeof import('onnxruntime-web/wasm')

/** What `model.json` says that is of use here. */
interface Description {
  /** Which graphs there are: those of latent automata, or those of models that take a noise level, for tiles. */
  form: 'cells' | 'tiles'
  steps: number
  /** Pixels on a cell's side. */
  multiple: number
  /** Cells that a tile has to see around itself, to be restored and for its guesses of the noise. */
  reach: number
  guess_reach?: number
}

const NAMES = {
  cells: ['encoder', 'steps', 'decoder'],
  tiles: ['guesses', 'levels', 'restore'],
}

/** Numbers with their shape. */
export interface Values {
  data: Float32Array
  dims: readonly number[]
}

const MOST_THREADS = 8
// Threads that wait by turning in circles hold up all else on a busy machine, and each other.
const OPTIONS = { logSeverityLevel: 3, extra: { session: { intra_op: { allow_spinning: '0' } } } } as const

export class Graphs {
  private constructor(
    private readonly runtime: Runtime,
    private readonly sessions: Record<string, InferenceSession>,
    readonly description: Description,
    /** "WASM" or "WebGPU". */
    readonly engine: string,
    readonly threads: number,
  ) {}

  /**
   * @param folder address of the folder with model.json and the graphs, with a slash at its end
   * @param assets address of the folder with ONNX Runtime's own files
   * @throws where a file is missing or damaged
   */
  static async load(folder: string, assets: string, engine: Engine): Promise<Graphs> {
    const description = JSON.parse(new TextDecoder().decode(await read(`${folder}model.json`))) as Description
    const names = NAMES[description.form]
    if (!names) throw new Error('the model has a form that this page does not know')
    const files = await Promise.all(names.map((name) => read(`${folder}${name}.onnx`)))
    if (engine === 'webgpu' || (engine === 'auto' && (await hasGpu()))) {
      try {
        return await Graphs.create(await import('onnxruntime-web/webgpu'), 'webgpu', files, description, assets)
      } catch (error) {
        if (engine === 'webgpu') throw error
      }
    }
    return Graphs.create(await import('onnxruntime-web/wasm'), 'wasm', files, description, assets)
  }

  private static async create(
    runtime: Runtime,
    provider: 'wasm' | 'webgpu',
    files: Uint8Array[],
    description: Description,
    assets: string,
  ): Promise<Graphs> {
    const { wasm, ...env } = runtime.env
    wasm.wasmPaths = assets
    // Threads share memory, which only pages that are isolated from other origins may.
    wasm.numThreads = self.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency || 1, MOST_THREADS) : 1
    env.logLevel = 'error'
    const sessions: Record<string, InferenceSession> = {}
    for (const [index, name] of NAMES[description.form].entries()) {
      const options = { executionProviders: [provider], ...OPTIONS }
      sessions[name] = await runtime.InferenceSession.create(files[index], options)
    }
    const name = provider === 'wasm' ? 'WASM' : 'WebGPU'
    return new Graphs(runtime, sessions, description, name, wasm.numThreads)
  }

  /** What a graph makes of its inputs, by name. */
  async run(name: string, inputs: Record<string, Values>): Promise<Record<string, Values>> {
    const tensors = Object.entries(inputs).map(([input, value]) => [input, this.tensor(value)])
    const outputs = await this.sessions[name].run(Object.fromEntries(tensors))
    return Object.fromEntries(Object.entries(outputs).map(([output, tensor]) => [output, values(tensor)]))
  }

  async release(): Promise<void> {
    for (const session of Object.values(this.sessions)) await session.release()
  }

  private tensor({ data, dims }: Values): Tensor {
    return new this.runtime.Tensor('float32', data, dims)
  }
}

function values(tensor: Tensor): Values {
  return { data: tensor.data as Float32Array, dims: tensor.dims }
}

async function read(address: string): Promise<Uint8Array> {
  const response = await fetch(address)
  if (!response.ok) throw new Error(`${address.split('/').slice(-2).join('/')} is missing`)
  return new Uint8Array(await response.arrayBuffer())
}

/** Whether there is a GPU, and not a processor that plays one. */
async function hasGpu(): Promise<boolean> {
  const { gpu } = navigator as unknown as {
    gpu?: { requestAdapter(): Promise<{ info?: { isFallbackAdapter?: boolean }; isFallbackAdapter?: boolean } | null> }
  }
  const adapter = await gpu?.requestAdapter().catch(() => null)
  return !!adapter && !(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter)
}
