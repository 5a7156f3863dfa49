import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createReadStream, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { basename, extname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { deflateSync } from 'node:zlib'
import { app, browser, finished, python } from '../scripts/browser.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const built = fileURLToPath(new URL('../../src/lnca/web/', import.meta.url))
const axe = readFileSync(fileURLToPath(new URL('../node_modules/axe-core/axe.min.js', import.meta.url)), 'utf8')
const models = readdirSync(join(built, 'models'))
  .map((name) => basename(name, '.safetensors'))
  .sort((a) => (a === 'photo-denoise' ? -1 : 1))
const folder = mkdtempSync(join(tmpdir(), 'lnca-web-'))
const file = (name) => join(folder, name)

let chromium, server, context, page, said

before(async () => {
  execFileSync(python, [join(here, 'reference.py'), folder, ...models])
  ;[chromium, server] = await Promise.all([browser(), app()])
})
after(async () => {
  await chromium?.close()
  server?.close()
  rmSync(folder, { recursive: true })
})

/** A fresh page; whatever it says of errors, or asks of others, is in `said`. */
async function fresh(options = {}, address = server.address) {
  await context?.close()
  context = await chromium.newContext({ viewport: { width: 1280, height: 860 }, serviceWorkers: 'block', ...options })
  page = await context.newPage()
  said = []
  page.on('console', (message) => {
    const blocked = message.text() === 'Service Worker registration blocked by Playwright'
    if (['error', 'warning'].includes(message.type()) && !blocked) said.push(message.text())
  })
  page.on('pageerror', (error) => said.push(String(error)))
  context.on('request', (request) => {
    if (!request.url().startsWith(address) && !/^(blob|data):/.test(request.url())) said.push(`asks ${request.url()}`)
  })
  await page.goto(address)
}

async function open(path) {
  // So that the end of the picture before is not taken for that of this one.
  await page.evaluate(() => delete document.getElementById('play').dataset.does)
  await page.setInputFiles('#file', path)
  await finished(page)
}

/** Also on a busy machine, where steps that are slow to draw would be left out. */
function everyStep() {
  return page.selectOption('#speed', { label: 'Steady' })
}

/** The restored picture, as it is handed over. */
async function result() {
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#download')])
  return readFileSync(await download.path())
}

/** Mean and largest difference of bytes between pictures (PNG files), in `rect` where it is given. */
function difference(a, b, rect) {
  const read = (picture) => (typeof picture === 'string' ? readFileSync(picture) : picture).toString('base64')
  return page.evaluate(
    async ([first, second, rect]) => {
      const pixels = async (text) => {
        const bitmap = await createImageBitmap(new Blob([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))]))
        const drawing = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d')
        drawing.drawImage(bitmap, 0, 0)
        const { left = 0, top = 0, width = bitmap.width, height = bitmap.height } = rect ?? {}
        return drawing.getImageData(left, top, width, height).data
      }
      const [x, y] = await Promise.all([pixels(first), pixels(second)])
      if (x.length !== y.length) throw new Error('the pictures have different sizes')
      let [sum, largest] = [0, 0]
      x.forEach((value, at) => {
        sum += Math.abs(value - y[at])
        largest = Math.max(largest, Math.abs(value - y[at]))
      })
      return { mean: sum / x.length, largest }
    },
    [read(a), read(b), rect],
  )
}

/** Sets a slider as a hand does. */
function set(id, value) {
  return page.evaluate(
    ([id, value]) => {
      const slider = document.getElementById(id)
      slider.value = value
      if (id === 'level') delete document.getElementById('play').dataset.does
      for (const type of ['input', 'change']) slider.dispatchEvent(new Event(type, { bubbles: true }))
    },
    [id, value],
  )
}

/** Mean difference of neighbouring pixels of a picture (PNG file). */
function roughness(picture) {
  return page.evaluate(async (text) => {
    const bitmap = await createImageBitmap(new Blob([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))]))
    const drawing = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d')
    drawing.drawImage(bitmap, 0, 0)
    const { data } = drawing.getImageData(0, 0, bitmap.width, bitmap.height)
    let sum = 0
    for (let at = 4; at < data.length; at++) sum += Math.abs(data[at] - data[at - 4])
    return sum / data.length
  }, picture.toString('base64'))
}

