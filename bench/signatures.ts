/** Signatures and their verification: the pool beside a plain loop over node:crypto, which is what OpenSSL gives to
 *  JavaScript. Both in this process, in turns. */
import { type KeyObject, sign, verify } from 'node:crypto'
import { publicKeyOf } from '../signer/algorithms.ts'
import { algorithmFromText, CryptoPool, type LoadedKey, ToBeSigned, verifyingKey } from '../signer/index.ts'
import { newPrivateKey } from '../signer/local-keys.ts'
import { nameFromText, TYPE } from '../zones/index.ts'
import { OURS, type Result } from './report.ts'
import { Values, type Workbench } from './workbench.ts'

const ALGORITHMS = ['ecdsap256sha256', 'ed25519']
const LOOP = 'loop'
/** CPU time to spend on each measurement. */
const MICROSECONDS = 400_000
const LATENCY_RUNS = 50

export async function benchSignatures(bench: Workbench): Promise<Result[]> {
  const results: Result[] = []
  for (const word of ALGORITHMS) results.push(...(await benchAlgorithm(bench, word)))
  return results
}

async function cpuMicroseconds(operations: number, run: () => unknown): Promise<number> {
  const before = process.cpuUsage()
  await run()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / operations
}

function batchOf(count: number, algorithm: number): ToBeSigned {
  const batch = new ToBeSigned(count)
  const signer = { algorithm, keyTag: 1, signerName: nameFromText('example.com.') }
  const owner = nameFromText('host00001.example.com.')
  for (let i = 0; i < count; i++)
    batch.add(signer, owner, TYPE.A, 3600, 1, 2, [Uint8Array.of(192, 0, 2, i & 255)])
  return batch
}

async function benchAlgorithm(bench: Workbench, word: string): Promise<Result[]> {
  const algorithm = algorithmFromText(word)
  const { digest, mnemonic } = algorithm
  const key = await newPrivateKey(algorithm, 2048)
  const verifying = verifyingKey(algorithm.number, publicKeyOf(algorithm, key)!)
  const signing: LoadedKey = { ...verifying, key }
  const spend = bench.short ? MICROSECONDS / 10 : MICROSECONDS
  const count = Math.min(4096, Math.ceil(spend / algorithm.signMicroseconds))
  const batch = batchOf(count, algorithm.number)
  const message = (i: number): Uint8Array => batch.octets.subarray(batch.offsets[i], batch.offsets[i + 1])
  const plain = (one: KeyObject): { key: KeyObject; dsaEncoding: 'ieee-p1363' } => ({
    key: one,
    dsaEncoding: 'ieee-p1363',
  })
  const pool = new CryptoPool({ threads: 1 })
  try {
    const { signatures, signatureOctets } = await pool.sign(signing, batch)
    const made = Array.from({ length: count }, (_, i) =>
      signatures.subarray(i * signatureOctets, (i + 1) * signatureOctets),
    )
    const [own, other] = [plain(key), plain(verifying.key)]
    const signLoop = (): void => {
      for (let i = 0; i < count; i++) sign(digest, message(i), own)
    }
    const verifyLoop = (): void => {
      for (let i = 0; i < count; i++) verify(digest, message(i), other, made[i]!)
    }
    await pool.verify(verifying, batch, made)
    const [signs, verifies, latencies] = [new Values(), new Values(), new Values()]
    for (let run = 0; run < bench.runs; run++) {
      signs.add(LOOP, await cpuMicroseconds(count, signLoop))
      signs.add(OURS, await cpuMicroseconds(count, () => pool.sign(signing, batch)))
      verifies.add(LOOP, await cpuMicroseconds(count, verifyLoop))
      verifies.add(OURS, await cpuMicroseconds(count, () => pool.verify(verifying, batch, made)))
    }
    for (let run = 0; run < LATENCY_RUNS; run++) {
      const start = performance.now()
      await pool.sign(signing, { octets: batch.octets, offsets: batch.offsets, count: 1 })
      latencies.add(OURS, (performance.now() - start) * 1000)
    }
    return [
      { quantity: `${mnemonic}: CPU a signature`, unit: 'µs', values: signs.all },
      { quantity: `${mnemonic}: CPU a verification`, unit: 'µs', values: verifies.all },
      { quantity: `${mnemonic}: one signature's latency`, unit: 'µs', values: latencies.all },
    ]
  } finally {
    await pool.close()
  }
}
