// Pictures of the page, for docs/images: at work, as it begins, dark with the heat map, and on a phone.
import { fileURLToPath } from 'node:url'
import { app, browser, finished } from './browser.mjs'

const images = fileURLToPath(new URL('../../docs/images/', import.meta.url))
const [chromium, server] = await Promise.all([browser(), app()])

async function open(options) {
  const context = await chromium.newContext({
    serviceWorkers: 'block',
    viewport: { width: 1280, height: 860 },
    ...options,
  })
  const page = await context.newPage()
  await page.goto(server.address)
  await page.getByRole('button', { name: 'Night' }).waitFor()
  return page
}

async function restored(page, sample) {
  await page.getByRole('button', { name: sample }).click()
  await finished(page, 600_000)
  await page.locator('#psnr').filter({ hasText: '→' }).waitFor()
}

async function save(page, name) {
  // The last scores and drawings.
  await page.waitForTimeout(2000)
  await page.screenshot({ path: `${images}${name}.jpg`, type: 'jpeg', quality: 85 })
  await page.context().close()
}

let page = await open({})
await save(page, 'web-start')

page = await open({})
await restored(page, 'Night')
await save(page, 'web')

page = await open({ colorScheme: 'dark' })
await page.selectOption('#speed', '150')
await page.getByRole('button', { name: 'Lost pixels' }).click()
await page.check('#heat')
await page.waitForFunction(() => document.getElementById('count').textContent.startsWith('12 '), null, {
  timeout: 600_000,
})
await page.click('#play')
await save(page, 'web-heat')

page = await open({ viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true })
await restored(page, 'Night')
await page.locator('label:has(input[value=damage])').tap()
await page.evaluate(() => scrollTo(0, 0))
const box = await page.locator('#view').boundingBox()
await page.mouse.move(box.x + 150, box.y + 150)
await page.mouse.down()
await page.mouse.move(box.x + 260, box.y + 230, { steps: 12 })
await page.mouse.up()
await page.waitForFunction(() => document.getElementById('count').textContent.startsWith('3 of 6'), null, {
  timeout: 60_000,
})
await page.click('#play')
await save(page, 'web-phone')

await chromium.close()
server.close()
