/** When the events of a key's life were or are to be, as other servers note them: BIND in K*.key, K*.private and K*.state
 *  (dnssec-settime(1)), Knot in the listing of `keymgr ZONE list`, as lines or JSON.
 *  I1  What a zone shows counts more than what a file says: timing explains what was seen, and is never relied on alone.
 *  I2  An event that is not noted is absent; BIND writes no line and `UNSET`, Knot zero. */

/** Unix seconds. */
export interface KeyTiming {
  /** The DNSKEY goes into the zone. */
  readonly publishUnix?: number
  /** It begins to sign. */
  readonly activateUnix?: number
  /** It signs no more; the DNSKEY stays. */
  readonly inactiveUnix?: number
  /** The DNSKEY leaves the zone. */
  readonly deleteUnix?: number
}

type Event = keyof KeyTiming

export const KEY_EVENTS: readonly Event[] = ['publishUnix', 'activateUnix', 'inactiveUnix', 'deleteUnix']

/** Words of K*.key and K*.private, then those of K*.state. */
const BIND_WORDS: Readonly<Record<string, Event>> = {
  Publish: 'publishUnix',
  Activate: 'activateUnix',
  Inactive: 'inactiveUnix',
  Delete: 'deleteUnix',
  Published: 'publishUnix',
  Active: 'activateUnix',
  Retired: 'inactiveUnix',
  Removed: 'deleteUnix',
}

/** Times in the text of K*.key, K*.private or K*.state. */
export function bindTiming(text: string): KeyTiming {
  const timing: { [E in Event]?: number } = {}
  for (const [, word, time] of text.matchAll(/^;?[ \t]*([A-Z][a-z]+):[ \t]+(\d{14})\b/gm)) {
    const event = BIND_WORDS[word!]
    const unix = timeOf(time)
    if (event !== undefined && unix > 0) timing[event] = unix
  }
  return timing
}

/** `YYYYMMDDHHmmSS` in UTC; 0 when it is absent or no time. */
export function timeOf(text: string | undefined): number {
  const [, ...parts] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)/.exec(text ?? '') ?? []
  const [year, month, day, hour, minute, second] = parts.map(Number)
  if (second === undefined) return 0
  return Date.UTC(year!, month! - 1, day, hour, minute, second) / 1000
}

/** YYYYMMDDHHmmSS, UTC. */
export function timeText(unix: number): string {
  return new Date(unix * 1000).toISOString().replace(/\.\d+Z$|[-:T]/g, '')
}

/** Lines `Word: time` as BIND has them in K*.key and K*.private. */
export function bindTimingLines(createdUnix: number, timing: KeyTiming): string[] {
  const words = Object.entries(BIND_WORDS).slice(0, KEY_EVENTS.length)
  const lines = words.flatMap(([word, event]) => {
    const unix = timing[event]
    return unix === undefined ? [] : [`${word}: ${timeText(unix)}`]
  })
  return [`Created: ${timeText(createdUnix)}`, ...lines]
}

/** A key as `keymgr ZONE list` has it. */
export interface ListedKey {
  /** Also the name of its PEM file. */
  readonly id: string
  readonly ksk: boolean
  readonly zsk: boolean
  readonly keyTag: number
  readonly timing: KeyTiming
}

/** The keys of a listing; lines that are none of a key are skipped. */
export function knotListing(text: string): ListedKey[] {
  const keys = text.trimStart().startsWith('[') ? (JSON.parse(text) as unknown[]).map(jsonFields) : []
  const lines = keys.length > 0 ? [] : text.split('\n').map(lineFields)
  return [...keys, ...lines].flatMap(fields => listedKey(fields))
}

type Fields = ReadonlyMap<string, string>

function jsonFields(key: unknown): Fields {
  return new Map(Object.entries(Object(key)).map(([name, value]) => [name, String(value)]))
}

/** `ID TAG KSK|ZSK|CSK ALGORITHM EVENT=UNIX …` */
function lineFields(line: string): Fields {
  const [id = '', tag = '', role = '', , ...events] = line.trim().split(/\s+/)
  const fields = new Map(events.map(event => event.split('=') as [string, string]))
  fields.set('id', id).set('tag', tag)
  fields.set('ksk', String(role !== 'ZSK')).set('zsk', String(role !== 'KSK'))
  return fields
}

function listedKey(fields: Fields): ListedKey[] {
  const id = fields.get('id') ?? ''
  if (!/^[0-9a-f]{40}$/.test(id)) return []
  const time = (...names: string[]): number | undefined =>
    names.map(name => Number(fields.get(name) ?? 0)).find(unix => unix > 0)
  const events = {
    publishUnix: time('publish'),
    activateUnix: time('active', 'ready'),
    // A key in the state `retire-active` signs on while another takes over.
    inactiveUnix: time('retire', 'retire-active'),
    deleteUnix: time('remove'),
  }
  const known = Object.entries(events).filter(([, unix]) => unix !== undefined)
  return [
    {
      id,
      ksk: fields.get('ksk') === 'true',
      zsk: fields.get('zsk') === 'true',
      keyTag: Number(fields.get('tag')),
      timing: Object.fromEntries(known) as KeyTiming,
    },
  ]
}
