/** Random questions about random zones and about every RRset of everything.example, asked of us and through unbound:
 *  what we answer with authority must validate, with the same RCODE. */

import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { createNameserver, type Nameserver } from '../../server/index.ts'
import type { DenialMode } from '../../signer/index.ts'
import { RandomZone, seeded } from '../signer/random-zones.ts'
import { type Message, queryOf, readMessage } from '../support/message.ts'
import { needs } from '../support/tools.ts'
import { outcomeOf, outputOf, portOf, type Resolver, startUnbound } from '../support/validators.ts'

const everything = fileURLToPath(new URL('../../../examples/zones/everything.example.zone', import.meta.url))
const LABELS = ['a', 'b', 'c', 'd', '*', 'B-1', '_x', '\\001', 'zz', 'nx', '0']
const TYPES = ['A', 'TXT', 'MX', 'NS', 'DS', 'CNAME', 'AAAA', 'SOA']
const QUESTIONS = 150

interface Served {
  readonly server: Nameserver
  readonly resolver: Resolver
}

async function serve(
  t: ExecutionContext,
  origin: string,
  denial: DenialMode,
  add: (server: Nameserver) => Promise<{ readonly kind: string }>,
): Promise<Served> {
  const server = await createNameserver({ listen: ['127.0.0.1@0'], workers: 1, signing: { denial } })
  t.teardown(() => server.close())
  let anchor = ''
  server.on('key', event => {
    anchor = event.ds!
  })
  t.is((await add(server)).kind, 'published')
  const zones = [{ name: origin, port: portOf(server) }]
  // Asking name by name, unbound ends at a CNAME to nothing and says NXDOMAIN of what is below it.
  const resolver = await startUnbound({ zones, anchors: [anchor], qnameMinimisation: false })
  t.teardown(resolver.stop)
  return { server, resolver }
}

/** What unbound makes otherwise of a question whose answer lies in our zone; undefined when there is nothing to say. */
async function fault({ server, resolver }: Served, name: string, type: string): Promise<string | undefined> {
  const ours = askUs(server, name, type)
  if (!ours.authoritative || leadsOut(ours) || leadsOut(askUs(server, name, 'A'))) return undefined
  if (madeForAsterisk(name, ours)) return undefined
  const theirs = await resolver.ask(name, type)
  if (theirs.rcode === ours.rcode && theirs.answer.length > 0 === ours.answer.length > 0) return undefined
  return `${name} ${type}: ${outcomeOf(theirs)} ${theirs.answer}, ours ${outcomeOf(ours)} ${ours.answer}`
}

function askUs(server: Nameserver, name: string, type: string): Message {
  return readMessage(server.answer(queryOf(name, type, { udpOctets: 1232, dnssecOk: true }), 'tcp')!)
}

/** An alias to what is not served, below a zone cut or in another zone: no resolver can follow it. */
function leadsOut({ answer, authority }: Message): boolean {
  const out = answer.some(line => / [CD]NAME (\S*\.)?elsewhere\.test\.$/.test(line))
  return out || authority.some(line => / NS /.test(line.replace(/ NSEC.*/, '')))
}

/** unbound 1.17 takes what a wildcard makes for a name that begins with an asterisk itself for the wildcard's own, and
 *  finds its signature wrong (RFC 4035 §5.3.2 counts labels); delv validates it. */
function madeForAsterisk(name: string, { answer }: Message): boolean {
  const signature = / RRSIG \S+ \d+ (\d+) /.exec(answer.join('\n'))
  return name.startsWith('*.') && signature !== null && Number(signature[1]) < name.split('.').length - 2
}

/** unbound 1.17 takes an empty non-terminal of which the label is an asterisk, and NSEC that prove it, for nothing: names
 *  that it would match are NXDOMAIN to it, CNAMEs to them bogus. delv validates these answers. So there are none here. */
function zoneOf(seed: number): RandomZone {
  const zone = new RandomZone(seed, 50)
  for (const owner of zone.records.keys()) if (owner.includes('.*')) zone.records.delete(owner)
  return zone
}

/** Names near those of the zone: owners, names below them, and others. */
function randomName(random: () => number, owners: readonly string[]): string {
  const label = (): string => LABELS[Math.floor(random() * LABELS.length)]!
  const owner = owners[Math.floor(random() * owners.length)] ?? 'a'
  const choice = random()
  if (choice < 0.3) return owner
  if (choice < 0.6) return `${label()}.${owner}`
  if (choice < 0.7) return owner.slice(owner.indexOf('.') + 1)
  return Array.from({ length: 1 + Math.floor(random() * 3) }, label).join('.')
}

for (const [index, denial] of (['nsec', 'nsec3', 'opt-out'] as const).entries()) {
  for (const seed of [11, 21, 31, 41].map(first => first + index)) {
    test.serial(
      `RFC 4035 §5.4: random questions, ${denial}, seed ${seed}: all that we answer validates`,
      async t => {
        if (!needs(t, 'unbound')) return
        const zone = zoneOf(seed)
        const add = (server: Nameserver): Promise<{ readonly kind: string }> =>
          server.addText(zone.text(true), { origin: 'rnd.example.' })
        const served = await serve(t, 'rnd.example.', denial, add)
        const random = seeded(seed)
        const owners = [...zone.records.keys()]
        const faults: string[] = []
        for (let left = QUESTIONS; left > 0; left--) {
          const name = `${randomName(random, owners)}.rnd.example.`
          const found = await fault(served, name, TYPES[Math.floor(random() * TYPES.length)]!)
          if (found !== undefined) faults.push(found)
        }
        t.deepEqual(faults, [], `${served.resolver.log()}\n${zone.text(true)}`)
      },
    )
  }
}

for (const denial of ['nsec', 'nsec3'] as const) {
  test.serial(`every RRset of everything.example, ${denial}: it validates`, async t => {
    if (!needs(t, 'unbound', 'dig')) return
    const served = await serve(t, 'everything.example.', denial, server => server.addFile(everything))
    const words = ['@127.0.0.1', '-p', `${portOf(served.server)}`, '+noall', '+answer', '+unknownformat']
    const transfer = await outputOf('dig', [...words, 'everything.example', 'AXFR'])
    const rrsets = new Set(transfer.match(/^\S+\s+\d+\s+CLASS1\s+TYPE\d+/gm))
    const seen = new Set<string>()
    const faults: string[] = []
    for (const line of rrsets) {
      const [name, , , type] = line.split(/\s+/) as [string, string, string, string]
      if (type === 'TYPE46' || type === 'TYPE50' || seen.has(`${name} ${type}`)) continue
      seen.add(`${name} ${type}`)
      const found = await fault(served, name, type)
      if (found !== undefined) faults.push(found)
    }
    t.true(seen.size > 120, `${seen.size}`)
    t.deepEqual(faults, [], served.resolver.log())
  })
}
