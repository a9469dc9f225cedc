/** YAML 1.2 text (yaml.org/spec/1.2.2) to plain values that know where each key and value stands.
 *  Left out on purpose: anchors, aliases, tags, directives, several documents. A configuration needs none of them, and each
 *  lets a text mean what it does not show.
 *  I1  All faults of the text are found, each with its place; a text with a fault gives no value.
 *  I2  Size and depth are bounded before the parser sees the text: nesting makes it slow, or ends the process.
 *  I3  Keys are texts, and each stands once in its mapping.
 *  I4  Columns count octets (errors.ts). */
import { createRequire } from 'node:module'
import type * as Yaml from 'yaml'
import type { LineCounter, Node, Pair, YAMLMap } from 'yaml'
import type { Place } from './errors.ts'

/** The parser, loaded when it is first needed: each thread and command would have it otherwise. */
function yaml(): typeof Yaml {
  parser ??= createRequire(import.meta.url)('yaml') as typeof Yaml
  return parser
}
let parser: typeof Yaml | undefined

/** Keys and positions from the whole document to a value. */
export type YamlPath = readonly (string | number)[]

export interface YamlFault {
  readonly place: Place
  readonly what: string
}

export interface YamlDocument {
  /** Mappings are objects without a prototype. */
  readonly value: unknown
  /** Of the value at a path, or of the nearest thing around it that is there. */
  placeOf(path: YamlPath): Place
  /** Of the key at the end of a path; the value's where there is none. */
  keyPlaceOf(path: YamlPath): Place
  /** A scalar as it was written, without quotes; undefined for anything else. */
  sourceOf(path: YamlPath): string | undefined
}

export type YamlOutcome =
  | { readonly kind: 'document'; readonly document: YamlDocument }
  | { readonly kind: 'faults'; readonly faults: readonly YamlFault[] }

/** Some 100,000 zones of 160 octets each. */
export const YAML_OCTETS_MAX: number = 16 << 20
/** Brackets within brackets. */
const FLOW_DEPTH_MAX = 32
/** Columns before the first sign of a block's line: 32 levels of four. */
const INDENT_MAX = 128
/** `- - - ` on one line. */
const INDICATORS_PER_LINE_MAX = 16
const FAULTS_MAX = 100

/** Never throws for what the text says. */
export function parseYaml(octets: Uint8Array, file: string): YamlOutcome {
  const decoded = decode(octets, file)
  if (typeof decoded !== 'string') return { kind: 'faults', faults: [decoded] }
  const lines = new (yaml().LineCounter)()
  const places = new Places(decoded, file, lines)
  const refused = refusedTokens(decoded, lines)
  if (refused.length > 0) return faultsOf(refused, places)
  const document = yaml().parseDocument(decoded, {
    version: '1.2',
    schema: 'core',
    stringKeys: true,
    // mapping() looks for keys given twice, in linear time.
    uniqueKeys: false,
    prettyErrors: false,
  })
  const found: Found[] = [...document.errors, ...document.warnings].map(({ message, pos }) => {
    return { offset: pos[0], what: message.replaceAll(/\s*\n\s*/g, ' ') }
  })
  const value = found.length > 0 ? null : plain(document.contents, found)
  if (found.length > 0) return faultsOf(found, places)
  return { kind: 'document', document: documentOf(document.contents, value, places) }
}

interface Found {
  readonly offset: number
  readonly what: string
}

function faultsOf(found: readonly Found[], places: Places): YamlOutcome {
  // Of what the parser says of one place, the first says most.
  const byOffset = new Map([...found].reverse().map(one => [one.offset, one]))
  const kept = [...byOffset.values()].sort((a, b) => a.offset - b.offset).slice(0, FAULTS_MAX)
  return { kind: 'faults', faults: kept.map(({ offset, what }) => ({ place: places.at(offset), what })) }
}

function decode(octets: Uint8Array, file: string): string | YamlFault {
  if (octets.length > YAML_OCTETS_MAX) {
    return {
      place: { file },
      what: `the file has ${octets.length} octets; at most ${YAML_OCTETS_MAX} are read`,
    }
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(octets)
  } catch {
    // What is decoded so far ends before the octet at fault.
    const text = new TextDecoder().decode(octets)
    const before = text.slice(0, text.indexOf('\ufffd'))
    const line = before.split('\n')
    const column = Buffer.byteLength(line.at(-1)!) + 1
    return { place: { file, line: line.length, column }, what: 'the text is not UTF-8' }
  }
}

const REFUSED: Readonly<Record<string, string>> = {
  anchor: 'anchors (&name) are not used here: put what several zones share into a template or a policy',
  alias:
    'aliases (*name) are not used here: put what several zones share into a template or a policy; a text that begins with * needs quotes',
  tag: 'tags (!name) are not used here; a text that begins with ! needs quotes',
  'directive-line': 'directives (%NAME) are not used here',
}

const BLOCK_INDICATORS: ReadonlySet<string> = new Set(['seq-item-ind', 'explicit-key-ind', 'map-value-ind'])

