/** The public face of zones/: names, records, zone files, the shared store. */
export * from './name.ts'
export * from './node.ts'
export { type RdataTokens, shownToken, TextTokens } from './rdata-tokens.ts'
export * from './types.ts'
