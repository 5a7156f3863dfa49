// Tiles and parts that heal give what the whole picture gives, with a model that is simple and reaches as far as it says.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createServer } from 'vite'

const [WIDTH, HEIGHT, SIDE, STEPS, REACH, GUESS_REACH] = [203, 61, 8, 2, 2, 1]
const goOn = async () => true

let server, Tiled, shared, filled

before(async () => {
  // What `ImageData` is to the modules, outside a browser.
  globalThis.ImageData = class {
    constructor(data, width, height) {
      Object.assign(this, { data, width, height })
    }
  }
  const root = fileURLToPath(new URL('..', import.meta.url))
  server = await createServer({
    root,
    server: { middlewareMode: true, ws: false },
    appType: 'custom',
    logLevel: 'error',
  })
  Tiled = (await server.ssrLoadModule('/src/tiled.ts')).Tiled
  filled = (await server.ssrLoadModule('/src/hidden.ts')).filled
  shared = (await server.ssrLoadModule('/src/shares.ts')).shared
})
after(() => server.close())

/** Mean red of each cell. */
function means({ data, rows: height, columns: width }) {
  const [rows, columns] = [height / SIDE, width / SIDE]
  const values = new Float64Array(rows * columns)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++)
      values[Math.floor(y / SIDE) * columns + Math.floor(x / SIDE)] += data[3 * (y * width + x)] / SIDE ** 2
  }
  return { values, rows, columns }
}

/** Sums of what lies within so many cells, as far as there are any. */
function sums(values, rows, columns, reach) {
  return Float64Array.from(values, (_, index) => {
    const [row, column] = [Math.floor(index / columns), index % columns]
    let sum = 0
    for (let r = Math.max(row - reach, 0); r <= Math.min(row + reach, rows - 1); r++) {
      for (let c = Math.max(column - reach, 0); c <= Math.min(column + reach, columns - 1); c++)
        sum += values[r * columns + c]
    }
    return sum
  })
}

const model = {
  steps: STEPS,
  multiple: SIDE,
  reach: REACH,
  guessReach: GUESS_REACH,
  statements(image) {
    const { values, rows, columns } = means(image)
    const around = sums(values, rows, columns, GUESS_REACH)
    const data = Float32Array.from(Array.from(around).flatMap((sum) => [1, 2, 3, 4].map((kind) => (kind * sum) / 9)))
    return { data, rows, columns, channels: 4 }
  },
  levels({ data, rows, columns }) {
    return { data: data.filter((_, at) => at % 4 < 2), rows, columns, channels: 2 }
  },
  restored(image, level) {
    const { values, rows, columns } = means(image)
    assert.deepEqual([level.rows, level.columns, level.channels], [rows, columns, 2])
    const told = values.map((value, index) => value * level.data[2 * index])
    const sum = sums(told, rows, columns, REACH)
    const width = columns * SIDE
    const pictures = [0, 1].map((step) =>
      new Float32Array(3 * rows * SIDE * width).map((_, at) => {
        const [y, x, colour] = [Math.floor(at / (3 * width)), Math.floor(at / 3) % width, at % 3]
        const cell = Math.floor(y / SIDE) * columns + Math.floor(x / SIDE)
        return ((1 + step) * sum[cell]) / 50 + colour / 100
      }),
    )
    return { pictures, changes: [0, 1].map((step) => Float32Array.from(sum, (value) => value + step)) }
  },
}

function picture() {
  return new Uint8Array(4 * WIDTH * HEIGHT).map((_, at) => (at % 4 === 3 ? 255 : ((at * 7919) >> 3) % 256))
}

/** A picture with fresh cells, and its every step. */
async function restored(pixels, tile, told) {
  const automaton = new Tiled(model, pixels, WIDTH, HEIGHT, tile, told, goOn)
  await automaton.begin()
  const frames = [await automaton.picture(true)]
  const changes = []
  for (let step = 0; step < STEPS; step++) {
    changes.push(await automaton.step())
    frames.push(await automaton.picture(true))
  }
  automaton.rest()
  return { automaton, frames, changes }
}

