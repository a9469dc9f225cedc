import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, promises as fs, openSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { type Clock, type ConclaveError, ManualClock, systemClock, writersOf } from '../../base/index.ts'
import { type SourceWatcher, watchSources } from '../../server/watch.ts'
import {
  MISSING_TICKS,
  phaseAfterLook,
  phaseAfterTick,
  RENAMED_TICKS,
  STILL_TICKS,
} from '../../server/watch-file.ts'
import { readSource, type StableRead } from '../../server/watch-read.ts'

type Event =
  | {
      kind: 'stable'
      file: string
      text: string
      changed: readonly string[]
      repeated: boolean
      read: StableRead
    }
  | { kind: 'gone'; file: string; missing: string }
  | { kind: 'unreadable'; file: string; error: ConclaveError }
  | { kind: 'new'; file: string }

/** A watcher whose reports are awaited one by one, in order. */
class Bench {
  readonly directory: string
  readonly watcher: SourceWatcher
  readonly events: Event[] = []
  readonly notes: string[] = []
  #wake: () => void = () => {}

  constructor(directory: string, clock: Clock) {
    this.directory = directory
    const push = (event: Event): void => {
      this.events.push(event)
      this.#wake()
    }
    const note = (message: string): void => {
      this.notes.push(message)
      this.#wake()
    }
    this.watcher = watchSources({
      clock,
      log: { debug: note, info: note, warn: note, error: note },
      stillSeconds: 0.06,
      sweepSeconds: 0.1,
      onStable: (file, read, why) =>
        push({ kind: 'stable', file, text: new TextDecoder().decode(read.octets), read, ...why }),
      onGone: (file, missing) => push({ kind: 'gone', file, missing }),
      onUnreadable: (file, error) => push({ kind: 'unreadable', file, error }),
      onNew: file => push({ kind: 'new', file }),
    })
  }

  path(name: string): string {
    return join(this.directory, name)
  }

  /** Waits for something that a report or a log line makes true. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>(resolve => (this.#wake = resolve))
  }

  async next(): Promise<Event> {
    await this.until(() => this.events.length > 0)
    return this.events.shift() as Event
  }

  /** The next report must be new content of that file. */
  async stable(t: ExecutionContext, name: string, text: string): Promise<Event & { kind: 'stable' }> {
    const event = await this.next()
    t.like(event, { kind: 'stable', file: this.path(name), text })
    return event as Event & { kind: 'stable' }
  }

  write(name: string, text: string): Promise<void> {
    return fs.writeFile(this.path(name), text)
  }
}

async function bench(t: ExecutionContext, clock: Clock = systemClock): Promise<Bench> {
  const directory = await fs.realpath(await fs.mkdtemp(join(tmpdir(), 'conclave-test-')))
  const made = new Bench(directory, clock)
  t.teardown(async () => {
    await made.watcher.close()
    await fs.rm(directory, { recursive: true, force: true })
  })
  return made
}

/** A watcher of one file that was reported once. */
async function watching(t: ExecutionContext, name = 'a.zone'): Promise<Bench> {
  const made = await bench(t)
  await made.write(name, 'one')
  made.watcher.addFile(made.path(name))
  await made.stable(t, name, 'one')
  return made
}

/** The same by a clock by hand. */
async function watchingBy(t: ExecutionContext, clock: ManualClock): Promise<Bench> {
  const made = await bench(t, clock)
  await made.write('a.zone', 'one')
  made.watcher.addFile(made.path('a.zone'))
  await pump(clock, () => made.events.length > 0)
  await made.stable(t, 'a.zone', 'one')
  return made
}

async function run(command: string, ...args: string[]): Promise<void> {
  const [code] = await once(spawn(command, args, { stdio: 'ignore' }), 'close')
  if (code !== 0) throw new Error(`${command} ended with ${code}`)
}

test('a write in place is reported once, with the octets, their digest and time', async t => {
  const made = await watching(t)
  await made.write('a.zone', 'two')
  const event = await made.stable(t, 'a.zone', 'two')
  t.deepEqual(event.changed, [made.path('a.zone')])
  t.is(Buffer.from(event.read.digest, 'base64').length, 32)
  t.true(event.read.modifiedUnix > 1e9)
})

