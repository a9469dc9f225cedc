/** Zones signed and served by BIND and Knot, whose keys and zones are to be taken over.
 *  I1  Every process started here is ended by `stop`, by its own id; files stay until the test ends. */

import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryDirectory as serverDirectory, startServer } from './peers.ts'
import { freePort } from './ports.ts'
import { directoryOf, type Scope, WAIT_MILLISECONDS } from './serve.ts'
import { PATIENT, toolPath } from './tools.ts'

export const OLD_ZONE = 'old.test.'

export const oldText: string = [
  `$ORIGIN ${OLD_ZONE}`,
  '$TTL 300',
  '@ SOA ns1 hostmaster 2026010100 7200 1800 1209600 300',
  '@ NS ns1',
  '@ MX 10 mail',
  'ns1 A 192.0.2.1',
  'mail A 192.0.2.3',
  'www A 192.0.2.2',
  '*.wild TXT "here"',
  'sub NS ns.sub',
  'ns.sub A 192.0.2.4',
  '',
].join('\n')

export interface OldServer {
  readonly port: number
  /** Directory of its keys. */
  readonly keys: string
  /** The zone as it was transferred. */
  readonly signed: string
  /** DS record of its KSK. */
  readonly ds: string
  /** Output of `keymgr list`. */
  readonly list?: string
  stop(): Promise<void>
}

const HOUR = 3600

