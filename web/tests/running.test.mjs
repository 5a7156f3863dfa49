// The kernels in WebAssembly, and what is built of them, make the numbers that Python makes.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import v8 from 'node:v8'
import { Worker } from 'node:worker_threads'
import { createServer } from 'vite'
import { python } from '../scripts/browser.mjs'

// Node.js 20 has it, and asks for being told.
v8.setFlagsFromString('--experimental-wasm-relaxed-simd')

const path = (name) => fileURLToPath(new URL(name, import.meta.url))
const built = path('../../src/lnca/web/')
const models = readdirSync(join(built, 'models')).map((file) => basename(file, '.safetensors'))
const folder = mkdtempSync(join(tmpdir(), 'lnca-web-'))
const TOLERANCE = 1e-5
// As expected.py has them: no multiples of a cell's side; smaller than anything; several tiles where tiles are small.
const SIZES = ['131x90', '9x17', '203x61']
const goOn = async () => true

let server, Kernels, ModelFile, Planes, Tiled, Lattice, model, hasRelaxedSimd
const threads = []

before(async () => {
  execFileSync(python, [path('expected.py'), folder, ...models])
  server = await createServer({
    root: path('..'),
    server: { middlewareMode: true, ws: false },
    appType: 'custom',
    logLevel: 'error',
  })
  const load = (name) => server.ssrLoadModule(`/src/${name}.ts`)
  ;({ Kernels } = await load('running/kernels'))
  ;({ ModelFile } = await load('running/file'))
  ;({ model, hasRelaxedSimd } = await load('running/load'))
  ;({ Planes } = await load('planes'))
  ;({ Tiled } = await load('tiled'))
  ;({ Lattice } = await load('lattice'))
})
after(async () => {
  await Promise.all(threads.map((thread) => thread.terminate()))
  await server.close()
  rmSync(folder, { recursive: true })
})

/** Kernels of a file, with so many threads. */
function kernels(file, count = 1) {
  const module = new WebAssembly.Module(readFileSync(join(built, 'kernels', `${file}.wasm`)))
  if (count === 1 && !file.endsWith('threads')) return Kernels.alone(module)
  return Kernels.shared(module, count, (help) => threads.push(new Worker(path('thread.mjs'), { workerData: help })))
}

/** How many grids of these kernels there are from now on. */
function counted(own) {
  const counts = { grids: 0 }
  const { page_take: take, page_free: free } = own.exports
  const page_take = (size) => (counts.grids++, take(size))
  const page_free = (at) => (counts.grids--, free(at))
  own.exports = { ...own.exports, page_take, page_free }
  return counts
}

const bytes = (file) => Uint8Array.from(readFileSync(file)).buffer
const opened = (own, name) => model(own, bytes(join(built, 'models', `${name}.safetensors`)))

/** What Python makes: numbers by name, and the size of the given picture. */
function expected(name, size) {
  const file = new ModelFile(bytes(join(folder, `${name}-${size}.safetensors`)))
  const [width, height] = size.split('x').map(Number)
  const given = Uint8Array.from(file.tensor('given').data)
  return { file, given, width, height }
}

function difference(found, wanted) {
  assert.equal(found.length, wanted.length)
  return found.reduce((most, value, at) => Math.max(most, Math.abs(value - wanted[at])), 0)
}

/** The pictures after some steps, by their numbers, and the levels where there are any. */
function made(runner, planes, steps) {
  const image = planes.image(planes.whole)
  const pictures = {}
  if (runner.statements) {
    const level = runner.levels(runner.statements(image))
    runner.restored(image, level).pictures.forEach((picture, step) => (pictures[step + 1] = picture))
    return { pictures, level: level.data }
  }
  const past = runner.past(image)
  const cells = runner.encode(image, past)
  for (let step = 1; step <= runner.steps; step++) {
    runner.step(cells)
    if (steps.includes(step)) pictures[step] = runner.decode(image, past, cells).data
  }
  runner.kernels.free(past, cells)
  return { pictures }
}

