/** One record of a large signed zone is edited: from the moment the new file is in its place until the new record is
 *  answered with its signature. Also a program's own zone, changed through the embedding API without a file. */

import { spawnSync } from 'node:child_process'
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createNameserver, type RecordText } from '../server/index.ts'
import { queryOf, readMessage } from '../test/support/message.ts'
import { fileOf, type Peer, startBind, startKnot } from '../test/support/peers.ts'
import { toolPath } from '../test/support/tools.ts'
import { cpuSeconds } from './measure.ts'
import { OURS, type Result } from './report.ts'
import { isThere, settle, startOurs, Values, type Workbench } from './workbench.ts'
import { type BenchZone, benchZone } from './zones.ts'

const ANSWER_SECONDS_MAX = 120
const POLL_MILLISECONDS = 5
const API_EDITS = 20
/** What came before has come to rest. */
const QUIET_SECONDS = 0.5

interface Editable {
  readonly name: string
  readonly program: string | undefined
  /** Where its figures stand; the peers make no ZONEMD, and stand in both. */
  readonly in: readonly Digest[]
  start(zone: BenchZone): Promise<Peer>
  /** Tells it of the new file; ours sees for itself. */
  reload(server: Peer): void
}

const DIGESTS = ['none', 'sha384'] as const
type Digest = (typeof DIGESTS)[number]

const EDITABLES: readonly Editable[] = [
  ...DIGESTS.map(zonemd => ({
    name: OURS,
    program: undefined,
    in: [zonemd],
    start: (zone: BenchZone) => startOurs([asFile(zone)], { signing: true, zonemd }),
    reload: () => undefined,
  })),
  {
    name: 'knot',
    program: 'knotd',
    in: DIGESTS,
    start: zone => startKnot([asFile(zone)], { signing: true }),
    reload: reloadKnot,
  },
  {
    name: 'bind',
    program: 'named',
    in: DIGESTS,
    start: zone => startBind([asFile(zone)]),
    reload: server => {
      process.kill(server.pid, 'SIGHUP')
    },
  },
]

/** Tells Knot to read its zone files again. */
export function reloadKnot(server: Peer): void {
  spawnSync(toolPath('knotc')!, ['-s', join(server.directory, 'knot.sock'), 'zone-reload'])
}

export function asFile({ apex, text }: BenchZone): { name: string; text: string } {
  return { name: apex, text }
}

/** Milliseconds from the rename on, and of CPU. */
interface Edits {
  readonly wall: Values
  readonly cpu: Values
}

export async function benchEdit(bench: Workbench): Promise<Result[]> {
  const zone = benchZone(bench.names, 'hosts')
  const edits = { none: newEdits(), sha384: newEdits() }
  for (const editable of EDITABLES) {
    if (editable.program !== undefined && !isThere(bench, editable.program)) continue
    bench.tell(`${editable.name} signs ${zone.records} records first`)
    const into = editable.in.map(digest => edits[digest])
    await editFiles(bench, editable, zone, into)
  }
  const records = `${zone.records.toLocaleString('en')} records`
  const results = DIGESTS.flatMap(digest => {
    const what = `zone file of ${records}, ZONEMD ${digest}`
    return [
      { quantity: `${what}: renamed until answered`, unit: 'ms', values: edits[digest].wall.all, goal: 0.5 },
      { quantity: `${what}: CPU`, unit: 'ms', values: edits[digest].cpu.all },
    ]
  })
  return [...results, ...(await benchApiEdit(bench))]
}

/** Without the files: what it takes does not depend on the peers, so larger zones can be looked at. */
export async function benchApiEdit(bench: Workbench): Promise<Result[]> {
  const zone = benchZone(bench.names, 'hosts')
  bench.tell(`a program's zone of ${zone.records} records is signed first`)
  const { all } = await apiEdits(zone)
  const quantity = `API, ${zone.records.toLocaleString('en')} records, ZONEMD none: change`
  return [{ quantity, unit: 'ms', values: all }]
}

function newEdits(): Edits {
  return { wall: new Values(), cpu: new Values() }
}

async function editFiles(
  bench: Workbench,
  editable: Editable,
  zone: BenchZone,
  into: readonly Edits[],
): Promise<void> {
  const server = await editable.start(zone)
  try {
    await untilAnswered(server, 'ns2.bench.test.', '192.0.2.2')
    for (let run = 1; run <= bench.runs; run++) {
      const { wallSeconds, cpuSeconds } = await editFile(server, editable, zone, run)
      for (const { wall, cpu } of into) {
        wall.add(editable.name, wallSeconds * 1000)
        cpu.add(editable.name, cpuSeconds * 1000)
      }
    }
  } catch (error) {
    // A peer that does not get there must not cost the figures of the others.
    if (editable.name === OURS) throw error
    bench.tell(error instanceof Error ? error.message : String(error))
  } finally {
    await server.stop()
  }
}

async function editFile(
  server: Peer,
  editable: Editable,
  zone: BenchZone,
  run: number,
): Promise<{ wallSeconds: number; cpuSeconds: number }> {
  const path = join(server.directory, fileOf(zone.apex))
  const address = `198.51.100.${run}`
  // Only ours makes a serial of its own; the others want a new one in the file.
  const text = zone.text
    .replace('hostmaster 1 ', `hostmaster ${1 + run} `)
    .replace('ns2 A 192.0.2.2', `ns2 A ${address}`)
  writeFileSync(`${path}.new`, text)
  await settle(QUIET_SECONDS)
  const before = cpuSeconds(server.pid)
  const began = performance.now()
  renameSync(`${path}.new`, path)
  editable.reload(server)
  await untilAnswered(server, 'ns2.bench.test.', address)
  return { wallSeconds: (performance.now() - began) / 1000, cpuSeconds: cpuSeconds(server.pid) - before }
}

/** Asks every few milliseconds until that address is answered, with an RRSIG where the server signs. */
export async function untilAnswered(
  server: Peer,
  name: string,
  address: string,
  signed = true,
  everyMilliseconds: number = POLL_MILLISECONDS,
): Promise<void> {
  const query = queryOf(name, 'A', { udpOctets: 1232, dnssecOk: true })
  const deadline = performance.now() + ANSWER_SECONDS_MAX * 1000
  while (performance.now() < deadline) {
    const { answer } = readMessage(await server.ask(query))
    const hasSignature = answer.some(line => / RRSIG /.test(line))
    if (answer.some(line => line.endsWith(` A ${address}`)) && (hasSignature || !signed)) return
    await settle(everyMilliseconds / 1000)
  }
  throw new Error(`${server.name} does not answer ${address}`)
}

/** Milliseconds of each change, from the call until it is signed and published. */
async function apiEdits(zone: BenchZone): Promise<Values> {
  const values = new Values()
  const server = await createNameserver({ signing: { gate: 'keys', zonemd: 'none' } })
  try {
    const program = await server.addZone(zone.apex, apiRecords(zone))
    for (let edit = 0; edit < API_EDITS; edit++) {
      const before = performance.now()
      await program.change({ add: [{ name: 'new', type: 'A', data: `192.0.2.${edit}` }] })
      values.add(OURS, performance.now() - before)
    }
  } finally {
    await server.close()
  }
  return values
}

/** A zone as programs give it. */
export function apiRecords({ text }: BenchZone): RecordText[] {
  const lines = text.split('\n').filter(line => line !== '' && !line.startsWith('$'))
  return lines.map(line => {
    const [name, type, ...data] = line.split(' ')
    return { name: name!, type: type!, data: data.join(' ') }
  })
}