test('a rename over the file, again and again', async t => {
  const made = await watching(t)
  for (const text of ['two', 'three', 'four']) {
    await made.write('.a.zone.tmp', text)
    await fs.rename(made.path('.a.zone.tmp'), made.path('a.zone'))
    await made.stable(t, 'a.zone', text)
  }
})

test('the way of vim: the old file is moved away, a new one is written in its place', async t => {
  // No time passes between the two, however long the disk takes: else the file is gone.
  const clock = new ManualClock(0)
  const made = await watchingBy(t, clock)
  for (const text of ['two', 'three']) {
    await fs.rename(made.path('a.zone'), made.path('a.zone~'))
    await made.write('a.zone', text)
    await fs.unlink(made.path('a.zone~'))
    await pump(clock, () => made.events.length > 0)
    await made.stable(t, 'a.zone', text)
  }
})

test('sed -i', async t => {
  const made = await watching(t)
  await run('sed', '-i', 's/one/two/', made.path('a.zone'))
  await made.stable(t, 'a.zone', 'two')
})

test('truncated and then written: the empty file is not reported', async t => {
  const made = await watching(t)
  const descriptor = openSync(made.path('a.zone'), 'w')
  await made.until(() => made.notes.includes('file is changing'))
  writeSync(descriptor, 'two')
  closeSync(descriptor)
  await made.stable(t, 'a.zone', 'two')
})

test('touched, or written with the same octets: no change', async t => {
  const made = await watching(t)
  await fs.utimes(made.path('a.zone'), 1, 1)
  await made.write('a.zone', 'one')
  await made.until(() => made.notes.includes('file is changing'))
  await made.write('a.zone', 'two')
  await made.stable(t, 'a.zone', 'two')
  t.deepEqual(made.events, [])
})

test('I1: a file half-written by a process that keeps it open does not go live', async t => {
  const clock = new ManualClock(0)
  const made = await watchingBy(t, clock)
  const descriptor = openSync(made.path('a.zone'), 'w')
  const reader = openSync(made.path('a.zone'), 'r')
  const leases = writersOf(reader, made.path('a.zone')) !== 'unknown'
  closeSync(reader)
  writeSync(descriptor, 'tw')
  if (leases) {
    await pump(clock, () => made.notes.includes('file waits: a program keeps it open for writing'))
    t.deepEqual(made.events, [], 'two minutes of stillness are not enough while it is open')
  }
  writeSync(descriptor, 'o')
  closeSync(descriptor)
  await pump(clock, () => made.events.length > 0)
  await made.stable(t, 'a.zone', 'two')
})

/** Lets the file system's events come in and the clock go on, in turns. */
async function pump(clock: ManualClock, holds: () => boolean): Promise<void> {
  while (!holds()) {
    await new Promise(resolve => setImmediate(resolve))
    clock.advance(0.02)
  }
}

test('slow parts, each by its own opening, are one change', async t => {
  const clock = new ManualClock(0)
  const made = await watchingBy(t, clock)
  await made.write('a.zone', '')
  for (let part = 0; part < 20; part++) {
    await fs.appendFile(made.path('a.zone'), `${part};`)
    // Less than the stillness between two parts.
    clock.advance(0.03)
    await new Promise(resolve => setImmediate(resolve))
  }
  await pump(clock, () => made.events.length > 0)
  await made.stable(t, 'a.zone', Array.from({ length: 20 }, (_, part) => `${part};`).join(''))
})

test('deleted: reported once; when it is back, it is read', async t => {
  const made = await watching(t)
  await fs.unlink(made.path('a.zone'))
  t.deepEqual(await made.next(), { kind: 'gone', file: made.path('a.zone'), missing: made.path('a.zone') })
  await made.write('a.zone', 'one')
  await made.stable(t, 'a.zone', 'one')
})

test('a file that is not there at first is reported, and read when it comes, with its directory', async t => {
  const made = await bench(t)
  made.watcher.addFile(made.path('later/a.zone'))
  t.like(await made.next(), { kind: 'gone', file: made.path('later/a.zone') })
  await fs.mkdir(made.path('later'))
  await made.write('later/a.zone', 'one')
  await made.stable(t, 'later/a.zone', 'one')
})

