/** From planned nodes to signed ones in a tree: finds old signatures that serve again, has the others made in batches,
 *  verifies them, writes nodes in the order they came.
 *
 *    plan ──▶ chunk ─┬─ reuse                          ┌─▶ verify ─▶ put, in order
 *                    └─ ToBeSigned a key ─▶ KeyStore ──┘
 *
 *  I1  At most CHUNKS_AHEAD chunks are in memory; a chunk has at most CHUNK_NODES planned names and what is between.
 *  I2  Nothing is written with a signature missing: a store that pends, refuses or fails ends the build (BuildStop). What
 *      is pending is collected from all batches that were asked for.
 *  I3  The gate: of new signatures all are verified (`full`), or of each batch the first and one in SAMPLE_EVERY (`keys`),
 *      against the DNSKEY that this version publishes. */

import {
  compareOctets,
  encodeNode,
  NODE_CASE,
  type NodeRRset,
  nameToText,
  type TreeDraft,
  typeToText,
  u32,
} from '../zones/index.ts'
import type { BuildInput, BuildResult, TreeKind } from './build-types.ts'
import type { SignOutcome } from './keystore.ts'
import { isSignedRRset, writeOwner } from './nsec.ts'
import { writeHashedOwner } from './nsec3.ts'
import { expirationOf, type PendingBook, type PendingSignature } from './pending.ts'
import type { PlannedNode } from './planner.ts'
import { type PreviousTree, rrsetOfType } from './previous.ts'
import { BATCH_MESSAGES, ToBeSigned } from './rrsig.ts'
import type { CryptoPool } from './sign-pool.ts'
import { findInPack } from './signature-pack.ts'
import { isKeyType, madeBy, type Signer, type SigningPlan, sameRRset } from './signing-plan.ts'
import { verifySignature } from './verify-signature.ts'

export const CHUNK_NODES = 384
const CHUNKS_AHEAD = 4
const SAMPLE_EVERY = 64
/** A name of 255 octets, or a hash and an apex. */
const OWNER_OCTETS = 512

/** Ends a build with that result. */
export class BuildStop extends Error {
  readonly result: BuildResult

  constructor(result: BuildResult) {
    super(result.kind)
    this.result = result
  }
}

/** What all writers of one build share. */
export interface WriterContext {
  readonly input: Pick<BuildInput, 'gate' | 'onProgress' | 'reuse' | 'signal'>
  readonly canonicalApex: Uint8Array
  readonly plan: SigningPlan | undefined
  readonly pool: CryptoPool
  readonly counts: { made: number; reused: number; firstExpirationUnix: number }
  /** Of earlier builds. */
  readonly waiting: PendingBook
  readonly pending: PendingSignature[]
  /** Batches to use again. */
  readonly spare: ToBeSigned[]
}

interface Request {
  /** Where the RRSIG's RDATA goes. */
  readonly signatures: Uint8Array[]
  readonly place: number
  readonly key: Uint8Array
  readonly type: number
}

interface Batch {
  readonly signer: Signer
  readonly messages: ToBeSigned
  readonly requests: Request[]
  /** Of messages that were asked for before, all of the batch: they are resumed. */
  readonly tickets?: string[]
}

interface Chunk {
  readonly nodes: readonly PlannedNode[]
  readonly batches: readonly Batch[]
  readonly signed: Promise<unknown>
}

export class SignedWriter {
  readonly #context: WriterContext
  readonly #kind: TreeKind
  readonly #output: TreeDraft
  readonly #previous: PreviousTree | undefined
  readonly #queue: Chunk[] = []
  readonly #owner = new Uint8Array(OWNER_OCTETS)
  /** What pending signatures wait for. */
  readonly #needs = new Set<string>()

  constructor(context: WriterContext, kind: TreeKind, output: TreeDraft, previous: PreviousTree | undefined) {
    this.#context = context
    this.#kind = kind
    this.#output = output
    this.#previous = previous
  }

