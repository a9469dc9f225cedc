import { Writable } from 'node:stream'
import test from 'ava'
import { ConclaveError } from '../../base/index.ts'
import { createLogger } from '../../server/log.ts'

function sink(): { stream: Writable; lines: string[] } {
  const lines: string[] = []
  const stream = new Writable({
    write(part, _encoding, done) {
      lines.push(String(part))
      done()
    },
  })
  return { stream, lines }
}

const error = new ConclaveError('ZONE_SYNTAX', 'a bad escape', {
  place: { file: 'a.zone', line: 3, column: 1 },
  remedy: 'Write \\DDD.',
})

test('JSON lines where there is no terminal', t => {
  const { stream, lines } = sink()
  const log = createLogger({ stream })
  log.info('zone published', { zone: 'example.', serial: 7 })
  log.debug('not shown')
  log.warn('version refused', { error })
  t.is(lines.length, 2)
  const first = JSON.parse(lines[0] ?? '') as Record<string, unknown>
  t.like(first, { level: 'info', msg: 'zone published', zone: 'example.', serial: 7 })
  t.regex(String(first['time']), /^\d{4}-\d\d-\d\dT/)
  t.like(JSON.parse(lines[1] ?? ''), {
    error: { code: 'ZONE_SYNTAX', place: { line: 3 }, remedy: 'Write \\DDD.' },
  })
})

test('readable lines on a terminal, each one line whatever is in it', t => {
  const { stream, lines } = sink()
  const log = createLogger({ stream, readable: true, level: 'debug' })
  log.warn('version refused', { zone: 'example.', error })
  log.debug('odd', { name: 'a\n\u001b[31mred', plain: 1 })
  t.regex(
    lines[0] ?? '',
    /^\d\d:\d\d:\d\d warn {2}version refused zone=example\. error=a\.zone:3:1: a bad escape\. Write \\DDD\. \[ZONE_SYNTAX\]\n$/,
  )
  t.regex(lines[1] ?? '', / name="a\\n\\u001b\[31mred" plain=1\n$/)
})

test('an error of the system is no bug, and has no stack', t => {
  const { stream, lines } = sink()
  const system = Object.assign(new Error('EACCES: permission denied'), { syscall: 'open' })
  const log = createLogger({ stream })
  log.warn('unreadable', { error: system })
  log.warn('bug', { error: new TypeError('undefined is no function') })
  const [first, second] = lines.map(line => JSON.parse(line) as { error: Record<string, unknown> })
  t.deepEqual(first?.error, { message: 'EACCES: permission denied' })
  t.is(typeof second?.error['stack'], 'string')
})

test('what has no form in JSON is shown, too, and harms nobody', t => {
  const { stream, lines } = sink()
  const log = createLogger({ stream })
  const cycle: unknown[] = []
  cycle.push(cycle, 1)
  log.info('odd', { cycle, serial: 7n })
  t.like(JSON.parse(lines[0] ?? ''), { level: 'info', msg: 'odd', cycle: ',1', serial: '7' })
})

test('a destination that fails harms nobody', async t => {
  const stream = new Writable({ write: (_part, _encoding, done) => done(new Error('EPIPE')) })
  const log = createLogger({ stream })
  log.error('first')
  await new Promise(resolve => setImmediate(resolve))
  log.error('second')
  t.pass()
})
