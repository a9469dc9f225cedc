/** Queries by dnsperf, and what they cost the server that answers them. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Peer } from '../test/support/peers.ts'
import { toolPath } from '../test/support/tools.ts'
import { cpuSeconds } from './measure.ts'

export interface QueryLoad {
  readonly queriesPath: string
  readonly seconds: number
  readonly mode: 'udp' | 'tcp'
  /** Queries on their way at any time, over all sockets. */
  readonly outstanding: number
  /** Sockets of their own. */
  readonly clients: number
}

export interface LoadFigures {
  readonly completed: number
  readonly lost: number
  readonly perSecond: number
  /** Of the whole process tree of the server. */
  readonly cpuSeconds: number
}

/** An answer that takes longer is lost. */
const TIMEOUT_SECONDS = 1

const run = promisify(execFile)

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
  words.push('-D', '-t', String(TIMEOUT_SECONDS), '-O', 'suppress=timeout,congestion')
  const before = cpuSeconds(server.pid)
  const timeout = (load.seconds + 20) * 1000
  const { stdout } = await run(toolPath('dnsperf')!, words, { timeout, maxBuffer: 1 << 26 })
  const spent = cpuSeconds(server.pid) - before
  const figure = (label: string): number => Number(new RegExp(`${label}:\\s+([\\d.]+)`).exec(stdout)?.[1])
  return {
    completed: figure('Queries completed'),
    lost: figure('Queries lost'),
    perSecond: figure('Queries per second'),
    cpuSeconds: spent,
  }
}
