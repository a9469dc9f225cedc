/** A quorum is made by one command, and its nodes run by another, until they are told to stop. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import test from 'ava'
import { TestQuorum } from '../support/quorum.ts'
import { commandFile, conclave, directoryOf, projectRoot, run, ServeProcess } from '../support/serve.ts'

const SMALL = { nodes: 3, threshold: 2 }

test.serial('hsm init makes bundles whose secrets are their own, and replaces nothing', async t => {
  const quorum = await TestQuorum.create(t, SMALL)
  t.deepEqual(readdirSync(quorum.directory).sort(), [
    'coordinator',
    'node1',
    'node2',
    'node3',
    'quorum.yaml',
    'start',
  ])
  for (const name of ['key', 'node.yaml', 'vault/vault', 'vault/identity.sealed']) {
    t.is(statSync(join(quorum.directory, 'node1', name)).mode & 0o777, 0o600, name)
  }
  t.is(statSync(join(quorum.directory, 'node1')).mode & 0o777, 0o700)
  t.is(statSync(join(quorum.directory, 'start')).mode & 0o111, 0o111)
  const again = await conclave(['hsm', 'init', '--dir', quorum.directory])
  t.is(again.code, 1)
  t.regex(again.err, /QUORUM_EXISTS/)
})

test.serial('hsm init: sizes that cannot be are told', async t => {
  const directory = directoryOf(t, {})
  const init = async (...words: string[]): Promise<string> => {
    const { code, err } = await conclave(['hsm', 'init', '--dir', directory, ...words])
    return `${code} ${/\[(\w+)\]/.exec(err)?.[1]}`
  }
  t.is(await init('--nodes', '4', '--threshold', '2'), '1 QUORUM_SIZE')
  t.is(await init('--nodes', '5', '--threshold', '6'), '2 USAGE')
  t.is(await init('--first-port', '65535'), '2 USAGE')
  t.deepEqual(readdirSync(directory), [])
})

test.serial(
  'a node says that it listens, reads its policy again on SIGHUP or refuses it whole, and stops on SIGTERM',
  async t => {
    const quorum = await TestQuorum.create(t, SMALL)
    await quorum.start(['node1'])
    const node = quorum.node('node1')
    t.deepEqual(node.events()[0], {
      event: 'listening',
      node: 'node1',
      addresses: { coordinator: `tcp://127.0.0.1:${quorum.firstPort}` },
      audit: 0,
    })
    const file = quorum.nodeFile('node1')
    const before = readFileSync(file, 'utf8')
    writeFileSync(file, before.replace('validity-max', 'validty-max').replace('keygen: true', 'keygen: 1'))
    node.kill('SIGHUP')
    await node.logged('the policy was not changed')
    t.deepEqual(
      node.log.flatMap(({ fault }) =>
        typeof fault === 'string' ? [fault.replace(/^.*?:(\d+:\d+): .*\[/, '$1 ')] : [],
      ),
      ['31:11 CONFIG_VALUE]', '43:7 CONFIG_UNKNOWN_KEY]'],
    )
    writeFileSync(file, before.replace('ttl-max: 7d', 'ttl-max: 1d'))
    node.kill('SIGHUP')
    await node.logged('the policy was read again')
    writeFileSync(file, before.replace('audit: audit.log', 'audit: other.log'))
    node.kill('SIGHUP')
    await node.logged('more than the policy has changed in the file: that takes a restart')
    t.is(await node.stop('SIGTERM'), 0)
  },
)

test.serial('one node in a directory, one on an address; faults of the file have their places', async t => {
  const quorum = await TestQuorum.create(t, SMALL)
  await quorum.start(['node1'])
  const twice = await conclave(['hsm', 'node', quorum.nodeFile('node1')])
  t.is(twice.code, 1)
  t.regex(twice.err, /NODE_RUNNING/)
  const second = quorum.nodeFile('node2')
  writeFileSync(
    second,
    readFileSync(second, 'utf8').replace(`:${quorum.firstPort + 1}`, `:${quorum.firstPort}`),
  )
  const taken = await conclave(['hsm', 'node', second])
  t.is(taken.code, 1)
  t.regex(taken.err, /NODE_LISTEN/)
  appendFileSync(second, 'polcy: {}\n')
  const faulty = await conclave(['hsm', 'node', second])
  t.is(faulty.code, 1)
  t.regex(faulty.err, /node\.yaml:50:1: error: unknown key "polcy"; did you mean policy\?/)
})

test.serial(
  'vaults by passphrase: a node starts with the variable set, and tells when it is not',
  async t => {
    const environment = { CONCLAVE_TEST_PASSPHRASE: 'correct horse' }
    const directory = join(directoryOf(t, {}), 'quorum')
    const words = ['--nodes', '3', '--threshold', '2', '--passphrase-variable', 'CONCLAVE_TEST_PASSPHRASE']
    const made = await conclave(['hsm', 'init', '--dir', directory, ...words], { environment })
    t.is(made.code, 0, made.err)
    t.false(existsSync(join(directory, 'node1/key')))
    const missing = await conclave(['hsm', 'node', join(directory, 'node1/node.yaml')])
    t.regex(missing.err, /VAULT_SECRET/)
    const wrong = await conclave(['hsm', 'node', join(directory, 'node1/node.yaml')], {
      environment: { CONCLAVE_TEST_PASSPHRASE: 'battery staple' },
    })
    t.regex(wrong.err, /VAULT_SECRET/)
  },
)

test.serial('conclave-node is a node without a nameserver; wrong words are wrong usage', async t => {
  const quorum = await TestQuorum.create(t, SMALL)
  const main = join(projectRoot, 'dist/cli/node-main.js')
  const child = spawn(process.execPath, [main, '--json', quorum.nodeFile('node3')], { stdio: 'pipe' })
  t.teardown(() => void child.kill('SIGKILL'))
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as string[]
  t.is((JSON.parse(line!) as { event: string }).event, 'listening')
  child.kill('SIGTERM')
  t.deepEqual(await once(child, 'exit'), [0, null])
  t.is((await run(process.execPath, [main])).code, 2)
  const { bin } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as {
    bin: Record<string, string>
  }
  t.is(bin['conclave-node'], 'dist/bundle/node-main.js', 'its bundle (bundle.ts)')
})

test.serial('DIR/start runs all nodes until it is told to stop', async t => {
  const quorum = await TestQuorum.create(t, SMALL)
  const child = spawn(join(quorum.directory, 'start'), {
    stdio: 'pipe',
    env: { ...process.env, CONCLAVE: `${process.execPath} ${commandFile} --json` },
  })
  t.teardown(() => void child.kill('SIGTERM'))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const names: string[] = []
  for (let count = 0; count < 3; count++) {
    names.push((JSON.parse(String((await lines.next()).value)) as { node: string }).node)
  }
  t.deepEqual(names.sort(), ['node1', 'node2', 'node3'])
  child.kill('SIGTERM')
  t.deepEqual(await once(child, 'exit'), [0, null])
  // Their locks are free: the nodes are gone.
  const after = new ServeProcess(['hsm', 'node', '--json', quorum.nodeFile('node1')], quorum.directory)
  t.teardown(async () => void (await after.stop('SIGKILL')))
  await after.until('listening', () => after.events()[0])
})

test.serial('hsm audit verify: a whole log, a changed line, a log that was cut', async t => {
  const directory = directoryOf(t, {})
  const { AuditFile, AuditLog } = await import('../../hsm/index.ts')
  const path = join(directory, 'audit.log')
  const log = AuditLog.open(new AuditFile(path))
  await log.append(['one', 'two', 'three'].map(what => ({ atUnix: 1, by: 'coordinator', what })))
  const head = `${log.state.length}:${Buffer.from(log.state.head).toString('hex')}`
  const verify = (...words: string[]) => conclave(['hsm', 'audit', 'verify', path, ...words])
  t.is((await verify()).out, `${path}: whole, 3 lines, head ${head}\n`)
  await log.append([{ atUnix: 2, by: 'coordinator', what: 'four' }])
  t.is((await verify('--head', head)).code, 0)
  const lines = readFileSync(path, 'utf8')
  writeFileSync(path, lines.replace('"two"', '"2"'))
  const changed = await verify()
  t.is(changed.code, 1)
  t.regex(changed.err, /audit\.log:3: the audit log is not whole: .*\[AUDIT_BROKEN\]/)
  writeFileSync(path, `${lines.split('\n').slice(0, 2).join('\n')}\n`)
  t.is((await verify()).code, 0)
  t.regex((await verify('--head', head)).err, /AUDIT_BROKEN/)
  t.regex((await conclave(['hsm', 'audit', 'verify', join(directory, 'none')])).err, /FILE_READ/)
})
