// The worker. It does one unit of work at a time, and receives messages of the page in between.
import type { Automaton } from './automaton'
import { Lattice } from './lattice'
import { Deblurred } from './deblurred'
import { kernelOf } from './kernelFile'
import type { Report, Request } from './protocol'
import type { Help, Kernels } from './running/kernels'
import { Latent } from './running/latent'
import { asPicture, Deblurring } from './running/deblurring'
import { loadKernels, loadModel, type Model } from './running/load'
import { Tiled } from './tiled'

type Restore = Extract<Request, { type: 'restore' }>
type Heal = Extract<Request, { type: 'heal' }>

/** A picture that is being restored. */
interface Job {
  run: number
  automaton: Automaton
  steps: number
  step: number
  left: number
  begun: number
  drawing: number
  drawn: number
}

// If drawing takes longer than this many milliseconds, not every step is drawn.
const QUICK = 900

const folder = new URL(/* @vite-ignore */ '../kernels/', import.meta.url).href

let waiting: Restore | undefined
let heals: Heal[] = []
let job: Job | undefined
let busy = false
let paused = false
let single = false
let pace = 0
let kernels: Kernels | undefined
const helpers: Worker[] = []
let loaded: { address: string; model: Model } | undefined
let wake = () => {}

function report(message: Report, transfer: Transferable[] = []): void {
  self.postMessage(message, { transfer })
}

self.onmessage = ({ data }: MessageEvent<Request>) => {
  switch (data.type) {
    case 'restore':
      waiting = data
      heals = []
      break
    case 'heal':
      heals.push(data)
      break
    case 'pause':
      paused = data.paused
      break
    case 'step':
      single = true
      break
    case 'pace':
      pace = data.milliseconds
  }
  wake()
  void work()
}

async function work(): Promise<void> {
  if (busy) return
  busy = true
  while (waiting || (job && (heals.length || job.left))) {
    const run = waiting?.run ?? job?.run ?? 0
    try {
      if (waiting) await begin()
      else if (heals.length) await absorb(job!, heals.shift()!)
      else await advance(job!)
    } catch (error) {
      forget()
      report({ type: 'failed', run, sentence: sentence(error) })
    }
    await rest(0)
  }
  busy = false
}

async function begin(): Promise<void> {
  const request = waiting!
  waiting = undefined
  job?.automaton.free()
  job = undefined
  const { run } = request
  report({ type: 'stage', run, text: 'Loading the model' })
  const model = await load(request.model)
  if (waiting) return
  report({ type: 'stage', run, text: 'Reading the picture' })
  const begun = performance.now()
  const automaton = made(request, model)
  const { steps } = model
  const { rows, columns } = automaton
  job = { run, automaton, steps, step: 0, left: 0, begun, drawing: 0, drawn: 0 }
  report({ type: 'ready', run, steps, threads: kernels!.threads, rows, columns })
  await automaton.begin()
  if (waiting) return
  tellFound(run, automaton)
  job.left = steps
  await draw(job, new Float32Array(rows * columns))
}

function made({ run, pixels, width, height, tile, noiseLevel, kernel }: Restore, model: Model): Automaton {
  const bytes = new Uint8Array(pixels)
  const goOn = async (text?: string) => {
    if (text) report({ type: 'stage', run, text })
    await rest(0)
    return !waiting
  }
  if (model instanceof Latent) return new Lattice(model, bytes, width, height, tile)
  if (model instanceof Deblurring)
    return new Deblurred(model, bytes, width, height, { noiseLevel, kernel: kernelOf(kernel, width, height) }, goOn)
  return new Tiled(model, bytes, width, height, tile, noiseLevel, (done, all) =>
    goOn(all > 1 ? `${done} of ${all} tiles` : undefined),
  )
}

/** Reports the estimates for a picture. */
function tellFound(run: number, { noise, blur }: Automaton): void {
  if (noise) report({ type: 'noise', run, ...noise })
  if (blur) report({ type: 'kernel', run, kernel: asPicture(blur), confidence: blur.confidence })
}

async function load(address: string): Promise<Model> {
  kernels ??= await loadKernels(folder, start)
  if (loaded?.address !== address) {
    loaded?.model.free()
    loaded = undefined
    loaded = { address, model: await loadModel(kernels, address) }
  }
  return loaded.model
}

/** Starts another thread. */
function start(help: Help): void {
  const helper = new Worker(new URL('./running/thread.ts', import.meta.url), { type: 'module', name: 'lnca thread' })
  helper.postMessage(help)
  helpers.push(helper)
}

/** Discards the kernels after an error, because their memory is in an unknown state. */
function forget(): void {
  for (const helper of helpers.splice(0)) helper.terminate()
  job = loaded = kernels = undefined
}

async function advance(current: Job): Promise<void> {
  if (paused && !single) return rest(Infinity)
  single = false
  const start = performance.now()
  const change = await current.automaton.step()
  if (!change) return
  current.step++
  current.left--
  report({ type: 'progress', run: current.run, step: current.step, last: current.step + current.left })
  const now = performance.now()
  if (!current.left || paused || pace || current.drawing < QUICK || now - current.drawn > current.drawing)
    await draw(current, change)
  if (current.left) return rest(pace - (performance.now() - start))
  current.automaton.rest()
  report({ type: 'done', run: current.run, step: current.step, milliseconds: performance.now() - current.begun })
}

async function draw(current: Job, change: Float32Array<ArrayBuffer>): Promise<void> {
  const { run, step } = current
  const start = performance.now()
  // Draw a restored part with its surroundings, which may have changed slightly.
  const { pixels, rect } = await current.automaton.picture(!current.left)
  current.drawn = performance.now()
  current.drawing = current.drawn - start
  report({ type: 'frame', run, step, pixels: pixels.buffer, rect, change }, [pixels.buffer, change.buffer])
}

/** Initialises the cells whose pixels have changed; the others stay. */
async function absorb(current: Job, { run, pixels, rect }: Heal): Promise<void> {
  if (run !== current.run) return
  const { automaton } = current
  const begun = performance.now()
  if (!(await automaton.heal(new Uint8Array(pixels), rect))) return
  if (!current.left) current.begun = begun
  if (waiting) return
  tellFound(run, automaton)
  current.left = current.steps
  report({ type: 'progress', run, step: current.step, last: current.step + current.left })
  await draw(current, new Float32Array(automaton.rows * automaton.columns))
}

/** Waits for a time in milliseconds, or until a message arrives; lets pending messages in at any time. */
function rest(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    if (milliseconds <= 0) {
      const { port1, port2 } = new MessageChannel()
      port1.onmessage = () => resolve()
      port2.postMessage(null)
      return
    }
    const timer = milliseconds < Infinity ? setTimeout(resolve, milliseconds) : undefined
    wake = () => {
      clearTimeout(timer)
      wake = () => {}
      resolve()
    }
  })
}

function sentence(error: unknown): string {
  const said = error instanceof Error ? error.message : String(error)
  return /memory|alloc|out of bounds|length|unreachable/i.test(said)
    ? 'There is not enough memory for this picture here. Take a smaller one, or a part of it.'
    : `It cannot be restored here: ${said.split('\n')[0].slice(0, 200)}.`
}
