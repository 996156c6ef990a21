/** AudioWorklet entry: one module for capture and playout, so that a page has one file to host and a bundler none small enough to inline. */
import { CAPTURE_PROCESSOR, PLAYOUT_PROCESSOR } from "../src/media/types.ts"
import { CaptureProcessor } from "../src/pipeline/publish/capture-processor.ts"
import { PlayoutProcessor } from "../src/pipeline/receive/playout-processor.ts"

registerProcessor(CAPTURE_PROCESSOR, CaptureProcessor)
registerProcessor(PLAYOUT_PROCESSOR, PlayoutProcessor)
