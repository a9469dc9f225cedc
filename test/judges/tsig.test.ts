/** TSIG as the programs of others have it (RFC 8945): dig and kdig verify what is answered; Knot, NSD and BIND transfer as
 *  secondaries. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { type AccessOptions, type Listeners, tsigKey } from '../../server/index.ts'
import { portOf, serving } from '../server/listening.ts'
import { queryOf, readMessage } from '../support/message.ts'
import { type Peer, startServer, temporaryDirectory } from '../support/peers.ts'
import { freePort } from '../support/ports.ts'
import { run } from '../support/serve.ts'
import { needs, PATIENT } from '../support/tools.ts'
import { TEST_KEY, TEST_SECRET, TEST_SECRET_TEXT } from '../support/tsig.ts'

const KEY = tsigKey(TEST_KEY.name, TEST_KEY.algorithm, TEST_SECRET_TEXT)
const OTHER_TEXT = Buffer.from(Uint8Array.from(TEST_SECRET).reverse()).toString('base64')
/** Only who signs may transfer. */
const SIGNED_ONLY: AccessOptions = { tsig: [KEY], transfer: { default: [{ keys: [KEY.name] }] } }
const HOSTS = 4000
/** RFC 1035 §4.1.1. */
const SERVFAIL = 2

const LARGE = [
  '$ORIGIN example.',
  '@ 3600 SOA ns h 1 7200 3600 1209600 300',
  '@ NS ns',
  'ns A 192.0.2.53',
  ...Array.from({ length: HOSTS }, (_, index) => `host${index} TXT "${'x'.repeat(index % 60)}"`),
].join('\n')

test('dig and kdig verify answers and transfers, and say what is wrong with a wrong secret', async t => {
  if (!needs(t, 'dig', 'kdig')) return
  const listeners = await serving(t, LARGE, SIGNED_ONLY)
  const server = ['@127.0.0.1', '-p', String(portOf(listeners))]
  const ask = async (tool: string, secret: string, ...words: string[]): Promise<string> => {
    const once = [PATIENT, tool === 'dig' ? '+tries=1' : '+retry=0']
    const key = `hmac-sha256:${TEST_KEY.name}:${secret}`
    const { out, err } = await run(tool, [...server, '-y', key, ...once, ...words])
    return `${out}${err}`
  }
  const complaint = /verify signature|could not be validated|BADSIG|failed to verify/i
  const texts = (said: string): number => said.split('\n').filter(line => /\sIN\s+TXT\s/.test(line)).length
  for (const tool of ['dig', 'kdig']) {
    for (const transport of ['+notcp', '+tcp']) {
      const right = await ask(tool, TEST_SECRET_TEXT, 'ns.example', 'A', transport)
      t.true(right.includes('192.0.2.53'), right)
      t.notRegex(right, complaint)
      const wrong = await ask(tool, OTHER_TEXT, 'ns.example', 'A', transport)
      t.false(wrong.includes('192.0.2.53'))
      t.regex(wrong, /BADSIG/)
    }
    const right = await ask(tool, TEST_SECRET_TEXT, 'example', 'AXFR')
    t.is(texts(right), HOSTS)
    t.notRegex(right, complaint)
    t.is(texts(await ask(tool, OTHER_TEXT, 'example', 'AXFR')), 0)
  }
  // dig sends a MAC of 16 octets under the name hmac-sha256.
  const truncated = `hmac-sha256-128:${TEST_KEY.name}:${TEST_SECRET_TEXT}`
  t.regex((await run('dig', [...server, PATIENT, '-y', truncated, 'example'])).out, /BADTRUNC/)
})

interface Secondary {
  readonly program: string
  /** Writes its configuration into the directory and says how it is started. */
  words(directory: string, port: number, primary: number, secret: string): readonly string[]
}

const file = (directory: string, name: string, lines: readonly string[]): string => {
  const path = join(directory, name)
  writeFileSync(path, `${lines.join('\n')}\n`)
  return path
}

