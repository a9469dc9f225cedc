/** `conclave serve -c`: what stands in the file is served, and changes of it are applied while queries are answered. */
import { createSocket } from 'node:dgram'
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { queryOf } from '../support/message.ts'
import {
  askUdp,
  conclave,
  directoryOf,
  run,
  type Scope,
  type ServeProcess,
  serveWords,
  WAIT_MILLISECONDS,
  zoneText,
} from '../support/serve.ts'
import { needs, PATIENT, toolPath } from '../support/tools.ts'

const REFUSED = 5

interface Served {
  readonly server: ServeProcess
  readonly directory: string
  /** Writes the configuration anew. */
  write(text: string): void
}

async function served(t: Scope, text: string, files: Readonly<Record<string, string>>): Promise<Served> {
  const directory = directoryOf(t, { ...files, 'c.yaml': text })
  const server = await serveWords(t, directory, ['-c', 'c.yaml']).started()
  return { server, directory, write: changed => writeFileSync(join(directory, 'c.yaml'), changed) }
}

/** Asks one question after the other until it is told to stop; each must be answered before the next. */
class Stream {
  asked = 0
  lost = 0
  refused = 0
  #stopped = false
  #least = 0
  readonly #socket = createSocket('udp4')
  readonly #done: Promise<void>

  constructor(address: string, name: string) {
    const [host, port] = address.split('@')
    const query = queryOf(name, 'SOA', { udpOctets: 1232, dnssecOk: true })
    this.#done = this.#run(query, host!, Number(port))
  }

  async #run(query: Uint8Array, host: string, port: number): Promise<void> {
    while (!this.#stopped || this.asked < this.#least) {
      this.asked++
      const answer = await new Promise<Buffer | undefined>(resolve => {
        const timer = setTimeout(() => resolve(undefined), WAIT_MILLISECONDS)
        this.#socket.once('message', message => {
          clearTimeout(timer)
          resolve(message)
        })
        this.#socket.send(query, port, host)
      })
      if (answer === undefined) this.lost++
      else if ((answer[3]! & 15) !== 0) this.refused++
    }
  }

  /** Ends it when so many were asked at least. */
  async stop(least: number): Promise<void> {
    this.#least = least
    this.#stopped = true
    await this.#done
    this.#socket.close()
  }
}

const ZONES = {
  'a.zone': zoneText('a.example.'),
  'b.zone': zoneText('b.example.'),
  'dir/d.zone': zoneText('d.example.'),
}

test('policies, templates, key stores and log level of a configuration are what is served', async t => {
  const text = `listen: [127.0.0.1@0]
log: { level: warn }
keystores: { other: { type: file, directory: other-keys } }
policies:
  default: { zonemd: none }
  strict: { keys: ksk-zsk, denial: nsec3, keystore: { ksk: other, zsk: default } }
zones:
  - { file: a.zone, policy: strict }
  - { file: b.zone, sign: false }
  - { directory: dir }
`
  const { server, directory } = await served(t, text, ZONES)
  t.deepEqual(
    server.serving.zones.map(({ zone, denial, keys }) => [zone, denial, keys.map(({ role }) => role).sort()]),
    [
      ['a.example.', 'nsec3', ['ksk', 'zsk']],
      ['b.example.', 'none', []],
      ['d.example.', 'nsec', ['csk']],
    ],
  )
  t.is(server.serving.state, join(directory, '.conclave'))
  const keys = await conclave(['keys', 'list', '--keys', join(directory, 'other-keys'), '--json'])
  t.is(keys.out.trim().split('\n').length, 1, keys.out)
  t.is((await server.ask('a.example.', 'ZONEMD')).answer.length > 0, true)
  t.is((await server.ask('d.example.', 'ZONEMD')).answer.length, 0)
  t.deepEqual(
    server.log.filter(line => line.level === 'info'),
    [],
  )
})

