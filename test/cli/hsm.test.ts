/** The distributed HSM as its users meet it: 3 of 5 node processes, made and asked by commands, serve zones whose signatures
 *  others accept; nodes crash, hang, come back and lie meanwhile. One quorum for all tests, one test after the other. */
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { TestQuorum } from '../support/quorum.ts'
import {
  conclave,
  directoryOf,
  type LogLine,
  type Ran,
  type RunOptions,
  type Scope,
  type ServeProcess,
  serve,
  zoneText,
} from '../support/serve.ts'
import { needs } from '../support/tools.ts'
import { delvOf } from '../support/validators.ts'
import { judgement, ZONE_JUDGES } from '../support/zone-judges.ts'

const cleanups: (() => void | Promise<void>)[] = []
const scope: Scope = { teardown: call => void cleanups.push(call) }
let quorum: TestQuorum
let cwd: string

test.before(async () => {
  quorum = await (await TestQuorum.create(scope)).start()
  cwd = directoryOf(scope, {})
})

test.after.always(async () => {
  for (const call of cleanups.reverse()) await call()
})

/** A command about the quorum, which must succeed. */
async function hsm(t: ExecutionContext, words: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const ran = await conclave(['hsm', ...words, '--hsm', quorum.file], { cwd, ...options })
  t.is(ran.code, 0, `${words.join(' ')}: ${ran.err}`)
  return ran
}

function writeZone(zone: string, lines: readonly string[] = [], serial = 1): string {
  const file = `${zone}zone`
  writeFileSync(join(cwd, file), zoneText(zone, lines, serial))
  return file
}

interface ShownNode {
  readonly name: string
  readonly state: string
}

interface ShownKey {
  readonly zone: string
  readonly epoch: number
  readonly threshold: number
  readonly holders: readonly string[]
}

async function status(): Promise<{
  code: number | null
  nodes: ShownNode[]
  keys: ShownKey[]
  faults: string[]
}> {
  const { code, out } = await conclave(['hsm', 'status', '--json', '--hsm', quorum.file], { cwd })
  return { code, ...(JSON.parse(out) as { nodes: ShownNode[]; keys: ShownKey[]; faults: string[] }) }
}

const RSA_SECONDS_MAX = 1500

/** Signs a zone file with the quorum, and shows it to the judges of whole zones. */
async function signAndJudge(t: ExecutionContext, origin: string, csk: boolean): Promise<void> {
  const signed = `${origin}signed`
  const words = ['sign', writeZone(origin), '--hsm', quorum.file, '-o', signed]
  const signing = await conclave([...words, ...(csk ? [] : ['--ksk-only', '--keys', 'local'])], { cwd })
  t.is(signing.code, 0, signing.err)
  for (const judge of ZONE_JUDGES) {
    t.is(judgement(judge, { file: join(cwd, signed), origin, csk, zonemd: true }), '', origin)
  }
}

/** That delv, which knows the DS of a key of the quorum, finds what is served secure. */
async function servedSecure(t: ExecutionContext, server: ServeProcess, origin: string): Promise<void> {
  const shown = await conclave(['keys', 'ds', origin, '--hsm', quorum.file], { cwd })
  t.is(shown.code, 0, shown.err)
  const delv = delvOf(server.port, shown.out.split('\n').find(line => / DS \d+ \d+ 2 /.test(line))!)
  for (const [name, type] of [
    [`ns1.${origin}`, 'A'],
    [origin, 'DNSKEY'],
    [`none.${origin}`, 'A'],
  ] as const) {
    const { verdict, text } = await delv.ask(name, type)
    t.is(verdict, 'secure', `${name} ${type}: ${text}`)
  }
  delv.stop()
}