  /** Takes a chunk; resolves when there is room for another. `unsigned`: written as it is, to be signed later. */
  async write(nodes: readonly PlannedNode[], unsigned = false): Promise<void> {
    this.#context.input.signal?.throwIfAborted()
    const chunk =
      unsigned || this.#context.plan === undefined ? plainChunk(nodes) : this.#sign(nodes, this.#context.plan)
    this.#queue.push(chunk)
    while (this.#queue.length > CHUNKS_AHEAD || this.#queue[0]?.batches.length === 0) await this.#writeFirst()
  }

  /** The apex with what the keys of keys sign there signed already: what waits for approval is found out before anything
   *  else is signed. */
  async signKeys(apex: PlannedNode, plan: SigningPlan): Promise<PlannedNode> {
    const signs = ({ type, signatures }: NodeRRset): boolean => isKeyType(type) && signatures.length === 0
    const { nodes, batches, signed } = this.#sign([{ ...apex, rrsets: apex.rrsets.filter(signs) }], plan)
    await signed
    this.#finish(batches)
    const done = nodes[0]!.rrsets
    return {
      ...apex,
      rrsets: apex.rrsets.map(rrset => done.find(({ type }) => type === rrset.type) ?? rrset),
    }
  }

  /** Resolves when all is written. */
  async end(): Promise<void> {
    while (this.#queue.length > 0) await this.#writeFirst()
  }

  /** After a failure: lets what is under way end, unwritten. */
  async abandon(): Promise<void> {
    await Promise.allSettled(this.#queue.splice(0).map(chunk => chunk.signed))
  }

  async #writeFirst(): Promise<void> {
    const chunk = this.#queue[0]!
    await chunk.signed
    this.#queue.shift()
    this.#finish(chunk.batches)
    for (const node of chunk.nodes) this.#put(node)
  }

  #finish(batches: readonly Batch[]): void {
    for (const { messages } of batches) {
      messages.clear()
      this.#context.spare.push(messages)
    }
    // Several keys answer in any order: sorted when all have (node I1).
    for (const { requests } of batches) {
      for (const { signatures } of requests) if (signatures.length > 1) signatures.sort(compareOctets)
    }
  }

  #put(node: PlannedNode): void {
    if (node.remove) {
      this.#output.delete(node.key)
      return
    }
    const octets = node.stored === undefined ? encodeNode(node) : annotated(node.stored, node)
    const old = this.#previous?.octetsOf(node.key)
    const same = old !== undefined && compareOctets(old, octets) === 0
    if (!same || !this.#previous!.isCopiedFrom) this.#output.put(node.key, octets)
  }

  #sign(nodes: readonly PlannedNode[], plan: SigningPlan): Chunk {
    const batches: Batch[] = []
    const signed = nodes.map(node => (node.remove ? node : this.#signNode(node, plan, batches)))
    const done = Promise.all(batches.map(batch => this.#complete(batch))).then(() => this.#checkPending())
    // Its turn may come late or never; the failure is thrown where the chunk is awaited.
    done.catch(() => {})
    return { nodes: signed, batches, signed: done }
  }

  #signNode(node: PlannedNode, plan: SigningPlan, batches: Batch[]): PlannedNode {
    const { key, flags } = node
    if (!node.rrsets.some(({ type }) => isSignedRRset(flags, type))) return node
    const names = this.#kind === 'names'
    const length = names
      ? writeOwner(key, this.#context.canonicalApex, this.#owner)
      : writeHashedOwner(key, this.#context.canonicalApex, this.#owner)
    const owner = this.#owner.subarray(0, length)
    const old = new OldSignatures(this.#previous?.octetsOf(key), () =>
      this.#context.input.reuse?.(key, this.#kind),
    )
    const rrsets = node.rrsets.map(rrset => {
      if (!isSignedRRset(flags, rrset.type)) return rrset
      if (rrset.signatures.length > 0) return this.#takeSigned(rrset)
      const signers = plan.signersOf(rrset.type, names && key.length === 0)
      return { ...rrset, signatures: this.#signRRset(key, owner, rrset, signers, plan, old, batches) }
    })
    return { ...node, rrsets }
  }

  /** An RRset that was signed before: in this build, or elsewhere. */
  #takeSigned(rrset: NodeRRset): NodeRRset {
    for (const rrsig of rrset.signatures) this.#noteExpiration(u32(rrsig, 8))
    return rrset
  }

  #signRRset(
    key: Uint8Array,
    owner: Uint8Array,
    rrset: NodeRRset,
    signers: readonly Signer[],
    plan: SigningPlan,
    old: OldSignatures,
    batches: Batch[],
  ): Uint8Array[] {
    const signatures: Uint8Array[] = []
    const { counts } = this.#context
    for (const signer of signers) {
      const again = old.find(rrset, signer)
      if (again !== undefined && plan.isFresh(again)) {
        signatures.push(again)
        counts.reused++
        this.#noteExpiration(new DataView(again.buffer, again.byteOffset).getUint32(8))
        continue
      }
      counts.made++
      const pending = this.#pendingOf(key, owner, rrset, signer, plan)
      const expiration =
        pending === undefined ? plan.expirationUnix(key, rrset.type) : expirationOf(pending.octets)
      this.#noteExpiration(expiration)
      const { messages, requests, tickets } = this.#openBatch(batches, signer, pending !== undefined)
      if (pending === undefined) {
        messages.add(signer, owner, rrset.type, rrset.ttl, plan.inceptionUnix, expiration, rrset.rdata)
      } else {
        messages.addWhole(pending.octets)
        tickets!.push(pending.ticket)
      }
      requests.push({ signatures, place: signatures.length, key, type: rrset.type })
      signatures.push(EMPTY)
    }
    // Those that wait for others are sorted when all are there.
    return signatures.includes(EMPTY) ? signatures : signatures.sort(compareOctets)
  }

  /** What was asked for in an earlier build, and is wanted now: the same octets (pending.ts I1). */
  #pendingOf(
    key: Uint8Array,
    owner: Uint8Array,
    rrset: NodeRRset,
    signer: Signer,
    plan: SigningPlan,
  ): PendingSignature | undefined {
    const { waiting } = this.#context
    if (waiting.isEmpty) return undefined
    const message = new ToBeSigned(1)
    const expiration = plan.expirationUnix(key, rrset.type)
    message.add(signer, owner, rrset.type, rrset.ttl, plan.inceptionUnix, expiration, rrset.rdata)
    const found = waiting.find(signer.key.info.id, message.octets.slice(0, message.offsets[1]))
    return found !== undefined && plan.isFresh(found.octets) ? found : undefined
  }

  /** I2. */
  #checkPending(): void {
    const { pending, waiting, plan } = this.#context
    if (pending.length === 0) return
    const unwanted = waiting.unwanted(plan!.settings.now)
    throw new BuildStop({
      kind: 'pending',
      pending: [...pending, ...unwanted],
      needs: [...this.#needs].join(', '),
    })
  }

  #noteExpiration(expirationUnix: number): void {
    const { counts } = this.#context
    if (expirationUnix < counts.firstExpirationUnix) counts.firstExpirationUnix = expirationUnix
  }

  #openBatch(batches: Batch[], signer: Signer, resumes: boolean): Batch {
    const open = batches.find(
      batch => batch.signer === signer && !batch.messages.full && resumes === (batch.tickets !== undefined),
    )
    if (open !== undefined && open.requests.length < batchMax(signer)) return open
    const messages = this.#context.spare.pop() ?? new ToBeSigned()
    const batch = { signer, messages, requests: [], ...(resumes ? { tickets: [] } : {}) }
    // The newest comes first, so that full ones are not looked at again.
    batches.unshift(batch)
    return batch
  }

  /** Has the batch signed and verified, and puts the signatures where they belong. */
  async #complete(batch: Batch): Promise<void> {
    const { signer, messages, requests } = batch
    const { input, counts } = this.#context
    const signatures = this.#signaturesOf(await this.#outcomesOf(batch), messages, signer.key.info.id)
    // Nothing of the chunk will be written.
    if (this.#context.pending.length > 0) return
    await this.#verify(signer, messages, signatures, requests)
    requests.forEach(({ signatures: target, place }, index) => {
      target[place] = messages.rrsig(index, signatures[index]!)
    })
    input.onProgress?.(counts.made)
  }

  /** A store that has forgotten a ticket is asked for the same octets again. */
  async #outcomesOf({ signer, messages, tickets }: Batch): Promise<readonly SignOutcome[]> {
    const { plan, input } = this.#context
    const { store, info } = signer.key
    if (tickets !== undefined) {
      const outcomes = await store.resume(tickets)
      if (!outcomes.some(one => one.kind === 'refused' && one.code === TICKET_UNKNOWN)) return outcomes
    }
    const options = { deadlineUnix: plan!.deadlineUnix, ...(input.signal && { signal: input.signal }) }
    return store.sign(messages.batch(info.id), options)
  }

