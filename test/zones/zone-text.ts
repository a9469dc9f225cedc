/** Zone files given as text, for tests. */

import {
  checkZone,
  type Fault,
  faultText,
  nameFromText,
  printZone,
  type ReadFile,
  Store,
  type ZoneContent,
} from '../../zones/index.ts'

export const STORE_OCTETS_MAX: number = 64 * 1024 * 1024

export interface Loaded {
  readonly store: Store
  readonly content: ZoneContent
}

export function octets(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** Reads and lints a zone file whose origin is example. */
export function check(
  text: string | Uint8Array,
  read?: ReadFile,
): Loaded | { readonly faults: readonly Fault[] } {
  const store = new Store({ octetsMax: STORE_OCTETS_MAX })
  const outcome = checkZone(store, typeof text === 'string' ? octets(text) : text, {
    file: 'example.zone',
    origin: nameFromText('example.'),
    ...(read === undefined ? {} : { read }),
  })
  return outcome.kind === 'content' ? { store, content: outcome.content } : { faults: outcome.faults }
}

/** The same of a zone that must load. */
export function load(text: string | Uint8Array, read?: ReadFile): Loaded {
  const outcome = check(text, read)
  if ('faults' in outcome) throw new Error(outcome.faults.map(faultText).join('\n'))
  return outcome
}

/** All faults of a text, warnings too, as lines. */
export function faultsOf(text: string | Uint8Array, read?: ReadFile): string[] {
  const outcome = check(text, read)
  return ('faults' in outcome ? outcome.faults : outcome.content.warnings).map(faultText)
}

export function print({ store, content }: Loaded, generic?: ReadonlySet<number>): string {
  const zone = { apex: content.apex, namesRoot: content.tree.root }
  return Buffer.concat([
    ...printZone(store.readTree(), zone, generic === undefined ? {} : { generic }),
  ]).toString()
}

/** Lines of the zone as printed, with blanks for tabs, without SOA. */
export function records(text: string | Uint8Array, read?: ReadFile): string[] {
  return lines(print(load(text, read))).filter(line => !line.includes(' IN SOA '))
}

export function lines(text: string): string[] {
  return text
    .replaceAll('\t', ' ')
    .split('\n')
    .filter(line => line !== '')
}

/** What every zone needs; three lines. */
export const HEAD = '$TTL 3600\n@ SOA ns.test. host.test. 1 7200 3600 1209600 3600\n@ NS ns.test.\n'
export const HEAD_LINES = 3

/** Records of a zone with this head, that of its NS left out. */
export function recordsAfterHead(text: string, read?: ReadFile): string[] {
  return records(HEAD + text, read).filter(line => line !== 'example. 3600 IN NS ns.test.')
}
