import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { promises as fs } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import type { ConclaveError } from '../../base/index.ts'
import { defaultStateDirectory, openState, type State } from '../../server/state.ts'
import type { JournalEntry } from '../../server/state-journal.ts'
import type { StoredKeys } from '../../server/state-record.ts'
import type { Publication } from '../../server/state-zone.ts'
import { signingPolicyOf } from '../../signer/index.ts'
import { compareOctets, keyOf, nameFromText } from '../../zones/index.ts'

const octets = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : new TextDecoder().decode(value)
const apexKey = keyOf(nameFromText('example.'))

interface Scope {
  teardown(call: () => Promise<void>): void
}

async function directory(t: Scope): Promise<string> {
  const path = await fs.mkdtemp(join(tmpdir(), 'conclave-test-'))
  t.teardown(() => fs.rm(path, { recursive: true, force: true }))
  return join(path, 'state')
}

/** With octets at every depth, as keys and pending signatures have them. */
const KEYS: StoredKeys = {
  infos: [
    {
      id: 'a key',
      algorithm: 13,
      role: 'csk',
      flags: 257,
      publicKey: Uint8Array.of(1, 2, 3),
      keyTag: 4711,
      createdUnix: 1,
      where: 'here',
    },
  ],
  pending: [{ key: 'a key', ticket: 'one', octets: Uint8Array.of(4, 5) }],
  policy: signingPolicyOf({ nsec3: { iterations: 0, salt: Uint8Array.of(6) } }),
}

function version(serial: number, more: Partial<Publication> = {}): Publication {
  return {
    serial,
    sourceSerial: 1,
    sourceDigest: octets(`digest ${serial}`),
    parametersDigest: octets('parameters'),
    publishedUnix: 1000 + serial,
    newestInceptionUnix: 500 + serial,
    ...more,
  }
}

function step(from: number, to: number, size = 10): JournalEntry {
  const sourceDigest = octets('digest')
  const reason = 'file changed'
  return {
    from,
    to,
    atUnix: 1.5,
    sourceDigest,
    reason,
    removed: new Uint8Array(size),
    added: octets(`to ${to}`),
  }
}

test('what was published is read after a reopening: version, blocks in order, journal, keys, refusal', async t => {
  const path = await directory(t)
  let state = await openState(path)
  t.true(state.fresh)
  t.deepEqual(state.zones(), [])
  const zone = state.zone(apexKey)
  t.is(zone.served, undefined)
  await zone.saveKeys(KEYS)
  const names = ['b\0', '', 'a\0', 'a\0z\0']
  await zone.publish(
    version(7, {
      signatures: [
        ...names.map(name => ({ kind: 'names' as const, key: octets(name), block: octets(`of ${name}`) })),
        { kind: 'nsec3', key: new Uint8Array(20).fill(255), block: octets('hash') },
      ],
    }),
  )
  await zone.publish(
    version(8, {
      signatures: [{ kind: 'names', key: octets('a\0'), block: null }],
      journalEntry: step(7, 8),
    }),
  )
  await zone.refuse({
    atUnix: 5,
    code: 'ZONE_SYNTAX',
    what: 'a fault',
    where: 'a.zone:3:1',
    sourceDigest: octets('x'),
  })
  await state.close()

  state = await openState(path)
  t.false(state.fresh)
  t.deepEqual(state.zones(), [apexKey])
  const again = state.zone(apexKey)
  t.deepEqual(again.served, version(8))
  t.deepEqual(again.keys, KEYS)
  t.is(again.refused?.where, 'a.zone:3:1')
  t.is(state.newestInceptionUnix(), 508)
  t.deepEqual(again.journalFrom(7), [step(7, 8)])
  t.deepEqual(again.journalFrom(8), [])
  t.is(again.journalFrom(6), undefined)
  t.is(text(again.signatures('names', octets(''))), 'of ')
  t.is(again.signatures('names', octets('a\0')), undefined)
  const seen: string[] = []
  for (const walk = again.signatureWalk('names'); walk.next(); )
    seen.push(`${text(walk.key)}: ${text(walk.block)}`)
  t.deepEqual(seen, [': of ', 'a\0z\0: of a\0z\0', 'b\0: of b\0'])
  await again.publish(version(9))
  t.is(again.refused, undefined, 'a published version ends the refusal')
  t.is(again.journalFrom(8), undefined, 'a step that was not kept empties the journal')
  await state.close()
})

