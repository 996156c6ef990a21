/** Entry of the mesh worker: media lanes, sealing and the fountain codec. */
import { expose } from "comlink"
import { initFountain } from "../src/fountain/index.ts"
import { installErrorTransfer } from "../src/pipeline/errors.ts"
import { fountainWasm } from "../src/pipeline/mesh/fountain-wasm.ts"
import { MeshHost } from "../src/pipeline/mesh/host.ts"

installErrorTransfer()
expose(new MeshHost(async () => initFountain(fountainWasm())))
