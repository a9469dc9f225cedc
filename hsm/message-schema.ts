/** How messages are read: everything that arrives is held against these descriptions before anything else looks at it.
 *  I1  Unknown fields, other types and longer lists than these are malformed; nothing of such a message is used. */

import { z } from 'zod'
import type { HeldKey, NodeAnswer, NodeRequest, SignResult } from './messages.ts'
import { NODES_MAX } from './quorum-size.ts'

/** An RRset of 64 KiB of RDATA and its owners; more is refused long before. */
const TO_SIGN_OCTETS_MAX = 128 << 10
export const BATCH_MAX = 512
export const COMMITMENTS_MAX = 1024
const APPROVALS_MAX = 32
/** A share of a 4096-bit RSA signature is 512 octets. */
const ELEMENT_OCTETS_MAX = 1024
/** A hash and a scalar (secret-polynomial.ts). */
const PROOF_OCTETS_MAX = 32 + 57
const RECORD_OCTETS_MAX: number = 64 << 10
const SEALED_OCTETS_MAX = 8192
const AUDIT_RECORDS_MAX = 1000
const KEYS_MAX = 10_000

const octets = (max: number): z.ZodType<Uint8Array> =>
  z.custom<Uint8Array>(value => value instanceof Uint8Array && value.length <= max)
const index = z.number().int().min(1).max(NODES_MAX)
const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER)
const text = z.string().max(255)
const element = octets(ELEMENT_OCTETS_MAX)
const hash = octets(32)
const signature = octets(64)
const session = octets(64)
const record = octets(RECORD_OCTETS_MAX)
const messages = z.array(octets(TO_SIGN_OCTETS_MAX)).min(1).max(BATCH_MAX)
const keyEpoch = { key: z.string().regex(/^[0-9a-f]{32}$/), epoch: count }
const membership = { members: z.array(text).min(2).max(NODES_MAX), threshold: index }
const algorithm = z.union([z.literal(8), z.literal(10), z.literal(15), z.literal(16)])
const role = z.enum(['ksk', 'zsk', 'csk'])
const auditHead = { auditLength: count, auditHead: hash }

const approval = z.strictObject({ operator: hash, statement: octets(512), signature })
const commitment = z.strictObject({ index, nonce: count, hiding: element, binding: element })
const pledge = z.strictObject({ index, pledge: hash, signature })
const proven = {
  commitments: z.array(element).max(NODES_MAX),
  proofs: z.array(octets(PROOF_OCTETS_MAX)).max(NODES_MAX),
}
const round1 = z.strictObject({ index, salt: hash, ...proven, signature })
const part = z.strictObject({ from: index, to: index, sealed: octets(SEALED_OCTETS_MAX) })
const parts = z.array(part).max(NODES_MAX * NODES_MAX)
const echo = z.strictObject({ index, echo: hash, signature })
const echoes = z.array(echo).max(NODES_MAX)
const dealing = z.strictObject({ from: index, ...proven, signature })

const requestSchema: z.ZodType<NodeRequest> = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('hello') }),
  z.strictObject({
    kind: z.literal('commit'),
    ...keyEpoch,
    count: z.number().int().min(1).max(COMMITMENTS_MAX),
  }),
  z.strictObject({
    kind: z.literal('sign'),
    ...keyEpoch,
    messages,
    sets: z.exactOptional(z.array(z.array(commitment).max(NODES_MAX)).max(BATCH_MAX)),
    approvals: z.array(approval).max(APPROVALS_MAX),
  }),
  z.strictObject({ kind: z.literal('prove'), ...keyEpoch, messages }),
  z.strictObject({
    kind: z.literal('keygen'),
    session,
    zone: text,
    role,
    algorithm,
    createdUnix: count,
    ...membership,
  }),
  z.strictObject({ kind: z.literal('keygen-reveal'), session, pledges: z.array(pledge).max(NODES_MAX) }),
  z.strictObject({ kind: z.literal('keygen-parts'), session, round1: z.array(round1).max(NODES_MAX) }),
  z.strictObject({ kind: z.literal('keygen-finish'), session, parts }),
  z.strictObject({ kind: z.literal('keygen-confirm'), session, echoes }),
  z.strictObject({ kind: z.literal('deal'), record, share: octets(SEALED_OCTETS_MAX), dealer: text }),
  z.strictObject({
    kind: z.literal('reshare'),
    session,
    ...keyEpoch,
    record,
    set: z.array(index).max(NODES_MAX),
    ...membership,
  }),
  z.strictObject({
    kind: z.literal('reshare-parts'),
    session,
    dealings: z.array(dealing).max(NODES_MAX),
    parts,
  }),
  z.strictObject({
    kind: z.literal('reshare-confirm'),
    session,
    echoes,
    outcome: z.exactOptional(z.strictObject({ record, dealings: hash })),
  }),
  z.strictObject({ kind: z.literal('abandon'), session }),
  z.strictObject({ kind: z.literal('erase'), ...keyEpoch }),
  z.strictObject({ kind: z.literal('audit'), from: count }),
])

const heldKey: z.ZodType<HeldKey> = z.strictObject({ ...keyEpoch, index, record })

const signResult: z.ZodType<SignResult> = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('share'), share: element }),
  z.strictObject({ kind: z.literal('pending'), needs: text }),
  z.strictObject({ kind: z.literal('refused'), code: text, what: text }),
])

const proof = z.strictObject({ share: element, challenge: hash, response: octets(2048) })

const answerSchema: z.ZodType<NodeAnswer> = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('state'),
    version: text,
    clockUnix: z.number(),
    keys: z.array(heldKey).max(KEYS_MAX),
    prepared: z.array(session).max(KEYS_MAX),
    ...auditHead,
  }),
  z.strictObject({ kind: z.literal('commitments'), commitments: z.array(commitment).max(COMMITMENTS_MAX) }),
  z.strictObject({ kind: z.literal('shares'), results: z.array(signResult).max(BATCH_MAX), ...auditHead }),
  z.strictObject({ kind: z.literal('proofs'), proofs: z.array(proof).max(BATCH_MAX) }),
  z.strictObject({ kind: z.literal('pledge'), pledge }),
  z.strictObject({ kind: z.literal('round1'), round1 }),
  z.strictObject({ kind: z.literal('parts'), parts }),
  z.strictObject({ kind: z.literal('dealt'), dealing, parts }),
  z.strictObject({ kind: z.literal('echo'), echo }),
  z.strictObject({ kind: z.literal('active'), ...keyEpoch }),
  z.strictObject({ kind: z.literal('audit'), records: z.array(octets(8192)).max(AUDIT_RECORDS_MAX) }),
  z.strictObject({ kind: z.literal('done') }),
  z.strictObject({ kind: z.literal('refused'), code: text, what: text, culprit: z.exactOptional(index) }),
])

/** Undefined for what is malformed (I1). */
export function readRequest(body: unknown): NodeRequest | undefined {
  return requestSchema.safeParse(body).data
}

export function readAnswer(body: unknown): NodeAnswer | undefined {
  return answerSchema.safeParse(body).data
}