/** Where a point of the picture, as shares of its sides, is on the page. */
async function spot(across, down) {
  const box = await page.locator('#view').boundingBox()
  const [width, height] = [131, 90]
  const zoom = Math.min((box.width - 32) / width, (box.height - 32) / height, 4)
  return {
    x: box.x + box.width / 2 + (across - 0.5) * width * zoom,
    y: box.y + box.height / 2 + (down - 0.5) * height * zoom,
  }
}

async function stroke(from, to) {
  const [a, b] = [await spot(...from), await spot(...to)]
  await page.mouse.move(a.x, a.y)
  await page.mouse.down()
  await page.mouse.move(b.x, b.y, { steps: 8 })
  await page.mouse.up()
}

/** A PNG file of one colour. */
function plain(width, height) {
  const chunk = (name, data) => {
    const body = Buffer.concat([Buffer.from(name), data])
    const table = Array.from({ length: 256 }, (_, n) => {
      for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1
      return n >>> 0
    })
    const crc = ~body.reduce((c, byte) => table[(c ^ byte) & 255] ^ (c >>> 8), -1)
    const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)]
    length.writeUInt32BE(data.length)
    check.writeInt32BE(crc)
    return Buffer.concat([length, body, check])
  }
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width)
  header.writeUInt32BE(height, 4)
  header.set([1, 0], 8)
  const rows = deflateSync(Buffer.alloc(height * (1 + Math.ceil(width / 8))))
  const signature = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10])
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', rows), chunk('IEND', Buffer.alloc(0))])
}

describe('pictures', () => {
  before(() => fresh())

  test('a dropped file is restored as Python restores it', async () => {
    const bytes = readFileSync(file('given.png')).toString('base64')
    const transfer = await page.evaluateHandle((text) => {
      const data = new DataTransfer()
      data.items.add(
        new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], 'dropped.png', { type: 'image/png' }),
      )
      return data
    }, bytes)
    await page.dispatchEvent('#stage', 'dragenter', { dataTransfer: transfer })
    assert.ok(await page.locator('#veil').isVisible())
    await page.dispatchEvent('#stage', 'drop', { dataTransfer: transfer })
    await finished(page)
    const restored = await result()
    const { mean, largest } = await difference(restored, file('photo-denoise.png'))
    assert.ok(mean < 0.01 && largest <= 1, `differs by ${mean} on average, ${largest} at most`)
    assert.ok((await difference(restored, file('given.png'))).mean > 5)
    assert.match(await page.locator('#engine').textContent(), /^WASM, [2-8] threads$/)
    assert.deepEqual(said, [])
  })

  for (const model of models.filter((name) => name !== 'photo-deblur')) {
    const tile = model === 'photo-denoise' ? 13 : 17
    const given = model === 'photo-denoise' ? 'wide' : 'given'
    test(`${model} restores in tiles as Python does in one piece`, async () => {
      const restored = await page.evaluate(
        async ([text, model, tile]) => {
          const { restore } = await import('./restorer.js')
          const bitmap = await createImageBitmap(new Blob([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))]))
          const drawing = new OffscreenCanvas(bitmap.width, bitmap.height)
          const context = drawing.getContext('2d')
          context.drawImage(bitmap, 0, 0)
          const picture = context.getImageData(0, 0, bitmap.width, bitmap.height)
          context.putImageData(await restore(picture, { model, tile }), 0, 0)
          const bytes = new Uint8Array(await (await drawing.convertToBlob({ type: 'image/png' })).arrayBuffer())
          return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
        },
        [readFileSync(file(`${given}.png`)).toString('base64'), model, tile],
      )
      const { mean, largest } = await difference(
        Buffer.from(restored, 'base64'),
        file(given === 'wide' ? 'wide-restored.png' : `${model}.png`),
      )
      assert.ok(mean < 0.01 && largest <= 1, `differs by ${mean} on average, ${largest} at most`)
    })
  }

  for (const kind of ['grey', 'alpha']) {
    test(`a picture stays ${kind}`, async () => {
      await open(file(`${kind}.png`))
      const { mean, largest } = await difference(await result(), file(`${kind}-restored.png`))
      // What is half transparent is rounded once more by the canvas.
      assert.ok(mean < 0.5 && largest <= 3, `differs by ${mean} on average, ${largest} at most`)
    })
  }

  test('PSNR and SSIM of a sample are those of lnca compare', async () => {
    await page.route('**/samples/lake.jpg', (route) =>
      route.fulfill({ path: file('clean.png'), contentType: 'image/png' }),
    )
    await page.reload()
    await page.getByRole('button', { name: 'Lost pixels' }).click()
    await finished(page)
    writeFileSync(file('sample.png'), await result())
    const compared = execFileSync(python, ['-m', 'lnca', 'compare', file('sample.png'), file('clean.png'), '--json'])
    const expected = JSON.parse(compared)
    const scores = `→ ${expected.psnr.toFixed(1)} dB`
    await page.locator('#psnr').filter({ hasText: scores }).waitFor()
    await page
      .locator('#ssim')
      .filter({ hasText: `→ ${expected.ssim.toFixed(3)}` })
      .waitFor()
    assert.ok(expected.psnr > 25)
  })
})

