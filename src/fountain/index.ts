/** Fountain coding (RaptorQ, RFC 6330): frames survive lost packets without asking again. */
export * from "./assembler.ts"
export { fountainModule, initFountain } from "./codec.ts"
export * from "./config.ts"
export * from "./live.ts"
export { fountainDecode, fountainEncode } from "./object.ts"
