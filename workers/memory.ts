/** Entry of the memory worker: what this device keeps of the room. */
import { expose } from "comlink"
import { installErrorTransfer } from "../src/pipeline/errors.ts"
import { MemoryService } from "../src/pipeline/memory/service.ts"

installErrorTransfer()
expose(new MemoryService())
