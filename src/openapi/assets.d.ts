// Bun's `with { type: 'file' }` gives the path of a file that is embedded into the compiled program.
declare module 'swagger-ui-dist/swagger-ui-bundle.js' {
  const path: string
  export = path
}
declare module 'swagger-ui-dist/swagger-ui.css' {
  const path: string
  export = path
}