test.serial(
  'RFC 5702, RFC 8080: keys of each algorithm are made, and others accept what they sign',
  async t => {
    if (!needs(t, 'delv', ...ZONE_JUDGES.map(({ program }) => program))) return
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    writeFileSync(join(cwd, 'old.pem'), privateKey.export({ format: 'pem', type: 'pkcs8' }))
    const keys = [
      ['ed25519', 'csk', []],
      ['ed448', 'csk', []],
      ['rsasha512', 'csk', ['--import', 'old.pem']],
      ['rsasha256', 'csk', ['--import', 'old.pem']],
    ] as const
    for (const [algorithm, role, words] of keys) {
      const origin = `${algorithm}.example.`
      const made = await hsm(t, ['keygen', origin, '--algorithm', algorithm, '--role', role, ...words])
      const heading = `^${algorithm}\\.example\\. csk ${algorithm.toUpperCase()} tag \\d+: epoch 1, 3 of 5`
      t.regex(made.out, new RegExp(heading))
      if (algorithm.startsWith('rsa')) t.regex(made.err, /has the whole key/)
      await signAndJudge(t, origin, true)
    }
    const origins = keys.map(([algorithm]) => `${algorithm}.example.`)
    const files = origins.map(origin => `${origin}zone`)
    const server = await serve(t, cwd, [...files, '--hsm', quorum.file, '--state', 'algorithms'])
    for (const origin of origins) await servedSecure(t, server, origin)
    t.is(await server.stop(), 0)
  },
)

test.serial(
  'an RSA key that the dealer makes is a KSK; serve --ksk-only has local ZSKs beside it',
  async t => {
    if (!needs(t, 'delv', ...ZONE_JUDGES.map(({ program }) => program))) return
    const origin = 'dealt.example.'
    const words = ['keygen', origin, '--algorithm', 'rsasha256', '--role', 'ksk']
    const made = await hsm(t, words, { secondsMax: RSA_SECONDS_MAX })
    t.regex(made.out, /^dealt\.example\. ksk RSASHA256 tag \d+: epoch 1, 3 of 5/)
    t.regex(made.err, /Looking for two safe primes of 1024 bits/)
    t.regex(made.err, /a safe prime was found: 2 of 2/)
    await signAndJudge(t, origin, false)
    const mixed = ['--hsm', quorum.file, '--ksk-only', '--algorithm', 'rsasha256', '--state', 'dealt']
    const server = await serve(t, cwd, [`${origin}zone`, ...mixed])
    t.deepEqual(
      server
        .zone(origin)!
        .keys.map(({ role, algorithm }) => [role, algorithm])
        .sort(),
      [
        ['ksk', 8],
        ['zsk', 8],
      ],
    )
    await servedSecure(t, server, origin)
    t.is(await server.stop(), 0)
  },
)

/** Edits the zone, and gives the serial that is served when the edit is out. */
async function edit(server: ServeProcess, zone: string, host: string): Promise<LogLine> {
  const from = server.log.length
  writeZone(zone, [`${host} IN A 192.0.2.9`])
  return server.logged('published', { zone }, from)
}

/** That what is served is signed, for a validator that knows nothing but the DS. */
async function isSecure(t: ExecutionContext, server: ServeProcess, name: string): Promise<void> {
  if (!needs(t, 'delv')) return
  const [anchor] = server.serving.ds
  const delv = delvOf(server.port, anchor!.ds)
  const answer = await delv.ask(name, 'A')
  delv.stop()
  t.is(answer.verdict, 'secure', answer.text)
}

test.serial(
  'serve makes its key, and signs on while nodes crash, hang and come back; below the threshold it serves',
  async t => {
    const zone = 'life.example.'
    const server = await serve(t, cwd, [writeZone(zone), '--hsm', quorum.file])
    t.deepEqual(
      server.zone(zone)!.keys.map(({ role, algorithm }) => [role, algorithm]),
      [['csk', 15]],
    )
    await isSecure(t, server, `ns1.${zone}`)

    await quorum.kill('node5')
    quorum.signal('SIGSTOP', 'node4')
    await edit(server, zone, 'two')
    await isSecure(t, server, `two.${zone}`)

    // Two are left: no signature, and everything there is is served.
    await quorum.kill('node3')
    const from = server.log.length
    writeZone(zone, ['three IN A 192.0.2.3'])
    const refused = await server.until('refused', () =>
      server.log.slice(from).find(line => line['code'] === 'QUORUM_SHORT'),
    )
    t.is(refused['zone'], zone)
    await isSecure(t, server, `two.${zone}`)
    const short = await status()
    t.is(short.code, 1)
    t.deepEqual(
      short.nodes.map(({ name, state }) => [name, state]),
      [
        ['node1', 'up'],
        ['node2', 'up'],
        ['node3', 'down'],
        ['node4', 'down'],
        ['node5', 'down'],
      ],
    )
    t.true(short.faults.some(fault => fault.startsWith('node3 is missing')))

    quorum.signal('SIGCONT', 'node4')
    await server.logged('published', { zone }, from)
    await isSecure(t, server, `three.${zone}`)
    await quorum.start(['node3', 'node5'])
    t.is(await server.stop(), 0)
  },
)

