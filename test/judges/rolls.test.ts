/** Keys and denial roll for real, with times of a second or two, while unbound asks and caches all the time. Its trust
 *  anchor is the key of a parent zone that is ours too, whose DS records follow the children's CDS (RFC 7344, RFC 8078) as a
 *  registry's would: by a new zone file.
 *
 *    child ──CDS──▶ the registry edits the parent's file ──▶ DS ◀── the child's server asks the parent
 *      └──────────── unbound, with a cache: never SERVFAIL, and secure while there is a DS ───────────┘
 *
 *  TTLs expire in real seconds here: that is what is tested. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { createNameserver, type Nameserver } from '../../server/index.ts'
import { type SigningPolicy, signingPolicyOf } from '../../signer/index.ts'
import { answers } from '../support/embedding.ts'
import { Questioner } from '../support/questioner.ts'
import { Registry } from '../support/registry.ts'
import { temporaryDirectory } from '../support/serve.ts'
import { needs } from '../support/tools.ts'
import { portOf, type Resolver, startUnbound } from '../support/validators.ts'

const PARENT = 'rolls.test.'
const SOA = 'ns hostmaster 1 7200 1800 1209600 1'

function childText(zone: string): string {
  return [
    `$ORIGIN ${zone}`,
    '$TTL 1',
    `@ SOA ${SOA}`,
    '@ NS ns',
    'ns A 127.0.0.1',
    'www A 192.0.2.80',
    '*.wild TXT "here"',
    '',
  ].join('\n')
}

interface World {
  readonly server: Nameserver
  readonly registry: Registry
  readonly resolver: Resolver
  readonly policy: (wishes?: Partial<SigningPolicy>) => SigningPolicy
  zone(name: string, wishes?: Partial<SigningPolicy>): Promise<Questioner>
}

async function startWorld(t: ExecutionContext): Promise<World> {
  const parent = await createNameserver({ listen: ['127.0.0.1@0'], workers: 1, watch: false })
  t.teardown(() => parent.close())
  const file = join(temporaryDirectory(t), 'parent.zone')
  const registry = new Registry(parent, CHILDREN, lines => {
    const head = [`$ORIGIN ${PARENT}`, '$TTL 1', `@ SOA ${SOA}`, '@ NS ns', 'ns A 127.0.0.1']
    writeFileSync(file, `${[...head, ...lines].join('\n')}\n`)
    return file
  })
  await registry.publish()
  const server = await createNameserver({ listen: ['127.0.0.1@0'], workers: 1 })
  t.teardown(() => server.close())
  const children = CHILDREN.map(name => ({ name, port: portOf(server) }))
  const resolver = await startUnbound({
    zones: [{ name: PARENT, port: portOf(parent) }, ...children],
    anchors: parent.keys.status(PARENT)!.dsRecords,
    // RFC 4035 §2.2: data have to be signed with every algorithm of the DS RRset.
    more: ['harden-algo-downgrade: yes'],
  })
  t.teardown(resolver.stop)
  registry.follow(server)
  const policy = (wishes: Partial<SigningPolicy> = {}): SigningPolicy => {
    const observed = { confirmation: 'observe', servers: [`127.0.0.1@${portOf(parent)}`] } as const
    return signingPolicyOf({ ...QUICK, ...wishes, parent: { ...PARENT_QUICK, ...observed } })
  }
  const zone = async (name: string, wishes?: Partial<SigningPolicy>): Promise<Questioner> => {
    const apex = `${name}.${PARENT}`
    await server.addText(childText(apex), { signing: { policy: policy(wishes) } })
    const questioner = new Questioner(resolver, apex, registry)
    t.teardown(() => questioner.stop())
    await questioner.start()
    return questioner
  }
  return { server, registry, resolver, policy, zone }
}

const CHILDREN = ['zsk', 'csk', 'alg', 'denial', 'unsigned'].map(name => `${name}.${PARENT}`)
/** unbound counts whole seconds, so that a TTL of one may last for two: the safety is for that. */
const QUICK = {
  dnskeyTtlSeconds: 1,
  propagationSeconds: 1,
  publishSafetySeconds: 1,
  retireSafetySeconds: 1,
  zskLifetimeSeconds: null,
} as const
const PARENT_QUICK = { resolver: [], dsTtlSeconds: 1, propagationSeconds: 1 }