test('ln -sfn: a file that is a link', async t => {
  const made = await bench(t)
  await fs.mkdir(made.path('elsewhere'))
  await made.write('elsewhere/1', 'one')
  await made.write('elsewhere/2', 'two')
  await fs.symlink('elsewhere/1', made.path('a.zone'))
  made.watcher.addFile(made.path('a.zone'))
  await made.stable(t, 'a.zone', 'one')
  await run('ln', '-sfn', 'elsewhere/2', made.path('a.zone'))
  await made.stable(t, 'a.zone', 'two')
  await made.write('elsewhere/2', 'the target itself')
  await made.stable(t, 'a.zone', 'the target itself')
})

test('a swapped link to the directory above the file (Capistrano)', async t => {
  const made = await bench(t)
  for (const release of ['1', '2', '3']) {
    await fs.mkdir(made.path(`releases/${release}`), { recursive: true })
    await made.write(`releases/${release}/a.zone`, `release ${release}`)
  }
  await fs.symlink('releases/1', made.path('current'))
  made.watcher.addFile(made.path('current/a.zone'))
  await made.stable(t, 'current/a.zone', 'release 1')
  for (const release of ['2', '3']) {
    await run('ln', '-sfn', `releases/${release}`, made.path('current'))
    await made.stable(t, 'current/a.zone', `release ${release}`)
  }
  await made.write('releases/3/a.zone', 'edited')
  await made.stable(t, 'current/a.zone', 'edited')
})

test('a swapped `..data` link (Kubernetes), with a file that is new in it', async t => {
  const made = await bench(t)
  for (const [version, names] of [
    ['..1', ['a.zone']],
    ['..2', ['a.zone', 'b.zone']],
  ] as const) {
    await fs.mkdir(made.path(`map/${version}`), { recursive: true })
    for (const name of names) await made.write(`map/${version}/${name}`, `${name} of ${version}`)
  }
  await fs.symlink('..1', made.path('map/..data'))
  await fs.symlink('..data/a.zone', made.path('map/a.zone'))
  t.deepEqual(made.watcher.addDirectory(made.path('map')), [made.path('map/a.zone')])
  await made.stable(t, 'map/a.zone', 'a.zone of ..1')
  await fs.symlink('..2', made.path('map/..data_tmp'))
  await fs.rename(made.path('map/..data_tmp'), made.path('map/..data'))
  await made.stable(t, 'map/a.zone', 'a.zone of ..2')
  await fs.symlink('..data/b.zone', made.path('map/b.zone'))
  t.like(await made.next(), { kind: 'new', file: made.path('map/b.zone') })
  await made.stable(t, 'map/b.zone', 'b.zone of ..2')
})

test('a directory: new zone files are found, others are not looked at', async t => {
  const made = await bench(t)
  await made.write('a.zone', 'one')
  await made.write('notes.txt', 'not a zone')
  await made.write('.hidden.zone', 'not a zone')
  t.deepEqual(made.watcher.addDirectory(made.directory), [made.path('a.zone')])
  await made.stable(t, 'a.zone', 'one')
  await made.write('b.zone~', 'not a zone')
  await made.write('b.zone', 'two')
  t.like(await made.next(), { kind: 'new', file: made.path('b.zone') })
  await made.stable(t, 'b.zone', 'two')
  t.deepEqual(made.watcher.files(), [made.path('a.zone'), made.path('b.zone')])
})

test('a directory that is moved away and made anew', async t => {
  const made = await bench(t)
  await fs.mkdir(made.path('zones'))
  await made.write('zones/a.zone', 'one')
  made.watcher.addDirectory(made.path('zones'))
  await made.stable(t, 'zones/a.zone', 'one')
  await fs.mkdir(made.path('zones.new'))
  await made.write('zones.new/a.zone', 'two')
  await fs.rename(made.path('zones'), made.path('zones.old'))
  await fs.rename(made.path('zones.new'), made.path('zones'))
  await made.stable(t, 'zones/a.zone', 'two')
  await made.write('zones/a.zone', 'three')
  await made.stable(t, 'zones/a.zone', 'three')
})

