/** Entry of the relay worker: media lanes and the outer seal only. Nothing in this file's import graph can open content. */
import { expose } from "comlink"
import { installErrorTransfer } from "../src/pipeline/errors.ts"
import { RelayHost } from "../src/pipeline/relay/host.ts"

installErrorTransfer()
expose(new RelayHost())
