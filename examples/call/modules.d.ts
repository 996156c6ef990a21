/** What Vite makes of imports that are not code. */

declare module "*.css"

/** Address of a file that is served as it is, never as a `data:` URL: the page's content policy forbids those for scripts. */
declare module "*?url&no-inline" {
  const url: string
  export default url
}
