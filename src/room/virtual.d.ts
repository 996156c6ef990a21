declare module "virtual:worker-sources" {
  const sources: Record<string, string>
  export default sources
}
