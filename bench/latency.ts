/** Latency of UDP answers at half of what a server can do: while nothing else happens, while a large zone file is read again
 *  and again, and while all of it is signed anew. One answering thread; the sender has the other of two processors, and
 *  reading and signing share both with them. Each contender is asked half of what it answers to a sender that notes each
 *  latency, as it does while it is measured; NSD, which does not sign, serves the zone as it is.
 *  I1  Changes follow one another without a pause, and the last one is waited for, so none reaches into the next quiet time.
 *  I2  Quiet is just before and just after: how long answers take changes from minute to minute with what else the
 *      machine does. For the same reason contenders take turns, and what other programs took meanwhile is told.
 *  I3  Whoever changes the file and looks for the change shares the processors with the same priority as sender and server:
 *      it looks seldom, else it had an eighth of a processor, most of it where changes are fast.
 *  I4  A latency has in it what the sender itself waits for a processor, and what the host of a virtual machine gives to
 *      others of both; that is told beside it. */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileOf, type Peer, startKnot, startNsd } from '../test/support/peers.ts'
import { type LoadFigures, queryLoad } from './dnsperf.ts'
import { asFile, reloadKnot, untilAnswered } from './edit.ts'
import { watchProcessors } from './measure.ts'
import { OURS, type Result } from './report.ts'
import { isThere, settle, startOurs, unsignedFile, Values, type Workbench } from './workbench.ts'
import { type BenchZone, benchZone } from './zones.ts'

/** Of the ratio of p99 to that of the same server when nothing happens. */
const GOAL = 1.5
const CLIENTS = 10
/** I3. */
const POLL_MILLISECONDS = 20
/** In place of what the server can do, where no time is spent on finding out. */
const SHORT_PER_SECOND = 2000
const CAPACITY_SECONDS = 1
const QUIET_SECONDS = 1
const NAME = 'ns2.bench.test.'
const FIRST_ADDRESS = '192.0.2.2'

/** What changes the zone file: the text of the change of that number. */
type Change = (zone: BenchZone, number: number) => string

const addressOf = (number: number): string => `198.51.${100 + (number >> 8)}.${number & 255}`

/** One address: the file is read and compared whole, and a handful of RRsets signed. Peers want another serial. */
const oneRecord: Change = ({ text }, number) =>
  text
    .replace('hostmaster 1 ', `hostmaster ${1 + number} `)
    .replace(`ns2 A ${FIRST_ADDRESS}`, `ns2 A ${addressOf(number)}`)

/** Every TTL, so every signature (RFC 4034 §3.1.8.1 has the TTL in what is signed). */
const allRecords: Change = (zone, number) =>
  oneRecord(zone, number).replace('$TTL 3600', `$TTL ${3600 + number}`)

interface Answering {
  readonly name: string
  readonly program?: string
  readonly signs: boolean
  start(zone: BenchZone): Promise<Peer>
  /** Tells it of the new file; ours sees for itself. */
  reload(server: Peer): void
}

const CONTENDERS: readonly Answering[] = [
  {
    name: OURS,
    signs: true,
    start: zone => startOurs([asFile(zone)], { signing: true }),
    reload: () => undefined,
  },
  {
    name: 'knot',
    program: 'knotd',
    signs: true,
    start: zone => startKnot([asFile(zone)], { signing: true }),
    reload: reloadKnot,
  },
  {
    name: 'nsd',
    program: 'nsd',
    signs: false,
    start: zone => startNsd([asFile(zone)]),
    reload: ({ pid }) => void process.kill(pid, 'SIGHUP'),
  },
]

/** Figures of one kind of change, of all contenders. */
class Scene {
  readonly #name: string
  readonly change: Change
  /** Contenders that do not sign have no part in it. */
  readonly signs: boolean
  readonly #quiet = new Values()
  readonly #busy = new Values()
  readonly #ratio = new Values()
  readonly #lost = new Values()
  readonly #senderQuiet = new Values()
  readonly #senderBusy = new Values()
  readonly #hostQuiet = new Values()
  readonly #hostBusy = new Values()

  constructor(name: string, change: Change, signs: boolean) {
    this.#name = name
    this.change = change
    this.signs = signs
  }