function run(program: string, words: readonly string[], cwd: string): string {
  const path = toolPath(program)!
  return execFileSync(path, words, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** The zone by AXFR, as whoever takes it over would get it. */
function transferred(port: number, directory: string): string {
  const path = join(directory, 'old.test.signed')
  const words = ['@127.0.0.1', '-p', `${port}`, PATIENT, OLD_ZONE, 'AXFR', '+noall', '+answer', '+onesoa']
  writeFileSync(path, run('dig', words, directory))
  return path
}

function dsOfBind(directory: string): string {
  const ksk = readdirSync(directory).find(name => {
    return name.endsWith('.key') && / DNSKEY 257 /.test(readFileSync(join(directory, name), 'utf8'))
  })
  return run('dnssec-dsfromkey', ['-2', ksk!], directory).trim()
}

function named(directory: string, port: number, zone: string, more: readonly string[] = []): Promise<Old> {
  const config = [
    'options {',
    `  directory "${directory}";`,
    `  pid-file "${directory}/named.pid";`,
    `  session-keyfile "${directory}/session.key";`,
    `  listen-on port ${port} { 127.0.0.1; };`,
    '  listen-on-v6 { none; };',
    '  recursion no;',
    // A validator that was given a cookie asks a server without one over TCP.
    '  answer-cookie no;',
    '  allow-transfer { 127.0.0.1; };',
    '};',
    'controls { };',
    ...more,
    `zone "${OLD_ZONE}" { type primary; ${zone} };`,
  ]
  writeFileSync(join(directory, 'named.conf'), config.join('\n'))
  const words = [toolPath('named')!, '-g', '-c', join(directory, 'named.conf')]
  return startServer('BIND', words, directory, port, [{ name: OLD_ZONE, text: oldText }])
}
type Old = Awaited<ReturnType<typeof startServer>>

function stopOnce(t: Scope, server: Old): () => Promise<void> {
  let stopped: Promise<void> | undefined
  const stop = (): Promise<void> => (stopped ??= server.stop())
  t.teardown(stop)
  return stop
}

const SPLIT_KEYS =
  'ksk lifetime unlimited algorithm ecdsap256sha256; zsk lifetime P30D algorithm ecdsap256sha256;'

/** named signs by a policy, of KSK and ZSK unless another is given, with the pairs of a directory when there is one. */
export async function startPolicyBind(
  t: Scope,
  policyKeys: string = SPLIT_KEYS,
  given?: string,
): Promise<OldServer> {
  const directory = serverDirectory('old-named', [{ name: OLD_ZONE, text: oldText }])
  for (const name of given === undefined ? [] : readdirSync(given))
    copyFileSync(join(given!, name), join(directory, name))
  const policy = [`dnssec-policy p { keys { ${policyKeys} }; };`]
  const zone = `file "${OLD_ZONE}zone"; dnssec-policy p; inline-signing yes;`
  const server = await named(directory, await freePort(), zone, policy)
  const stop = stopOnce(t, server)
  const kept = directoryOf(t, {})
  const signed = await untilSigned(server, kept)
  const keys = join(kept, 'keys')
  mkdirSync(keys)
  for (const name of readdirSync(directory).filter(one => /^K.*\.(key|private|state)$/.test(one)))
    copyFileSync(join(directory, name), join(keys, name))
  return { port: server.port, keys, signed, ds: dsOfBind(keys), stop }
}

/** named answers before it has signed everything: the zone is there when its last name has a signature. */
async function untilSigned(server: Old, directory: string): Promise<string> {
  const end = performance.now() + WAIT_MILLISECONDS
  while (performance.now() < end) {
    const path = transferred(server.port, directory)
    const text = readFileSync(path, 'utf8')
    if (/^\*\.wild\.old\.test\.\s.*RRSIG\s+TXT/m.test(text)) return path
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  throw new Error('named has not signed the zone')
}

/** dnssec-signzone in the middle of a ZSK roll: the new ZSK is published and signs nothing yet. named serves the file. */
export async function startRollingBind(t: Scope): Promise<OldServer> {
  const kept = directoryOf(t, { 'old.test.zone': oldText })
  const keys = join(kept, 'keys')
  mkdirSync(keys)
  const keygen = (...words: string[]): string =>
    run('dnssec-keygen', ['-q', '-a', 'ECDSAP256SHA256', '-K', keys, ...words, OLD_ZONE], kept)
  keygen('-f', 'KSK', '-P', 'now-5d', '-A', 'now-5d')
  keygen('-P', 'now-5d', '-A', 'now-5d', '-I', 'now+1d', '-D', 'now+5d')
  keygen('-P', 'now-2h', '-A', 'now+1d')
  const words = ['-q', '-S', '-x', '-K', keys, '-T', '300', '-o', OLD_ZONE, '-f', 'signed', 'old.test.zone']
  run('dnssec-signzone', words, kept)
  const text = readFileSync(join(kept, 'signed'), 'utf8')
  const directory = serverDirectory('old-named', [{ name: OLD_ZONE, text }])
  const server = await named(directory, await freePort(), `file "${OLD_ZONE}zone";`)
  const stop = stopOnce(t, server)
  const signed = transferred(server.port, kept)
  return { port: server.port, keys, signed, ds: dsOfBind(keys), stop }
}

/** Knot signs with keys of its own; a ZSK is published two hours ahead of its use. */
export async function startRollingKnot(t: Scope): Promise<OldServer> {
  const directory = serverDirectory('old-knot', [{ name: OLD_ZONE, text: oldText }])
  const kept = directoryOf(t, {})
  const port = await freePort()
  const config = [
    'server:',
    `  listen: 127.0.0.1@${port}`,
    `  rundir: "${directory}"`,
    'database:',
    `  storage: "${directory}"`,
    `  kasp-db: "${kept}/kasp"`,
    'log:',
    '  - target: stderr',
    '    any: error',
    'acl:',
    '  - id: loopback',
    '    address: 127.0.0.1',
    '    action: transfer',
    'policy:',
    '  - id: manual',
    '    manual: on',
    '    algorithm: ecdsap256sha256',
    '    dnskey-ttl: 300',
    'zone:',
    `  - domain: "${OLD_ZONE}"`,
    `    storage: "${directory}"`,
    `    file: "${OLD_ZONE}zone"`,
    '    acl: loopback',
    '    zonefile-sync: -1',
    '    zonefile-load: difference-no-serial',
    '    journal-content: all',
    '    dnssec-signing: on',
    '    dnssec-policy: manual',
  ]
  const file = join(directory, 'knot.conf')
  writeFileSync(file, `${config.join('\n')}\n`)
  const keymgr = (...words: string[]): string => run('keymgr', ['-c', file, OLD_ZONE, ...words], kept)
  const ago = (hours: number): string => `${Math.floor(Date.now() / 1000) - hours * HOUR}`
  const [old, lately, soon] = [ago(120), ago(2), ago(-24)]
  keymgr('generate', 'ksk=yes', 'zsk=no', `publish=${old}`, `ready=${old}`, `active=${old}`)
  keymgr('generate', `publish=${old}`, `active=${old}`)
  keymgr('generate', `publish=${lately}`, `active=${soon}`)
  const list = join(kept, 'list')
  writeFileSync(list, keymgr('list'))
  const ds = keymgr('ds')
    .split('\n')
    .find(line => / 13 2 /.test(line))!
  const words = [toolPath('knotd')!, '-c', file]
  const server = await startServer('Knot', words, directory, port, [{ name: OLD_ZONE, text: oldText }])
  const stop = stopOnce(t, server)
  const signed = transferred(port, kept)
  return { port, keys: join(kept, 'kasp', 'keys'), signed, ds, list, stop }
}