/** What is not taken at all, and I2. */
function refusedTokens(text: string, lines: LineCounter): Found[] {
  const found: Found[] = []
  let [offset, lineStart, flowDepth, indicators, scalar] = [0, 0, 0, 0, false]
  lines.addNewLine(0)
  for (const token of new (yaml().Lexer)().lex(text)) {
    const type = scalar ? 'scalar-text' : yaml().CST.tokenType(token)
    // What follows the sign is the text of a scalar, whatever it looks like.
    scalar = type === 'scalar'
    // Signs of the lexer's own, which the text does not have.
    if (scalar || type === 'doc-mode' || type === 'flow-error-end') continue
    if (type === 'flow-seq-start' || type === 'flow-map-start') flowDepth++
    if (type === 'flow-seq-end' || type === 'flow-map-end') flowDepth--
    if (flowDepth > FLOW_DEPTH_MAX) return [...found, { offset, what: tooDeep(FLOW_DEPTH_MAX, 'brackets') }]
    if (type !== null && BLOCK_INDICATORS.has(type) && flowDepth === 0) {
      indicators++
      const indent = offset - lineStart
      if (
        indicators > INDICATORS_PER_LINE_MAX ||
        (indicators === 1 && type !== 'map-value-ind' && indent > INDENT_MAX)
      )
        return [...found, { offset, what: tooDeep(INDICATORS_PER_LINE_MAX, 'signs of a block on one line') }]
    }
    if (type === 'space' && offset === lineStart && token.length > INDENT_MAX) {
      return [...found, { offset, what: tooDeep(INDENT_MAX, 'columns of indentation') }]
    }
    const what = type === null ? undefined : REFUSED[type]
    if (what !== undefined) found.push({ offset, what })
    for (let at = token.indexOf('\n'); at >= 0; at = token.indexOf('\n', at + 1)) {
      lineStart = offset + at + 1
      lines.addNewLine(lineStart)
      indicators = 0
    }
    offset += token.length
  }
  return found
}

function tooDeep(limit: number, what: string): string {
  return `nested too deeply: more than ${limit} ${what}`
}

/** The value of a node, all of it; keys given twice are noted (I3). */
function plain(node: unknown, found: Found[]): unknown {
  if (yaml().isMap<Node, Node>(node)) return mapping(node, found)
  if (yaml().isSeq(node)) return node.items.map(item => plain(item, found))
  return yaml().isScalar(node) ? node.value : null
}

function mapping(map: YAMLMap<Node, Node>, found: Found[]): Record<string, unknown> {
  const value = Object.create(null) as Record<string, unknown>
  for (const pair of map.items) {
    const key = keyOf(pair)
    if (Object.hasOwn(value, key)) {
      found.push({
        offset: startOf(pair.key),
        what: `the key ${JSON.stringify(key)} stands twice in this mapping`,
      })
    }
    // With no prototype this is a key like any other, __proto__ too.
    value[key] = plain(pair.value, found)
  }
  return value
}

function keyOf(pair: Pair<unknown, unknown>): string {
  return yaml().isScalar(pair.key) ? String(pair.key.value) : ''
}

function startOf(node: unknown): number {
  return (node as Node | null)?.range?.[0] ?? 0
}

/** Offsets of the text to places (I4). */
class Places {
  readonly #text: string
  readonly #file: string
  readonly #lines: LineCounter

  constructor(text: string, file: string, lines: LineCounter) {
    this.#text = text
    this.#file = file
    this.#lines = lines
  }

  at(offset: number): Place {
    const { line, col } = this.#lines.linePos(Math.min(offset, this.#text.length))
    const start = this.#lines.lineStarts[line - 1] ?? 0
    const column = Buffer.byteLength(this.#text.slice(start, start + col - 1)) + 1
    return { file: this.#file, line, column }
  }
}

function documentOf(root: unknown, value: unknown, places: Places): YamlDocument {
  const find = (
    path: YamlPath,
  ): { node: unknown; pair: Pair<unknown, unknown> | undefined; whole: boolean } => {
    let node = root
    let pair: Pair<unknown, unknown> | undefined
    for (const step of path) {
      const next = yaml().isMap(node) ? node.items.find(item => keyOf(item) === step) : undefined
      const child =
        next !== undefined ? next.value : yaml().isSeq(node) ? node.items[Number(step)] : undefined
      // A key without a value is a place all the same.
      if (next !== undefined) pair = next
      if (child === undefined || child === null) return { node: next?.key ?? node, pair, whole: false }
      node = child
    }
    return { node, pair, whole: true }
  }
  return {
    value,
    placeOf: path => places.at(startOf(find(path).node)),
    keyPlaceOf(path) {
      const { node, pair, whole } = find(path)
      const isKey = whole && pair !== undefined && pair.value === node
      return places.at(startOf(isKey ? pair.key : node))
    },
    sourceOf(path) {
      const { node, whole } = find(path)
      return whole && yaml().isScalar(node) ? (node.source ?? String(node.value)) : undefined
    },
  }
}