describe('steps', () => {
  before(async () => {
    await fresh()
    await everyStep()
    await open(file('given.png'))
  })

  test('the scrubber shows every step', async () => {
    const last = await result()
    await page.locator('#scrub').press('ArrowLeft')
    assert.equal(await page.locator('#count').textContent(), '2 of 3')
    await page.locator('#scrub').press('Home')
    assert.equal(await page.locator('#scrub').getAttribute('aria-valuetext'), 'Step 0 of 3')
    const first = await result()
    assert.ok((await difference(first, last)).mean > 1)
    await page.locator('#scrub').press('End')
    assert.equal((await difference(await result(), last)).largest, 0)
  })

  test('it pauses, goes on by single steps, and ends with the same picture', async () => {
    const last = await result()
    await page.selectOption('#speed', '700')
    await page.click('#play')
    await page.waitForFunction(() => document.getElementById('count').textContent.startsWith('1 '))
    await page.click('#play')
    await page.waitForTimeout(900)
    const at = Number((await page.locator('#count').textContent()).split(' ')[0])
    assert.ok(at >= 1 && at <= 2, `paused at ${at}`)
    await page.click('#single')
    await page.waitForFunction((step) => document.getElementById('count').textContent === `${step} of 3`, at + 1)
    await everyStep()
    await page.click('#play')
    await finished(page)
    assert.equal((await difference(await result(), last)).largest, 0)
  })

  test('the line between before and after can be dragged and set', async () => {
    const from = await spot(0.5, 0.2)
    const to = await spot(0.25, 0.2)
    await page.mouse.move(from.x, from.y)
    await page.mouse.down()
    await page.mouse.move(to.x, to.y, { steps: 4 })
    await page.mouse.up()
    assert.equal(await page.inputValue('#split'), '25')
    await page.focus('#split')
    await page.keyboard.press('ArrowRight')
    assert.equal(await page.inputValue('#split'), '26')
  })

  test('at the ends of its slider one sees all of what the end says', async () => {
    const [left, right] = await page.locator('label[for=split] span').allTextContents()
    assert.deepEqual([left, right], ['All after', 'All before'])
    const shot = async (value) => {
      await page.locator('#split').fill(value)
      await page.waitForTimeout(100)
      return page.locator('#view').screenshot()
    }
    const [all, none] = [await shot('0'), await shot('100')]
    const [noisy, smooth] = [await roughness(none), await roughness(all)]
    assert.ok(noisy > 1.1 * smooth, `${noisy} before, ${smooth} after`)
    await page.locator('#split').fill('25')
  })

  test('the space bar plays and pauses', async () => {
    await page.selectOption('#speed', '700')
    await page.focus('#view')
    await page.keyboard.press(' ')
    assert.equal(await page.getAttribute('#play', 'data-does'), 'pause')
    await page.keyboard.press(' ')
    assert.equal(await page.getAttribute('#play', 'data-does'), 'go')
    await everyStep()
    await page.focus('#scrub')
    await page.keyboard.press(' ')
    await finished(page)
  })

  test('a button shows it at 100 %', async () => {
    await page.click('#zoom-in')
    await page.click('#actual')
    await page.waitForTimeout(100)
    assert.equal(await page.locator('#zoom').textContent(), '100%')
    await page.click('#fit')
  })

  test('it zooms by wheel, buttons and keys', async () => {
    const zoom = async () => Number((await page.locator('#zoom').textContent()).replace('%', ''))
    const fitting = await zoom()
    const middle = await spot(0.5, 0.5)
    await page.mouse.move(middle.x, middle.y)
    await page.mouse.wheel(0, -300)
    await page.waitForTimeout(100)
    assert.ok((await zoom()) > fitting)
    await page.click('#zoom-out')
    await page.focus('#view')
    await page.keyboard.press('0')
    await page.waitForTimeout(100)
    assert.equal(await zoom(), fitting)
  })

  test('the heat map lies over the picture', async () => {
    const shot = () => page.locator('#view').screenshot()
    const without = await shot()
    await page.check('#heat')
    await page.waitForTimeout(100)
    assert.ok((await difference(without, await shot())).mean > 3)
    await page.uncheck('#heat')
  })
})

