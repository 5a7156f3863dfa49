// Loads kernels and models.
import { Deblurring } from './deblurring'
import { ModelFile, type DeblurFacts } from './file'
import { Kernels, type Help } from './kernels'
import { Latent } from './latent'
import { Pyramid } from './pyramid'

const MOST_THREADS = 8
// A module that is valid only in browsers with relaxed SIMD: a function that calls f32x4.relaxed_madd.
const PROBE = [
  [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  [1, 7, 1, 0x60, 2, 0x7b, 0x7b, 1, 0x7b],
  [3, 2, 1, 0],
  [10, 13, 1, 11, 0, 0x20, 0, 0x20, 0, 0x20, 1, 0xfd, 0x85, 2, 0x0b],
].flat()

/**
 * The fastest kernels that this browser supports.
 *
 * @param folder URL of their folder, with a slash at its end
 * @param start starts a thread that calls `help`
 */
export async function loadKernels(folder: string, start: (help: Help) => void): Promise<Kernels> {
  // Threads need shared memory, which only cross-origin isolated pages may use.
  const threads = self.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency || 1, MOST_THREADS) : 1
  const simd = hasRelaxedSimd() ? 'relaxed' : 'plain'
  const bytes = await read(`${folder}${simd}${threads > 1 ? '-threads' : ''}.wasm`)
  const module = await WebAssembly.compile(bytes)
  return threads > 1 ? Kernels.shared(module, threads, start) : Kernels.alone(module)
}

export function hasRelaxedSimd(): boolean {
  return WebAssembly.validate(Uint8Array.from(PROBE))
}

export type Model = Latent | Pyramid | Deblurring

/** The model in a file at a URL; raises an error if it is missing or damaged. */
export async function loadModel(kernels: Kernels, address: string): Promise<Model> {
  return model(kernels, await read(address), (file) => read(address.replace(/[^/]*$/, file)))
}

/** @param beside reads another file of the same folder */
export async function model(
  kernels: Kernels,
  bytes: ArrayBuffer,
  beside: (file: string) => Promise<ArrayBuffer>,
): Promise<Model> {
  const file = new ModelFile(bytes)
  const { facts } = file
  switch (facts.form) {
    case 'pyramid':
      return new Pyramid(kernels, file, facts)
    case 'latent':
      return new Latent(kernels, file, facts)
    case 'deblurring':
      return new Deblurring(kernels, await cells(kernels, file, facts, beside), facts.numbers, facts.rounds)
  }
}

/** The cells of a deblurrer, of its own file or of another model's. */
async function cells(
  kernels: Kernels,
  own: ModelFile,
  { shared, ...numbers }: DeblurFacts,
  beside: (file: string) => Promise<ArrayBuffer>,
): Promise<Pyramid> {
  if (!shared) return new Pyramid(kernels, own, numbers)
  const file = new ModelFile(await beside(`${shared.model}.safetensors`))
  const { facts } = file
  if (facts.form !== 'pyramid' || facts.sha256 !== shared.sha256)
    throw new Error(`the model’s file was made for another version of ${shared.model}`)
  return new Pyramid(kernels, file, facts)
}

async function read(address: string): Promise<ArrayBuffer> {
  const response = await fetch(address)
  if (!response.ok) throw new Error(`${address.split('/').slice(-2).join('/')} is missing`)
  return response.arrayBuffer()
}
