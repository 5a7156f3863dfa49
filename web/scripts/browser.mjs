// The page as `lnca app` serves it, in Debian's Chromium.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const root = fileURLToPath(new URL('../../', import.meta.url))
export const python = process.env.LNCA_PYTHON ?? `${root}.venv/bin/python`

/** Chromium without what it would ask of the network. */
export async function browser(...more) {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium'
  if (!existsSync(executablePath))
    throw new Error(`${executablePath} is missing: install Chromium, or name it in CHROMIUM`)
  const quiet = ['quic', 'background-networking', 'component-update', 'sync'].map((what) => `--disable-${what}`)
  return chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', ...quiet, ...more],
  })
}

/** `lnca app` of a checkout at a free port: its address, and what ends it. */
export function app(checkout = root) {
  const server = spawn(python, ['-m', 'lnca', 'app', '--port', '0', '--no-browser'], {
    env: { ...process.env, PYTHONPATH: join(checkout, 'src') },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const close = () => server.kill('SIGINT')
  return new Promise((resolve, reject) => {
    server.stdout.once('data', (said) => resolve({ address: String(said).split(/\s/)[0], close }))
    server.once('error', reject)
    server.once('exit', (status) => reject(new Error(`lnca app ended with status ${status}`)))
  })
}

/** Waits until the newest picture is restored. */
export async function finished(page, timeout = 120_000) {
  await page.locator('#play[data-does=again]').waitFor({ timeout })
}
