/** A zone that changes while a validating resolver asks about it: through twenty versions no answer is bogus, and what
 *  the resolver says is the newest version as soon as its caches have aged. */

import test, { type ExecutionContext } from 'ava'
import { createNameserver } from '../../server/index.ts'
import type { DenialMode } from '../../signer/index.ts'
import { needs } from '../support/tools.ts'
import { outcomeOf, portOf, type Resolver, startUnbound } from '../support/validators.ts'

const CHANGES = 20
/** What unbound is told counts, not what it remembers, which it does to the end of the second even with a TTL of zero. */
const FORGETFUL = ['cache-max-ttl: 0', 'cache-max-negative-ttl: 0']

interface Expected {
  readonly name: string
  readonly type: string
  /** Of the covered name: opt-out leaves it insecure. */
  readonly outcome: string
  readonly answer?: string
}

/** After change `index`: a host set anew, one that comes and goes, a wildcard that does, a delegation that does. */
function expectedAfter(index: number, denial: DenialMode): Expected[] {
  const odd = index % 2 === 1
  const open = denial === 'opt-out' ? '' : ' AD'
  return [
    { name: 'www.live.example.', type: 'A', outcome: 'NOERROR AD', answer: `192.0.2.${index}` },
    { name: `host${index}.live.example.`, type: 'A', outcome: 'NOERROR AD', answer: '192.0.2.200' },
    { name: `host${index - 1}.live.example.`, type: 'A', outcome: `NXDOMAIN${open}` },
    { name: 'x.wild.live.example.', type: 'TXT', outcome: odd ? `NOERROR${open}` : `NXDOMAIN${open}` },
    { name: `a.b${index}.live.example.`, type: 'TXT', outcome: 'NOERROR AD', answer: 'below' },
    { name: `b${index}.live.example.`, type: 'TXT', outcome: 'NOERROR AD' },
  ]
}

async function faultsAfter(resolver: Resolver, index: number, denial: DenialMode): Promise<string[]> {
  const faults: string[] = []
  for (const { name, type, outcome, answer } of expectedAfter(index, denial)) {
    const message = await resolver.ask(name, type)
    const got = outcomeOf(message)
    if (got !== outcome) faults.push(`${index}: ${name} ${type}: ${got}, expected ${outcome}`)
    if (answer !== undefined && !message.answer.some(line => line.includes(answer)))
      faults.push(`${index}: ${name} ${type}: ${message.answer.join(' ')}, expected ${answer}`)
  }
  return faults
}

/** The anchor can be had only when the zone has a key, so keys come first. */
async function serveLive(t: ExecutionContext, denial: DenialMode): Promise<Live> {
  const server = await createNameserver({ listen: ['127.0.0.1@0'], workers: 1, signing: { denial } })
  t.teardown(() => server.close())
  let anchor = ''
  server.on('key', event => {
    anchor = event.ds!
  })
  const zone = await server.addZone('live.example', [
    { name: '@', type: 'SOA', ttl: 0, data: 'ns host 1 7200 3600 1209600 0' },
    { name: '@', type: 'NS', ttl: 0, data: 'ns' },
    { name: 'ns', type: 'A', ttl: 0, data: '127.0.0.1' },
  ])
  return { anchor, port: portOf(server), zone }
}

interface Live {
  readonly anchor: string
  readonly port: number
  readonly zone: Awaited<ReturnType<Awaited<ReturnType<typeof createNameserver>>['addZone']>>
}

async function change({ zone }: Live, index: number): Promise<void> {
  const odd = index % 2 === 1
  const old = index - 1
  const wildcard = { name: '*.wild', type: 'TXT', ttl: 0, data: 'wild' }
  const outcome = await zone.change({
    remove: [
      ...(index === 1 ? [] : [{ name: 'www', type: 'A' }, { name: `host${old}` }, { name: `a.b${old}` }]),
      ...(odd || index === 1 ? [] : [{ name: '*.wild' }]),
    ],
    add: [
      { name: 'www', type: 'A', ttl: 0, data: `192.0.2.${index}` },
      { name: `host${index}`, type: 'A', ttl: 0, data: '192.0.2.200' },
      { name: `a.b${index}`, type: 'TXT', ttl: 0, data: 'below' },
      ...(odd ? [wildcard] : []),
    ],
  })
  if (outcome.kind !== 'published') throw new Error(JSON.stringify(outcome))
}

for (const denial of ['nsec', 'nsec3', 'opt-out'] as const) {
  test.serial(`twenty changes, ${denial}: what unbound is told validates all the time`, async t => {
    if (!needs(t, 'unbound')) return
    const live = await serveLive(t, denial)
    const resolver = await startUnbound({
      zones: [{ name: 'live.example.', port: live.port }],
      anchors: [live.anchor],
      more: FORGETFUL,
    })
    t.teardown(resolver.stop)
    const faults: string[] = []
    for (let index = 1; index <= CHANGES; index++) {
      await change(live, index)
      faults.push(...(await faultsAfter(resolver, index, denial)))
    }
    t.deepEqual(faults, [], resolver.log())
  })

  test.serial(`questions that cross a change, ${denial}: none is answered SERVFAIL`, async t => {
    if (!needs(t, 'unbound')) return
    const live = await serveLive(t, denial)
    const zones = [{ name: 'live.example.', port: live.port }]
    const resolver = await startUnbound({ zones, anchors: [live.anchor], more: FORGETFUL })
    t.teardown(resolver.stop)
    const rcodes = new Set<number>()
    for (let index = 1; index <= CHANGES; index++) {
      // Five questions are on their way while the version is built and published.
      const names = ['www', `host${index}`, 'x.wild', `b${index - 1}`, `nx${index}`]
      const asked = names.map(name => resolver.ask(`${name}.live.example.`, 'A'))
      const [, ...messages] = await Promise.all([change(live, index), ...asked])
      for (const { rcode } of messages) rcodes.add(rcode)
    }
    t.deepEqual([...rcodes].sort(), [0, 3], resolver.log())
  })
}
