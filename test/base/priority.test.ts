/** Priorities of threads, each case in a process of its own. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { getPriority } from 'node:os'
import test, { type ExecutionContext } from 'ava'

const LOW = 10
const base = new URL('../../base/index.js', import.meta.url)
const privileges = new URL('../../server/privileges.js', import.meta.url)

/** What the priority of the first thread is while it gives way and afterwards, and those of the others; `become` is the
 *  text of what happens to the process's user before. */
function priorities(become = ''): { lowered: number; restored: number; others: number[] } {
  const text = `
    import { getPriority, setPriority } from 'node:os'
    import { giveWayMeanwhile, ordinaryPriority, othersGiveWay, takePriority } from '${base}'
    import { dropPrivileges } from '${privileges}'
    const threads = othersGiveWay()
    ${become}
    giveWayMeanwhile(threads[0])
    const lowered = getPriority()
    takePriority(ordinaryPriority)
    const others = threads.map(thread => getPriority(thread))
    console.log(JSON.stringify({ lowered, restored: getPriority(), others }))`
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', text], { encoding: 'utf8' })
  return JSON.parse(output) as ReturnType<typeof priorities>
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