/** Octets that no node would say, to whoever connects. */
function garbage(t: Scope, port: number): Promise<Server> {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.write(Buffer.alloc(4096, 0xa5))
    socket.on('data', octets => socket.write(octets.reverse()))
  })
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return new Promise(resolve => server.listen(port, '127.0.0.1', () => resolve(server)))
}

test.serial('what talks garbage in the place of a node costs no signature', async t => {
  const zone = 'garbage.example.'
  await quorum.kill('node1')
  await garbage(t, quorum.firstPort)
  const server = await serve(t, cwd, [writeZone(zone), '--hsm', quorum.file]).catch((error: unknown) => error)
  // Every member takes part in the making of a key.
  t.regex(String(error(server)), /NO_ZONES/)
  const signed = await conclave(
    ['sign', writeZone('ed25519.example.'), '--hsm', quorum.file, '-o', 'g.signed'],
    {
      cwd,
    },
  )
  t.is(signed.code, 0, signed.err)
  const { nodes } = await status()
  t.deepEqual(
    nodes.filter(({ state }) => state !== 'up').map(({ name }) => name),
    ['node1'],
  )
})

function error(outcome: unknown): unknown {
  return outcome instanceof Error ? outcome.message : outcome
}

test.serial(
  'shares are refreshed and given to other nodes while the zone is served; an old share is refused',
  async t => {
    const zone = 'shares.example.'
    const file = writeZone(zone)
    await quorum.start(['node1'])
    const server = await serve(t, cwd, [file, '--hsm', quorum.file])
    const environment = { CONCLAVE_PASSPHRASE: 'old words that nobody knows' }
    const backup = ['hsm', 'backup', quorum.nodeFile('node2'), '-o', join(cwd, 'node2.backup')]
    t.is((await conclave(backup, { environment })).code, 0)

    t.regex((await hsm(t, ['refresh', zone])).out, /epoch 2, 3 of 5/)
    await edit(server, zone, 'refreshed')
    await isSecure(t, server, `refreshed.${zone}`)

    // Another node in the place of one, and another threshold.
    const names = ['node1', 'node2', 'node3', 'node4']
    t.regex(
      (await hsm(t, ['reshare', zone, '--members', names.join(','), '--threshold', '3'])).out,
      /epoch 3, 3 of 4/,
    )
    await quorum.kill('node5')
    await edit(server, zone, 'reshared')
    await isSecure(t, server, `reshared.${zone}`)

    // A vault that was lost, and came back from a backup of epoch 1.
    await quorum.kill('node2')
    rmSync(join(quorum.directory, 'node2', 'vault'), { recursive: true })
    const restore = ['hsm', 'restore', quorum.nodeFile('node2'), '--from', join(cwd, 'node2.backup')]
    t.is((await conclave(restore, { environment: { CONCLAVE_PASSPHRASE: 'wrong words' } })).code, 1)
    const restored = await conclave(restore, { environment })
    t.is(restored.code, 0, restored.err)
    t.regex(restored.out, new RegExp(`${zone.replaceAll('.', '\\.')} epoch 1: restored`))
    await quorum.start(['node2', 'node5'])
    await edit(server, zone, 'after')
    await isSecure(t, server, `after.${zone}`)
    const key = (await status()).keys.find(one => one.zone === zone)!
    t.deepEqual([key.epoch, [...key.holders].sort()], [3, ['node1', 'node3', 'node4']])
    t.is((await conclave(restore, { environment })).code, 1, 'the node runs')
  },
)

