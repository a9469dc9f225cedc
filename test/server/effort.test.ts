/** When a nameserver says that versions are being made. */
import { execFileSync } from 'node:child_process'
import { getPriority } from 'node:os'
import test from 'ava'
import { Effort } from '../../server/effort.ts'
import { answers, BASE, testServer } from '../support/embedding.ts'

test('the first that begins and the last that ends are told of, also of one that fails', async t => {
  const told: (boolean | string)[] = []
  const effort = new Effort(working => told.push(working))
  let fail = (_: Error): void => undefined
  const failing = effort.during(1000, () => new Promise<never>((_, reject) => (fail = reject)))
  t.is(await effort.during(1e6, async () => told.push('second')), 2)
  fail(new Error('no'))
  await t.throwsAsync(failing, { message: 'no' })
  t.deepEqual(told, [true, 'second', false])
})

test('a change of a large zone is work, one of a small zone is not', async t => {
  const { server } = await testServer(t)
  const told: boolean[] = []
  server.on('working', working => told.push(working))
  const hosts = Array.from({ length: 1000 }, (_, index) => ({
    name: `h${index}`,
    type: 'A',
    data: '192.0.2.1',
  }))
  const small = await server.addZone('example', BASE)
  await small.change({ add: [hosts[0]!] })
  t.deepEqual(told, [])
  const large = await server.addZone('large.example', [...BASE, ...hosts], { signing: false })
  await large.change({ remove: [{ name: 'h1' }] })
  t.deepEqual(told, [true, false, true, false])
  t.is(answers(server, 'h0.large.example.', 'A').length, 1)
})

test('a thread that is started while the first one gives way answers with the ordinary priority and slices', t => {
  if (process.platform !== 'linux' || process.getuid?.() !== 0 || getPriority() >= 10) {
    t.log('skipped: needs Linux and root, whose threads have their priority back')
    return t.pass()
  }
  const [base, server] = ['base', 'server'].map(room => new URL(`../../${room}/index.js`, import.meta.url))
  const text = `
    import { existsSync, readdirSync, readFileSync } from 'node:fs'
    import { getPriority } from 'node:os'
    import { giveWay, othersGiveWay } from '${base}'
    import { createNameserver } from '${server}'
    const server = await createNameserver({ workers: 1 })
    othersGiveWay()
    giveWay()
    await server.listen(['127.0.0.1@0'])
    const threads = readdirSync('/proc/self/task')
    const answering = threads.filter(thread => getPriority(Number(thread)) === ${getPriority()})
    // Kernels that know no other slices than ordinary ones may tell none.
    const paths = answering.map(thread => '/proc/self/task/' + thread + '/sched')
    const long = path => existsSync(path) && /^se\\.slice +: +100000000$/m.test(readFileSync(path, 'latin1'))
    console.log(paths.filter(path => !long(path)).length)
    await server.close()`
  const words = ['--input-type=module', '-e', text]
  t.is(Number(execFileSync(process.execPath, words, { encoding: 'utf8' })), 1)
})
