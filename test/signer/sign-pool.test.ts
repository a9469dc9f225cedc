import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { getPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import test from 'ava'
import { ManualClock } from '../../base/index.ts'
import { publicKeyOf, signatureOctetsOf } from '../../signer/algorithms.ts'
import { algorithmOf, CryptoPool, type LoadedKey, type Messages, verifyingKey } from '../../signer/index.ts'
import { newPrivateKey } from '../../signer/local-keys.ts'

async function keyPair(number: number): Promise<{ signing: LoadedKey; verifying: LoadedKey }> {
  const algorithm = algorithmOf(number)
  const key = await newPrivateKey(algorithm, 2048)
  const publicKey = publicKeyOf(algorithm, key)!
  const signing = { algorithm, key, publicKey, signatureOctets: signatureOctetsOf(algorithm, publicKey) }
  return { signing, verifying: verifyingKey(number, publicKey) }
}

/** So many messages of 1 to 40 octets, in memory that is not shared. */
function messages(count: number): Messages {
  const offsets = new Uint32Array(count + 1)
  for (let index = 0; index < count; index++) offsets[index + 1] = offsets[index]! + 1 + (index % 40)
  const octets = new Uint8Array(offsets[count]!).map((_, at) => at & 255)
  return { octets, offsets, count }
}

function split(signatures: Uint8Array, size: number): Uint8Array[] {
  return Array.from({ length: signatures.length / size }, (_, i) =>
    signatures.subarray(i * size, (i + 1) * size),
  )
}

for (const number of [8, 13, 14, 15, 16]) {
  test(`batches of ${algorithmOf(number).mnemonic} are signed and verified, on the spot and by threads`, async t => {
    const { signing, verifying } = await keyPair(number)
    const pool = new CryptoPool({ threads: 2 })
    for (const count of [0, 1, 8, 30]) {
      const batch = messages(count)
      const result = await pool.sign(signing, batch)
      t.is(result.failure, undefined)
      t.deepEqual([...result.done], Array(count).fill(1))
      const signatures = split(result.signatures, result.signatureOctets)
      t.deepEqual([...(await pool.verify(verifying, batch, signatures))], Array(count).fill(1))
      if (count < 8) continue
      const spoilt = signatures.map(one => one.slice())
      spoilt[3]![5]! ^= 1
      spoilt[5] = spoilt[5]!.subarray(1)
      spoilt[6] = spoilt[7]!
      const right = [...(await pool.verify(verifying, batch, spoilt))]
      t.deepEqual(
        right.flatMap((one, index) => (one === 1 ? [] : [index])),
        [3, 5, 6],
      )
    }
    await pool.close()
  })
}

test('small batches start no thread; large ones do, and threads end after some idle time', async t => {
  const { signing } = await keyPair(13)
  const clock = new ManualClock(1_700_000_000)
  const pool = new CryptoPool({ threads: 1, clock })
  await pool.sign(signing, messages(8))
  await pool.sign((await keyPair(8)).signing, messages(8))
  t.is(pool.threads, 0)
  await pool.sign(signing, messages(100))
  t.is(pool.threads, 1)
  clock.advance(15)
  await pool.sign(signing, messages(100))
  clock.advance(15)
  t.is(pool.threads, 1, 'work puts the end off')
  clock.advance(10)
  t.is(pool.threads, 0)
  t.is((await pool.sign(signing, messages(100))).failure, undefined)
  clock.advance(39)
  t.is(pool.threads, 1, 'another one waits twice as long')
  clock.advance(2)
  t.is(pool.threads, 0)
  for (let time = 0; time < 10; time++) {
    await pool.sign(signing, messages(100))
    clock.advance(3601)
    t.is(pool.threads, 0, 'none waits for more than an hour')
  }
  await pool.close()
})

test.serial('the priority of the process stays; only the threads give way', async t => {
  const before = getPriority()
  const pool = new CryptoPool({ threads: 1 })
  await pool.sign((await keyPair(13)).signing, messages(100))
  t.is(getPriority(), before)
  if (process.platform === 'linux') {
    // proc(5): the nice value is field 19 of stat; the second field is the name, in parentheses.
    const nices = readdirSync('/proc/self/task').map(task => {
      const stat = readFileSync(`/proc/self/task/${task}/stat`, 'latin1')
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16])
    })
    // Whoever runs the tests may have given way already.
    const expected =
      before < 10 ? nices.filter(nice => nice === 10).length === 1 : nices.every(nice => nice === before)
    t.true(expected, nices.join(' '))
  }
  await pool.close()
})

test('a closed pool answers CLOSED, also to what was under way', async t => {
  const { signing } = await keyPair(14)
  const pool = new CryptoPool({ threads: 1 })
  const underWay = pool.sign(signing, messages(200))
  await pool.close()
  t.is((await underWay).failure, 'CLOSED')
  t.is((await pool.sign(signing, messages(200))).failure, 'CLOSED')
})

test('deadlines and signals stop what is not under way yet', async t => {
  const { signing } = await keyPair(13)
  const clock = new ManualClock(1000)
  const pool = new CryptoPool({ threads: 1, clock })
  const late = await pool.sign(signing, messages(100), { deadlineUnix: 999 })
  t.is(late.failure, 'DEADLINE')
  t.false(late.done.includes(1))
  const signal = AbortSignal.abort()
  t.is((await pool.sign(signing, messages(100), { signal })).failure, 'ABORTED')
  t.is((await pool.sign(signing, messages(100), { deadlineUnix: 1000 })).failure, undefined)
  await pool.close()
})

test('a thread that dies fails its chunks whole; the next batch starts another', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'conclave-pool-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  // Says that it did half of the first chunk, then ends; from then on it works.
  const marker = join(directory, 'died')
  const worker = join(directory, 'worker.mjs')
  const chunk = new URL('../../signer/crypto-chunk.js', import.meta.url).href
  writeFileSync(
    worker,
    `import { existsSync, writeFileSync } from 'node:fs'
     import { parentPort } from 'node:worker_threads'
     import { runChunk } from ${JSON.stringify(chunk)}
     parentPort.on('message', work => {
       if (existsSync(${JSON.stringify(marker)})) {
         runChunk(work)
         parentPort.postMessage({ chunk: work.chunk })
         return
       }
       writeFileSync(${JSON.stringify(marker)}, '')
       work.done[work.start] = 1
       throw new Error('out of luck')
     })`,
  )
  const pool = new CryptoPool({ threads: 1, worker: pathToFileURL(worker) })
  const { signing, verifying } = await keyPair(13)
  const result = await pool.sign(signing, messages(100))
  t.is(result.failure, 'CRYPTO_THREAD_LOST')
  t.is(result.fault, 'out of luck')
  t.false(result.done.includes(1))
  t.is(pool.threads, 0)
  const again = await pool.sign(signing, messages(100))
  t.is(again.failure, undefined)
  rmSync(marker)
  await pool.close()
  const broken = new CryptoPool({ threads: 1, worker: pathToFileURL(worker) })
  const signatures = split(again.signatures, 64)
  await t.throwsAsync(broken.verify(verifying, messages(100), signatures), { code: 'CRYPTO_FAILED' })
  await broken.close()
})
