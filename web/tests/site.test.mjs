// The site of `make site`, below a path, from a plain server of files and from one that isolates pages.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { browser, finished, python } from '../scripts/browser.mjs'

const site = process.env.LNCA_SITE ?? fileURLToPath(new URL('../../build/site/', import.meta.url))
const photograph = fileURLToPath(new URL('../../src/lnca/assets/lake.jpg', import.meta.url))
const path = 'below/some-path/'
const types = { '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript', '.css': 'text/css' }
types['.wasm'] = 'application/wasm'

let chromium, root

before(async () => {
  assert.ok(existsSync(join(site, 'app', 'index.html')), 'there is no site with the page in it: make site')
  root = mkdtempSync(join(tmpdir(), 'lnca-site-'))
  mkdirSync(join(root, 'below'))
  symlinkSync(site, join(root, path.slice(0, -1)), 'dir')
  chromium = await browser()
})
after(async () => {
  await chromium?.close()
  rmSync(root, { recursive: true })
})

/** `python -m http.server`, which sends no headers of its own: its address, and what ends it. */
function plain() {
  const server = spawn(python, ['-u', '-m', 'http.server', '0', '--bind', '127.0.0.1', '--directory', root], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  return new Promise((resolve, reject) => {
    server.stdout.once('data', (said) => {
      const port = /port (\d+)/.exec(String(said))[1]
      resolve({ address: `http://127.0.0.1:${port}/${path}`, close: () => server.kill() })
    })
    server.once('error', reject)
    server.once('exit', (status) => reject(new Error(`http.server ended with status ${status}`)))
  })
}

/** A server whose pages are isolated from other origins. */
function isolating() {
  const server = createServer((request, response) => {
    const asked = decodeURIComponent(new URL(request.url, 'http://localhost').pathname)
    const file = join(root, asked.endsWith('/') ? `${asked}index.html` : asked)
    if (!existsSync(file)) return response.writeHead(404).end()
    response.writeHead(200, {
      'Content-Type': types[extname(file)] ?? 'application/octet-stream',
      'Cross-Origin-Opener-Policy': 'same-origin',
      'Cross-Origin-Embedder-Policy': 'require-corp',
    })
    response.end(readFileSync(file))
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = `http://127.0.0.1:${server.address().port}/${path}`
      resolve({ address, close: () => server.close() })
    })
  })
}

/** Size of a picture and the mean difference of its bytes from another one. */
function compared(page, given, restored) {
  return page.evaluate(
    async (texts) => {
      const read = async (text) => {
        const bitmap = await createImageBitmap(new Blob([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))]))
        const drawing = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d')
        drawing.drawImage(bitmap, 0, 0)
        return drawing.getImageData(0, 0, bitmap.width, bitmap.height)
      }
      const [x, y] = await Promise.all(texts.map(read))
      let sum = 0
      x.data.forEach((value, at) => (sum += Math.abs(value - y.data[at])))
      return { sizes: [x.width, x.height, y.width, y.height], mean: sum / x.data.length }
    },
    [given, restored].map((bytes) => bytes.toString('base64')),
  )
}

for (const [name, start, isolated] of [
  ['python -m http.server', plain, false],
  ['a server that isolates', isolating, true],
]) {
  describe(name, () => {
    let server, context, page, said

    before(async () => {
      server = await start()
      context = await chromium.newContext({ viewport: { width: 1280, height: 900 } })
      context.on('request', (request) => {
        const ours = request.url().startsWith(server.address) || /^(blob|data):/.test(request.url())
        if (!ours || request.method() !== 'GET') said.push(`${request.method()} ${request.url()}`)
      })
      page = await context.newPage()
      page.on('console', (message) => message.type() === 'error' && said.push(message.text()))
      page.on('pageerror', (error) => said.push(String(error)))
      said = []
    })
    after(async () => {
      await context?.close()
      server?.close()
    })

    test('the documents lead to the page, which is live in them', async () => {
      await page.goto(server.address)
      await page.locator('a', { hasText: 'Try it here' }).first().click()
      await page.waitForURL(`${server.address}try/`)
      const frame = page.frameLocator('iframe')
      await page.locator('iframe').scrollIntoViewIfNeeded()
      await frame.locator('#file').waitFor({ state: 'attached' })
      assert.equal(await page.locator('a.md-button').getAttribute('href'), '../app/')
      assert.deepEqual(said, [])
    })

    test('a picture is restored, and nothing is uploaded', async () => {
      await page.goto(`${server.address}app/`)
      if (isolated) assert.equal(await page.evaluate(() => crossOriginIsolated), true)
      await page.setInputFiles('#file', photograph)
      await finished(page)
      const [download] = await Promise.all([page.waitForEvent('download'), page.click('#download')])
      const restored = readFileSync(await download.path())
      const { sizes, mean } = await compared(page, readFileSync(photograph), restored)
      assert.deepEqual(sizes, [500, 500, 500, 500])
      assert.ok(mean > 0.1 && mean < 10, `differs by ${mean} on average`)
      assert.deepEqual(said, [])
    })

    test('a later visit is isolated, by the service worker where the server does not do it', async () => {
      await page.evaluate(() => navigator.serviceWorker.ready.then(() => true))
      await page.goto(`${server.address}app/`)
      assert.equal(await page.evaluate(() => crossOriginIsolated), true)
      assert.deepEqual(said, [])
    })
  })
}
