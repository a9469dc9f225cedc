/** What goes on at the same time in a soak (soak.ts). Each task ends at the record's deadline. */
import { execFile } from 'node:child_process'
import { readdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { queryOf, readMessage } from '../test/support/message.ts'
import { toolPath } from '../test/support/tools.ts'
import { queryLoad } from './dnsperf.ts'
import { cpuSeconds, memoryOctets } from './measure.ts'
import type { SoakRecord, SoakScene } from './soak.ts'
import { CONCLAVE_COMMAND, settle, type Workbench } from './workbench.ts'
import { type BenchZone, seeded } from './zones.ts'

type Fail = (what: string) => void

const run = promisify(execFile)

const QUERY_SLICE_SECONDS = 10
const PER_SECOND = { udp: 1000, tcp: 100 } as const
/** An edit, a transfer and a reload that need longer are errors. */
const SECONDS_MAX = 60

function isOver({ deadline }: SoakRecord): boolean {
  return performance.now() >= deadline
}

/** Waits, but not beyond the deadline. */
async function pause(seconds: number, { deadline }: SoakRecord): Promise<void> {
  await settle(Math.max(0, Math.min(seconds, (deadline - performance.now()) / 1000)))
}

/** dnsperf at a steady rate, a slice after the other. */
export async function queries(
  scene: SoakScene,
  record: SoakRecord,
  mode: 'udp' | 'tcp',
  fail: Fail,
): Promise<void> {
  while (!isOver(record)) {
    const left = (record.deadline - performance.now()) / 1000
    const figures = await queryLoad(scene.server, {
      queriesPath: scene.queriesPath,
      seconds: Math.max(1, Math.round(Math.min(left, QUERY_SLICE_SECONDS))),
      mode,
      outstanding: 100,
      clients: 10,
      perSecond: PER_SECOND[mode],
      timeoutSeconds: 5,
    })
    record.answered += figures.completed
    record.lost += figures.lost
    record.failed += figures.failed
    if (figures.lost > 0) fail(`${figures.lost} queries over ${mode} were lost`)
    if (figures.failed > 0) fail(`${figures.failed} answers over ${mode} were failures`)
  }
}

const EDIT_PAUSE_SECONDS = 1.5
/** Every so many edits the large zone has its turn. */
const LARGE_EDIT_EVERY = 8

/** Zone files replaced one after another; each new address has to be answered with a signature, by a greater serial. */
export async function editFiles(scene: SoakScene, record: SoakRecord, fail: Fail): Promise<void> {
  const random = seeded(7)
  const serials = new Map<string, number>()
  for (let edit = 1; !isOver(record); edit++) {
    const small = scene.small[Math.floor(random() * scene.small.length)]!
    const zone = edit % LARGE_EDIT_EVERY === 0 ? scene.large : small
    const address = `198.51.${(edit >> 8) & 255}.${edit & 255}`
    const path = join(scene.zones, `${zone.apex}zone`)
    writeFileSync(`${path}.new`, zone.text.replace('ns2 A 192.0.2.2', `ns2 A ${address}`))
    const began = performance.now()
    renameSync(`${path}.new`, path)
    const fault = await untilAnswered(scene, zone, address, serials)
    if (fault === undefined) record.editMilliseconds.push(performance.now() - began)
    else fail(fault)
    await pause(EDIT_PAUSE_SECONDS, record)
  }
}

/** Undefined when the address is answered signed in time. */
async function untilAnswered(
  { server }: SoakScene,
  { apex }: BenchZone,
  address: string,
  serials: Map<string, number>,
): Promise<string | undefined> {
  const until = performance.now() + SECONDS_MAX * 1000
  const query = queryOf(`ns2.${apex}`, 'A', { udpOctets: 1232, dnssecOk: true })
  for (;;) {
    const { answer } = readMessage(await server.ask(query))
    if (answer.some(line => line.endsWith(` A ${address}`))) {
      if (!answer.some(line => / RRSIG /.test(line))) return `${apex} is answered without a signature`
      break
    }
    if (performance.now() > until) return `${apex}: the edit was not answered in ${SECONDS_MAX} s`
    await settle(0.01)
  }
  const soa = readMessage(await server.ask(queryOf(apex, 'SOA'))).answer[0] ?? ''
  const serial = Number(/ SOA \S+ \S+ (\d+) /.exec(soa)?.[1])
  const before = serials.get(apex)
  serials.set(apex, serial)
  if (Number.isNaN(serial)) return `${apex} has no serial`
  if (before !== undefined && serial <= before) return `${apex}: serial ${serial} came after ${before}`
  return undefined
}

const TRANSFER_PAUSE_SECONDS = 10

/** Whole zones by dig, judged by dnssec-verify. */
export async function transfers(scene: SoakScene, record: SoakRecord, fail: Fail): Promise<void> {
  const random = seeded(11)
  const file = join(scene.directory, 'transferred')
  const options = { timeout: SECONDS_MAX * 1000, maxBuffer: 1 << 28 }
  for (let turn = 0; !isOver(record); turn++) {
    const { apex } = turn % 2 === 0 ? scene.large : scene.small[Math.floor(random() * scene.small.length)]!
    try {
      const words = [
        '@127.0.0.1',
        '-p',
        String(scene.server.port),
        apex,
        'AXFR',
        '+noall',
        '+answer',
        '+onesoa',
      ]
      const { stdout } = await run(toolPath('dig')!, words, options)
      record.transfers++
      writeFileSync(file, stdout)
      await run(toolPath('dnssec-verify')!, ['-o', apex, file], options)
      record.verified++
    } catch (error) {
      fail(`transfer of ${apex}: ${error instanceof Error ? error.message : String(error)}`)
    }
    await pause(TRANSFER_PAUSE_SECONDS, record)
  }
}

const RELOAD_PAUSE_SECONDS = 30

/** The configuration is read again; every zone has to be serving. */
export async function reloads({ directory }: SoakScene, record: SoakRecord, fail: Fail): Promise<void> {
  const state = join(directory, 'state')
  const options = { timeout: SECONDS_MAX * 1000, maxBuffer: 1 << 26 }
  const conclave = (words: readonly string[]): Promise<{ stdout: string }> =>
    run(CONCLAVE_COMMAND[0]!, [...CONCLAVE_COMMAND.slice(1), ...words, '--state', state], options)
  while (!isOver(record)) {
    try {
      await conclave(['reload'])
      record.reloads++
      const { stdout } = await conclave(['status', '--json'])
      const status = JSON.parse(stdout) as { zones: { zone: string; state: string }[] }
      for (const { zone, state } of status.zones) if (state !== 'serving') fail(`${zone} is ${state}`)
    } catch (error) {
      fail(`reload: ${error instanceof Error ? error.message : String(error)}`)
    }
    await pause(RELOAD_PAUSE_SECONDS, record)
  }
}

const SAMPLES = 120

/** Memory, open files and CPU time, at even intervals. */
export async function sample({ server }: SoakScene, record: SoakRecord, bench: Workbench): Promise<void> {
  const began = performance.now()
  const [interval, tellEvery] = [bench.seconds / SAMPLES, SAMPLES / 12]
  while (!isOver(record)) {
    const seconds = (performance.now() - began) / 1000
    const memory = memoryOctets(server.pid)
    record.samples.push({
      seconds,
      memoryOctets: memory,
      anonymousOctets: memoryOctets(server.pid, 'Pss_Anon'),
      descriptors: readdirSync(`/proc/${server.pid}/fd`).length,
      cpuSeconds: cpuSeconds(server.pid),
    })
    if (record.samples.length % tellEvery === 0) {
      bench.tell(
        `${Math.round(seconds)} s, ${(memory / 1e6).toFixed(1)} MB, ${record.answered} answers, ${record.errors.length} errors`,
      )
    }
    await pause(interval, record)
  }
}
