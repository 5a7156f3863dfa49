// What web/src/running/thread.ts does, in a thread of Node.js.
import { workerData } from 'node:worker_threads'

const { module, memory, stack } = workerData
const { exports } = new WebAssembly.Instance(module, { env: { memory } })
exports.__stack_pointer.value = stack
exports.page_help()
