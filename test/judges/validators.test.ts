/** What we sign and serve, validated by others: unbound as a resolver, delv question by question, both with the DS of
 *  our key as trust anchor. Parent and child are served by one nameserver, the unsigned child by another. */

import test, { type ExecutionContext } from 'ava'
import { createNameserver, type Nameserver } from '../../server/index.ts'
import type { SigningPolicy } from '../../signer/index.ts'
import { needs } from '../support/tools.ts'
import {
  CHILD,
  childText,
  delvFaults,
  PARENT,
  PLAIN,
  parentText,
  plainText,
  unboundFaults,
} from '../support/validated-zones.ts'
import { delvOf, outcomeOf, portOf, type Resolver, startUnbound } from '../support/validators.ts'

interface Family {
  readonly port: number
  readonly plainPort: number
  /** DS of the parent. */
  readonly anchor: string
  close(): Promise<void>
}

/** Parent and child, signed by us; the unsigned child on a server of its own. */
async function serveFamily(signing: Partial<SigningPolicy>): Promise<Family> {
  const signed = await createNameserver({ listen: ['127.0.0.1@0'], workers: 1, signing })
  const plain = await createNameserver({ listen: ['127.0.0.1@0'], workers: 1, signing: false })
  const ds = new Map<string, string>()
  signed.on('key', event => {
    if (event.ds !== undefined) ds.set(event.zone, event.ds)
  })
  await addText(signed, childText)
  await addText(signed, parentText(ds.get(CHILD)!))
  await addText(plain, plainText)
  return {
    port: portOf(signed),
    plainPort: portOf(plain),
    anchor: ds.get(PARENT)!,
    close: async () => {
      await signed.close()
      await plain.close()
    },
  }
}

async function addText(server: Nameserver, text: string): Promise<void> {
  const outcome = await server.addText(text)
  if (outcome.kind !== 'published') throw new Error(JSON.stringify(outcome))
}

interface Setting {
  readonly signing: Partial<SigningPolicy> & { readonly denial: SigningPolicy['denial'] }
  readonly via: 'stub' | 'forward'
  readonly qnameMinimisation: boolean
  readonly aggressiveNsec: boolean
  /** delv takes a process for every question: one setting of each kind of denial is enough. */
  readonly delv?: true
}

const saltAndIterations = { iterations: 3, salt: Uint8Array.from([0xa1, 0xb2]) }

function setting(
  algorithm: number,
  denial: SigningPolicy['denial'],
  via: 'stub' | 'forward',
  qnameMinimisation: boolean,
  more: Partial<Setting> & { readonly policy?: Partial<SigningPolicy> } = {},
): Setting {
  const { policy, ...rest } = more
  return {
    signing: { algorithm, denial, ...policy },
    via,
    qnameMinimisation,
    aggressiveNsec: false,
    ...rest,
  }
}

const SETTINGS: readonly Setting[] = [
  setting(8, 'nsec', 'stub', true),
  setting(13, 'nsec', 'stub', true, { aggressiveNsec: true }),
  setting(13, 'nsec', 'forward', false, { delv: true }),
  setting(15, 'nsec', 'stub', false, { policy: { splitKeys: true } }),
  setting(8, 'nsec3', 'stub', false, { policy: { splitKeys: true } }),
  setting(13, 'nsec3', 'stub', true, { aggressiveNsec: true, delv: true }),
  setting(15, 'nsec3', 'forward', true, { policy: { nsec3: saltAndIterations } }),
  setting(8, 'opt-out', 'forward', false),
  setting(13, 'opt-out', 'stub', true, { delv: true }),
  setting(15, 'opt-out', 'stub', false, { aggressiveNsec: true }),
  setting(10, 'nsec3', 'stub', true),
  setting(14, 'nsec', 'stub', true),
  setting(16, 'opt-out', 'stub', true),
]

function titleOf({ signing, via, qnameMinimisation, aggressiveNsec }: Setting): string {
  const { algorithm, denial, splitKeys, nsec3 } = signing
  const words = [`algorithm ${algorithm}`, denial, via, qnameMinimisation ? 'minimised names' : 'whole names']
  if (splitKeys) words.push('KSK and ZSK')
  if (nsec3 !== undefined) words.push('salt and iterations')
  if (aggressiveNsec) words.push('aggressive use of NSEC')
  return words.join(', ')
}

for (const one of SETTINGS) {
  test.serial(`RFC 4035 §5: answers validate: ${titleOf(one)}`, async t => {
    if (!needs(t, 'unbound', 'delv')) return
    const optOut = one.signing.denial === 'opt-out' ? 'cuts' : 'no'
    const family = await serveFamily(one.signing)
    t.teardown(family.close)
    const resolver = await resolverOf(t, family, one)
    t.deepEqual(await unboundFaults(resolver, optOut), [], resolver.log())
    // Again, out of the cache, and with denials that unbound may make itself.
    t.deepEqual(await unboundFaults(resolver, optOut), [], resolver.log())
    if (one.delv !== true) return
    const delv = delvOf(family.port, family.anchor)
    t.teardown(delv.stop)
    t.deepEqual(await delvFaults(delv, optOut, false), [])
  })
}

async function resolverOf(t: ExecutionContext, family: Family, one: Setting): Promise<Resolver> {
  const { via, qnameMinimisation, aggressiveNsec } = one
  const zones = [
    { name: PARENT, port: family.port },
    { name: CHILD, port: family.port },
    { name: PLAIN, port: family.plainPort },
  ]
  const resolver = await startUnbound({
    zones,
    anchors: [family.anchor],
    via,
    qnameMinimisation,
    aggressiveNsec,
  })
  t.teardown(resolver.stop)
  return resolver
}

test.serial(
  'RFC 5155 §7.1: below an empty non-terminal of an unsigned delegation, beside a wildcard, names are denied',
  async t => {
    if (!needs(t, 'unbound')) return
    const server = await createNameserver({
      listen: ['127.0.0.1@0'],
      workers: 1,
      signing: { denial: 'opt-out' },
    })
    t.teardown(() => server.close())
    let anchor = ''
    server.on('key', event => {
      anchor = event.ds!
    })
    await addText(
      server,
      '$ORIGIN example.\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 127.0.0.1\n* A 192.0.2.1\na.ent NS ns.a.ent\n',
    )
    const resolver = await startUnbound({
      zones: [{ name: PARENT, port: portOf(server) }],
      anchors: [anchor],
    })
    t.teardown(resolver.stop)
    // Without an NSEC3 for ent.example the closest encloser to be proven is the apex, and its wildcard cannot be denied.
    t.is(outcomeOf(await resolver.ask('b.ent.example.', 'A')), 'NXDOMAIN')
    t.is(outcomeOf(await resolver.ask('ent.example.', 'A')), 'NOERROR AD')
    t.is(outcomeOf(await resolver.ask('b.example.', 'A')), 'NOERROR')
  },
)