  /** The batch's signatures; those that are pending are noted. */
  #signaturesOf(
    outcomes: readonly SignOutcome[],
    { octets, offsets, count }: ToBeSigned,
    key: string,
  ): Uint8Array[] {
    if (outcomes.length !== count) throw new Error(`${outcomes.length} outcomes for ${count} messages`)
    const message = (index: number): Uint8Array => octets.slice(offsets[index], offsets[index + 1])
    return outcomes.map((outcome, index) => {
      if (outcome.kind === 'signed') return outcome.signature
      if (outcome.kind === 'refused') throw new BuildStop(refusal(outcome.code, outcome.by))
      if (outcome.kind === 'unavailable') throw new BuildStop(outcome)
      this.#context.pending.push({ key, ticket: outcome.ticket, octets: message(index) })
      this.#needs.add(outcome.needs)
      return EMPTY
    })
  }

  /** I3. */
  async #verify(
    signer: Signer,
    messages: ToBeSigned,
    signatures: readonly Uint8Array[],
    requests: readonly Request[],
  ): Promise<void> {
    const { pool, input } = this.#context
    if (input.gate !== 'keys') {
      const right = await pool.verify(signer.verifying, messages.batch(signer.key.info.id), signatures)
      const wrong = right.indexOf(0)
      if (wrong >= 0) throw this.#wrongSignature(signer, requests[wrong]!)
      return
    }
    for (let index = 0; index < signatures.length; index += SAMPLE_EVERY) {
      const message = messages.octets.slice(messages.offsets[index], messages.offsets[index + 1])
      if (!verifySignature(signer.verifying, message, signatures[index]!)) {
        throw this.#wrongSignature(signer, requests[index]!)
      }
    }
  }

  #wrongSignature(signer: Signer, { key, type }: Request): BuildStop {
    const { canonicalApex } = this.#context
    const owner = new Uint8Array(OWNER_OCTETS)
    if (this.#kind === 'names') writeOwner(key, canonicalApex, owner)
    else writeHashedOwner(key, canonicalApex, owner)
    const { id, where } = signer.key.info
    const place = {
      zone: nameToText(canonicalApex),
      record: `${nameToText(owner)} ${typeToText(type)}`,
      key: id,
    }
    const what = `found a signature that its key does not verify, from ${where}; nothing was published`
    const fault = { place, what, severity: 'error' as const, rule: 'signature-wrong' }
    return new BuildStop({ kind: 'refused', code: 'SIGNATURE_WRONG', faults: [fault] })
  }
}

