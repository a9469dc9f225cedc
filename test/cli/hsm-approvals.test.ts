/** Operators' approvals while a server runs: what is served goes on, what waits is told, and when enough of them have said so
 *  it is signed, with the times that it was shown with; a server that is killed meanwhile takes it up again. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { TestQuorum } from '../support/quorum.ts'
import { conclave, directoryOf, type Ran, type ServeProcess, serve, zoneText } from '../support/serve.ts'
import { needs } from '../support/tools.ts'
import { delvOf } from '../support/validators.ts'

const ZONE = 'approved.example.'
const FILE = 'approved.example.zone'

class World {
  readonly quorum: TestQuorum
  readonly cwd: string
  readonly #t: ExecutionContext

  private constructor(t: ExecutionContext, quorum: TestQuorum) {
    this.#t = t
    this.quorum = quorum
    this.cwd = directoryOf(t, { [FILE]: zoneText(ZONE) })
  }

  /** 2 of 3 nodes, which want two operators' word for what a KSK signs. */
  static async create(t: ExecutionContext): Promise<World> {
    const world = new World(t, await TestQuorum.create(t, { nodes: 3, threshold: 2 }))
    const operators: string[] = []
    for (const name of ['ann', 'bob', 'eve']) {
      const made = await conclave(['hsm', 'approve', '--generate-operator', `${name}.pem`, '--json'], world)
      operators.push((JSON.parse(made.out) as { operator: string }).operator)
    }
    const rule = [
      `    - zone: ${ZONE}`,
      '      dnskeys: any',
      '      approvals:',
      '        required: 2',
      `        operators: [${operators.join(', ')}]`,
    ]
    for (const name of world.quorum.names) {
      const file = world.quorum.nodeFile(name)
      writeFileSync(file, `${readFileSync(file, 'utf8').trimEnd()}\n${rule.join('\n')}\n`)
    }
    await world.quorum.start()
    return world
  }

  serve(): Promise<ServeProcess> {
    return serve(this.#t, this.cwd, [FILE, '--hsm', this.quorum.file, '--ksk-only', '--state', 'state'])
  }

  edit(...lines: string[]): void {
    writeFileSync(join(this.cwd, FILE), zoneText(ZONE, lines))
  }

  approve(operator: string): Promise<Ran> {
    const words = ['hsm', 'approve', '--hsm', this.quorum.file, '--all', '--key', `${operator}.pem`]
    return conclave(words, { cwd: this.cwd })
  }

  get pendingDirectory(): string {
    return join(this.quorum.directory, 'coordinator', 'state', 'pending')
  }

  /** Of what waits at the coordinator: the tickets, and the times that the signatures would have. */
  pending(): { tickets: string[]; inception: number } {
    const directory = this.pendingDirectory
    const tickets = readdirSync(directory).sort()
    const [first] = tickets.map(
      name => JSON.parse(readFileSync(join(directory, name), 'utf8')) as { octets: string },
    )
    const octets = Buffer.from(first!.octets, 'base64')
    // RFC 4034 §3.1: the inception comes after type, algorithm, labels, TTL and expiration.
    return { tickets, inception: octets.readUInt32BE(12) }
  }
}

/** When the signature of the DNSKEY RRset that is answered begins. */
async function inceptionOf(server: ServeProcess): Promise<number> {
  const { answer } = await server.ask(ZONE, 'DNSKEY')
  const rrsig = answer.map(line => line.split(' ')).find(words => words[2] === 'RRSIG')
  const text = rrsig![8]!
  if (/^\d{10}$/.test(text)) return Number(text)
  const iso = text.replace(/^(....)(..)(..)(..)(..)(..)$/, '$1-$2-$3T$4:$5:$6Z')
  return Date.parse(iso) / 1000
}

async function isSecure(t: ExecutionContext, server: ServeProcess, ds: string, name: string): Promise<void> {
  if (!needs(t, 'delv')) return
  const delv = delvOf(server.port, ds)
  const { verdict, text } = await delv.ask(name, 'A')
  delv.stop()
  t.is(verdict, 'secure', text)
}

test('a zone is served when its operators have approved, with the octets that they saw; a server killed meanwhile goes on', async t => {
  const world = await World.create(t)
  const first = await world.serve()
  t.is(first.zone(ZONE)!.state, 'refused')
  const [anchor] = first.serving.ds
  await first.logged('operators have to approve; what was served goes on', { zone: ZONE })
  const waits = await first.control('status')
  t.is(waits.code, 1)
  t.regex(
    waits.out,
    /approved\.example\. waits for 2 more of 3 operators for DNSKEY, 2 more of 3 operators for CDS, /,
  )
  const before = world.pending()
  t.is(before.tickets.length, 3, 'DNSKEY, CDS and CDNSKEY')
  t.is((await world.approve('ann')).code, 0)
  await first.control('reload')
  t.regex((await first.control('status')).out, /waits for 1 more of 3 operators/)
  t.is(await first.stop('SIGKILL'), null)

  const second = await world.serve()
  t.deepEqual(world.pending(), before, 'nothing was asked anew')
  t.is((await world.approve('eve')).code, 0)
  const reloaded = await second.control('reload')
  t.is(reloaded.code, 0, reloaded.out)
  t.is(await inceptionOf(second), before.inception)
  t.deepEqual(readdirSync(world.pendingDirectory), [])
  await isSecure(t, second, anchor!.ds, `ns1.${ZONE}`)
  t.is((await second.control('status')).code, 0)

  // A roll of the local ZSK changes what the KSK signs: it waits, and edits go on.
  const beforeRoll = second.log.length
  const rolled = await conclave(['keys', 'roll', ZONE, '--role', 'zsk', '--state', 'state'], world)
  t.is(rolled.code, 0, rolled.err)
  await second.logged('operators have to approve; what was served goes on', { zone: ZONE }, beforeRoll)
  const step = world.pending()
  world.edit('new IN A 192.0.2.7')
  await second.logged('published', { zone: ZONE, reason: 'file changed' })
  await isSecure(t, second, anchor!.ds, `new.${ZONE}`)
  t.regex((await second.control('status')).out, /waits for 2 more of 3 operators for DNSKEY\./)
  t.is(await second.stop('SIGKILL'), null)

  const third = await world.serve()
  await isSecure(t, third, anchor!.ds, `new.${ZONE}`)
  t.is(await inceptionOf(third), before.inception)
  for (const operator of ['bob', 'ann']) t.is((await world.approve(operator)).code, 0)
  await third.control('reload')
  t.is(await inceptionOf(third), step.inception)
  t.is((await third.ask(ZONE, 'DNSKEY')).answer.filter(line => line.split(' ')[2] === 'DNSKEY').length, 3)
  await isSecure(t, third, anchor!.ds, `new.${ZONE}`)
  t.is(await third.stop(), 0)
})
