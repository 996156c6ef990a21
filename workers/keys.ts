/** Entry of the keys worker: identity and group. Content keys go from here to the mesh worker and nowhere else. */
import { expose } from "comlink"
import { installErrorTransfer } from "../src/pipeline/errors.ts"
import { KeysService } from "../src/pipeline/keys/service.ts"

installErrorTransfer()
expose(new KeysService())