describe('how much', () => {
  before(async () => {
    await fresh()
    await open(file('given.png'))
  })

  test('the noise level is estimated, and can be set', async () => {
    assert.ok(await page.locator('#auto').isChecked())
    assert.match(await page.locator('#level-said').textContent(), /^about \d/)
    const estimated = await result()
    await set('level', '40')
    await finished(page)
    assert.ok(!(await page.locator('#auto').isChecked()))
    assert.equal(await page.locator('#level-said').textContent(), '40')
    const told = await result()
    const { mean, largest } = await difference(told, file('given-at-40.png'))
    assert.ok(mean < 0.01 && largest <= 1, `differs by ${mean} on average, ${largest} at most`)
    assert.ok((await difference(told, estimated)).mean > 0.1)
    await page.evaluate(() => delete document.getElementById('play').dataset.does)
    await page.check('#auto')
    await finished(page)
    assert.equal((await difference(await result(), estimated)).largest, 0)
  })

  test('shares of the correction in brightness and in colour', async () => {
    await set('strength', '80')
    await set('luma', '50')
    await set('chroma', '0')
    assert.equal(await page.locator('#luma-said').textContent(), '50 %')
    const { mean, largest } = await difference(await result(), file('given-shares.png'))
    assert.ok(mean < 0.3 && largest <= 1, `differs by ${mean} on average, ${largest} at most`)
    for (const id of ['strength', 'luma', 'chroma']) await set(id, '100')
    assert.ok((await difference(await result(), file('photo-denoise.png'))).largest <= 1)
  })

  test('a new picture is restored by the first model, at its own noise level', async () => {
    await page.selectOption('#model', 'lnca-denoise')
    assert.ok(await page.locator('#noise').isHidden())
    await finished(page)
    await open(file('small.png'))
    assert.equal(await page.inputValue('#model'), 'photo-denoise')
    assert.ok(await page.locator('#noise').isVisible())
    assert.ok(await page.locator('#auto').isChecked())
    assert.ok((await difference(await result(), file('small-restored.png'))).largest <= 1)
  })
})

