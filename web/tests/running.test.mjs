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
const DEBLUR = 'photo-deblur'
const others = models.filter((name) => name !== DEBLUR)
// As expected.py has them: no multiples of a cell's side; smaller than anything; several tiles where tiles are small.
const SIZES = ['131x90', '9x17', '203x61']
const goOn = async () => true

let server, Kernels, ModelFile, Planes, Tiled, Lattice, Deblurred, NoiseLevels, Fourier, model, hasRelaxedSimd
let estimation, kernelFiles
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
  ;({ Deblurred } = await load('deblurred'))
  ;({ NoiseLevels } = await load('levels'))
  ;({ Fourier } = await load('running/fourier'))
  kernelFiles = await load('kernelFile')
  const parts = ['fourier', 'blurKernel', 'leastSquares', 'resampling'].map((name) => load(`running/${name}`))
  estimation = Object.assign({}, ...(await Promise.all(parts)))
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
const held = async (file) => bytes(join(built, 'models', file))
const opened = async (own, name) => model(own, await held(`${name}.safetensors`), held)

/** What Python makes: numbers by name, and the size of the given picture. */
function expected(name, size) {
  const file = new ModelFile(bytes(join(folder, `${name}-${size}.safetensors`)))
  const { data, shape } = file.tensor('given')
  return { file, given: Uint8Array.from(data), width: shape[1], height: shape[0] }
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

/** What a generator returns in the end. */
function returned(work) {
  for (;;) {
    const { done, value } = work.next()
    if (done) return value
  }
}

/** Levels, blur and the pictures after each round of a blurred picture; its kernel is told where Python was told it. */
function deblurred(runner, kind) {
  const { file, given, width, height } = expected(DEBLUR, kind)
  const planes = new Planes(given, width, height, 8)
  const levels = new NoiseLevels(runner.cells, planes, 96, undefined)
  levels.estimate(planes.whole)
  const image = planes.colours({ left: 0, top: 0, width, height })
  const level = runner.cappedBySpectrum(levels.values, image)
  const assumed = runner.filterLevel(level)
  const told = ['blind', 'partly', 'sharp'].includes(kind) ? undefined : planeOf(file.tensor('told'))
  const blur = told ? { kernel: told, confidence: 1, level: assumed } : returned(runner.estimated(image, assumed))
  return { level, blur, rounds: returned(runner.rounds(image, blur)) }
}

function planeOf({ data, shape: [rows, columns] }) {
  return { data, rows, columns }
}

/** Compares levels and pictures with Python's; gives the largest differences of pictures. */
function checkRounds({ level, rounds }, kind, tolerance) {
  const { file } = expected(DEBLUR, kind)
  const far = difference(level, file.tensor('level').data)
  assert.ok(far <= 255 * TOLERANCE, `the levels of ${kind} differ by ${far}`)
  for (const [step, colours] of rounds.entries()) {
    if (!step) continue
    const wanted = file.tensor(`step.${step}`).data
    for (const [colour, { data }] of colours.entries()) {
      const far = difference(
        data.map((value) => Math.min(Math.max(value, 0), 1)),
        data.map((_, at) => wanted[3 * at + colour]),
      )
      assert.ok(far <= tolerance, `round ${step} of ${kind} differs by ${far}`)
    }
  }
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

    for (const name of others)
      test(`${name} makes what Python makes at every step, with one thread and with two`, async () => {
        const runners = await Promise.all(each.map((own) => opened(own, name)))
        const results = runners.map((runner) => {
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

    test(`${DEBLUR} undoes kernels that are told as Python does, with one thread and with two`, async () => {
      const runners = await Promise.all(each.map((own) => opened(own, DEBLUR)))
      for (const kind of ['tiny', 'uneven', 'told']) {
        const found = runners.slice(0, kind === 'told' ? 1 : 3).map((runner) => deblurred(runner, kind))
        checkRounds(found[0], kind, TOLERANCE)
        for (const other of found.slice(1)) assert.deepEqual(other.rounds, found[0].rounds)
      }
      for (const runner of runners) runner.free()
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
  for (const name of others)
    test(`${name} makes the same bytes in tiles, and gives back its memory`, async () => {
      const { given, width, height } = expected(name, '203x61')
      const own = kernels('plain')
      const runner = await opened(own, name)
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

describe('blur kernels', () => {
  let own, runner
  before(async () => {
    own = kernels(`${relaxed ? 'relaxed' : 'plain'}-threads`, 2)
    runner = await opened(own, DEBLUR)
  })

  test('transforms of any length are what their definition says', () => {
    const fourier = new Fourier(own)
    for (const [rows, columns] of [
      [6, 10],
      [7, 11],
      [35, 26],
      [33, 1],
      [1, 5],
      [37, 74],
      [16, 9],
    ]) {
      const picture = {
        data: Float32Array.from({ length: rows * columns }, (_, at) => Math.sin(at * at)),
        rows,
        columns,
      }
      const { re, im } = fourier.transform(picture)
      const half = Math.floor(columns / 2) + 1
      const [wantedRe, wantedIm] = [new Float32Array(re.length), new Float32Array(im.length)]
      for (let place = 0; place < re.length; place++) {
        const [v, u] = [Math.floor(place / half), place % half]
        let [real, imaginary] = [0, 0]
        picture.data.forEach((value, at) => {
          const turn = 2 * Math.PI * ((v * Math.floor(at / columns)) / rows + (u * (at % columns)) / columns)
          real += value * Math.cos(turn)
          imaginary -= value * Math.sin(turn)
        })
        wantedRe[place] = real / Math.sqrt(rows * columns)
        wantedIm[place] = imaginary / Math.sqrt(rows * columns)
      }
      assert.ok(difference(re, wantedRe) < 1e-6 && difference(im, wantedIm) < 1e-6, `${rows}x${columns}`)
      const back = fourier.inverseTransform({ re, im, rows, columns })
      assert.ok(difference(back.data, picture.data) < 1e-6, `${rows}x${columns} and back`)
    }
  })

  test('each part of an estimate is Python’s', () => {
    const { file } = expected(DEBLUR, 'blind')
    const part = (name) => planeOf(file.tensor(`part.${name}`))
    const { numbers } = runner
    const { periodic, shrunk, resized, tidied, centred, l0SharpImage, leastSquares } = estimation
    const [picture, kernel, fourier] = [part('picture'), part('kernel'), new Fourier(own)]
    const found = {
      periodic: periodic(picture, 5, 9),
      shrunk: shrunk(picture, numbers.scale_ratio),
      resized: resized(kernel, 11, numbers.cubic_slope),
      tidied: tidied(kernel, numbers),
      centred: centred(kernel),
      sharp: l0SharpImage(fourier, picture, kernel, 1e-3, numbers.largest_weight),
      least_squares: leastSquares(fourier, numbers, part('sharp'), picture, 9, 9),
    }
    for (const [name, { data, rows, columns }] of Object.entries(found)) {
      const wanted = part(name)
      assert.deepEqual([rows, columns], [wanted.rows, wanted.columns])
      const far = difference(data, wanted.data)
      // A gradient that is all but worth its penalty is kept or not: in Python, float32 and float64 differ as much.
      assert.ok(far <= (name === 'sharp' ? 1e-4 : TOLERANCE), `${name} differs by ${far}`)
    }
  })

  for (const kind of ['1', 'L', 'I;16', 'LA', 'P', 'RGB', 'RGBA', 'smooth'])
    test(`a PNG file of ${kind} is read as Python reads it`, async () => {
      const { readKernel, kernelOf } = kernelFiles
      const read = await readKernel(new Blob([readFileSync(join(folder, `kernel-${kind}.png`))]))
      const found = kernelOf(read, 100, 100)
      const wanted = planeOf(new ModelFile(bytes(join(folder, 'kernels.safetensors'))).tensor(kind))
      assert.deepEqual([found.rows, found.columns], [wanted.rows, wanted.columns])
      const far = difference(found.data, wanted.data)
      assert.ok(far < 1e-8, `differs by ${far}`)
    })

  test('a kernel that is written is read again, to a part in 65535', async () => {
    const { readKernel, kernelFile, kernelOf } = kernelFiles
    const kernel = planeOf(expected(DEBLUR, 'uneven').file.tensor('told'))
    const again = kernelOf(await readKernel(await kernelFile(kernel)), 100, 100)
    assert.deepEqual([again.rows, again.columns], [4, 5])
    assert.ok(difference(again.data, kernel.data) < 1 / 65535)
  })

  test('a kernel that cannot be used is a sentence', () => {
    const { kernelOf } = kernelFiles
    const kernel = (...data) => ({ data: Float32Array.from(data), rows: 1, columns: data.length })
    for (const wrong of [kernel(1, -1), kernel(NaN), kernel(0, 0)])
      assert.throws(() => kernelOf(wrong, 9, 9), /finite and not negative, and not all be 0/)
    assert.throws(() => kernelOf(kernel(1, 1, 1), 2, 9), /the kernel is 3x1, the picture 2x9; it should fit/)
  })

  for (const [kind, what] of [
    ['blind', 'a kernel that nobody tells'],
    ['partly', 'one that is trusted in part'],
  ])
    test(`${what} is the one that Python finds, and so is the picture`, () => {
      const found = deblurred(runner, kind)
      const { file } = expected(DEBLUR, kind)
      const [confidence, level] = file.tensor('blur').data
      assert.ok(kind === 'blind' ? confidence === 1 : confidence > 0 && confidence < 1)
      assert.ok(Math.abs(found.blur.confidence - confidence) < 1e-4, `${found.blur.confidence}, not ${confidence}`)
      assert.ok(Math.abs(found.blur.level - level) < 1e-4)
      const far = difference(found.blur.kernel.data, file.tensor('kernel').data)
      assert.ok(far < TOLERANCE, `the kernel differs by ${far}`)
      checkRounds(found, kind, TOLERANCE)
    })

  test('a sharp picture stays as it is', () => {
    const found = deblurred(runner, 'sharp')
    assert.equal(found.blur.confidence, 0)
    checkRounds(found, 'sharp', 0)
    assert.deepEqual(found.rounds[4], found.rounds[0])
  })

  test('windows of a picture leave no seams, what is painted begins anew, and memory is given back', async () => {
    const { file, given, width, height } = expected(DEBLUR, 'uneven')
    const kernel = planeOf(file.tensor('told'))
    const counts = counted(own)
    const make = (side) => new Deblurred(runner, given, width, height, { noiseLevel: 2, kernel }, goOn, side)
    const whole = await shown(make(1088), 3)
    const windows = make(200)
    const { frames } = await shown(windows, 3)
    const last = ({ frames }) => frames.at(-1).pixels
    const far = last({ frames }).reduce((sum, value, at) => sum + Math.abs(value - last(whole)[at]), 0) / given.length
    assert.ok(far < 1, `${far} on average`)
    assert.ok(whole.changes[0].some((change) => change > 0.01))
    // The same pixels change nothing; others do.
    const rect = { left: 8, top: 8, width: 16, height: 16 }
    const part = new Uint8Array(4 * 16 * 16)
    for (let row = 0; row < 16; row++) part.set(given.subarray(4 * ((8 + row) * width + 8)).subarray(0, 64), 64 * row)
    assert.equal(await windows.heal(part, rect), false)
    assert.equal(
      await windows.heal(
        part.map((value, at) => (at % 4 === 3 ? value : 255 - value)),
        rect,
      ),
      true,
    )
    assert.ok(await windows.step())
    assert.equal(counts.grids, 0)
  })

  test('it ends where nobody waits for it', async () => {
    const { given, width, height } = expected(DEBLUR, 'blind')
    let asked = 0
    const automaton = new Deblurred(runner, given, width, height, {}, async () => ++asked < 3)
    await automaton.begin()
    assert.deepEqual([asked, automaton.blur], [3, undefined])
  })
})
