/** Priorities of threads, each case in a process of its own. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { getPriority, release } from 'node:os'
import test, { type ExecutionContext } from 'ava'

const LOW = 10
const base = new URL('../../base/index.js', import.meta.url)
const privileges = new URL('../../server/privileges.js', import.meta.url)

interface Priorities {
  /** Of the first thread while it gives way and afterwards, and those of the others. */
  readonly lowered: number
  readonly restored: number
  readonly others: number[]
  /** Nanoseconds: of the first thread before, meanwhile and afterwards, then of the others. */
  readonly slices: number[]
}

/** `become` is the text of what happens to the process's user before. */
function priorities(become = ''): Priorities {
  const text = `
    import { existsSync, readFileSync } from 'node:fs'
    import { getPriority, setPriority } from 'node:os'
    import { giveWayMeanwhile, ordinaryPriority, othersGiveWay, takePriority } from '${base}'
    import { dropPrivileges } from '${privileges}'
    const sliceOf = thread => {
      const path = '/proc/self/task/' + thread + '/sched'
      const text = existsSync(path) ? readFileSync(path, 'latin1') : ''
      return Number(/^se\\.slice +: +(\\d+)/m.exec(text)?.[1])
    }
    const before = sliceOf(process.pid)
    const threads = othersGiveWay()
    ${become}
    giveWayMeanwhile(threads[0])
    const lowered = getPriority()
    const during = sliceOf(process.pid)
    takePriority(ordinaryPriority)
    const others = threads.map(thread => getPriority(thread))
    const slices = [before, during, sliceOf(process.pid), ...threads.map(sliceOf)]
    console.log(JSON.stringify({ lowered, restored: getPriority(), others, slices }))`
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', text], { encoding: 'utf8' })
  return JSON.parse(output) as Priorities
}

/** Priorities of threads are Linux's, and another user can be had by root only. */
function can(t: ExecutionContext, root = false): boolean {
  if (process.platform === 'linux' && getPriority() < LOW && (!root || process.getuid?.() === 0)) return true
  t.log('skipped: needs Linux, an ordinary priority', root ? 'and root' : '')
  t.pass()
  return false
}

/** capabilities(7); containers may keep even root from raising limits. */
const CAP_SYS_RESOURCE = 24n

function mayRaiseLimits(): boolean {
  const [, capabilities] = /^CapEff:\s+(\w+)/m.exec(readFileSync('/proc/self/status', 'latin1'))!
  return ((BigInt(`0x${capabilities}`) >> CAP_SYS_RESOURCE) & 1n) === 1n
}

test('all other threads give way; the first one takes its own priority back', t => {
  if (!can(t)) return
  const { lowered, restored, others } = priorities()
  t.true(others.length > 0)
  t.deepEqual(new Set(others), new Set([LOW]))
  t.is(restored, getPriority())
  if (process.getuid?.() === 0) t.is(lowered, LOW)
})

test('who gives way has long slices, with privileges or without', t => {
  const [major, minor] = release().split('.').map(Number) as [number, number]
  const known = ['x64', 'arm64'].includes(process.arch) && (major > 6 || (major === 6 && minor >= 12))
  if (!known || !existsSync('/proc/self/sched')) {
    t.log('skipped: needs Linux 6.12')
    return t.pass()
  }
  for (const become of process.getuid?.() === 0 ? ['', 'process.setuid(65534)'] : ['']) {
    const [before, during, after, ...others] = priorities(become).slices
    t.is(during, 100_000_000, become)
    t.is(after, before)
    t.deepEqual(new Set(others), new Set([100_000_000]))
  }
})

test('where a priority could not be had back, it is kept', t => {
  if (!can(t, true)) return
  const { lowered, restored, others } = priorities('process.setuid(65534)')
  t.is(lowered, getPriority())
  t.is(restored, getPriority())
  t.deepEqual(new Set(others), new Set([LOW]))
})

test('who drops privileges may still have its priority back, and no better one, if limits can be raised', t => {
  if (!can(t, true)) return
  const better = "process.on('exit', () => setPriority(0, getPriority() - 1))"
  t.throws(() => priorities(`dropPrivileges('nobody'); ${better}`), { message: /EACCES|EPERM/ })
  const { lowered, restored } = priorities("dropPrivileges('nobody')")
  t.is(lowered, mayRaiseLimits() ? LOW : getPriority())
  t.is(restored, getPriority())
})
