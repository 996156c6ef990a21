/** Worker entry: capture frames in, encoded frames out. */
import { expose } from "comlink"
import { installErrorTransfer } from "../src/pipeline/errors.ts"
import { PublishWorker } from "../src/pipeline/publish/publish-worker.ts"

installErrorTransfer()
expose(new PublishWorker())
