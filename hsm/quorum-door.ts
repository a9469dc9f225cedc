/** The socket through which other processes of the same user use a coordinator that runs already: the same operations, one
 *  after the other or beside each other, as the nodes' keys belong to one coordinator (quorum-remote.ts is the other end).
 *  I1  What waits for operators or nodes ends with the caller's patience; the operation itself goes to its end. */

import { z } from 'zod'
import { type ControlServer, type Logger, serveControl } from '../base/index.ts'
import { canonicalName, nameFromText, nameToText } from '../zones/index.ts'
import { dnskeyField } from './key-record.ts'
import type { QuorumAlgorithm } from './messages.ts'
import { keyTagOf } from './node-keys.ts'
import type { Quorum, QuorumKey } from './quorum.ts'
import { pack, unpack, WIRE_OCTETS_MAX } from './quorum-wire.ts'

const octets = z.custom<Uint8Array>(value => value instanceof Uint8Array)
const approval = z.strictObject({ operator: octets, statement: octets, signature: octets })
const members = z.array(z.string())
const algorithm = z.custom<QuorumAlgorithm>(value => [8, 10, 15, 16].includes(value as number))

/** What is asked, by name. */
const schemas = {
  sign: z.strictObject({
    key: z.string(),
    messages: z.array(octets),
    approvals: z.array(approval),
    deadlineUnix: z.number(),
  }),
  keygen: z.strictObject({
    zone: z.string(),
    role: z.enum(['ksk', 'zsk', 'csk']),
    algorithm,
    members: members.optional(),
    threshold: z.number().optional(),
  }),
  deal: z.strictObject({
    record: octets,
    requests: z.array(
      z.tuple([
        z.string(),
        z.strictObject({ kind: z.literal('deal'), record: octets, share: octets, dealer: z.string() }),
      ]),
    ),
  }),
  reshare: z.strictObject({ key: z.string(), members, threshold: z.number() }),
  key: z.strictObject({ key: z.string() }),
  threshold: z.strictObject({ threshold: z.number() }),
  prepare: z.strictObject({ key: z.string(), signatures: z.number() }),
  node: z.strictObject({ node: z.string() }),
} as const

/** A key as it goes through the socket. */
export interface WireKey {
  readonly id: string
  readonly octets: Uint8Array
  readonly holders: readonly string[]
}

/** @throws ConclaveError CONTROL_… */
export function openQuorumDoor(quorum: Quorum, path: string, log: Logger): Promise<ControlServer> {
  const wire = (key: QuorumKey): WireKey => ({ id: key.id, octets: key.octets, holders: key.holders })
  return serveControl({
    path,
    log,
    requestOctetsMax: WIRE_OCTETS_MAX,
    handlers: {
      status: async () => {
        const status = await quorum.status()
        return pack({ status, keys: quorum.keys().map(wire), threshold: quorum.threshold })
      },
      sign: async args => pack(await quorum.sign(unpack(schemas.sign, args))),
      keygen: async args => {
        const { members, threshold, ...spec } = unpack(schemas.keygen, args)
        const accepts = acceptsFreeTag(quorum, spec.zone)
        const size = {
          ...(members === undefined ? {} : { members }),
          ...(threshold === undefined ? {} : { threshold }),
        }
        return pack(wire(await quorum.keygen({ ...spec, ...size, accepts })))
      },
      deal: async args => {
        const { record, requests } = unpack(schemas.deal, args)
        return pack(wire(await quorum.deal({ record, requests: new Map(requests) })))
      },
      reshare: async args => pack(wire(await quorum.reshare(unpack(schemas.reshare, args)))),
      refresh: async args => pack(wire(await quorum.refresh(unpack(schemas.key, args).key))),
      threshold: args => quorum.setThreshold(unpack(schemas.threshold, args).threshold),
      erase: args => quorum.erase(unpack(schemas.key, args).key),
      prepare: args => {
        const { key, signatures } = unpack(schemas.prepare, args)
        quorum.prepare(key, signatures)
      },
      forgive: args => quorum.forgive(unpack(schemas.node, args).node),
    },
  })
}

const REVOKE = 0x80
const FLAGS = [256, 257]

/** Whether a new public key's tags, revoked or not (RFC 5011 §2.1), are free among the quorum's keys of the zone. */
export function acceptsFreeTag(quorum: Quorum, zone: string): (publicKey: Uint8Array) => boolean {
  const name = nameToText(canonicalName(nameFromText(zone)))
  return publicKey =>
    quorum.keys().every(({ record }) => {
      if (record.zone !== name) return true
      const own = new Set(tagsOf(record.algorithm, publicKey))
      return !tagsOf(record.algorithm, dnskeyField(record)).some(tag => own.has(tag))
    })
}

function tagsOf(algorithm: number, publicKey: Uint8Array): number[] {
  return FLAGS.flatMap(flags =>
    [flags, flags | REVOKE].map(word =>
      keyTagOf(Uint8Array.of(word >> 8, word & 255, 3, algorithm, ...publicKey)),
    ),
  )
}
