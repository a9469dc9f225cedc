/** Queries by dnsperf, and what they cost the server that answers them. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Peer } from '../test/support/peers.ts'
import { toolPath } from '../test/support/tools.ts'
import { cpuSeconds, waitedSeconds, watchProcessors } from './measure.ts'

export interface QueryLoad {
  readonly queriesPath: string
  readonly seconds: number
  readonly mode: 'udp' | 'tcp'
  /** Queries on their way at any time, over all sockets. */
  readonly outstanding: number
  /** Sockets of their own. */
  readonly clients: number
  /** No more than so many; else as many as can be. */
  readonly perSecond?: number
  /** An answer that takes longer is lost. */
  readonly timeoutSeconds?: number
  /** Tell the latency of each answer: dnsperf writes a line a query, so not where throughput or its CPU time counts. */
  readonly latencies?: boolean
}

export interface LoadFigures {
  readonly completed: number
  readonly lost: number
  /** Answers that are neither NOERROR nor NXDOMAIN. */
  readonly failed: number
  readonly perSecond: number
  /** Of the whole process tree of the server. */
  readonly cpuSeconds: number
  /** Share of the time in which dnsperf was ready and had no processor, the sum of its sending and its receiving thread:
   *  latencies have a part of it in them. */
  readonly senderWaited: number
  /** Share of the processors that the machine's host gave to others: latencies have that in them, too. */
  readonly hostTook: number
  /** Milliseconds, ascending; empty unless asked for. */
  readonly latencies: readonly number[]
}

const TIMEOUT_SECONDS = 1
/** Of the time, after which it is looked how long dnsperf has waited: a process that has ended does not tell. */
const LOOK_AFTER = 0.9

/** Queries with DO set, one process of dnsperf with one sending thread. */
export async function queryLoad(server: Peer, load: QueryLoad): Promise<LoadFigures> {
  const words = ['-m', load.mode, '-s', '127.0.0.1', '-p', String(server.port), '-d', load.queriesPath]
  words.push(
    '-l',
    String(load.seconds),
    '-q',
    String(load.outstanding),
    '-c',
    String(load.clients),
    '-T',
    '1',
  )
  words.push('-D', '-t', String(load.timeoutSeconds ?? TIMEOUT_SECONDS), '-O', 'suppress=timeout,congestion')
  if (load.perSecond !== undefined) words.push('-Q', String(load.perSecond))
  if (load.latencies === true) words.push('-v')
  const before = cpuSeconds(server.pid)
  const disturbance = watchProcessors()
  const { stdout, waited } = await run(words, load.seconds)
  const spent = cpuSeconds(server.pid) - before
  const { host } = disturbance()
  const figure = (label: string): number => Number(new RegExp(`${label}:\\s+([\\d.]+)`).exec(stdout)?.[1])
  return {
    completed: figure('Queries completed'),
    lost: figure('Queries lost'),
    failed: failedAnswers(stdout),
    perSecond: figure('Queries per second'),
    cpuSeconds: spent,
    senderWaited: waited / (load.seconds * LOOK_AFTER),
    hostTook: host,
    latencies: latenciesOf(stdout),
  }
}

/** What dnsperf says, and the seconds that it waited; through a file, so that nobody takes processor time from it by reading
 *  along. */
async function run(
  words: readonly string[],
  seconds: number,
): Promise<{ readonly stdout: string; readonly waited: number }> {
  const directory = mkdtempSync(join(tmpdir(), 'conclave-dnsperf-'))
  const path = join(directory, 'output')
  const output = openSync(path, 'w')
  try {
    const child = spawn(toolPath('dnsperf')!, words, {
      stdio: ['ignore', output, 'inherit'],
      timeout: (seconds + 20) * 1000,
    })
    let waited = 0
    const look = setTimeout(() => (waited = waitedSeconds(child.pid!)), seconds * LOOK_AFTER * 1000)
    const [code] = (await once(child, 'exit')) as [number | null]
    clearTimeout(look)
    if (code !== 0) throw new Error(`dnsperf ended with ${code ?? 'a signal'}`)
    return { stdout: readFileSync(path, 'latin1'), waited }
  } finally {
    closeSync(output)
    rmSync(directory, { recursive: true })
  }
}

/** Of lines such as `> NOERROR www.example A 0.000123`. */
function latenciesOf(output: string): number[] {
  const seconds = output.matchAll(/^> \S+ \S+ \S+ ([\d.]+)$/gm)
  return Array.from(seconds, ([, text]) => Number(text) * 1000).sort((a, b) => a - b)
}

/** Of a line such as `Response codes: NOERROR 750 (75.00%), NXDOMAIN 250 (25.00%)`. */
function failedAnswers(output: string): number {
  const codes = /Response codes: +(.*)/.exec(output)?.[1] ?? ''
  let failed = 0
  for (const [, code, count] of codes.matchAll(/(\w+) (\d+) \(/g)) {
    if (code !== 'NOERROR' && code !== 'NXDOMAIN') failed += Number(count)
  }
  return failed
}
