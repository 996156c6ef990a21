/** Worker entry: encoded frames in, pictures and sound out. */
import { expose } from "comlink"
import { installErrorTransfer } from "../src/pipeline/errors.ts"
import { ReceiveWorker } from "../src/pipeline/receive/receive-worker.ts"

installErrorTransfer()
expose(new ReceiveWorker())