for (const told of [undefined, 40]) {
  test(`tiles give what the whole picture gives, at a level that is ${told ? 'told' : 'estimated'}`, async () => {
    const [whole, tiled] = [await restored(picture(), 100, told), await restored(picture(), 3, told)]
    assert.deepEqual(whole.frames[0].pixels, new Uint8ClampedArray(picture()))
    assert.deepEqual(tiled.frames, whole.frames)
    assert.deepEqual(tiled.changes, whole.changes)
    assert.deepEqual(tiled.automaton.noise, whole.automaton.noise)
    if (told) assert.deepEqual(whole.automaton.noise, { level: told, chroma: told })
  })
}

test('noise of a grey picture is all in its brightness', async () => {
  const grey = picture().map((_, at) => (at % 4 === 3 ? 255 : (at >> 2) % 256))
  const { noise } = (await restored(grey, 100, 40)).automaton
  assert.ok(Math.abs(noise.level - 40) < 1e-3)
  assert.equal(noise.chroma, 0)
})

test('a part that heals becomes what the painted picture would, and no more is made anew', async () => {
  const rect = { left: 30, top: 10, width: 20, height: 9 }
  const patch = new Uint8Array(4 * rect.width * rect.height).fill(255)
  const painted = picture()
  for (let row = 0; row < rect.height; row++) {
    const line = patch.subarray(4 * row * rect.width, 4 * (row + 1) * rect.width)
    painted.set(line, 4 * ((rect.top + row) * WIDTH + rect.left))
  }
  const { automaton } = await restored(picture(), 3)
  assert.ok(await automaton.heal(patch, rect))
  const part = (await automaton.picture(false)).rect
  assert.ok(part.width < WIDTH / 2 && part.left === 0 && part.top === 0)
  for (let step = 0; step < STEPS; step++) await automaton.step()
  automaton.rest()
  const expected = (await restored(painted, 100)).frames.at(-1)
  assert.deepEqual(await automaton.picture(true), expected)
  assert.equal(await automaton.heal(patch, rect), false)
})

test('it is given up between two tiles', async () => {
  let asked = 0
  const automaton = new Tiled(model, picture(), WIDTH, HEIGHT, 3, 40, async () => ++asked < 2)
  await automaton.begin()
  assert.equal(await automaton.step(), undefined)
  assert.equal(asked, 2)
})

test('what cannot be seen has the mean colour of what is seen around', () => {
  const [A, B, C, no] = [
    [10, 20, 30, 255],
    [20, 40, 61, 1],
    [100, 0, 0, 128],
    [7, 7, 7, 0],
  ]
  // Squares of two: A and B, none, C, none; of four: all of them.
  const rows = [
    [A, no, no, no, no],
    [no, B, no, no, C],
  ]
  const [mean, all] = [
    [15, 30, 46, 0],
    [100, 0, 0, 0],
  ]
  const expected = [
    [A, mean, mean, mean, all],
    [mean, B, mean, mean, C],
  ]
  assert.deepEqual([...filled(Uint8Array.from(rows.flat(2)), 5, 2)], expected.flat(2))
  const [open, hidden] = [Uint8Array.from([A, B].flat()), Uint8Array.from([no, no].flat())]
  assert.equal(filled(open, 2, 1), open)
  assert.equal(filled(hidden, 2, 1), hidden)
})

test('shares of a correction, worked out by hand', () => {
  const given = new ImageData(Uint8ClampedArray.of(100, 100, 100, 7), 1, 1)
  const after = new ImageData(Uint8ClampedArray.of(150, 100, 50, 7), 1, 1)
  const share = (strength, luma, chroma) => [...shared(given, after, { strength, luma, chroma }).data]
  // The brightness of (50, 0, -50) is 0.299 * 50 - 0.114 * 50 = 9.25.
  assert.equal(shared(given, after, { strength: 1, luma: 1, chroma: 1 }), after)
  assert.deepEqual(share(1, 1, 0), [109, 109, 109, 7])
  assert.deepEqual(share(1, 0, 1), [141, 91, 41, 7])
  assert.deepEqual(share(0.5, 1, 1), [125, 100, 75, 7])
  assert.deepEqual(share(0, 1, 1), [100, 100, 100, 7])
})
