// Kernels and models, from beside the page.
import { ModelFile } from './file'
import { Kernels, type Help } from './kernels'
import { Latent } from './latent'
import { Pyramid } from './pyramid'

const MOST_THREADS = 8
// A module that only a browser with relaxed SIMD takes: a function that calls f32x4.relaxed_madd.
const PROBE = [
  [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  [1, 7, 1, 0x60, 2, 0x7b, 0x7b, 1, 0x7b],
  [3, 2, 1, 0],
  [10, 13, 1, 11, 0, 0x20, 0, 0x20, 0, 0x20, 1, 0xfd, 0x85, 2, 0x0b],
].flat()

/**
 * The kernels that suit this browser best.
 *
 * @param folder address of the folder with them, with a slash at its end
 * @param start makes another thread call `help`
 */
export async function loadKernels(folder: string, start: (help: Help) => void): Promise<Kernels> {
  // Threads share memory, which only pages that are isolated from other origins may.
  const threads = self.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency || 1, MOST_THREADS) : 1
  const simd = hasRelaxedSimd() ? 'relaxed' : 'plain'
  const bytes = await read(`${folder}${simd}${threads > 1 ? '-threads' : ''}.wasm`)
  const module = await WebAssembly.compile(bytes)
  return threads > 1 ? Kernels.shared(module, threads, start) : Kernels.alone(module)
}

export function hasRelaxedSimd(): boolean {
  return WebAssembly.validate(Uint8Array.from(PROBE))
}

/** The model of a file at an address; raises where it is missing or damaged. */
export async function loadModel(kernels: Kernels, address: string): Promise<Latent | Pyramid> {
  return model(kernels, await read(address))
}

export function model(kernels: Kernels, bytes: ArrayBuffer): Latent | Pyramid {
  const file = new ModelFile(bytes)
  const { facts } = file
  return facts.form === 'pyramid' ? new Pyramid(kernels, file, facts) : new Latent(kernels, file, facts)
}

async function read(address: string): Promise<ArrayBuffer> {
  const response = await fetch(address)
  if (!response.ok) throw new Error(`${address.split('/').slice(-2).join('/')} is missing`)
  return response.arrayBuffer()
}
