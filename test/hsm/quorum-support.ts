/** A coordinator and its nodes in one process: links that can be cut, delayed and changed under way, and a clock by hand. */

import { createPublicKey, type KeyObject, randomBytes, verify } from 'node:crypto'
import type { ManualClock } from '../../base/index.ts'
import type { Combiner } from '../../hsm/combiner.ts'
import { Coordinator } from '../../hsm/coordinator.ts'
import { type Identity, sealTo } from '../../hsm/identity.ts'
import { octetsOf, signedOctets } from '../../hsm/integers.ts'
import { encodeKeyRecord, type KeyRole, type QuorumKeyRecord } from '../../hsm/key-record.ts'
import { dealContext } from '../../hsm/node-keygen.ts'
import { dnskeyOf, keyTagOf } from '../../hsm/node-keys.ts'
import type { NodePolicy } from '../../hsm/node-policy.ts'
import type { CoordinatorMemory, DealtKey, NodeLink, QuorumEvent, QuorumKey } from '../../hsm/quorum.ts'
import { shareSafePrimes } from '../../hsm/rsa-deal.ts'
import { type ToSign, writeToSign } from '../../hsm/to-be-signed.ts'
import { canonicalName, nameFromText, rdataFromText, TYPE } from '../../zones/index.ts'
import { NOW, openPolicy, type TestNode, TestQuorum } from './nodes.ts'
import { SAFE_PRIMES_256 } from './safe-primes.ts'

export class HeldMemory implements CoordinatorMemory {
  octets: Uint8Array | undefined
  onSave: () => void = () => {}

  async load(): Promise<Uint8Array | undefined> {
    return this.octets
  }

  async save(octets: Uint8Array): Promise<void> {
    this.octets = octets
    this.onSave()
  }
}

/** What may happen to octets between coordinator and node; undefined: lost. */
export type Way = (octets: Uint8Array, node: TestNode) => Uint8Array | undefined

/** A link to a node in this process. */
export class DirectLink implements NodeLink {
  readonly #node: TestNode
  readonly #rig: QuorumRig
  #call: (octets: Uint8Array) => void = () => {}

  constructor(rig: QuorumRig, node: TestNode) {
    this.#rig = rig
    this.#node = node
  }

  send(octets: Uint8Array): void {
    void this.#carry(octets)
  }

  async #carry(octets: Uint8Array): Promise<void> {
    const { name } = this.#node.identity.publicIdentity
    this.#rig.requests.push(name)
    if (this.#rig.dead.has(name)) return
    const answer = await this.#node.node.receive('coordinator', octets)
    const arrived = answer === undefined || this.#rig.dead.has(name) ? undefined : answer
    const deliver = (): void => {
      if (arrived !== undefined) this.#call(arrived)
    }
    const delay = this.#rig.delaySeconds.get(name) ?? 0
    if (delay === 0) deliver()
    else this.#rig.quorum.clock.after(delay, deliver)
  }

  onMessage(call: (octets: Uint8Array) => void): void {
    this.#call = call
  }

  onChange(call: (state: 'open' | 'broken') => void): void {
    this.#rig.links.set(this.#node.identity.publicIdentity.name, call)
  }

  close(): void {
    this.#call = () => {}
  }
}

export class QuorumRig {
  readonly quorum: TestQuorum
  readonly memory: HeldMemory = new HeldMemory()
  readonly threshold: number
  readonly events: QuorumEvent[] = []
  readonly dead: Set<string> = new Set()
  readonly delaySeconds: Map<string, number> = new Map()
  /** What links tell the coordinator, by node. */
  readonly links: Map<string, (state: 'open' | 'broken') => void> = new Map()
  /** Names of nodes that something was sent to, in order. */
  requests: string[] = []
  coordinator!: Coordinator

  constructor(
    nodes: number,
    threshold: number,
    policy: NodePolicy = openPolicy,
    dealer?: Identity,
    clock?: ManualClock,
  ) {
    this.quorum = new TestQuorum(nodes, policy, dealer, clock)
    this.threshold = threshold
  }

  /** Starts a coordinator; again, from what it remembers. `names`: nodes that it knows. */
  async start(combiner?: Combiner, names: readonly string[] = this.quorum.members): Promise<Coordinator> {
    this.coordinator = await Coordinator.open({
      identity: this.quorum.coordinator,
      nodes: names
        .map(name => this.quorum.named(name))
        .map(node => ({
          node: node.identity.publicIdentity,
          link: new DirectLink(this, node),
        })),
      threshold: this.threshold,
      clock: this.quorum.clock,
      memory: this.memory,
      ...(combiner === undefined ? {} : { combiner }),
      onEvent: event => this.events.push(event),
    })
    await this.passing(this.coordinator.start())
    return this.coordinator
  }

