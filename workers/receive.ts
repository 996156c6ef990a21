/** Worker entry: encoded frames in, pictures and sound out. */
import { expose } from "comlink"
import { Opus } from "../src/media/opus/opus.ts"
import { installErrorTransfer } from "../src/pipeline/errors.ts"
import { opusWasm } from "../src/pipeline/receive/opus-wasm.ts"
import { ReceiveWorker } from "../src/pipeline/receive/receive-worker.ts"

installErrorTransfer()
expose(new ReceiveWorker(() => Opus.load(opusWasm())))
