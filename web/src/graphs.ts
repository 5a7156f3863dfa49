// A model's three graphs, as `lnca export` writes them, in ONNX Runtime.
import type { InferenceSession, Tensor } from 'onnxruntime-web/wasm'
import type { Engine } from './protocol'

type Runtime = typeof import('onnxruntime-web/wasm')

/** What `model.json` says that is of use here. */
interface Description {
  steps: number
  multiple: number
  reach: number
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
    private readonly encoder: InferenceSession,
    private readonly stepper: InferenceSession,
    private readonly decoder: InferenceSession,
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
    const files = await Promise.all(
      ['model.json', 'encoder.onnx', 'steps.onnx', 'decoder.onnx'].map((name) => read(folder + name)),
    )
    const description = JSON.parse(new TextDecoder().decode(files.shift())) as Description
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
    const sessions: InferenceSession[] = []
    for (const file of files) {
      sessions.push(await runtime.InferenceSession.create(file, { executionProviders: [provider], ...OPTIONS }))
    }
    const [encoder, steps, decoder] = sessions
    const name = provider === 'wasm' ? 'WASM' : 'WebGPU'
    return new Graphs(runtime, encoder, steps, decoder, description, name, wasm.numThreads)
  }

  /** Picture (1, 3, H, W) -> cells (1, H', W', C) and what goes past them. */
  async encode(image: Values): Promise<{ cells: Values; skip: Values }> {
    const result = await this.encoder.run({ image: this.tensor(image) })
    return { cells: values(result.cells), skip: values(result.skip) }
  }

  /** Cells -> the cells one step later. */
  async step(cells: Values): Promise<Values> {
    return values((await this.stepper.run({ cells: this.tensor(cells) })).next_cells)
  }

  /** Cells and what went past them -> picture (1, 3, H, W). */
  async decode(cells: Values, skip: Values): Promise<Values> {
    return values((await this.decoder.run({ cells: this.tensor(cells), skip: this.tensor(skip) })).restored)
  }

  async release(): Promise<void> {
    for (const session of [this.encoder, this.stepper, this.decoder]) await session.release()
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
