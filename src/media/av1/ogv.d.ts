/** The part of `ogv` that is used comes without types. */
declare module "ogv/dist/ogv-decoder-video-av1-simd-wasm.js" {
  const create: import("./av1-decoder.ts").Av1ModuleFactory
  export default create
}
