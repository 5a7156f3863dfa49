// Puts beside the page what it needs at run time: ONNX Runtime and the sample photograph.
import { copyFileSync, mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = new URL('../', import.meta.url)
const path = (name) => fileURLToPath(new URL(name, root))

mkdirSync(path('public/ort'), { recursive: true })
mkdirSync(path('public/samples'), { recursive: true })
for (const kind of ['', '.asyncify']) {
  for (const end of ['mjs', 'wasm']) {
    const name = `ort-wasm-simd-threaded${kind}.${end}`
    copyFileSync(path(`node_modules/onnxruntime-web/dist/${name}`), path(`public/ort/${name}`))
  }
}
copyFileSync(path('../src/lnca/assets/lake.jpg'), path('public/samples/lake.jpg'))
