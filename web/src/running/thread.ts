// A helping thread of the worker.
import { help, type Help } from './kernels'

self.onmessage = ({ data }: MessageEvent<Help>) => help(data)
