import test from 'ava'
import { type Logger, ManualClock } from '../../base/index.ts'
import { verifyAudit } from '../../hsm/audit.ts'
import { toldTo } from '../../hsm/node-run.ts'
import { NodeTrust, type SessionContext } from '../../hsm/node-trust.ts'
import { PerMinute } from '../../hsm/per-minute.ts'
import { writeToSign } from '../../hsm/to-be-signed.ts'
import { TYPE } from '../../zones/index.ts'
import { deal, keygen, keygenBegin, session, toSign } from './node-support.ts'
import { NOW, openPolicy, openRule, TestQuorum } from './nodes.ts'

interface Line {
  readonly what: string
  readonly outcome?: string
  readonly messages?: number
}

function linesOf({ log }: { readonly log: string }): Line[] {
  return log
    .split('\n')
    .slice(0, -1)
    .map(text => JSON.parse(text) as Line)
}

test('I1 of node-signing: what is refused cannot fill the log, and what is signed is all there', async t => {
  const quorum = new TestQuorum(3)
  const made = await deal(quorum, 2)
  const [node] = quorum.nodes
  const good = writeToSign(toSign(made))
  const bad = writeToSign(toSign(made, { ttl: 10_000_000 }))
  const before = linesOf(node!.disk).length
  const sign = (messages: readonly Uint8Array[]) =>
    quorum.expect(node!, { kind: 'sign', key: made.id, epoch: 1, messages, approvals: [] }, 'shares')
  const told = (): Line[] => linesOf(node!.disk).slice(before)
  const count = (outcome: string): number => told().filter(line => line.outcome === outcome).length
  await sign(Array.from({ length: 60 }, () => bad))
  t.is(count('refused'), 60)
  for (let batch = 0; batch < 3; batch++) {
    const messages = Array.from({ length: 400 }, (_, at) => (at % 8 === 0 ? good : bad))
    const { results } = await sign(messages)
    t.is(results.filter(({ kind }) => kind === 'share').length, 50)
  }
  t.is(count('refused'), 100)
  t.is(count('allowed'), 150)
  t.is(told().length, 250)
  // When the minute is over, though nothing is asked any more.
  quorum.clock.advance(60)
  await quorum.ask(node!, { kind: 'hello' })
  t.like(told().at(-1), { what: 'more was not signed', by: 'coordinator', messages: 60 + 3 * 350 - 100 })
  await sign([bad])
  t.is(count('refused'), 101)
  quorum.clock.advance(60)
  await quorum.ask(node!, { kind: 'hello' })
  t.is(told().length, 252)
  t.like(verifyAudit(node!.disk.log.split('\n').slice(0, -1)), { kind: 'whole' })
  t.deepEqual(node!.bugs, [])
})

test('I1 of node-signing: so is what waits for the word of operators', async t => {
  const approvals = { operators: [new Uint8Array(32)], required: 1, types: [TYPE.A] }
  const quorum = new TestQuorum(3, { ...openPolicy, zones: [{ ...openRule, approvals }] })
  const made = await deal(quorum, 2)
  const messages = Array.from({ length: 130 }, () => writeToSign(toSign(made)))
  const request = { kind: 'sign', key: made.id, epoch: 1, messages, approvals: [] } as const
  const { results } = await quorum.expect(quorum.nodes[0]!, request, 'shares')
  t.true(results.every(({ kind }) => kind === 'pending'))
  t.is(linesOf(quorum.nodes[0]!.disk).filter(({ what }) => what === 'sign').length, 100)
})