  /** I2. */
  add(contender: string, quiet: readonly LoadFigures[], busy: LoadFigures): void {
    const [idle, working] = [percentile(quiet, 99), percentile([busy], 99)]
    this.#quiet.add(contender, idle)
    this.#busy.add(contender, working)
    this.#ratio.add(contender, working / idle)
    // I4.
    this.#senderQuiet.add(contender, meanPercent(quiet, 'senderWaited'))
    this.#senderBusy.add(contender, meanPercent([busy], 'senderWaited'))
    this.#hostQuiet.add(contender, meanPercent(quiet, 'hostTook'))
    this.#hostBusy.add(contender, meanPercent([busy], 'hostTook'))
    this.#lost.add(
      contender,
      [...quiet, busy].reduce((sum, { lost }) => sum + lost, 0),
    )
  }

  results(): Result[] {
    const name = this.#name
    return [
      { quantity: `${name}: p99 before and after, quiet`, unit: 'ms', values: this.#quiet.all },
      { quantity: `${name}: p99`, unit: 'ms', values: this.#busy.all },
      { quantity: `${name}: p99, times that of quiet (goal ${GOAL})`, unit: '', values: this.#ratio.all },
      {
        quantity: `${name}: sender's waits for a processor, quiet`,
        unit: '%',
        values: this.#senderQuiet.all,
      },
      { quantity: `${name}: sender's waits for a processor`, unit: '%', values: this.#senderBusy.all },
      {
        quantity: `${name}: processors taken by the machine's host, quiet`,
        unit: '%',
        values: this.#hostQuiet.all,
      },
      {
        quantity: `${name}: processors taken by the machine's host`,
        unit: '%',
        values: this.#hostBusy.all,
      },
      { quantity: `${name}: queries lost`, unit: '', values: this.#lost.all },
    ]
  }
}

/** A contender that serves the zone. */
interface Subject {
  readonly contender: Answering
  readonly server: Peer
  /** Queries: half of what it can. */
  readonly perSecond: number
  /** Of its file, so far. */
  changes: number
}

export async function benchLatency(bench: Workbench): Promise<Result[]> {
  if (!isThere(bench, 'dnsperf')) return []
  const zone = benchZone(bench.names)
  const scenes = [new Scene('reloads', oneRecord, false), new Scene('signing', allRecords, true)]
  const others = new Values()
  const subjects: Subject[] = []
  try {
    for (const contender of CONTENDERS) {
      if (contender.program !== undefined && !isThere(bench, contender.program)) continue
      subjects.push(await start(bench, contender, zone))
    }
    for (let run = 0; run < bench.runs; run++) {
      for (const subject of subjects) {
        const disturbance = watchProcessors()
        await round(bench, subject, zone, scenes)
        others.add(subject.contender.name, 100 * disturbance().others)
      }
    }
  } finally {
    for (const { server } of subjects) await server.stop()
  }
  const disturbance = { quantity: 'processors taken by other programs', unit: '%', values: others.all }
  return [...scenes.flatMap(scene => scene.results()), disturbance]
}

async function start(bench: Workbench, contender: Answering, zone: BenchZone): Promise<Subject> {
  const server = await contender.start(zone)
  try {
    await untilAnswered(server, NAME, FIRST_ADDRESS, contender.signs)
    const { queriesPath } = unsignedFile(bench, 'mixed')
    const perSecond = bench.short ? SHORT_PER_SECOND : await halfCapacity(server, queriesPath)
    bench.tell(`${contender.name}: ${perSecond.toLocaleString('en')} queries a second`)
    return { contender, server, perSecond, changes: 0 }
  } catch (error) {
    await server.stop()
    throw error
  }
}

/** Quiet, change, quiet, change, quiet. */
async function round(
  bench: Workbench,
  subject: Subject,
  zone: BenchZone,
  scenes: readonly Scene[],
): Promise<void> {
  const { contender, server, perSecond } = subject
  const { queriesPath } = unsignedFile(bench, 'mixed')
  const steady = { queriesPath, mode: 'udp', outstanding: 1000, clients: CLIENTS } as const
  const load = (): Promise<LoadFigures> =>
    queryLoad(server, { ...steady, perSecond, seconds: bench.seconds, latencies: true })
  const quiet = async (): Promise<LoadFigures> => {
    await settle(bench.short ? 0 : QUIET_SECONDS)
    return load()
  }
  let before = await quiet()
  for (const scene of scenes.filter(({ signs }) => contender.signs || !signs)) {
    const running = load()
    const changing = whileRunning(running, () => {
      const number = ++subject.changes
      writeChange(contender, server, zone, scene.change(zone, number))
      return untilAnswered(server, NAME, addressOf(number), contender.signs, POLL_MILLISECONDS)
    })
    const [busy] = await Promise.all([running, changing])
    const after = await quiet()
    scene.add(contender.name, [before, after], busy)
    before = after
  }
}

async function halfCapacity(server: Peer, queriesPath: string): Promise<number> {
  const all = { queriesPath, mode: 'udp', outstanding: 1000, clients: CLIENTS, latencies: true } as const
  await queryLoad(server, { ...all, seconds: CAPACITY_SECONDS })
  const { perSecond } = await queryLoad(server, { ...all, seconds: CAPACITY_SECONDS })
  return Math.round(perSecond / 2)
}

/** Does it again as long as the load goes on. */
async function whileRunning(load: Promise<unknown>, work: () => Promise<void>): Promise<void> {
  let over = false
  void load.catch(() => undefined).finally(() => (over = true))
  while (!over) await work()
}

function writeChange({ reload }: Answering, server: Peer, { apex }: BenchZone, text: string): void {
  const path = join(server.directory, fileOf(apex))
  writeFileSync(`${path}.new`, text)
  renameSync(`${path}.new`, path)
  reload(server)
}

/** Percent, of these loads' time. */
function meanPercent(loads: readonly LoadFigures[], share: 'senderWaited' | 'hostTook'): number {
  return (100 * loads.reduce((sum, load) => sum + load[share], 0)) / loads.length
}

/** Of all answers of these loads. */
function percentile(loads: readonly LoadFigures[], percent: number): number {
  const ascending = loads.flatMap(({ latencies }) => latencies).sort((a, b) => a - b)
  if (ascending.length === 0) throw new Error('no query was answered')
  return ascending[Math.min(ascending.length - 1, Math.floor((ascending.length * percent) / 100))]!
}