describe('a shaken hand', () => {
  /** Deblurs anew after something that changes the kernel. */
  async function again(change) {
    await page.evaluate(() => delete document.getElementById('play').dataset.does)
    await change()
    await finished(page)
  }

  /** The kernel that is shown, as it is saved. */
  async function savedKernel() {
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('#kernel-save')])
    assert.equal(download.suggestedFilename(), 'shaken-kernel.png')
    return download.path()
  }

  /** The largest difference of two kernels in files, as Python reads them, of their largest value. */
  function kernelDifference(a, b) {
    const code = `
import sys
from pathlib import Path
from lnca.restoration.kernel import read_kernel
a, b = (read_kernel(Path(name)) for name in sys.argv[1:])
print(abs(a / a.max() - b / b.max()).max())`
    return Number(execFileSync(python, ['-c', code, a, b]))
  }

  before(async () => {
    await fresh()
    await open(file('shaken.png'))
    assert.ok(await page.locator('#kernel').isHidden())
    await again(() => page.selectOption('#model', 'photo-deblur'))
  })

  test('the kernel is found and shown, and the picture restored, as in Python', async () => {
    assert.ok(await page.locator('#kernel-view').isVisible())
    assert.match(await page.locator('#kernel-view').getAttribute('aria-label'), /^Blur kernel of \d+ × \d+ pixels$/)
    assert.match(await page.locator('#kernel-said').textContent(), /^Found in the picture/)
    assert.match(await page.locator('#count').textContent(), /^4 of 4$/)
    const { mean, largest } = await difference(await result(), file('shaken-restored.png'))
    assert.ok(mean < 0.05 && largest <= 2, `differs by ${mean} on average, ${largest} at most`)
    assert.ok((await difference(await result(), file('shaken.png'))).mean > 0.3)
    assert.deepEqual(said, [])
  })

  test('the kernel is saved as --kernel-out writes it, and taken again', async () => {
    const saved = await savedKernel()
    const far = kernelDifference(saved, file('shaken-kernel.png'))
    assert.ok(far < 1e-3, `differs by ${far}`)
    await again(() => page.setInputFiles('#kernel-file', saved))
    assert.ok(!(await page.locator('#kernel-auto').isChecked()))
    assert.equal(await page.locator('#kernel-said').textContent(), 'Yours.')
    assert.equal(kernelDifference(await savedKernel(), saved), 0)
  })

  for (const name of ['psf', 'psf-colours'])
    test(`${name}.png is read as --kernel reads it`, async () => {
      await again(() => page.setInputFiles('#kernel-file', file(`${name}.png`)))
      const { mean, largest } = await difference(await result(), file(`${name}-restored.png`))
      assert.ok(mean < 0.01 && largest <= 1, `differs by ${mean} on average, ${largest} at most`)
    })

  test('the keyboard chooses a kernel, and goes back to the one that is found', async () => {
    await page.focus('#kernel-choose')
    const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.keyboard.press('Enter')])
    await again(() => chooser.setFiles(file('psf.png')))
    await page.focus('#kernel-auto')
    await again(() => page.keyboard.press(' '))
    assert.ok(await page.locator('#kernel-auto').isChecked())
    const { mean } = await difference(await result(), file('shaken-restored.png'))
    assert.ok(mean < 0.05, `differs by ${mean} on average`)
    // The download has taken the focus.
    await page.focus('#kernel-auto')
    await again(() => page.keyboard.press(' '))
    assert.equal(await page.locator('#kernel-said').textContent(), 'Yours.')
  })

  const wrong = [
    ['no picture', Buffer.from('no picture at all'), 'no picture of a kernel that a browser can read'],
    ['a damaged one', plain(20, 20).subarray(0, 50), 'This PNG file is damaged.'],
    ['a black one', plain(5, 5), 'A kernel is not black everywhere'],
    ['a huge one', plain(1025, 5), '1025 × 5; a kernel has 1023 rows at most'],
  ]
  for (const [what, buffer, sentence] of wrong)
    test(`${what} is refused by a sentence`, async () => {
      await page.setInputFiles('#kernel-file', { name: 'k.png', mimeType: 'image/png', buffer })
      await page.getByRole('alert').filter({ hasText: sentence }).waitFor()
      assert.equal(await page.getAttribute('#play', 'data-does'), 'again')
    })

  test('a kernel that is larger than the picture is refused by a sentence', async () => {
    await page.setInputFiles('#kernel-file', file('wide.png'))
    await page.getByRole('alert').filter({ hasText: 'the kernel is 400x30, the picture 92x84' }).waitFor()
  })

  test('another picture has another kernel', async () => {
    await open(file('small.png'))
    await again(() => page.selectOption('#model', 'photo-deblur'))
    assert.ok(await page.locator('#kernel-auto').isChecked())
    assert.match(await page.locator('#kernel-said').textContent(), /the picture stays as it is/)
    assert.equal((await difference(await result(), file('small.png'))).largest, 0)
  })
})

