/** Vite turns this import into a base64 `data:` URL inside the bundle. */
declare module "*.wasm?url&inline" {
  const dataUrl: string
  export default dataUrl
}