test('I2 of node-run: what is dropped, refused or a bug has ten lines a minute each, then a number', t => {
  const lines: string[] = []
  const tell =
    (level: string) =>
    (message: string, fields: object = {}): void => {
      lines.push(`${level} ${message} ${JSON.stringify(fields)}`)
    }
  const log: Logger = { debug: tell('debug'), info: tell('info'), warn: tell('warn'), error: tell('error') }
  const clock = new ManualClock(NOW)
  const { onDropped, onRefused, onBug } = toldTo(log, clock)
  for (let at = 0; at < 1000; at++) {
    onRefused('c', 'POLICY', 'no')
    if (at % 2 === 0) onRefused('d', 'POLICY', 'no')
    if (at % 4 === 0) onDropped('c', 'it came before')
    if (at < 11) onBug(new Error('x'))
  }
  t.is(lines.length, 40)
  t.is(lines[0], 'warn a request was refused {"coordinator":"c","code":"POLICY","what":"no"}')
  clock.advance(60)
  t.deepEqual(lines.slice(40).sort(), [
    'warn more of that was not told {"kind":"bugs","count":1}',
    'warn more of that was not told {"kind":"dropped of c","count":240}',
    'warn more of that was not told {"kind":"refused to c","count":990}',
    'warn more of that was not told {"kind":"refused to d","count":490}',
  ])
  onRefused('c', 'POLICY', 'no')
  clock.advance(120)
  t.is(lines.length, 45)
})

test('a node tells of every request that it refuses', async t => {
  const quorum = new TestQuorum(2)
  const [node] = quorum.nodes
  await quorum.ask(node!, { kind: 'keygen-parts', session: session(), round1: [] })
  await quorum.ask(node!, { kind: 'commit', key: '0'.repeat(32), epoch: 1, count: 1 })
  await quorum.ask(node!, { kind: 'hello' })
  await quorum.ask(node!, { ...keygenBegin(quorum, 2), more: 1 } as never)
  t.deepEqual(node!.refused, ['coordinator SESSION', 'coordinator KEY_UNKNOWN', 'coordinator MALFORMED'])
})

test('I5 of node-trust: so many sessions begin a minute, and other coordinators have their own number', async t => {
  const clock = new ManualClock(NOW)
  const trust = new NodeTrust({ clock } as unknown as SessionContext)
  for (let at = 0; at < 2000; at++) trust.checkRate('c')
  t.throws(() => trust.checkRate('c'), { message: /more than 2000 sessions a minute/ })
  t.notThrows(() => trust.checkRate('d'))
  clock.advance(60)
  t.notThrows(() => trust.checkRate('c'))
  // Sessions that begin are counted.
  const quorum = new TestQuorum(3)
  const made = await keygen(quorum, 2)
  const [node] = quorum.nodes
  const original = NodeTrust.prototype.checkRate
  let checked = 0
  NodeTrust.prototype.checkRate = () => {
    checked++
  }
  t.teardown(() => {
    NodeTrust.prototype.checkRate = original
  })
  await quorum.expect(node!, keygenBegin(quorum, 2), 'pledge')
  t.is(checked, 1)
  const { id: key, octets: record } = made
  const again = { kind: 'reshare', session: session(), key, epoch: 1, record, set: [1, 2] } as const
  await quorum.expect(node!, { ...again, members: quorum.members, threshold: 2 }, 'dealt')
  t.is(checked, 2)
})

test('I2 of per-minute: a clock that is set back, or a timer that is late, begins a new minute', t => {
  const clock = new ManualClock(NOW)
  const rests: number[] = []
  const counted = new PerMinute(clock, (_, count) => rests.push(count))
  const takes = (): boolean => counted.takes('x', 2)
  t.deepEqual([takes(), takes(), takes(), takes()], [true, true, false, false])
  clock.advance(-3600)
  t.deepEqual([takes(), takes(), takes()], [true, true, false])
  t.deepEqual(rests, [2])
  clock.advance(59)
  t.false(takes())
  clock.advance(1)
  t.deepEqual(rests, [2, 2])
  t.true(takes())
  // The timer of the first one has gone.
  clock.advance(3600)
  t.deepEqual(rests, [2, 2])
  let nowUnix = NOW
  const late = { now: () => nowUnix, after: () => ({ cancel: () => {} }) }
  const waiting = new PerMinute(late, (_, count) => rests.push(count))
  t.deepEqual([waiting.takes('x', 1), waiting.takes('x', 1)], [true, false])
  nowUnix += 60
  t.true(waiting.takes('x', 1))
  t.deepEqual(rests, [2, 2, 1])
})
