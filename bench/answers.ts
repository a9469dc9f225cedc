/** The answer function alone: nanoseconds an answer by kind, on a signed zone of 100,000 names, in one process, no socket.
 *  `node dist/bench/answers.js [names] [kind]` prints the median of several rounds. */

import { createAnswerer, TRANSPORT_UDP } from '../server/index.ts'
import { queryOf } from '../test/support/message.ts'
import { parseRecords, signedStoreOf } from '../test/support/zone.ts'
import { nameToText, StoreReader, TYPE } from '../zones/index.ts'
import { machineText, median } from './measure.ts'
import { benchZone, seeded } from './zones.ts'

const ROUNDS = 7
const QUERIES = 16_384
const PASSES = 4
const BATCH = 32

const only = process.argv[3]
const names = Number(process.argv[2] ?? 100_000)
const zone = benchZone(names)
const records = parseRecords(zone.text)
const random = seeded(7)
const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
const ownersOfType = (type: number): string[] =>
  records.filter(record => record.type === type).map(({ owner }) => nameToText(owner))

const apex = zone.apex.endsWith('.') ? zone.apex : `${zone.apex}.`
const cuts = ownersOfType(TYPE.NS).filter(owner => owner !== apex)
const signedCuts = ownersOfType(TYPE.DS)
const isBelowCut = new Set(cuts)
const hosts = ownersOfType(TYPE.A).filter(owner => !isBelowCut.has(owner.slice(owner.indexOf('.') + 1)))

const KINDS: Readonly<Record<string, () => Uint8Array>> = {
  positive: () => queryOf(pick(hosts), 'A', OPTIONS.with),
  'positive, no DO': () => queryOf(pick(hosts), 'A', OPTIONS.without),
  'no data': () => queryOf(pick(hosts), 'TXT', OPTIONS.with),
  'name error': () => queryOf(`${random().toString(36).slice(2, 12)}.${apex}`, 'A', OPTIONS.with),
  'name error, no DO': () => queryOf(`${random().toString(36).slice(2, 12)}.${apex}`, 'A', OPTIONS.without),
  referral: () => queryOf(`www.${pick(signedCuts)}`, 'A', OPTIONS.with),
  'referral, unsigned child': () => queryOf(`www.${pick(cuts)}`, 'A', OPTIONS.with),
  'referral, no DO': () => queryOf(`www.${pick(cuts)}`, 'A', OPTIONS.without),
  wildcard: () => queryOf(`${random().toString(36).slice(2, 12)}.wild.${apex}`, 'A', OPTIONS.with),
  refused: () => queryOf('www.elsewhere.test.', 'A', OPTIONS.with),
}

const OPTIONS = {
  with: { udpOctets: 1232, dnssecOk: true },
  without: { udpOctets: 1232, dnssecOk: false },
} as const

const out = new Uint8Array(1400)

console.log(`${machineText()}; ${names} names, ${records.length} records unsigned`)
for (const denial of ['nsec', 'nsec3'] as const) {
  const answerer = createAnswerer(new StoreReader((await signedStoreOf(zone.text, denial)).handle))
  const run = (queries: readonly Uint8Array[]): number => {
    let octets = 0
    for (let start = 0; start < queries.length; start += BATCH) {
      answerer.begin()
      for (let index = start; index < start + BATCH; index++) {
        const query = queries[index]!
        octets += answerer.answer(query, query.length, TRANSPORT_UDP, out)
      }
      answerer.end()
    }
    return octets
  }
  const kinds = Object.entries(KINDS).map(
    ([kind, make]) => [kind, Array.from({ length: QUERIES }, make)] as const,
  )
  for (const [, queries] of kinds) run(queries)
  for (const [kind, queries] of kinds) {
    if (only !== undefined && kind !== only) continue
    const times: number[] = []
    let octets = 0
    for (let round = 0; round < ROUNDS; round++) {
      const start = process.hrtime.bigint()
      for (let pass = 0; pass < PASSES; pass++) octets = run(queries)
      times.push(Number(process.hrtime.bigint() - start) / (PASSES * QUERIES))
    }
    const line = `${denial.padEnd(6)}${kind.padEnd(26)}${Math.round(median(times)).toString().padStart(6)} ns`
    console.log(
      `${line}${Math.round(Math.min(...times))
        .toString()
        .padStart(8)} min${Math.round(octets / QUERIES)
        .toString()
        .padStart(6)} octets`,
    )
  }
  answerer.close()
}