test('many blocks in views of one buffer, several zones, the root zone, replacing and forgetting', async t => {
  const path = await directory(t)
  const state = await openState(path)
  const one = state.zone(new Uint8Array(0))
  const two = state.zone(apexKey)
  const count = 10_000
  const backing = new Uint8Array(count * 8)
  const view = new DataView(backing.buffer)
  const changes = Array.from({ length: count }, (_, index) => {
    view.setUint32(index * 8, index)
    view.setUint32(index * 8 + 4, ~index >>> 0)
    return {
      kind: 'names' as const,
      key: backing.subarray(index * 8, index * 8 + 4),
      block: backing.subarray(index * 8 + 4, index * 8 + 8),
    }
  })
  await Promise.all([
    one.publish(version(1, { signatures: changes })),
    two.publish(version(1, { signatures: changes.slice(0, 3) })),
  ])
  let walked = 0
  let ordered = true
  let last = new Uint8Array(0)
  for (const walk = one.signatureWalk('names'); walk.next(); walked++) {
    ordered &&= walked === 0 || compareOctets(last, walk.key) < 0
    ordered &&= compareOctets(walk.block, changes[walked]?.block ?? last) === 0
    last = walk.key.slice()
  }
  t.is(walked, count)
  t.true(ordered)
  await one.publish(version(2, { replaced: ['names'], signatures: changes.slice(5, 6) }))
  const walk = one.signatureWalk('names')
  t.true(walk.next())
  t.deepEqual(walk.key, Uint8Array.of(0, 0, 0, 5))
  t.false(walk.next())
  await one.saveKeys(KEYS)
  await one.forget()
  t.is(one.served, undefined)
  t.false(one.signatureWalk('names').next())
  t.deepEqual(one.keys, KEYS)
  t.true(two.signatureWalk('names').next(), 'another zone is untouched')
  await state.close()
})

test('RFC 1982 §3.2: an earlier serial is refused, one that wraps is not', async t => {
  const state = await openState(await directory(t))
  const zone = state.zone(apexKey)
  await zone.publish(version(4294967295))
  const error = await t.throwsAsync(zone.publish(version(4294967290)))
  t.is((error as ConclaveError).code, 'STATE_SERIAL')
  await zone.publish(version(3))
  t.is(zone.served?.serial, 3)
  await state.close()
})

test('the journal stays within its bounds and is never offered with a hole', async t => {
  const state = await openState(await directory(t), { journal: { octetsMax: 1000, entriesMax: 4 } })
  const zone = state.zone(apexKey)
  await zone.publish(version(1))
  for (let serial = 2; serial < 9; serial++) {
    await zone.publish(version(serial, { journalEntry: step(serial - 1, serial) }))
  }
  t.deepEqual(
    zone.journalFrom(4)?.map(entry => entry.to),
    [5, 6, 7, 8],
  )
  t.is(zone.journalFrom(3), undefined)
  await zone.publish(version(9, { journalEntry: step(8, 9, 800) }))
  t.deepEqual(
    zone.journalFrom(7)?.map(entry => entry.to),
    [8, 9],
  )
  await zone.publish(version(10, { journalEntry: step(9, 10, 2000) }))
  t.is(zone.journalFrom(9), undefined, 'too large to be kept')
  await zone.publish(version(11, { journalEntry: step(10, 11) }))
  await zone.publish(version(20, { journalEntry: step(19, 20) }))
  t.is(zone.journalFrom(10), undefined, 'the chain begins anew at a step that does not continue')
  t.is(zone.journalFrom(19)?.length, 1)
  await state.close()
})

test('a directory in use names the process; a read-only opening works beside it', async t => {
  const path = await directory(t)
  const state = await openState(path)
  await state.zone(apexKey).publish(version(3))
  const error = (await t.throwsAsync(openState(path))) as ConclaveError
  t.is(error.code, 'STATE_LOCKED')
  t.regex(error.message, /this process/)
  const looking = await openState(path, { readOnly: true })
  t.is(looking.zone(apexKey).served?.serial, 3)
  await t.throwsAsync(looking.zone(apexKey).publish(version(4)))
  await looking.close()
  await state.close()
  const free = await openState(path)
  t.is(free.zone(apexKey).served?.serial, 3)
  await free.close()
})

