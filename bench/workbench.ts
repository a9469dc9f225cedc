/** What every benchmark works with: its size, the contenders that are installed, and zones made once and kept for all. */

import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  type Peer,
  type ServerOptions,
  startConclave,
  startKnot,
  startNsd,
  type ZoneFile,
} from '../test/support/peers.ts'
import { hasTool } from '../test/support/tools.ts'
import { timeCommand } from './command.ts'
import { OURS } from './report.ts'
import { type BenchZone, benchZone, type ZoneShape } from './zones.ts'

export interface Workbench {
  /** Names of the zones that are measured. */
  readonly names: number
  /** Rounds in which the contenders take turns. */
  readonly runs: number
  /** How long queries are sent in each round. */
  readonly seconds: number
  /** Only to see that it runs: nothing is warmed up, nothing settles. */
  readonly short: boolean
  /** Where pictures of the results go; none are drawn without. */
  readonly plots: string | undefined
  /** For files of this run; removed at its end. */
  readonly directory: string
  tell(text: string): void
}

export interface BenchFile {
  readonly name: string
  readonly path: string
  readonly records: number
  /** Input of dnsperf. */
  readonly queriesPath: string
}

/** As it is installed: main.ts has made the bundle. */
const PROGRAM = fileURLToPath(new URL('../bundle/main.js', import.meta.url))
export const CONCLAVE_COMMAND: readonly string[] = [process.execPath, PROGRAM]

export function startOurs(zones: readonly ZoneFile[], options: ServerOptions = {}): Promise<Peer> {
  return startConclave(zones, { ...options, program: PROGRAM })
}

/** Until a process has kept the code that V8 compiled (loader.ts). */
const FIRST_RUN_SECONDS = 2

/** As where it is in use: it has run before. */
export async function runBefore(bench: Workbench): Promise<void> {
  const server = await startOurs([unsignedFile(bench, 'mixed', 0)], { signing: true })
  await settle(FIRST_RUN_SECONDS)
  await server.stop()
}

/** The zone as a file; made once. */
export function unsignedFile(bench: Workbench, shape: ZoneShape, names: number = bench.names): BenchFile {
  const path = join(bench.directory, `${shape}-${names}.zone`)
  const zone: BenchZone = benchZone(names, shape)
  const queriesPath = `${path}.queries`
  if (!existsSync(path)) {
    writeFileSync(path, zone.text)
    writeFileSync(queriesPath, zone.queries)
  }
  return { name: zone.apex, path, records: zone.records, queriesPath }
}

const signedRecords = new Map<string, number>()

/** The mixed zone signed by `conclave sign` with P-256; made once. */
export function signedFile(
  bench: Workbench,
  denial: 'nsec' | 'nsec3',
  names: number = bench.names,
): BenchFile {
  const file = unsignedFile(bench, 'mixed', names)
  const path = `${file.path}.${denial}`
  let records = signedRecords.get(path)
  if (records === undefined) {
    bench.tell(`signing ${file.records} records with ${denial}`)
    const words = ['sign', file.path, '-o', path, '--keys', join(bench.directory, 'keys'), '--json']
    const { output } = timeCommand([...CONCLAVE_COMMAND, ...words, '--denial', denial, '--gate', 'keys'])
    records = Number(/"records":(\d+)/.exec(output)?.[1])
    signedRecords.set(path, records)
  }
  return { ...file, path, records }
}

export interface Contender {
  readonly name: string
  start(zones: readonly ZoneFile[], options?: ServerOptions): Promise<Peer>
}

const PEERS: readonly (Contender & { readonly program: string })[] = [
  { name: 'nsd', program: 'nsd', start: startNsd },
  { name: 'knot', program: 'knotd', start: startKnot },
]

/** Ours first, then the peers that are installed; one that is not is told of, and fails in continuous integration. */
export function contenders(bench: Workbench, ...wanted: readonly ('nsd' | 'knot')[]): Contender[] {
  const peers = PEERS.filter(({ name }) => wanted.length === 0 || wanted.some(one => one === name))
  const present = peers.filter(({ program }) => isThere(bench, program))
  return [{ name: OURS, start: startOurs }, ...present]
}

/** @throws where a program is missing in continuous integration */
export function isThere(bench: Workbench, program: string): boolean {
  if (hasTool(program)) return true
  bench.tell(`left out: ${program} is not installed`)
  return false
}

/** Starts one server of each contender, works, and stops them all. */
export async function withServers(
  among: readonly Contender[],
  zones: readonly ZoneFile[],
  options: ServerOptions,
  work: (servers: ReadonlyMap<string, Peer>) => Promise<void>,
): Promise<void> {
  const servers = new Map<string, Peer>()
  try {
    for (const { name, start } of among) servers.set(name, await start(zones, options))
    await work(servers)
  } finally {
    for (const server of servers.values()) await server.stop()
  }
}

export function settle(seconds: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, seconds * 1000))
}

/** Values of all runs by contender. */
export class Values {
  readonly all: Record<string, number[]> = {}

  add(contender: string, value: number): void {
    const values = this.all[contender]
    if (values === undefined) this.all[contender] = [value]
    else values.push(value)
  }
}