describe('brush', () => {
  const area = { left: 40, top: 36, width: 50, height: 18 }

  // At a level that is told: one that is estimated is another one everywhere, where so much of a small picture is painted.
  before(async () => {
    await fresh()
    await everyStep()
    await open(file('given.png'))
    await page.evaluate(() => delete document.getElementById('play').dataset.does)
    await set('level', '40')
    await finished(page)
  })

  for (const tool of ['noise', 'blur', 'damage']) {
    test(`what is painted with ${tool} heals`, async () => {
      await page.click('#play')
      await finished(page)
      const restored = await result()
      await page.locator(`input[value=${tool}]`).check({ force: true })
      await stroke([0.35, 0.5], [0.65, 0.5])
      await page.locator('#count').filter({ hasText: '6 of 6' }).waitFor()
      await finished(page)
      const healed = await result()
      await page.locator('#scrub').fill('3')
      const painted = await result()
      const [damage, left] = [await difference(painted, restored, area), await difference(healed, restored, area)]
      assert.ok(damage.mean > 0.5)
      // A denoiser takes little of damage, which is no noise of a camera.
      const most = { noise: 0.8, damage: 0.9, blur: Infinity }[tool]
      assert.ok(left.mean < most * damage.mean, `${left.mean} of ${damage.mean} is left`)
      // Far from the stroke nothing has happened.
      const far = await difference(healed, restored, { left: 0, top: 80, width: 131, height: 10 })
      assert.ok(far.mean < 0.04 * damage.mean, `${far.mean} far off, ${damage.mean} at the stroke`)
      await page.click('#unspoil')
      await finished(page)
      assert.equal((await difference(await result(), restored)).largest, 0)
    })
  }

  test('the keyboard paints too', async () => {
    await page.locator('input[value=noise]').check({ force: true })
    await page.focus('#view')
    for (const key of ['ArrowLeft', 'ArrowUp', 'Enter']) await page.keyboard.press(key)
    await page.locator('#count').filter({ hasText: '6 of 6' }).waitFor()
    await finished(page)
    assert.ok(await page.locator('#unspoil').isEnabled())
    await page.click('#unspoil')
    await finished(page)
  })

  test('only what is marked is restored', async () => {
    const restored = await result()
    await page.locator('input[value=where]').check({ force: true })
    await stroke([0.4, 0.5], [0.6, 0.5])
    const marked = await result()
    assert.equal((await difference(marked, file('given.png'), { left: 0, top: 0, width: 131, height: 20 })).largest, 0)
    const inside = { left: 60, top: 42, width: 10, height: 6 }
    assert.ok((await difference(marked, restored, inside)).largest <= 2)
    assert.ok((await difference(marked, file('given.png'), inside)).mean > 3)
    await page.click('#everywhere')
    assert.equal((await difference(await result(), restored)).largest, 0)
  })
})

describe('what cannot be opened', () => {
  before(() => fresh())

  const cases = [
    [
      'a file that is no picture',
      { name: 'a.png', buffer: Buffer.from('no picture at all') },
      'no picture that a browser can read',
    ],
    [
      'a truncated picture',
      { name: 'b.png', buffer: plain(100, 100).subarray(0, 20) },
      'no picture that a browser can read',
    ],
    [
      'a huge picture',
      { name: 'c.png', buffer: plain(20_000, 12_000) },
      '20000 × 12000 pixels, more than the 16 million',
    ],
    ['a tiny picture', { name: 'd.png', buffer: plain(7, 40) }, 'at least 8 × 8 pixels; this has 7 × 40'],
  ]
  for (const [title, content, sentence] of cases) {
    test(title, async () => {
      await page.setInputFiles('#file', { mimeType: 'image/png', ...content })
      await page.getByRole('alert').filter({ hasText: sentence }).waitFor()
      assert.ok(await page.locator('#welcome').isVisible())
    })
  }

  test('afterwards a good one is opened', async () => {
    await open(file('given.png'))
    assert.ok(await page.getByRole('alert').isHidden())
  })

  test('a model that is missing is said, and another one works', async () => {
    await page.route('**/lnca-denoise.safetensors', (route) => route.fulfill({ status: 404 }))
    await page.selectOption('#model', 'lnca-denoise')
    await page.getByRole('alert').filter({ hasText: 'lnca-denoise.safetensors is missing' }).waitFor()
    await page.selectOption('#model', 'latent-nafca-denoise')
    await page.locator('#play[data-does=pause]').waitFor()
    await finished(page)
    assert.ok(await page.getByRole('alert').isHidden())
  })
})

