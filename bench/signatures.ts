/** Signatures and their verification: the pool beside a plain loop over node:crypto, which is what OpenSSL gives to
 *  JavaScript. Prints operations a second, CPU time of each, the ratio, and the latency of one signature.
 *  `node dist/bench/signatures.js [algorithm …]` */
import { execFileSync } from 'node:child_process'
import { sign, verify } from 'node:crypto'
import { publicKeyOf } from '../signer/algorithms.ts'
import { algorithmFromText, CryptoPool, type LoadedKey, ToBeSigned, verifyingKey } from '../signer/index.ts'
import { newPrivateKey } from '../signer/local-keys.ts'
import { nameFromText, TYPE } from '../zones/index.ts'
import { machineText, median } from './measure.ts'

const ROUNDS = 5
/** CPU time to spend on each measurement. */
const MICROSECONDS = 400_000
const LATENCY_RUNS = 200

interface Cost {
  readonly cpuMicroseconds: number
  readonly perSecond: number
}

async function measure(operations: number, run: () => unknown): Promise<Cost> {
  const [before, start] = [process.cpuUsage(), performance.now()]
  await run()
  const spent = process.cpuUsage(before)
  const seconds = (performance.now() - start) / 1000
  return { cpuMicroseconds: (spent.user + spent.system) / operations, perSecond: operations / seconds }
}

/** The median of several rounds in which both take turns. */
async function compare(
  label: string,
  operations: number,
  plain: () => unknown,
  pooled: () => unknown,
): Promise<void> {
  const [plains, pools]: [Cost[], Cost[]] = [[], []]
  await pooled()
  for (let round = 0; round < ROUNDS; round++) {
    plains.push(await measure(operations, plain))
    pools.push(await measure(operations, pooled))
  }
  const cpu = (costs: readonly Cost[]): number => median(costs.map(cost => cost.cpuMicroseconds))
  const rate = (costs: readonly Cost[]): string => median(costs.map(cost => cost.perSecond)).toFixed(0)
  console.log(
    `${label}: loop ${rate(plains)}/s, ${cpu(plains).toFixed(1)} µs CPU each; pool of one thread ${rate(pools)}/s, ` +
      `${cpu(pools).toFixed(1)} µs; CPU ratio ${(cpu(pools) / cpu(plains)).toFixed(2)}`,
  )
}

function batchOf(count: number, algorithm: number): ToBeSigned {
  const batch = new ToBeSigned(count)
  const signer = { algorithm, keyTag: 1, signerName: nameFromText('example.com.') }
  const owner = nameFromText('host00001.example.com.')
  for (let i = 0; i < count; i++)
    batch.add(signer, owner, TYPE.A, 3600, 1, 2, [Uint8Array.of(192, 0, 2, i & 255)])
  return batch
}

async function benchAlgorithm(word: string): Promise<void> {
  const algorithm = algorithmFromText(word)
  const key = await newPrivateKey(algorithm, 2048)
  const verifying = verifyingKey(algorithm.number, publicKeyOf(algorithm, key)!)
  const signing: LoadedKey = { ...verifying, key }
  const count = Math.min(4096, Math.ceil(MICROSECONDS / algorithm.signMicroseconds))
  const batch = batchOf(count, algorithm.number)
  const message = (i: number): Uint8Array => batch.octets.subarray(batch.offsets[i], batch.offsets[i + 1])
  const pool = new CryptoPool({ threads: 1 })
  const { digest } = algorithm
  const [own, other] = [key, verifying.key].map(one => ({ key: one, dsaEncoding: 'ieee-p1363' as const }))
  const loop = (): void => {
    for (let i = 0; i < count; i++) sign(digest, message(i), own!)
  }
  await compare(`${algorithm.mnemonic} sign`, count, loop, () => pool.sign(signing, batch))
  const { signatures, signatureOctets } = await pool.sign(signing, batch)
  const made = Array.from({ length: count }, (_, i) =>
    signatures.subarray(i * signatureOctets, (i + 1) * signatureOctets),
  )
  const verifyLoop = (): void => {
    for (let i = 0; i < count; i++) verify(digest, message(i), other!, made[i]!)
  }
  await compare(`${algorithm.mnemonic} verify`, count, verifyLoop, () => pool.verify(verifying, batch, made))
  const latencies: number[] = []
  for (let run = 0; run < LATENCY_RUNS; run++) {
    const start = performance.now()
    await pool.sign(signing, { octets: batch.octets, offsets: batch.offsets, count: 1 })
    latencies.push((performance.now() - start) * 1000)
  }
  latencies.sort((a, b) => a - b)
  const at = (share: number): string => latencies[Math.floor(share * LATENCY_RUNS)]!.toFixed(0)
  console.log(`${algorithm.mnemonic} one signature: p50 ${at(0.5)} µs, p99 ${at(0.99)} µs`)
  await pool.close()
}

/** The commit that is measured, where there is one. */
function commitText(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8', stdio: 'pipe' }).trim()
  } catch {
    return 'no commit'
  }
}

console.log(`${machineText()}, ${commitText()}`)
const words = process.argv.slice(2)
for (const word of words.length > 0 ? words : ['ecdsap256sha256', 'ed25519']) await benchAlgorithm(word)