test('RFC 1035 §5.1: a change of an included file reports the zone file; the set of includes may change', async t => {
  const made = await bench(t)
  await fs.mkdir(made.path('inc'))
  await made.write('inc/1', 'first')
  await made.write('inc/2', 'second')
  await made.write('a.zone', 'zone')
  await made.write('b.zone', 'other')
  made.watcher.addFile(made.path('a.zone'))
  await made.stable(t, 'a.zone', 'zone')
  made.watcher.addFile(made.path('b.zone'))
  await made.stable(t, 'b.zone', 'other')
  const one = readSource(made.path('inc/1'))
  const two = readSource(made.path('inc/2'))
  made.watcher.setDependencies(made.path('a.zone'), [one])
  made.watcher.setDependencies(made.path('b.zone'), [one, two])
  await made.write('inc/1', 'first, edited')
  const both = [await made.next(), await made.next()] as (Event & { kind: 'stable' })[]
  t.deepEqual(both.map(event => event.file).sort(), [made.path('a.zone'), made.path('b.zone')])
  t.deepEqual(both[0]?.changed, [made.path('inc/1')])
  made.watcher.setDependencies(made.path('b.zone'), [two])
  await made.write('inc/2', 'second, edited')
  t.like(await made.next(), { kind: 'stable', file: made.path('b.zone'), changed: [made.path('inc/2')] })
  await fs.unlink(made.path('inc/1'))
  t.deepEqual(await made.next(), { kind: 'gone', file: made.path('a.zone'), missing: made.path('inc/1') })
})

test('an include that was missing when the zone was parsed is reported when it comes', async t => {
  const made = await watching(t)
  made.watcher.setDependencies(made.path('a.zone'), [made.path('inc')])
  t.like(await made.next(), { kind: 'gone', missing: made.path('inc') })
  await made.write('inc', 'here')
  t.like(await made.next(), { kind: 'stable', text: 'one', changed: [made.path('inc')] })
})

test('a zone file and its include that change together are one report', async t => {
  const clock = new ManualClock(0)
  const made = await bench(t, clock)
  await made.write('a.zone', 'one')
  await made.write('inc', 'first')
  made.watcher.addFile(made.path('a.zone'))
  await pump(clock, () => made.events.length > 0)
  made.events.length = 0
  made.watcher.setDependencies(made.path('a.zone'), [readSource(made.path('inc'))])
  // Of another length: hardly any time has passed by the clock of the file system.
  await made.write('a.zone', 'three')
  await made.write('inc', 'second')
  await pump(clock, () => made.events.length > 0)
  const event = await made.stable(t, 'a.zone', 'three')
  t.deepEqual([...event.changed].sort(), [made.path('a.zone'), made.path('inc')])
})

test('reread reports content that is the same, marked as repeated', async t => {
  const made = await watching(t)
  made.watcher.reread(made.path('a.zone'))
  t.like(await made.stable(t, 'a.zone', 'one'), { repeated: true, changed: [] })
  made.watcher.reread()
  t.like(await made.stable(t, 'a.zone', 'one'), { repeated: true })
})

test('what is no regular file is unreadable, with a place, and nothing waits for it', async t => {
  const made = await bench(t)
  await fs.mkdir(made.path('a.zone'))
  await run('mkfifo', made.path('b.zone'))
  made.watcher.addDirectory(made.directory)
  for (const name of ['a.zone', 'b.zone']) {
    const event = await made.next()
    t.like(event, { kind: 'unreadable', file: made.path(name) })
    if (event.kind === 'unreadable') {
      t.is(event.error.code, 'SOURCE_UNREADABLE')
      t.is(event.error.place.file, made.path(name))
    }
  }
})