test('a file that is damaged or of another version is a sentence', () => {
  const header = (facts) => {
    const text = JSON.stringify({ __metadata__: { 'lnca-page': JSON.stringify(facts) } })
    const size = new BigUint64Array([BigInt(text.length)])
    return Uint8Array.from([...new Uint8Array(size.buffer), ...Buffer.from(text)]).buffer
  }
  assert.throws(() => new ModelFile(new ArrayBuffer(3)), /damaged, or not one for the page/)
  assert.throws(() => new ModelFile(bytes(path('running.test.mjs'))), /damaged, or not one for the page/)
  assert.throws(() => new ModelFile(header({ version: 9 })), /of another version/)
  assert.throws(() => new ModelFile(header({ version: 1 })).tensor('encode.bias'), /encode.bias is missing/)
})

test('numbers of float16 are exact', () => {
  const values = [0, -0, 1, -2, 65504, 2 ** -14, 2 ** -24, -3 * 2 ** -24, 0.333251953125]
  const halves = Uint16Array.of(0, 0x8000, 0x3c00, 0xc000, 0x7bff, 0x0400, 1, 0x8003, 0x3555)
  const entry = { dtype: 'F16', shape: [9], data_offsets: [0, 18] }
  const text = JSON.stringify({ __metadata__: { 'lnca-page': '{"version": 1}' }, numbers: entry })
  const size = new BigUint64Array([BigInt(text.length)])
  const content = [...new Uint8Array(size.buffer), ...Buffer.from(text), ...new Uint8Array(halves.buffer)]
  const { data } = new ModelFile(Uint8Array.from(content).buffer).tensor('numbers')
  assert.deepEqual([...data], values)
})

test('the probe says whether there is relaxed SIMD', () => {
  assert.equal(hasRelaxedSimd(), relaxed)
})

const relaxed = WebAssembly.validate(readFileSync(join(built, 'kernels/relaxed.wasm')))
for (const simd of relaxed ? ['plain', 'relaxed'] : ['plain']) {
  describe(`${simd} SIMD`, () => {
    let each
    before(() => {
      each = [kernels(simd), kernels(`${simd}-threads`), kernels(`${simd}-threads`, 2)]
    })

    for (const name of models)
      test(`${name} makes what Python makes at every step, with one thread and with two`, () => {
        const results = each.map((own) => {
          const runner = opened(own, name)
          const found = SIZES.map((size) => {
            const { given, width, height } = expected(name, size)
            return made(runner, new Planes(given, width, height, runner.multiple), [1, 2, 7, runner.steps])
          })
          runner.free()
          return found
        })
        for (const [number, size] of SIZES.entries()) {
          const { pictures, level } = results[0][number]
          const { file } = expected(name, size)
          for (const [step, picture] of Object.entries(pictures)) {
            const far = difference(picture, file.tensor(`step.${step}`).data)
            assert.ok(far <= TOLERANCE, `step ${step} of ${size} pixels differs by ${far}`)
          }
          // In 255ths.
          const far = level ? difference(level, file.tensor('level').data) / 255 : 0
          assert.ok(far <= TOLERANCE, `the levels of ${size} pixels differ by ${far}`)
        }
        assert.deepEqual(results[1], results[0])
        assert.deepEqual(results[2], results[0])
      })
  })
}

/** Every step of a picture, as the page shows it. */
async function shown(automaton, steps) {
  await automaton.begin()
  const frames = [await automaton.picture(true)]
  const changes = []
  for (let step = 0; step < steps; step++) {
    changes.push(await automaton.step())
    frames.push(await automaton.picture(true))
  }
  automaton.rest()
  automaton.free()
  return { frames, changes }
}

describe('the page', () => {
  for (const name of models)
    test(`${name} makes the same bytes in tiles, and gives back its memory`, async () => {
      const { given, width, height } = expected(name, '203x61')
      const own = kernels('plain')
      const runner = opened(own, name)
      const counts = counted(own)
      const steps = Math.min(runner.steps, 3)
      const make = (tile) =>
        runner.statements
          ? new Tiled(runner, given, width, height, tile, undefined, goOn)
          : new Lattice(runner, given, width, height, tile)
      const whole = await shown(make(100), steps)
      const tiled = await shown(make(5), steps)
      assert.deepEqual(tiled, whole)
      assert.equal(counts.grids, 0)
    })
})
