// Times the page on a picture of 512x512 pixels and 64 steps; writes benchmarks/results/web.json.
//
//     npm run bench [-- RUNS]
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { app, browser, finished, python } from './browser.mjs'

const runs = Number(process.argv[2] ?? 5)
const results = fileURLToPath(new URL('../../benchmarks/results/web.json', import.meta.url))
const models = ['latent-nafca-denoise', 'latent-vitca-denoise', 'photo-denoise']

const folder = mkdtempSync(join(tmpdir(), 'lnca-web-'))
const file = join(folder, 'noisy.png')
const prepare = `
from lnca.corruption import masked_noise
from lnca.demo import photograph
from lnca.randomness import generator
from lnca.restoration.pictures import to_image, to_tensor
clean = to_tensor(photograph().resize((512, 512)))
to_image(masked_noise(clean, 0.5, generator("cpu", 0, "web"))[0]).save(${JSON.stringify(file)})
`
execFileSync(python, ['-c', prepare])
const [chromium, server] = await Promise.all([browser(), app()])
const page = await chromium.newPage()
await page.goto(server.address)

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
const measured = {}
for (const model of models) {
  const seconds = []
  const load = []
  // The first run loads the model and lets the browser compile, and does not count.
  for (let run = 0; run <= runs; run++) {
    const before = loadavg()[0]
    let begin = performance.now()
    await page.setInputFiles('#file', file)
    // A new picture takes the page's first model.
    await page.locator('#play[data-does=pause]').waitFor()
    begin = performance.now()
    if (model !== 'photo-denoise') await page.selectOption('#model', model)
    await finished(page, 600_000)
    if (run) {
      seconds.push((performance.now() - begin) / 1000)
      load.push(before)
    }
  }
  const steps = Number(await page.getAttribute('#scrub', 'max'))
  const round = (value) => Math.round(100 * value) / 100
  measured[model] = { steps, median: round(median(seconds)), seconds: seconds.map(round), load: load.map(round) }
  console.log(
    `${model.padEnd(22)} ${steps} steps  ${measured[model].median} s (${seconds.map((x) => x.toFixed(1)).join(' ')})`,
  )
}
const content = {
  what: 'Seconds from choosing a picture of 512x512 pixels to its last step, every step drawn where that is quick',
  engine: await page.locator('#engine').textContent(),
  browser: `Chromium ${chromium.version()}`,
  processors: cpus().length,
  processor: cpus()[0].model,
  runs,
  models: measured,
}
writeFileSync(results, `${JSON.stringify(content, null, 2)}\n`)
await chromium.close()
server.close()
rmSync(folder, { recursive: true })
