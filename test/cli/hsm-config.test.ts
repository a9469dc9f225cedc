/** A quorum as a key store of a configuration: zones that are signed by it come and go with reloads; thresholds of keys change
 *  while it is used, and the coordinator's file follows. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { TestQuorum } from '../support/quorum.ts'
import { conclave, directoryOf, run, type ServeProcess, serveWords, zoneText } from '../support/serve.ts'
import { needs, PATIENT, toolPath } from '../support/tools.ts'

const ZONES = ['a', 'b', 'c'].map(label => `${label}.example.`)

class World {
  readonly quorum: TestQuorum
  readonly cwd: string

  private constructor(quorum: TestQuorum, cwd: string) {
    this.quorum = quorum
    this.cwd = cwd
  }

  static async create(t: ExecutionContext): Promise<World> {
    const quorum = await (await TestQuorum.create(t, { nodes: 3, threshold: 2 })).start()
    const files = ZONES.map(zone => [`${zone}zone`, zoneText(zone)])
    return new World(quorum, directoryOf(t, Object.fromEntries(files)))
  }

  /** Zones by the policy that they have; the others are not served. */
  write(policies: Readonly<Record<string, 'held' | 'plain'>>): void {
    const lines = [
      'listen: [127.0.0.1@0]',
      'server: { state: state }',
      'keystores:',
      `  quorum: { type: quorum, file: ${this.quorum.file} }`,
      'policies:',
      '  held: { algorithm: ed25519, keystore: quorum }',
      '  plain: { algorithm: ed25519 }',
      'zones:',
      ...Object.entries(policies).map(([zone, policy]) => `  - { file: ${zone}zone, policy: ${policy} }`),
    ]
    writeFileSync(join(this.cwd, 'c.yaml'), `${lines.join('\n')}\n`)
  }

  start(t: ExecutionContext): Promise<ServeProcess> {
    return serveWords(t, this.cwd, ['-c', 'c.yaml']).started()
  }

  /** What holds the zone's keys, as the quorum tells. */
  async heldZones(): Promise<string[]> {
    const { keys } = await this.status()
    return keys.map(({ zone }) => zone).sort()
  }

  async status(): Promise<{ threshold: number; keys: { zone: string; threshold: number }[] }> {
    const { out, err } = await conclave(['hsm', 'status', '--json', '--hsm', this.quorum.file])
    if (out === '') throw new Error(err)
    return JSON.parse(out) as { threshold: number; keys: { zone: string; threshold: number }[] }
  }
}

/** What dig prints of an answer's status, and how many signatures there are. */
async function dig(server: ServeProcess, name: string): Promise<string> {
  const words = ['@127.0.0.1', '-p', `${server.port}`, PATIENT, name, 'SOA', '+dnssec', '+tcp']
  const { out } = await run(toolPath('dig')!, words)
  return `${/status: (\w+)/.exec(out)?.[1]} ${out.match(/\sRRSIG\s/g)?.length ?? 0}`
}

test('serve -c: zones of a quorum come and go with reloads, and the quorum is let go of when none is left', async t => {
  if (!needs(t, 'dig')) return
  const [a, b, c] = ZONES as [string, string, string]
  const world = await World.create(t)
  world.write({ [a]: 'plain' })
  const server = await world.start(t)
  t.is(await dig(server, a), 'NOERROR 1')
  // To it.
  world.write({ [a]: 'plain', [b]: 'held', [c]: 'held' })
  const added = await server.control('reload')
  t.is(added.code, 0, added.err)
  for (const zone of [a, b, c]) t.is(await dig(server, zone), 'NOERROR 1', zone)
  t.deepEqual(await world.heldZones(), [b, c])
  const shown = await server.control('status')
  t.is(shown.code, 0, shown.out)
  // From it: the command is the coordinator itself then.
  world.write({ [a]: 'plain' })
  t.is((await server.control('reload')).code, 0)
  t.deepEqual([await dig(server, a), await dig(server, b)], ['NOERROR 1', 'REFUSED 0'])
  t.deepEqual(await world.heldZones(), [b, c])
  const { err } = await conclave(['hsm', 'refresh', b, '--hsm', world.quorum.file])
  t.is(err, '')
  // And to it again, with the same keys.
  world.write({ [a]: 'plain', [b]: 'held' })
  t.is((await server.control('reload')).code, 0)
  t.is(await dig(server, b), 'NOERROR 1')
  t.deepEqual(await world.heldZones(), [b, c])
  t.is(await server.stop(), 0)
})

test('reshare with another threshold: quorum.yaml follows when all keys have it, and so does the server', async t => {
  const [a, b] = ZONES as [string, string, string]
  const world = await World.create(t)
  world.write({ [a]: 'held', [b]: 'held' })
  const server = await world.start(t)
  const text = readFileSync(world.quorum.file, 'utf8')
  t.regex(text, /^# A quorum of 3/)
  const reshare = (zone: string): ReturnType<typeof conclave> =>
    conclave(['hsm', 'reshare', zone, '--threshold', '3', '--hsm', world.quorum.file])
  const first = await reshare(a)
  t.is(first.code, 0, first.err)
  t.regex(first.err, /keeps `threshold: 2`: keys of b\.example\. have another than 3/)
  t.is(readFileSync(world.quorum.file, 'utf8'), text)
  const second = await reshare(b)
  t.is(second.code, 0, second.err)
  t.regex(second.err, /`threshold` is 3 now; it was 2/)
  t.is(readFileSync(world.quorum.file, 'utf8'), text.replace('\nthreshold: 2\n', '\nthreshold: 3\n'))
  const { threshold, keys } = await world.status()
  t.deepEqual([threshold, ...keys.map(key => key.threshold)], [3, 3, 3], 'the coordinator is the server')
  t.is(await server.stop(), 0)
  t.is((await world.status()).threshold, 3)
})
