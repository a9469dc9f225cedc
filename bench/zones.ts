/** Zones for benchmarks, the same for the same seed: hosts with addresses and mail, delegations with glue and DS. */

/** mulberry32: a small generator whose stream depends on the seed alone. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

export interface BenchZone {
  readonly apex: string
  readonly names: number
  readonly records: number
  readonly text: string
  /** One `NAME TYPE` a line, for dnsperf: a quarter each of positive, NXDOMAIN, referral and wildcard answers. */
  readonly queries: string
}

const SYLLABLES = 'an ba co del es fi gra hu in jo ka lu mar ne os pa qui ro su ta un vi wen xi yo zu'.split(
  ' ',
)

function label(random: () => number, index: number): string {
  let text = ''
  for (let left = 2 + Math.floor(random() * 3); left > 0; left--) {
    text += SYLLABLES[Math.floor(random() * SYLLABLES.length)]
  }
  return `${text}${index.toString(36)}`
}

export type ZoneShape = 'mixed' | 'hosts' | 'dual-stack'

/** `mixed`: 60 % hosts, 40 % delegations (a third of them with DS, half with glue). `hosts`: only IPv4 addresses.
 *  `dual-stack`: addresses of both kinds, and mail at every tenth name, so that NSEC makes 3.1 signatures a name. */
export function benchZone(names: number, shape: ZoneShape = 'mixed', seed = 1): BenchZone {
  const random = seeded(seed)
  const lines = [
    '$ORIGIN bench.test.',
    '$TTL 3600',
    '@ SOA ns1 hostmaster 1 7200 3600 1209600 900',
    '@ NS ns1',
    '@ NS ns2',
    'ns1 A 192.0.2.1',
    'ns2 A 192.0.2.2',
    '*.wild A 192.0.2.3',
  ]
  let records = 6
  const hosts: string[] = []
  const cuts: string[] = []
  const number = (below: number): number => Math.floor(random() * below)
  const add = (line: string): void => {
    lines.push(line)
    records++
  }
  const addHost = (owner: string): void => {
    hosts.push(owner)
    add(`${owner} A 10.${number(256)}.${number(256)}.${number(256)}`)
    if (shape === 'hosts') return
    if (shape === 'dual-stack' || random() < 0.3)
      add(`${owner} AAAA 2001:db8::${number(65536).toString(16)}:${number(65536).toString(16)}`)
    if (random() < (shape === 'dual-stack' ? 0.1 : 0.2)) add(`${owner} MX 10 ns1`)
  }
  const addDelegation = (owner: string): void => {
    cuts.push(owner)
    const glue = random() < 0.5
    add(`${owner} NS ${glue ? `ns.${owner}` : `ns${number(50)}.hosting.example.`}`)
    add(`${owner} NS ns${number(50)}.provider.example.`)
    if (glue) add(`ns.${owner} A 10.${number(256)}.${number(256)}.${number(256)}`)
    if (random() >= 0.33) return
    let digest = ''
    for (let octet = 0; octet < 32; octet++) digest += number(256).toString(16).padStart(2, '0')
    add(`${owner} DS ${number(65536)} 13 2 ${digest}`)
  }
  for (let index = 0; index < names; index++) {
    const owner = label(random, index)
    if (shape !== 'mixed' || random() < 0.6) addHost(owner)
    else addDelegation(owner)
  }
  const text = `${lines.join('\n')}\n`
  return { apex: 'bench.test.', names, records, text, queries: queriesFor(random, hosts, cuts) }
}

const QUERIES = 40_000

function queriesFor(random: () => number, hosts: readonly string[], cuts: readonly string[]): string {
  const lines: string[] = []
  const pick = (from: readonly string[]): string => from[Math.floor(random() * from.length)] ?? 'ns1'
  for (let index = 0; index < QUERIES; index++) {
    const kind = index & 3
    if (kind === 0) lines.push(`${pick(hosts)}.bench.test A`)
    else if (kind === 1) lines.push(`${label(random, index)}-no.bench.test A`)
    else if (kind === 2)
      lines.push(cuts.length > 0 ? `www.${pick(cuts)}.bench.test A` : `${pick(hosts)}.bench.test A`)
    else lines.push(`${label(random, index)}.wild.bench.test A`)
  }
  return `${lines.join('\n')}\n`
}