const SECONDARIES: Readonly<Record<string, Secondary>> = {
  Knot: {
    program: 'knotd',
    words: (directory, port, primary, secret) => [
      '/usr/sbin/knotd',
      '-c',
      file(directory, 'knot.conf', [
        'server:',
        `  listen: 127.0.0.1@${port}`,
        `  rundir: "${directory}"`,
        '  background-workers: 1',
        'database:',
        `  storage: "${directory}"`,
        'key:',
        `  - id: ${TEST_KEY.name}`,
        '    algorithm: hmac-sha256',
        `    secret: ${secret}`,
        'remote:',
        '  - id: primary',
        `    address: 127.0.0.1@${primary}`,
        `    key: ${TEST_KEY.name}`,
        'zone:',
        '  - domain: example.',
        `    storage: "${directory}"`,
        '    master: primary',
        '    zonefile-sync: -1',
      ]),
    ],
  },
  NSD: {
    program: 'nsd',
    words: (directory, port, primary, secret) => [
      '/usr/sbin/nsd',
      '-d',
      '-c',
      file(directory, 'nsd.conf', [
        'server:',
        `  ip-address: 127.0.0.1@${port}`,
        '  server-count: 1',
        '  username: ""',
        '  database: ""',
        `  zonesdir: "${directory}"`,
        `  pidfile: "${directory}/nsd.pid"`,
        `  xfrdfile: "${directory}/xfrd.state"`,
        `  xfrdir: "${directory}"`,
        `  zonelistfile: "${directory}/zone.list"`,
        'remote-control:',
        '  control-enable: no',
        'key:',
        `  name: "${TEST_KEY.name}"`,
        '  algorithm: hmac-sha256',
        `  secret: "${secret}"`,
        'zone:',
        '  name: "example."',
        '  zonefile: "example.zone"',
        `  request-xfr: AXFR 127.0.0.1@${primary} ${TEST_KEY.name}`,
      ]),
    ],
  },
  BIND: {
    program: 'named',
    words: (directory, port, primary, secret) => [
      '/usr/sbin/named',
      '-g',
      '-c',
      file(directory, 'named.conf', [
        'options {',
        `  directory "${directory}";`,
        `  pid-file "${directory}/named.pid";`,
        `  session-keyfile "${directory}/session.key";`,
        `  listen-on port ${port} { 127.0.0.1; };`,
        '  listen-on-v6 { none; };',
        '  recursion no;',
        '  notify no;',
        '};',
        'controls { };',
        `key "${TEST_KEY.name}" { algorithm hmac-sha256; secret "${secret}"; };`,
        'zone "example." {',
        '  type secondary;',
        `  primaries { 127.0.0.1 port ${primary} key "${TEST_KEY.name}"; };`,
        '  file "example.copy";',
        '};',
      ]),
    ],
  },
}

async function startSecondary(
  t: ExecutionContext,
  name: string,
  primary: Listeners,
  secret: string,
  zones: readonly { readonly name: string; readonly path: string }[],
): Promise<Peer> {
  const directory = temporaryDirectory('secondary', [])
  const port = await freePort()
  const words = SECONDARIES[name]!.words(directory, port, portOf(primary), secret)
  const peer = await startServer(name, words, directory, port, zones)
  t.teardown(() => peer.stop())
  return peer
}

for (const [name, { program }] of Object.entries(SECONDARIES)) {
  test(`${name} as a secondary transfers a zone with the right secret only`, async t => {
    if (!needs(t, program)) return
    const right = await serving(t, LARGE, SIGNED_ONLY)
    const peer = await startSecondary(t, name, right, TEST_SECRET_TEXT, [{ name: 'example.', path: '' }])
    const host = `host${HOSTS - 1}.example.`
    // NSD's process that had no zone yet answers SERVFAIL beside its successor for a moment.
    let said = readMessage(await peer.ask(queryOf(host, 'TXT')))
    while (said.rcode === SERVFAIL) said = readMessage(await peer.ask(queryOf(host, 'TXT')))
    t.deepEqual(said.answer, [`${host} 3600 TXT "${'x'.repeat((HOSTS - 1) % 60)}"`])
    t.is(right.counters().transfers.completed, 1)

    const wrong = await serving(t, LARGE, SIGNED_ONLY)
    const without = await startSecondary(t, name, wrong, OTHER_TEXT, [])
    // It has asked when a signature has failed; questions to it pass the time.
    let asked = queryOf('example.', 'SOA')
    while (wrong.counters().answers['tsigFailed'] === 0) asked = await without.ask(queryOf('example.', 'SOA'))
    asked = await without.ask(queryOf('example.', 'SOA'))
    t.not(readMessage(asked).rcode, 0)
    t.is(wrong.counters().transfers.completed, 0)
  })
}