test('a noisy photograph is a sample, and has no scores', async () => {
  await fresh()
  await page.getByRole('button', { name: 'A noisy photograph' }).click()
  await finished(page)
  const given = fileURLToPath(new URL('../../src/lnca/assets/lizard.jpg', import.meta.url))
  assert.ok((await difference(await result(), given)).mean > 0.5)
  assert.ok(await page.locator('#quality').isHidden())
})

describe('everywhere', () => {
  for (const scheme of ['light', 'dark']) {
    test(`people who see little or nothing can use it, ${scheme}`, async () => {
      await fresh({ colorScheme: scheme, reducedMotion: 'reduce', bypassCSP: true })
      const check = async () => {
        await page.evaluate(axe)
        const { violations } = await page.evaluate(() => globalThis.axe.run())
        assert.deepEqual(
          violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`),
          [],
        )
      }
      await page.getByRole('button', { name: 'Night' }).waitFor()
      await check()
      await open(file('given.png'))
      assert.match(await page.locator('#status').textContent(), /^Restored in \d/)
      await check()
      await page.evaluate(() => delete document.getElementById('play').dataset.does)
      await page.selectOption('#model', 'photo-deblur')
      await finished(page)
      await check()
    })
  }

  test('on a phone', async () => {
    await fresh({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 })
    const width = () => page.evaluate(() => document.documentElement.scrollWidth)
    assert.equal(await width(), 390)
    await open(file('given.png'))
    assert.equal(await width(), 390)
    for (const id of ['#view', '#play', '#scrub']) assert.ok(await page.locator(id).isVisible())
    await page.locator('#download').scrollIntoViewIfNeeded()
    assert.ok(await page.locator('#view').isVisible())
    assert.ok((await difference(await result(), file('photo-denoise.png'))).mean < 0.01)
  })

  test('without a network once it was loaded', async () => {
    const own = await app()
    await fresh({ serviceWorkers: 'allow' }, own.address)
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => {}))
    await page.waitForFunction(() => navigator.serviceWorker.controller)
    own.close()
    await page.waitForTimeout(300)
    await page.reload()
    await open(file('given.png'))
    assert.match(await page.locator('#engine').textContent(), /threads/)
    assert.ok((await difference(await result(), file('photo-denoise.png'))).mean < 0.01)
  })

  test('with one thread where a server sends no headers, and isolated by the service worker from the second visit on', async () => {
    const types = {
      '.html': 'text/html',
      '.js': 'text/javascript',
      '.css': 'text/css',
      '.svg': 'image/svg+xml',
      '.wasm': 'application/wasm',
    }
    const bare = createServer((request, response) => {
      const path = join(built, new URL(request.url, 'http://host').pathname.replace(/\/$/, '/index.html'))
      response.setHeader('Content-Type', types[extname(path)] ?? 'application/octet-stream')
      response.setHeader('Content-Length', statSync(path).size)
      createReadStream(path).pipe(response)
    })
    await new Promise((resolve) => bare.listen(0, '127.0.0.1', resolve))
    const address = `http://127.0.0.1:${bare.address().port}/`
    await fresh({ serviceWorkers: 'allow' }, address)
    await open(file('given.png'))
    assert.equal(await page.locator('#engine').textContent(), 'WASM, 1 thread')
    assert.ok((await difference(await result(), file('photo-denoise.png'))).mean < 0.01)
    await page.waitForFunction(() => navigator.serviceWorker.controller)
    await page.reload()
    assert.ok(await page.evaluate(() => crossOriginIsolated))
    bare.close()
  })

  test('with a single model it weighs less than 5 MB', () => {
    const entries = readdirSync(built, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    const files = entries.map((entry) => join(entry.parentPath, entry.name))
    const others = models.slice(1).map((name) => join(built, 'models', `${name}.safetensors`))
    const weight = files.filter((path) => !others.includes(path)).reduce((sum, path) => sum + statSync(path).size, 0)
    assert.ok(weight < 5e6, `${weight} bytes`)
  })
})
