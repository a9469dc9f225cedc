import { spawnSync } from 'node:child_process'
import { Writable } from 'node:stream'
import test from 'ava'
import { ConclaveError } from '../../base/index.ts'
import { createLogger } from '../../server/log.ts'

/** `lines` resolves when what was logged so far is written. */
function sink(): { stream: Writable; writes: string[]; lines: () => Promise<string[]> } {
  const writes: string[] = []
  const stream = new Writable({
    write(part, _encoding, done) {
      writes.push(String(part))
      done()
    },
  })
  const lines = async (): Promise<string[]> => {
    await new Promise(resolve => setImmediate(resolve))
    return writes.join('').split(/(?<=\n)/)
  }
  return { stream, writes, lines }
}

const error = new ConclaveError('ZONE_SYNTAX', 'a bad escape', {
  place: { file: 'a.zone', line: 3, column: 1 },
  remedy: 'Write \\DDD.',
})

test('JSON lines where there is no terminal', async t => {
  const { stream, lines: written } = sink()
  const log = createLogger({ stream })
  log.info('zone published', { zone: 'example.', serial: 7 })
  log.debug('not shown')
  log.warn('version refused', { error })
  const lines = await written()
  t.is(lines.length, 2)
  const first = JSON.parse(lines[0] ?? '') as Record<string, unknown>
  t.like(first, { level: 'info', msg: 'zone published', zone: 'example.', serial: 7 })
  t.regex(String(first['time']), /^\d{4}-\d\d-\d\dT/)
  t.like(JSON.parse(lines[1] ?? ''), {
    error: { code: 'ZONE_SYNTAX', place: { line: 3 }, remedy: 'Write \\DDD.' },
  })
})

test('readable lines on a terminal, each one line whatever is in it', async t => {
  const { stream, lines: written } = sink()
  const log = createLogger({ stream, readable: true, level: 'debug' })
  log.warn('version refused', { zone: 'example.', error })
  log.debug('odd', { name: 'a\n\u001b[31mred', plain: 1 })
  const lines = await written()
  t.regex(
    lines[0] ?? '',
    /^\d\d:\d\d:\d\d warn {2}version refused zone=example\. error=a\.zone:3:1: a bad escape\. Write \\DDD\. \[ZONE_SYNTAX\]\n$/,
  )
  t.regex(lines[1] ?? '', / name="a\\n\\u001b\[31mred" plain=1\n$/)
})

test('an error of the system is no bug, and has no stack', async t => {
  const { stream, lines: written } = sink()
  const system = Object.assign(new Error('EACCES: permission denied'), { syscall: 'open' })
  const log = createLogger({ stream })
  log.warn('unreadable', { error: system })
  log.warn('bug', { error: new TypeError('undefined is no function') })
  const lines = await written()
  const [first, second] = lines.map(line => JSON.parse(line) as { error: Record<string, unknown> })
  t.deepEqual(first?.error, { message: 'EACCES: permission denied' })
  t.is(typeof second?.error['stack'], 'string')
})

test('what has no form in JSON is shown, too, and harms nobody', async t => {
  const { stream, lines: written } = sink()
  const log = createLogger({ stream })
  const cycle: unknown[] = []
  cycle.push(cycle, 1)
  log.info('odd', { cycle, serial: 7n })
  const lines = await written()
  t.like(JSON.parse(lines[0] ?? ''), { level: 'info', msg: 'odd', cycle: ',1', serial: '7' })
})

test('lines of one turn are written together, and those before the process ends', async t => {
  const { stream, writes, lines } = sink()
  const log = createLogger({ stream })
  log.info('first')
  log.info('second')
  t.deepEqual(writes, [])
  t.is((await lines()).length, 2)
  t.is(writes.length, 1)
  const logging = `import { createLogger } from '${import.meta.resolve('../../server/log.js')}'
    createLogger().info('last')
    process.exit(1)`
  const { stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', logging], { encoding: 'utf8' })
  t.regex(stderr, /"msg":"last"\}\n$/)
})

test('a destination that fails harms nobody', async t => {
  const stream = new Writable({ write: (_part, _encoding, done) => done(new Error('EPIPE')) })
  const log = createLogger({ stream })
  log.error('first')
  await new Promise(resolve => setImmediate(resolve))
  log.error('second')
  t.pass()
})