for (const [title, format, pattern] of [
  ['newer', '3\n', /newer release \(format 3; this release reads 1 to 2\)/],
  ['older', '0\n', /older release \(format 0/],
  ['unreadable', 'x', /cannot be read/],
] as const) {
  test(`a state directory of ${title} format is refused`, async t => {
    const path = await directory(t)
    await (await openState(path)).close()
    await fs.writeFile(join(path, 'format'), format)
    const error = (await t.throwsAsync(openState(path))) as ConclaveError
    t.is(error.code, 'STATE_FORMAT')
    t.regex(error.message, pattern)
  })
}

test('a database that is none is an error with a remedy, and stays', async t => {
  const path = await directory(t)
  await (await openState(path)).close()
  await fs.writeFile(join(path, 'state.mdb'), 'this is no database '.repeat(1000))
  const error = (await t.throwsAsync(openState(path))) as ConclaveError
  t.is(error.code, 'STATE_CORRUPT')
  t.regex(error.remedy ?? '', /backup/)
  t.true((await fs.readFile(join(path, 'state.mdb'), 'utf8')).startsWith('this is no'))
})

/** A state of some hundred pages: trees two pages deep, and values on pages of their own. */
async function damaged(t: Scope, damage: (database: Buffer) => Buffer): Promise<string> {
  const path = await directory(t)
  const state = await openState(path)
  const signatures = Array.from({ length: 300 }, (_, number) => ({
    kind: 'names' as const,
    key: octets(`name ${String(number).padStart(3, '0')}`),
    block: new Uint8Array(number % 50 === 0 ? 20_000 : 200).fill(1),
  }))
  await state.zone(apexKey).publish(version(1, { signatures }))
  await state.close()
  const file = join(path, 'state.mdb')
  await fs.writeFile(file, damage(await fs.readFile(file)))
  return path
}

const PAGE = 4096
/** Numbers of the pages whose flags are these: 1 for a branch, 2 for a leaf, 4 for a value of several pages. */
const pagesOf = (database: Buffer, flags: number): number[] =>
  Array.from({ length: database.length / PAGE }, (_, number) => number).filter(
    number =>
      database.readUInt16LE(number * PAGE + 18) === flags && database.readUInt32LE(number * PAGE) === number,
  )
const zeroed =
  (flags: number) =>
  (database: Buffer): Buffer => {
    for (const page of pagesOf(database, flags)) database.fill(0, page * PAGE, page * PAGE + PAGE)
    return database
  }

for (const [title, damage, pattern] of [
  ['was cut off', database => database.subarray(0, PAGE * 9 + 17), /ends (before that, )?after 36881 octets/],
  ['was cut off within its first page', database => database.subarray(0, 100), /ends after 100 octets/],
  [
    'has a second page that was overwritten',
    database => database.fill(0, PAGE, 2 * PAGE),
    /page 1, at octet 4096,/,
  ],
  ['has branches that were overwritten', zeroed(1), /page [0-9]+, at octet [0-9]+, is not what LMDB wrote/],
  ['has leaves that were overwritten', zeroed(2), /page [0-9]+, at octet [0-9]+, is not what LMDB wrote/],
  ['has values that were overwritten', zeroed(4), /page [0-9]+, at octet [0-9]+, is not what LMDB wrote/],
  [
    'has a leaf twice',
    database => {
      const [first, second] = pagesOf(database, 2)
      database.copy(database, first! * PAGE, second! * PAGE, second! * PAGE + PAGE)
      return database
    },
    /is not what LMDB wrote/,
  ],
  [
    'has a node outside its page',
    database => {
      for (const page of pagesOf(database, 2)) database.writeUInt16LE(PAGE, page * PAGE + 24)
      return database
    },
    /is not what LMDB wrote/,
  ],
] satisfies [string, (database: Buffer) => Buffer, RegExp][]) {
  test(`a state database that ${title} is an error with its place and a remedy`, async t => {
    const path = await damaged(t, damage)
    for (const readOnly of [false, true]) {
      const error = (await t.throwsAsync(openState(path, { readOnly }))) as ConclaveError
      t.is(error.code, 'STATE_CORRUPT')
      t.regex(error.message, pattern)
      t.regex(error.remedy ?? '', /backup/)
    }
  })
}

test('a state database may end before pages that were taken and given back in one transaction', async t => {
  const path = await damaged(t, database => {
    for (const meta of [0, PAGE]) {
      database.writeBigUInt64LE(database.readBigUInt64LE(meta + 144) + 5n, meta + 144)
    }
    return database
  })
  const state = await openState(path)
  t.is(state.zone(apexKey).served?.serial, 1)
  await state.zone(apexKey).publish(version(2))
  await state.close()
})

test('a state directory that is a file is an error with a remedy', async t => {
  const path = await directory(t)
  await fs.writeFile(path, '')
  const error = (await t.throwsAsync(openState(path))) as ConclaveError
  t.is(error.code, 'STATE_OPEN')
  t.regex(error.remedy ?? '', /--state/)
})

test('files of the state are for their owner only', async t => {
  const path = await directory(t)
  const state = await openState(path)
  await state.zone(apexKey).publish(version(1))
  t.is((await fs.stat(path)).mode & 0o777, 0o700)
  t.is((await fs.stat(join(path, 'state.mdb'))).mode & 0o777, 0o600)
  await state.close()
})

test('a backup is a state directory', async t => {
  const path = await directory(t)
  const state = await openState(path)
  await state.zone(apexKey).publish(version(6))
  await state.backup(`${path}-copy`)
  await state.close()
  const copy = await openState(`${path}-copy`)
  t.is(copy.zone(apexKey).served?.serial, 6)
  await copy.close()
})

test('the default directory lies beside the file, or in the directory', async t => {
  const path = await directory(t)
  await fs.mkdir(path)
  t.is(defaultStateDirectory(path), join(path, '.conclave'))
  t.is(defaultStateDirectory(join(path, 'example.zone')), join(path, '.conclave'))
})

const KILLS = 20

test(`SIGKILL at ${KILLS} points: the serial never goes back and what is read is whole`, async t => {
  const path = await directory(t)
  let state: State
  let highest = 0
  // A fixed sequence of delays, so that a failure can be repeated as far as the machine's speed allows.
  let seed = 12345
  for (let kill = 0; kill < KILLS; kill++) {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff
    highest = Math.max(highest, await publishUntilKilled(path, 1 + ((seed >> 8) % 3), (seed >> 12) % 40))
    state = await openState(path)
    const zone = state.zone(apexKey)
    const serial = zone.served?.serial ?? 0
    t.true(serial >= highest, `${serial} was read, ${highest} was published`)
    highest = serial
    const steps = zone.journalFrom(Math.max(1, serial - 3)) ?? []
    t.is(steps.at(-1)?.to ?? serial, serial)
    t.is(zone.served?.sourceDigest[0] ?? 0, serial & 255)
    for (const walk = zone.signatureWalk('names'); walk.next(); ) {
      if (new Set(walk.block).size !== 1 || walk.block.length !== 100) t.fail('a block is not whole')
    }
    await state.close()
  }
  t.true(highest >= KILLS, `${highest} versions were published in all`)
})

/** Lets another process publish versions, kills it so long after its so-manieth version, gives the last serial it said was durable. */
async function publishUntilKilled(path: string, versions: number, milliseconds: number): Promise<number> {
  const script = `
    import { openState } from ${JSON.stringify(new URL('../../server/state.js', import.meta.url).href)}
    const state = await openState(process.argv[1])
    const zone = state.zone(new Uint8Array(${JSON.stringify([...apexKey])}))
    const none = new Uint8Array(0)
    for (let serial = (zone.served?.serial ?? 0) + 1; ; serial++) {
      const sourceDigest = Uint8Array.of(serial)
      const signatures = Array.from({ length: 4500 }, (_, at) => ({ kind: 'names', key: Uint8Array.of(at >> 8, at),
        block: new Uint8Array(100).fill(serial) }))
      await zone.publish({ serial, sourceSerial: 1, sourceDigest, parametersDigest: none, publishedUnix: 1, newestInceptionUnix: 1, signatures,
        journalEntry: { from: serial - 1, to: serial, atUnix: 1, sourceDigest, reason: 'test', removed: none, added: none } })
      process.stdout.write(serial + '\\n')
    }`
  const child: ChildProcess = spawn(process.execPath, ['--input-type=module', '-e', script, path])
  let said = ''
  let armed = false
  child.stdout?.on('data', part => {
    said += String(part)
    if (armed || said.split('\n').length <= versions) return
    armed = true
    setTimeout(() => child.kill('SIGKILL'), milliseconds)
  })
  let fault = ''
  child.stderr?.on('data', part => {
    fault += String(part)
  })
  const [code, signal] = await once(child, 'close')
  if (signal !== 'SIGKILL') throw new Error(`the child ended with ${code}: ${fault}`)
  // The last line may be cut short.
  return Number(said.slice(0, said.lastIndexOf('\n')).split('\n').at(-1))
}
