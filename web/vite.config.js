import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

const out = fileURLToPath(new URL('../src/lnca/web', import.meta.url))

/** Writes the service worker when all files are there, with their list and a version made of their contents. */
function serviceWorker() {
  return {
    name: 'service-worker',
    apply: 'build',
    closeBundle() {
      const files = readdirSync(out, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && entry.name !== 'sw.js')
        .map((entry) => relative(out, join(entry.parentPath, entry.name)).split(sep).join('/'))
        .sort()
      const hash = createHash('sha256')
      for (const file of files) hash.update(file).update(readFileSync(join(out, file)))
      const source = readFileSync(new URL('src/sw.js', import.meta.url), 'utf8')
        .replace('__FILES__', JSON.stringify(['./', ...files]))
        .replace('__VERSION__', hash.digest('hex').slice(0, 16))
      writeFileSync(join(out, 'sw.js'), source)
    },
  }
}

export default defineConfig({
  base: './',
  build: {
    outDir: out,
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1000,
    rollupOptions: {
      input: { index: 'index.html', restorer: 'src/restorer.ts' },
      // A name that pages of others can import.
      output: { entryFileNames: ({ name }) => (name === 'restorer' ? 'restorer.js' : 'assets/[name]-[hash].js') },
      preserveEntrySignatures: 'exports-only',
    },
  },
  worker: { format: 'es' },
  plugins: [serviceWorker()],
})
