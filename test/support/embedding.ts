/** Nameservers inside tests: on a clock that the test owns, with keys in memory that can be told to fail, asked without a
 *  socket. */
import { promises as fs } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { ManualClock } from '../../base/index.ts'
import {
  createNameserver,
  type Nameserver,
  type NameserverOptions,
  type RecordText,
} from '../../server/index.ts'
import type { GenerateSpec, KeyInfo, SignBatch, SignOutcome } from '../../signer/index.ts'
import { nameToText } from '../../zones/index.ts'
import { TestKeyStore, testKey } from '../signer/build-support.ts'
import { type Message, queryOf, readMessage } from './message.ts'
import { WAIT_MILLISECONDS } from './serve.ts'

export const NOW = 1_800_000_000

export const SOA: RecordText = {
  name: '@',
  type: 'SOA',
  data: 'ns1.example. hostmaster.example. 1 7200 3600 1209600 900',
}
export const BASE: readonly RecordText[] = [
  SOA,
  { name: '@', type: 'NS', data: 'ns1.example.' },
  { name: 'ns1', type: 'A', data: '192.0.2.53' },
]

/** Keys that cost nothing to make, and a store that can be told what to answer. */
export class FickleKeyStore extends TestKeyStore {
  /** Instead of signing, when it is there. */
  fault: SignOutcome | undefined
  /** Batches asked for. */
  batches = 0

  readonly #first: number
  readonly #made = new Map<string, number>()

  /** Stores of one zone make different keys when they begin at different numbers. */
  constructor(first = 0) {
    super()
    this.#first = first
  }

  override generate({ zone, algorithm, role }: GenerateSpec): Promise<KeyInfo> {
    const text = nameToText(zone)
    const made = this.#made.get(text) ?? 0
    this.#made.set(text, made + 1)
    const key = testKey(zone, algorithm, role, this.#first + made)
    this.keys.push(key)
    return Promise.resolve(key.info)
  }

  override sign(batch: SignBatch): Promise<SignOutcome[]> {
    this.batches++
    const { fault } = this
    if (fault !== undefined) return Promise.resolve(new Array<SignOutcome>(batch.count).fill(fault))
    return super.sign(batch)
  }

  /** It keeps no tickets. */
  override resume(tickets: readonly string[]): Promise<SignOutcome[]> {
    const unknown: SignOutcome = { kind: 'refused', code: 'TICKET_UNKNOWN', by: 'a test' }
    return Promise.resolve(tickets.map(() => this.fault ?? unknown))
  }
}

export async function temporaryDirectory(t: ExecutionContext): Promise<string> {
  const path = await fs.mkdtemp(join(tmpdir(), 'conclave-test-'))
  t.teardown(() => fs.rm(path, { recursive: true, force: true }))
  return path
}

export interface TestServer {
  readonly server: Nameserver
  readonly clock: ManualClock
  readonly keys: FickleKeyStore
  /** Log lines of warnings and errors, and their fields. */
  readonly logged: { message: string; fields: Readonly<Record<string, unknown>> }[]
}

/** A server without sockets and without watching, closed when the test ends. */
export async function testServer(
  t: ExecutionContext,
  options: NameserverOptions & { readonly keys?: FickleKeyStore; readonly clock?: ManualClock } = {},
): Promise<TestServer> {
  const clock = options.clock ?? new ManualClock(NOW)
  const keys = options.keys ?? new FickleKeyStore()
  const logged: TestServer['logged'] = []
  const note = (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
    logged.push({ message, fields })
  }
  const log = { debug() {}, info() {}, warn: note, error: note }
  const server = await createNameserver({ watch: false, log, ...options, clock, keys })
  t.teardown(() => server.close())
  return { server, clock, keys, logged }
}

/** The response with DO set, over TCP so that nothing is cut off. */
export function ask(server: Nameserver, name: string, type: string, dnssecOk = true): Message {
  return readMessage(server.answer(queryOf(name, type, { udpOctets: 1232, dnssecOk }), 'tcp')!)
}

/** RDATA of the answer's records of that type. */
export function answers(server: Nameserver, name: string, type: string): string[] {
  return ask(server, name, type)
    .answer.map(line => line.split(' '))
    .filter(parts => parts[2] === type)
    .map(parts => parts.slice(3).join(' '))
}

export function serialOf(server: Nameserver, zone: string): number {
  return Number(answers(server, zone, 'SOA')[0]!.split(' ')[2])
}

/** Lets promises and setImmediate turns run until it is so. What is waited for may be another thread's, or the disk's: turns
 *  of an idle event loop say nothing of how long that takes. */
export async function until(so: () => boolean): Promise<void> {
  const end = performance.now() + WAIT_MILLISECONDS
  while (!so()) {
    if (performance.now() > end) throw new Error('it did not come about')
    await new Promise(resolve => setImmediate(resolve))
  }
}