/** Much longer than any roll takes on a busy machine. */
const LIMIT_MILLISECONDS = 300_000
const LOOK_MILLISECONDS = 50

async function until(what: string, so: () => boolean): Promise<void> {
  const end = Date.now() + LIMIT_MILLISECONDS
  while (!so()) {
    if (Date.now() > end) throw new Error(`it did not come about: ${what}`)
    await new Promise(resolve => setTimeout(resolve, LOOK_MILLISECONDS))
  }
}

function tags(server: Nameserver, zone: string): number[] {
  const shown = answers(server, zone, 'DNSKEY').length
  const keys = server.keys
    .status(zone)!
    .keys.filter(key => key.goal === 'in-use')
    .map(key => key.keyTag)
  return keys.length === shown ? keys.sort() : []
}

/** A roll is at its end when the zone shows the keys that are in use and no others, and the parent has their DS. */
function isAtRest(server: Nameserver, zone: string): boolean {
  const { ds, keys } = server.keys.status(zone)!
  const inUse = keys.filter(({ goal }) => goal === 'in-use')
  return !ds.pending && inUse.length > 0 && inUse.length === answers(server, zone, 'DNSKEY').length
}

test.serial('RFC 7583: unbound never answers SERVFAIL while keys, algorithms and denial roll', async t => {
  if (!needs(t, 'unbound')) return
  t.timeout(4 * LIMIT_MILLISECONDS)
  const all = await startWorld(t)
  const { server, policy, zone } = all
  const rest = (name: string): Promise<void> => until(`${name} at rest`, () => isAtRest(server, name))
  const rolled = async (name: string, role: 'ksk' | 'zsk' | 'csk'): Promise<void> => {
    await rest(name)
    const before = tags(server, name)
    await server.keys.order(name, { kind: 'roll', role })
    await until(
      `${role} of ${name} rolled`,
      () => isAtRest(server, name) && `${tags(server, name)}` !== `${before}`,
    )
  }

  const split = async (): Promise<Questioner> => {
    const asked = await zone('zsk', { splitKeys: true })
    await rolled(asked.zone, 'zsk')
    await rolled(asked.zone, 'ksk')
    return asked
  }
  const single = async (): Promise<Questioner> => {
    const asked = await zone('csk')
    await rolled(asked.zone, 'csk')
    return asked
  }
  const algorithm = async (): Promise<Questioner> => {
    const asked = await zone('alg')
    await rest(asked.zone)
    await server.setZonePolicy(asked.zone, { signing: { policy: policy({ algorithm: 15 }) } })
    const isNew = (): boolean =>
      server.keys.status(asked.zone)!.keys.every(key => key.goal !== 'in-use' || key.algorithm === 15)
    await until('keys of algorithm 15 alone', () => isNew() && isAtRest(server, asked.zone))
    return asked
  }
  const denial = async (): Promise<Questioner> => {
    const asked = await zone('denial')
    await rest(asked.zone)
    for (const denial of ['nsec3', 'nsec', 'nsec3'] as const) {
      await server.setZonePolicy(asked.zone, { signing: { policy: policy({ denial }) } })
      t.is(server.zones().find(({ zone }) => zone === asked.zone)!.denial, denial)
      await asked.rounds(50)
    }
    return asked
  }
  const unsigned = async (): Promise<Questioner> => {
    const asked = await zone('unsigned')
    await rest(asked.zone)
    await server.setZonePolicy(asked.zone, { signing: false })
    await until('unsigned', () => answers(server, asked.zone, 'DNSKEY').length === 0)
    await asked.rounds(5)
    await server.setZonePolicy(asked.zone, { signing: { policy: policy() } })
    await until('signed again', () => isAtRest(server, asked.zone))
    await asked.untilSecure()
    return asked
  }
  const done = await Promise.all([split(), single(), algorithm(), denial(), unsigned()])
  for (const asked of done) {
    await asked.stop()
    t.deepEqual(asked.faults, [], asked.zone)
    t.true(asked.count > 100, `${asked.zone}: ${asked.count} questions`)
  }
  t.notRegex(all.resolver.log(), /validation failure/)
})