test.serial('--ksk-only: DNSKEY is signed by the quorum, everything else by a local key', async t => {
  const zone = 'mixed.example.'
  const server = await serve(t, cwd, [
    writeZone(zone),
    '--hsm',
    quorum.file,
    '--ksk-only',
    '--state',
    'mixed',
  ])
  const keys = server.zone(zone)!.keys
  t.deepEqual(keys.map(({ role }) => role).sort(), ['ksk', 'zsk'])
  await isSecure(t, server, `ns1.${zone}`)
  const inQuorum = await conclave(['keys', 'list', zone, '--hsm', quorum.file, '--json'], { cwd })
  t.regex(inQuorum.out, /^\{.*"role":"ksk".*\}\n$/)
  const local = await conclave(['keys', 'list', zone, '--keys', 'mixed/keys', '--json'], { cwd })
  t.regex(local.out, /^\{.*"role":"zsk".*\}\n$/)
  // Without the quorum, data are signed on.
  quorum.signal('SIGSTOP', 'node1', 'node3', 'node4', 'node5')
  t.teardown(() => quorum.signal('SIGCONT', 'node1', 'node3', 'node4', 'node5'))
  await edit(server, zone, 'local')
  await isSecure(t, server, `local.${zone}`)
})

test.serial('operators: DNSKEY waits until two of them approve, and then it is signed', async t => {
  const zone = 'approved.example.'
  const operators: string[] = []
  for (const name of ['ann.pem', 'bob.pem']) {
    const made = await conclave(['hsm', 'approve', '--generate-operator', name, '--json'], { cwd })
    operators.push((JSON.parse(made.out) as { operator: string }).operator)
  }
  for (const name of quorum.names) {
    const file = quorum.nodeFile(name)
    const rule = [
      `    - zone: ${zone}`,
      '      approvals:',
      '        required: 2',
      `        operators: [${operators.join(', ')}]`,
    ]
    writeFileSync(file, `${readFileSync(file, 'utf8').trimEnd()}\n${rule.join('\n')}\n`)
    const from = quorum.node(name).log.length
    quorum.node(name).kill('SIGHUP')
    await quorum.node(name).logged('the policy was read again', {}, from)
  }
  await hsm(t, ['keygen', zone])
  const words = ['sign', writeZone(zone), '--hsm', quorum.file, '-o', 'approved.signed']
  const waiting = await conclave(words, { cwd })
  t.is(waiting.code, 1)
  t.regex(waiting.err, /not signed: signatures wait for .*`conclave hsm approve`.*\[SIGNATURES_PENDING\]/)
  const listed = await hsm(t, ['approve'])
  t.regex(listed.out, /approved\.example\. 3600 IN DNSKEY 257 3 15 /)
  t.regex(listed.out, /needs 2 more of 2 operators for DNSKEY/)
  await hsm(t, ['approve', '--all', '--key', 'ann.pem'])
  t.is((await conclave(words, { cwd })).code, 1)
  await hsm(t, ['approve', '--all', '--key', 'bob.pem'])
  const signed = await conclave(words, { cwd })
  t.is(signed.code, 0, signed.err)
  const other = await conclave(['hsm', 'approve', '--all', '--key', 'old.pem', '--hsm', quorum.file], { cwd })
  t.regex(other.err, /OPERATOR_KEY/)
})

test.serial('one more node takes a place, and its audit log is whole', async t => {
  const zone = 'ed25519.example.'
  const directory = join(quorum.directory, 'node6')
  const listen = `tcp://127.0.0.1:${quorum.firstPort + 5}`
  const files = quorum.names.flatMap(name => ['--node-file', quorum.nodeFile(name)])
  await hsm(t, ['add-node', 'node6', '--dir', directory, '--listen', listen, ...files])
  await quorum.kill(...quorum.names)
  await quorum.start(['node1', 'node2', 'node3', 'node4', 'node6'])
  const members = ['node1', 'node2', 'node3', 'node4', 'node6']
  const { code } = await conclave(
    ['hsm', 'reshare', zone, '--hsm', quorum.file, '--members', members.join(',')],
    { cwd },
  )
  // node5, which leaves, is not there to erase its share: it is told when it is.
  t.is(code, 0)
  const verified = await conclave(['hsm', 'audit', 'verify', join(directory, 'audit.log')])
  t.regex(verified.out, /whole, [1-9]\d* lines/)
})
