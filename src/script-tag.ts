/** Entry of the one-file build: everything of the library, and `<holo-call>` registered at once. */
import { defineHoloCall } from "./element/index.ts"

export * from "./index.ts"

defineHoloCall()