test('transfers: by ACL, for each zone, also for one that comes later', async t => {
  if (!needs(t, 'dig')) return
  const text = `listen: [127.0.0.1@0]
tsig: { k.example: { secret: c2VjcmV0LXNlY3JldC1zZWNyZXQ= } }
acl: { keyed: { addresses: [loopback], keys: [k.example] } }
templates: { default: { transfer: [keyed] } }
zones:
  - { file: a.zone, transfer: [] }
  - { directory: dir }
`
  const { server, directory } = await served(t, text, ZONES)
  const transfer = async (zone: string, key: boolean): Promise<boolean> => {
    const words = ['@127.0.0.1', '-p', String(server.port), PATIENT, zone, 'AXFR']
    const signed = key ? ['-y', 'hmac-sha256:k.example:c2VjcmV0LXNlY3JldC1zZWNyZXQ='] : []
    return /XFR size/.test((await run(toolPath('dig')!, [...words, ...signed])).out)
  }
  t.deepEqual([await transfer('a.example', true), await transfer('d.example', false)], [false, false])
  t.true(await transfer('d.example', true))
  const from = server.log.length
  writeFileSync(join(directory, 'dir/e.zone'), zoneText('e.example.'))
  await server.logged('published', { zone: 'e.example.' }, from)
  t.deepEqual([await transfer('e.example', false), await transfer('e.example', true)], [false, true])
})

test('reload: zones, policies and addresses change while a stream of queries loses none', async t => {
  const zones = (lines: string): string => `listen: [127.0.0.1@0]\nzones:\n${lines}`
  const { server, directory, write } = await served(t, zones('  - file: a.zone\n  - file: b.zone\n'), ZONES)
  const first = server.serving.addresses[0]!
  const stream = new Stream(first, 'a.example.')
  const reload = async (text: string): Promise<void> => {
    write(text)
    const { code, out, err } = await server.control('reload')
    t.is(code, 0, out + err)
  }
  // One goes, a directory comes, one has another policy, and the addresses are two.
  await reload(
    `listen: [127.0.0.1@0, '127.0.0.2@0']\nzones:\n  - { file: a.zone, denial: nsec3 }\n  - { directory: dir }\n`,
  )
  const status = JSON.parse((await server.control('status', '--json')).out) as {
    addresses: string[]
    zones: { zone: string; denial: string }[]
  }
  t.deepEqual(
    status.zones.map(({ zone, denial }) => [zone, denial]),
    [
      ['a.example.', 'nsec3'],
      ['d.example.', 'nsec'],
    ],
  )
  t.is(status.addresses[0], first)
  const second = status.addresses[1]!
  t.is((await askUdp(second, 'd.example.', 'SOA')).rcode, 0)
  t.is((await askUdp(second, 'b.example.', 'SOA')).rcode, REFUSED)
  // The zone moves to another file: its serial and keys stay, and it is served all the while.
  const serial = await server.serial('a.example.')
  renameSync(join(directory, 'a.zone'), join(directory, 'dir/a.zone'))
  await reload(`listen: [127.0.0.1@0]\nzones:\n  - { directory: dir, denial: nsec3 }\n`)
  t.is(await server.serial('a.example.'), serial)
  const { zones: last, addresses } = JSON.parse((await server.control('status', '--json')).out) as {
    addresses: string[]
    zones: { zone: string; source: string; denial: string }[]
  }
  t.deepEqual(addresses, [first])
  t.deepEqual(
    last.map(({ source, denial }) => [source.slice(directory.length + 1), denial]),
    [
      ['dir/a.zone', 'nsec3'],
      ['dir/d.zone', 'nsec3'],
    ],
  )
  await stream.stop(100)
  t.deepEqual([stream.lost, stream.refused], [0, 0])
  await reload('listen: [127.0.0.1@0]\nzones: []\n')
  t.is((await askUdp(first, 'a.example.', 'SOA')).rcode, REFUSED)
})

