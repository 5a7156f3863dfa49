// Times the page on a picture of 512x512 pixels; writes benchmarks/results/web.json.
//
//     npm run bench [-- RUNS [CHECKOUT [MODEL...]]]
//
// CHECKOUT is another one of lnca, with its page built, whose runs take turns with those of this one.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { app, browser, finished, python } from './browser.mjs'

const [runs = 5, beside, ...chosen] = process.argv.slice(2)
const results = fileURLToPath(new URL('../../benchmarks/results/web.json', import.meta.url))
const models = chosen.length ? chosen : ['latent-nafca-denoise', 'latent-vitca-denoise', 'photo-denoise']

const folder = mkdtempSync(join(tmpdir(), 'lnca-web-'))
const file = join(folder, 'noisy.png')
const prepare = `
from lnca.corruption import masked_noise
from lnca.demo import photograph
from lnca.randomness import numpy_generator
from lnca.restoration.pictures import as_image, to_array
clean = to_array(photograph().resize((512, 512)))
as_image(masked_noise(clean, 0.5, numpy_generator(0, "web"))).save(${JSON.stringify(file)})
`
execFileSync(python, ['-c', prepare])
const chromium = await browser()
const servers = [await app(), ...(beside ? [await app(beside)] : [])]
const pages = []
for (const { address } of servers) {
  const page = await chromium.newPage()
  await page.goto(address)
  pages.push(page)
}

const round = (value) => Math.round(100 * value) / 100
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]

/** Seconds from choosing a picture to its last step. */
async function time(page, model) {
  await page.bringToFront()
  let begin = performance.now()
  await page.setInputFiles('#file', file)
  // A new picture takes the page's first model.
  await page.locator('#play[data-does=pause]').waitFor()
  if (model !== 'photo-denoise') {
    begin = performance.now()
    await page.selectOption('#model', model)
  }
  await finished(page, 600_000)
  return (performance.now() - begin) / 1000
}

const measured = {}
for (const model of models) {
  const taken = pages.map(() => ({ seconds: [], load: [] }))
  // The first run loads the model and lets the browser compile, and does not count.
  for (let run = 0; run <= Number(runs); run++) {
    for (const [number, page] of pages.entries()) {
      const load = loadavg()[0]
      const seconds = await time(page, model)
      if (run) {
        taken[number].seconds.push(round(seconds))
        taken[number].load.push(round(load))
      }
    }
  }
  const [own, other] = taken.map((each) => ({ median: median(each.seconds), ...each }))
  measured[model] = { steps: Number(await pages[0].getAttribute('#scrub', 'max')), ...own, ...(other && { other }) }
  console.log(
    `${model.padEnd(22)} ${own.median} s (${own.seconds.join(' ')})${other ? `, other ${other.median} s` : ''}`,
  )
}
const content = {
  what: 'Seconds from choosing a picture of 512x512 pixels to its last step, every step drawn where that is quick',
  engine: await pages[0].locator('#engine').textContent(),
  ...(beside && { 'engine of the other': await pages[1].locator('#engine').textContent() }),
  browser: `Chromium ${chromium.version()}`,
  processors: cpus().length,
  processor: cpus()[0].model,
  runs: Number(runs),
  models: measured,
}
writeFileSync(results, `${JSON.stringify(content, null, 2)}\n`)
await chromium.close()
for (const server of servers) server.close()
rmSync(folder, { recursive: true })