const EMPTY = new Uint8Array(0)
/** Of stores that keep what is pending (keystore.ts). */
const TICKET_UNKNOWN = 'TICKET_UNKNOWN'

function plainChunk(nodes: readonly PlannedNode[]): Chunk {
  return { nodes, batches: [], signed: Promise.resolve() }
}

function batchMax(signer: Signer): number {
  return Math.min(BATCH_MESSAGES, signer.key.store.capabilities().batchMax)
}

/** Signatures of a name as they were: in the previous version's node, or in a pack from disk. */
export class OldSignatures {
  readonly #node: Uint8Array | undefined
  readonly #load: () => Uint8Array | undefined
  #pack: Uint8Array | undefined
  #loaded = false

  constructor(node: Uint8Array | undefined, load: () => Uint8Array | undefined) {
    this.#node = node
    this.#load = load
  }

  find(rrset: NodeRRset, signer: Signer): Uint8Array | undefined {
    if (!signer.unique) return undefined
    const old = this.#node === undefined || !signer.reusable ? undefined : rrsetOfType(this.#node, rrset.type)
    if (old !== undefined && sameRRset(old, rrset)) {
      const found = old.signatures.find(rrsig => madeBy(rrsig, signer))
      // A copy: the view may end with the cursor's next move.
      if (found !== undefined) return found.slice()
    }
    if (!this.#loaded) {
      this.#loaded = true
      this.#pack = this.#load()
    }
    if (this.#pack === undefined) return undefined
    return findInPack(this.#pack, rrset, signer.fingerprint, signer.algorithm, signer.keyTag)
  }
}

function refusal(code: string, by: string): BuildResult {
  const what = `the key store refuses to sign (${by})`
  return { kind: 'refused', code, faults: [{ place: {}, what, severity: 'error', rule: 'sign-refused' }] }
}

/** The node's octets under other flags. */
function annotated(octets: Uint8Array, { flags, cutLabels }: PlannedNode): Uint8Array {
  octets[0] = (octets[0]! & NODE_CASE) | flags
  octets[1] = cutLabels
  return octets
}
