/** A quorum of 3 of 5 node processes on this machine, beside one key in a file: latency of one signature, signatures a second
 *  in batches; then the same with one node stopped (SIGSTOP), from the moment it is.
 *  I1  Nodes are ended by their own id, stopped or not. */
import { type ChildProcess, spawn } from 'node:child_process'
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { silentLogger, systemClock } from '../base/index.ts'
import {
  dealKey,
  initQuorum,
  keyTagOfRecord,
  openQuorumFile,
  type Quorum,
  type QuorumConfiguration,
  type QuorumKey,
} from '../hsm/index.ts'
import { ToBeSigned } from '../signer/index.ts'
import { nameFromText, TYPE } from '../zones/index.ts'
import { OURS, type Result } from './report.ts'
import { Values, type Workbench } from './workbench.ts'

const NODES = 5
const THRESHOLD = 3
const LOCAL = 'one local key'
const ZONE = 'bench.example.'
const DEADLINE_SECONDS = 120
const SINGLES = 20
const BATCHES = 3
const BATCH = { rsa: 256, ed25519: 128 }

export async function benchHsm(bench: Workbench): Promise<Result[]> {
  const directory = join(bench.directory, 'quorum')
  const firstPort = await freePort()
  const { file, nodes } = await initQuorum({
    directory,
    nodes: NODES,
    threshold: THRESHOLD,
    address: '127.0.0.1',
    firstPort,
    zones: [],
  })
  const processes = await Promise.all(nodes.map(name => startNode(join(directory, name, 'node.yaml'))))
  try {
    const opened = await openQuorumFile(file, { clock: systemClock, log: silentLogger })
    try {
      // Every member takes part in the making of a key.
      const keys = { rsa: await rsaKey(bench, opened), ed25519: await edKey(opened.quorum) }
      return [
        ...(await measure(bench, opened.quorum, processes, 'rsa', keys.rsa)),
        ...(await measure(bench, opened.quorum, processes, 'ed25519', keys.ed25519)),
      ]
    } finally {
      await opened.quorum.close()
    }
  } finally {
    // I1.
    for (const node of processes) node.kill('SIGKILL')
  }
}

/** The first of five, below what systems take for outgoing connections; the others follow. */
async function freePort(): Promise<number> {
  const port = 20_000 + Math.floor(Math.random() * 9000)
  const server = createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  await new Promise(resolve => server.close(resolve))
  return port
}

async function startNode(file: string): Promise<ChildProcess> {
  const program = fileURLToPath(new URL('../cli/node-main.js', import.meta.url))
  const child = spawn(process.execPath, [program, '--json', file], { stdio: ['ignore', 'pipe', 'ignore'] })
  await once(createInterface({ input: child.stdout! }), 'line')
  return child
}

/** With --short a key that exists is shared: safe primes take their time. */
function rsaKey(
  bench: Workbench,
  { quorum, configuration }: { quorum: Quorum; configuration: QuorumConfiguration },
): Promise<QuorumKey> {
  const path = join(bench.directory, 'rsa.pem')
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  writeFileSync(path, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 })
  return dealKey(quorum, configuration, {
    zone: ZONE,
    role: 'zsk',
    algorithm: 8,
    members: configuration.nodes.map(({ name }) => name),
    work: bench.short ? { kind: 'import', path } : { kind: 'new', bits: 2048 },
    clock: systemClock,
    onPrime: () => {},
  })
}

function edKey(quorum: Quorum): Promise<QuorumKey> {
  return quorum.keygen({ zone: ZONE, role: 'zsk', algorithm: 15 })
}

async function measure(
  bench: Workbench,
  quorum: Quorum,
  nodes: readonly ChildProcess[],
  kind: 'rsa' | 'ed25519',
  key: QuorumKey,
): Promise<Result[]> {
  const name = kind === 'rsa' ? 'RSA-2048' : 'Ed25519'
  const local =
    kind === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ed25519')
  const [latency, rate, hungLatency, hungRate] = [new Values(), new Values(), new Values(), new Values()]
  const run = async (latencies: Values, rates: Values): Promise<void> => {
    const batches = bench.short ? 1 : BATCHES
    for (let at = 0; at < (bench.short ? 5 : SINGLES); at++) {
      latencies.add(OURS, await milliseconds(() => signAll(quorum, key, 1)))
      latencies.add(LOCAL, await milliseconds(() => signLocally(local.privateKey, key, 1)))
    }
    for (let at = 0; at < batches; at++) {
      const count = bench.short ? 32 : BATCH[kind]
      rates.add(OURS, (count * 1000) / (await milliseconds(() => signAll(quorum, key, count))))
      rates.add(LOCAL, (count * 1000) / (await milliseconds(() => signLocally(local.privateKey, key, count))))
    }
  }
  await allUp(quorum)
  await signAll(quorum, key, 16)
  bench.tell(name)
  await run(latency, rate)
  bench.tell(`${name}, with one node hung`)
  nodes[0]!.kill('SIGSTOP')
  try {
    await run(hungLatency, hungRate)
  } finally {
    nodes[0]!.kill('SIGCONT')
  }
  return [
    { quantity: `${name}: latency of one signature`, unit: 'ms', values: latency.all },
    { quantity: `${name}: signatures in batches`, unit: '1/s', moreIsBetter: true, values: rate.all },
    { quantity: `${name}: latency, one node hung`, unit: 'ms', values: hungLatency.all },
    {
      quantity: `${name}: signatures in batches, one node hung`,
      unit: '1/s',
      moreIsBetter: true,
      values: hungRate.all,
    },
  ]
}

const UP_TRIES = 100

/** A node that was stopped is greeted again after a while. */
async function allUp(quorum: Quorum): Promise<void> {
  for (let tries = 0; tries < UP_TRIES; tries++) {
    const { nodes } = await quorum.status()
    if (nodes.every(({ state }) => state === 'up')) return
    await new Promise<void>(resolve => systemClock.after(0.5, resolve))
  }
  throw new Error('a node does not come back')
}

async function milliseconds(work: () => unknown): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}

let number = 0

/** Different every time, valid now. */
function messagesOf(key: QuorumKey, count: number): Uint8Array[] {
  const now = Math.floor(systemClock.now())
  const { algorithm } = key.record
  const signer = { algorithm, keyTag: keyTagOfRecord(key.record), signerName: nameFromText(ZONE) }
  const batch = new ToBeSigned(count)
  for (let at = 0; at < count; at++) {
    const owner = nameFromText(`host${++number}.${ZONE}`)
    batch.add(signer, owner, TYPE.A, 300, now - 60, now + 86_400, [Uint8Array.of(192, 0, 2, at & 255)])
  }
  const { octets, offsets } = batch
  return Array.from({ length: count }, (_, at) => octets.slice(offsets[at], offsets[at + 1]))
}

/** @throws Error when one was not signed */
async function signAll(quorum: Quorum, key: QuorumKey, count: number): Promise<void> {
  const messages = messagesOf(key, count)
  const deadlineUnix = systemClock.now() + DEADLINE_SECONDS
  for (const outcome of await quorum.sign({ key: key.id, messages, deadlineUnix })) {
    if (outcome.kind !== 'signed') throw new Error(`not signed: ${JSON.stringify(outcome)}`)
  }
}

function signLocally(key: KeyObject, quorumKey: QuorumKey, count: number): void {
  const digest = quorumKey.record.scheme.kind === 'rsa' ? 'sha256' : null
  for (const message of messagesOf(quorumKey, count)) sign(digest, message, key)
}