test('a configuration with faults is refused whole: all goes on as before, and status says why', async t => {
  const good = 'listen: [127.0.0.1@0]\nzones:\n  - file: a.zone\n'
  const { server, write } = await served(t, good, ZONES)
  const [first] = server.serving.addresses
  write('listen: [127.0.0.1@0]\nzones:\n  - file: b.zone\n    polcy: x\n')
  const { code, err } = await server.control('reload')
  t.is(code, 1)
  t.regex(
    err,
    /c\.yaml:4:5: the configuration is refused: unknown key "polcy"; did you mean policy\?.*\[CONFIG_REFUSED\]/,
  )
  t.is((await askUdp(first!, 'a.example.', 'SOA')).rcode, 0)
  t.is((await askUdp(first!, 'b.example.', 'SOA')).rcode, REFUSED)
  const status = await server.control('status')
  t.is(status.code, 1)
  t.regex(status.out, /c\.yaml:4:5: error: unknown key "polcy"/)
  // By signal it is refused alike, and mended it is applied.
  const from = server.log.length
  server.kill('SIGHUP')
  await server.logged('configuration refused; what was before goes on', {}, from)
  write(`${good}  - file: b.zone\n`)
  server.kill('SIGHUP')
  await server.logged('configuration applied', { added: 1, removed: 0, configured: 0 }, from)
  await server.logged('files read again', {}, from)
  t.is((await askUdp(first!, 'b.example.', 'SOA')).rcode, 0)
  t.is((await server.control('status')).code, 0)
})

test('what needs a restart, and an address that is in use, refuse the whole', async t => {
  const { server, directory, write } = await served(
    t,
    'listen: [127.0.0.1@0]\nzones: [{ file: a.zone }]\n',
    ZONES,
  )
  write('listen: [127.0.0.1@0]\nserver:\n  workers: 7\n  state: elsewhere\nzones: []\n')
  const fixed = await server.control('reload')
  t.is(fixed.code, 1)
  t.regex(fixed.err, /c\.yaml:4:10: .*state cannot be changed while the server runs: restart it, and 1 more/)
  const taken = createSocket('udp4')
  t.teardown(() => void taken.close())
  await new Promise<void>(resolve => taken.bind(0, '127.0.0.1', resolve))
  write(`listen: [127.0.0.1@0, 127.0.0.2@0, 127.0.0.1@${taken.address().port}]\nzones: []\n`)
  const inUse = await server.control('reload')
  t.is(inUse.code, 1)
  t.regex(inUse.err, /is in use by another program/)
  const status = JSON.parse((await server.control('status', '--json')).out) as { addresses: string[] }
  t.deepEqual(status.addresses, [...server.serving.addresses])
  t.is((await server.ask('a.example.', 'SOA')).rcode, 0)
  rmSync(join(directory, 'c.yaml'))
  t.regex((await server.control('reload')).err, /there is no such file/)
  t.is((await server.ask('a.example.', 'SOA')).rcode, 0)
})

test('--listen and --state stand over the file; a bad file serves nothing', async t => {
  const directory = directoryOf(t, {
    ...ZONES,
    'c.yaml': 'listen: [192.0.2.1@53]\nzones: [{ file: a.zone }]\n',
    'd.yaml': 'x: 1\ny: 2\n',
  })
  const words = ['-c', 'c.yaml', '--listen', '127.0.0.1@0', '--state', 'st']
  const server = await serveWords(t, directory, words).started()
  t.is(server.serving.state, join(directory, 'st'))
  t.is((await server.control('reload')).code, 0)
  t.is((await server.ask('a.example.', 'SOA')).rcode, 0)
  const bad = await conclave(['serve', '-c', 'd.yaml'], { cwd: directory })
  t.is(bad.code, 1)
  t.regex(
    bad.err,
    /^d\.yaml:1:1: error: unknown key "x".*\nd\.yaml:2:1: error: unknown key "y".*\nerror: d\.yaml:1:1: .*\[CONFIG_REFUSED\]\n$/,
  )
})
