/** AV1 without the browser's help. */
export { Av1Decoder, type Av1Picture } from "./av1-decoder.ts"