test('what cannot be read is told once when it is read again, and again when it was asked for', async t => {
  const made = await bench(t)
  await fs.mkdir(made.path('a.zone'))
  made.watcher.addFile(made.path('a.zone'))
  for (const again of [false, true, true]) {
    if (again) made.watcher.reread()
    const event = await made.next()
    t.like(event, { kind: 'unreadable', file: made.path('a.zone') })
    if (event.kind === 'unreadable') t.regex(String(event.error.remedy), /Put a zone file in its place/)
  }
  await made.write('b.zone', 'other')
  made.watcher.addFile(made.path('b.zone'))
  await made.stable(t, 'b.zone', 'other')
  await fs.rmdir(made.path('a.zone'))
  await made.write('a.zone', 'one')
  await made.stable(t, 'a.zone', 'one')
})

test('a removed file is not reported any more', async t => {
  const made = await watching(t)
  await made.write('b.zone', 'other')
  made.watcher.addFile(made.path('b.zone'))
  await made.stable(t, 'b.zone', 'other')
  made.watcher.removeFile(made.path('a.zone'))
  await made.write('a.zone', 'two')
  await made.write('b.zone', 'other, edited')
  await made.stable(t, 'b.zone', 'other, edited')
})

test('many files at once: each is reported once', async t => {
  const made = await bench(t)
  const names = Array.from({ length: 500 }, (_, index) => `z${index}.zone`)
  await Promise.all(names.map(name => made.write(name, 'one')))
  t.is(made.watcher.addDirectory(made.directory).length, names.length)
  await made.until(() => made.events.length >= names.length)
  made.events.length = 0
  await Promise.all(names.map(name => made.write(name, 'two')))
  await made.until(() => made.events.length >= names.length)
  const seen = new Set(
    made.events.map(event => (event.kind === 'stable' && event.text === 'two' ? event.file : '')),
  )
  t.is(seen.size, names.length)
  t.false(seen.has(''))
})

test('I3: a file that is read in parts is read whole', async t => {
  const made = await bench(t)
  const text = '0123456789abcdef'.repeat(400_000)
  await made.write('large.zone', text)
  made.watcher.addFile(made.path('large.zone'))
  const event = await made.next()
  t.true(event.kind === 'stable' && event.text === text)
  if (event.kind === 'stable') t.is(event.read.digest, readSource(made.path('large.zone')).digest)
})

test('readSource says why it does not read', t => {
  const gone = t.throws(() => readSource('/nonexistent/a'))
  t.is((gone as ConclaveError).code, 'SOURCE_GONE')
  const directory = t.throws(() => readSource(tmpdir()))
  t.is((directory as ConclaveError).code, 'SOURCE_UNREADABLE')
})

test('I4: a file renamed over another waits less than one that is written in its place', t => {
  const before = '1:10:100:5000:5000'
  const ticks = (now: string): number => {
    const phase = phaseAfterLook({ kind: 'idle' }, now, before)
    return phase.kind === 'settling' ? STILL_TICKS - phase.ticks : -1
  }
  t.is(ticks('1:11:100:6000:7000'), RENAMED_TICKS, 'another inode, written before it got its name')
  t.is(ticks('1:11:100:6000:6000'), STILL_TICKS, 'made anew and written in its place')
  t.is(ticks('1:10:100:6000:7000'), STILL_TICKS, 'the same inode')
})

test('phases of a file', t => {
  const settling = phaseAfterLook({ kind: 'idle' }, 's2', 's1')
  t.deepEqual(settling, { kind: 'settling', stamp: 's2', ticks: 0 })
  let phase = settling
  for (let tick = 0; tick < STILL_TICKS; tick++) phase = phaseAfterTick(phase)
  t.deepEqual(phase, { kind: 'reading', stamp: 's2' })
  const halfway = phaseAfterTick(settling)
  t.is(phaseAfterLook(halfway, 's2', 's1'), halfway, 'the same stamp goes on')
  t.deepEqual(phaseAfterLook(halfway, 's3', 's1'), { kind: 'settling', stamp: 's3', ticks: 0 })
  t.deepEqual(phaseAfterLook(halfway, 's1', 's1'), { kind: 'idle' })
  let missing = phaseAfterLook(halfway, undefined, 's1')
  for (let tick = 0; tick < MISSING_TICKS; tick++) missing = phaseAfterTick(missing)
  t.deepEqual(missing, { kind: 'gone' })
  t.deepEqual(phaseAfterLook(missing, 's1', undefined), { kind: 'settling', stamp: 's1', ticks: 0 })
})
