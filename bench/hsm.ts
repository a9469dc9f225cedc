/** A quorum of 3 of 5 node processes on this machine, beside one key in a file: latency of one signature, signatures a second
 *  in batches; then the same with one node stopped (SIGSTOP), from the moment it is. hsm-faults.ts has other faults. */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import type { QuorumKey } from '../hsm/index.ts'
import { BenchQuorum } from './quorum-bench.ts'
import { OURS, type Result } from './report.ts'
import { Values, type Workbench } from './workbench.ts'

const LOCAL = 'one local key'
const SINGLES = 20
const BATCHES = 3
const BATCH = { rsa: 256, ed25519: 128 }

export function benchHsm(bench: Workbench): Promise<Result[]> {
  return BenchQuorum.with(bench, 'quorum', async quorum => {
    const { rsa, ed25519 } = await quorum.makeKeys(bench)
    return [
      ...(await measure(bench, quorum, 'rsa', rsa)),
      ...(await measure(bench, quorum, 'ed25519', ed25519)),
    ]
  })
}

async function measure(
  bench: Workbench,
  quorum: BenchQuorum,
  kind: 'rsa' | 'ed25519',
  key: QuorumKey,
): Promise<Result[]> {
  const name = kind === 'rsa' ? 'RSA-2048' : 'Ed25519'
  const { privateKey: local } =
    kind === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ed25519')
  const [latency, rate, hungLatency, hungRate] = [new Values(), new Values(), new Values(), new Values()]
  const run = async (latencies: Values, rates: Values): Promise<void> => {
    for (let at = 0; at < (bench.short ? 5 : SINGLES); at++) {
      latencies.add(OURS, await quorum.sign(key, 1))
      latencies.add(LOCAL, signLocally(local, key, quorum.messages(key, 1)))
    }
    for (let at = 0; at < (bench.short ? 1 : BATCHES); at++) {
      const count = bench.short ? 32 : BATCH[kind]
      rates.add(OURS, (count * 1000) / (await quorum.sign(key, count)))
      rates.add(LOCAL, (count * 1000) / signLocally(local, key, quorum.messages(key, count)))
    }
  }
  await quorum.allUp()
  await quorum.sign(key, 16)
  bench.tell(name)
  await run(latency, rate)
  bench.tell(`${name}, with one node hung`)
  quorum.signal('node1', 'SIGSTOP')
  try {
    await run(hungLatency, hungRate)
  } finally {
    quorum.signal('node1', 'SIGCONT')
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

/** In milliseconds. */
function signLocally(key: KeyObject, { record }: QuorumKey, messages: readonly Uint8Array[]): number {
  const digest = record.scheme.kind === 'rsa' ? 'sha256' : null
  const start = performance.now()
  for (const message of messages) sign(digest, message, key)
  return performance.now() - start
}