  /** Lets time go on until that is done. */
  async passing<T>(work: Promise<T>, stepSeconds = 0.05, secondsMax = 600): Promise<T> {
    let done = false
    const settled = work.then(
      () => {
        done = true
      },
      () => {
        done = true
      },
    )
    for (let seconds = 0; ; seconds += stepSeconds) {
      await quiet()
      if (done) break
      if (seconds > secondsMax) throw new Error(`not done after ${secondsMax} seconds`)
      this.quorum.clock.advance(stepSeconds)
    }
    await settled
    return work
  }

  async pass(seconds: number, stepSeconds = 0.25): Promise<void> {
    for (let left = seconds; left > 0; left -= stepSeconds) {
      await quiet()
      this.quorum.clock.advance(stepSeconds)
    }
    await quiet()
  }

  /** Starts the node again, from its disk as it is. */
  restart(node: TestNode): void {
    this.quorum.start(node)
  }

  kinds(): string[] {
    return this.events.map(({ kind }) => kind)
  }
}

/** Until promises and turns of the event loop under way are over. */
export async function quiet(): Promise<void> {
  for (let turn = 0; turn < 25; turn++) await new Promise(resolve => setImmediate(resolve))
}

/** An RSA key of tests' primes, ready to be dealt. */
export function dealtKey(
  quorum: TestQuorum,
  threshold: number,
  {
    role = 'csk',
    members = quorum.members,
    primes = SAFE_PRIMES_256,
    algorithm = 8,
  }: {
    role?: KeyRole
    members?: readonly string[]
    primes?: readonly [bigint, bigint]
    algorithm?: 8 | 10
  } = {},
): DealtKey {
  const { key, shares } = shareSafePrimes(...primes, { threshold, nodes: members.length })
  const record = encodeKeyRecord({
    zone: 'example.',
    role,
    algorithm,
    createdUnix: NOW,
    epoch: 1,
    members,
    scheme: { kind: 'rsa', key },
  })
  const requests = members.map((name, at) => {
    const to = quorum.named(name).identity.publicIdentity
    const share = sealTo(quorum.dealer, to, dealContext(record), signedOctets(shares[at]!.value))
    return [name, { kind: 'deal', record, share, dealer: 'dealer' }] as const
  })
  return { record, requests: new Map(requests) }
}

export function toSign({ record }: QuorumKey, nowUnix: number, change: Partial<ToSign> = {}): ToSign {
  const zone = canonicalName(nameFromText('example.'))
  return {
    type: TYPE.A,
    algorithm: record.algorithm,
    ttl: 300,
    expirationUnix: Math.floor(nowUnix) + 86_400,
    inceptionUnix: Math.floor(nowUnix) - 3600,
    keyTag: keyTagOf(dnskeyOf(record)),
    signer: zone,
    owner: canonicalName(nameFromText(`h${randomBytes(4).toString('hex')}`, zone)),
    rdata: [rdataFromText(TYPE.A, '192.0.2.1', zone)],
    ...change,
  }
}

export function messagesFor(key: QuorumKey, nowUnix: number, count: number): Uint8Array[] {
  return Array.from({ length: count }, () => writeToSign(toSign(key, nowUnix)))
}

export function publicKeyOf({ scheme, algorithm }: QuorumKeyRecord): KeyObject {
  const text = (octets: Uint8Array): string => Buffer.from(octets).toString('base64url')
  const jwk =
    scheme.kind === 'frost'
      ? { kty: 'OKP', crv: algorithm === 15 ? 'Ed25519' : 'Ed448', x: text(scheme.key.publicKey) }
      : { kty: 'RSA', n: text(octetsOf(scheme.key.modulus)), e: text(octetsOf(scheme.key.publicExponent)) }
  return createPublicKey({ key: jwk, format: 'jwk' })
}

export function isSignature(record: QuorumKeyRecord, message: Uint8Array, signature: Uint8Array): boolean {
  const hash = record.algorithm === 8 ? 'sha256' : record.algorithm === 10 ? 'sha512' : null
  return verify(hash, message, publicKeyOf(record), signature)
}
