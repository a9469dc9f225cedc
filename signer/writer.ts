/** From planned nodes to signed ones in a tree: finds old signatures that serve again, has the others made in batches,
 *  verifies them, writes nodes in the order they came.
 *
 *    plan ──▶ chunk ─┬─ reuse                          ┌─▶ verify ─▶ compose, put, in order
 *                    └─ ToBeSigned a key ─▶ KeyStore ──┘
 *
 *  I1  At most CHUNKS_AHEAD chunks are in memory; a chunk has at most CHUNK_NODES planned names and what is between.
 *  I2  Nothing is written with a signature missing: a store that pends, refuses or fails ends the build (BuildStop). What
 *      is pending is collected from all batches that were asked for.
 *  I3  The gate: of new signatures all are verified (`full`), or of each batch the first and one in SAMPLE_EVERY (`keys`),
 *      against the DNSKEY that this version publishes. */

import {
  compareOctets,
  decodeNode,
  NODE_CASE,
  type NodeRRset,
  nameToText,
  type TreeDraft,
  typeToText,
  u32,
} from '../zones/index.ts'
import { scratchOctets } from '../zones/scratch.ts'
import type { BuildInput, BuildResult, TreeKind } from './build-types.ts'
import type { SignOutcome } from './keystore.ts'
import { NodeComposer, type SignatureSource, type SignedMessages } from './node-composer.ts'
import { isSignedRRset, writeOwner } from './nsec.ts'
import { writeHashedOwner } from './nsec3.ts'
import { OldSignatures } from './old-signatures.ts'
import { expirationOf, type PendingBook, type PendingSignature } from './pending.ts'
import type { PlannedNode } from './planner.ts'
import type { PreviousTree } from './previous.ts'
import { BATCH_MESSAGES, ToBeSigned } from './rrsig.ts'
import type { CryptoPool } from './sign-pool.ts'
import { isKeyType, type Signer, type SigningPlan } from './signing-plan.ts'
import { verifySignature } from './verify-signature.ts'

export const CHUNK_NODES = 384
const CHUNKS_AHEAD = 4
const SAMPLE_EVERY = 512
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

interface Batch extends SignedMessages {
  readonly signer: Signer
  /** Of messages that were asked for before, all of the batch: they are resumed. */
  readonly tickets: string[] | undefined
  /** Of the RRset of each message. */
  readonly keys: Uint8Array[]
  readonly types: number[]
  signatures: readonly Uint8Array[]
}

interface Chunk {
  readonly nodes: readonly PlannedNode[]
  readonly batches: readonly Batch[]
  /** The signatures of all RRsets that are signed here, in the order of nodes, RRsets and signers. */
  readonly sources: readonly SignatureSource[]
  /** The number of each in its batch. */
  readonly indexes: readonly number[]
  readonly signed: Promise<unknown>
}

/** A chunk in the making. */
interface OpenChunk {
  readonly batches: Batch[]
  readonly sources: SignatureSource[]
  readonly indexes: number[]
}

export class SignedWriter {
  readonly #context: WriterContext
  readonly #kind: TreeKind
  readonly #output: TreeDraft
  readonly #previous: PreviousTree | undefined
  readonly #queue: Chunk[] = []
  readonly #owner = scratchOctets(OWNER_OCTETS)
  readonly #composer = new NodeComposer()
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
    const node = { ...apex, rrsets: apex.rrsets.filter(signs) }
    const chunk = this.#sign([node], plan)
    await chunk.signed
    this.#compose(node, chunk, 0)
    this.#release(chunk)
    const done = decodeNode(this.#composer.octets.slice(0, this.#composer.end)).rrsets
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
    let slot = 0
    for (const node of chunk.nodes) {
      if (node.remove) this.#output.delete(node.key)
      else if (node.stored !== undefined) {
        const octets = annotated(node.stored, node)
        this.#put(node.key, octets, octets.length)
      } else {
        slot = this.#compose(node, chunk, slot)
        this.#put(node.key, this.#composer.octets, this.#composer.end)
      }
    }
    this.#release(chunk)
  }

  #release({ batches }: Chunk): void {
    for (const { messages } of batches) {
      messages.clear()
      this.#context.spare.push(messages)
    }
  }

  /** Composes a node with its signatures, which start at `slot`; returns where those of the next node do. */
  #compose(node: PlannedNode, { sources, indexes }: Chunk, start: number): number {
    const composer = this.#composer
    const { rrsets } = node
    let slot = start
    composer.begin(node)
    for (let index = 0; index < rrsets.length; index++) {
      const rrset = rrsets[index]!
      const count = slot < sources.length ? this.#signersOf(node, rrset).length : 0
      if (count === 0) composer.rrset(rrset)
      else composer.signedRRset(rrset, sources, indexes, slot, count)
      slot += count
    }
    return slot
  }

  #put(key: Uint8Array, octets: Uint8Array, end: number): void {
    const old = this.#previous?.octetsOf(key)
    const same = old !== undefined && compareOctets(old, octets.subarray(0, end)) === 0
    if (!same || !this.#previous!.isCopiedFrom) this.#output.putRange(key, 0, key.length, octets, 0, end)
  }

  #sign(nodes: readonly PlannedNode[], plan: SigningPlan): Chunk {
    const open: OpenChunk = { batches: [], sources: [], indexes: [] }
    for (const node of nodes) if (!node.remove) this.#signNode(node, plan, open)
    const done = Promise.all(open.batches.map(batch => this.#complete(batch))).then(() =>
      this.#checkPending(),
    )
    // Its turn may come late or never; the failure is thrown where the chunk is awaited.
    done.catch(() => {})
    return { nodes, ...open, signed: done }
  }

  /** Those whose signatures an RRset gets here: none when it is not signed, or was signed before. */
  #signersOf({ key, flags }: PlannedNode, { type, signatures }: NodeRRset): readonly Signer[] {
    if (signatures.length > 0 || !isSignedRRset(flags, type)) return NO_SIGNERS
    return this.#context.plan!.signersOf(type, this.#kind === 'names' && key.length === 0)
  }

  #signNode(node: PlannedNode, plan: SigningPlan, open: OpenChunk): void {
    const { key, flags, rrsets } = node
    if (this.#kind === 'names') writeOwner(key, this.#context.canonicalApex, this.#owner)
    else writeHashedOwner(key, this.#context.canonicalApex, this.#owner)
    const old = this.#oldSignatures(key)
    for (let index = 0; index < rrsets.length; index++) {
      const rrset = rrsets[index]!
      if (!isSignedRRset(flags, rrset.type)) continue
      if (rrset.signatures.length > 0) this.#takeSigned(rrset)
      else this.#signRRset(key, rrset, this.#signersOf(node, rrset), plan, old, open)
    }
  }

  #oldSignatures(key: Uint8Array): OldSignatures | undefined {
    const { reuse } = this.#context.input
    if (this.#previous === undefined && reuse === undefined) return undefined
    return new OldSignatures(this.#previous?.octetsOf(key), () => reuse?.(key, this.#kind))
  }

  /** An RRset that was signed before: in this build, or elsewhere. */
  #takeSigned(rrset: NodeRRset): void {
    for (const rrsig of rrset.signatures) this.#noteExpiration(u32(rrsig, 8))
  }

  #signRRset(
    key: Uint8Array,
    rrset: NodeRRset,
    signers: readonly Signer[],
    plan: SigningPlan,
    old: OldSignatures | undefined,
    { batches, sources, indexes }: OpenChunk,
  ): void {
    const { counts } = this.#context
    const { type, ttl, rdata } = rrset
    const owner = this.#owner
    for (const signer of signers) {
      const again = old?.find(rrset, signer)
      if (again !== undefined && plan.isFresh(again)) {
        sources.push(again)
        indexes.push(0)
        counts.reused++
        this.#noteExpiration(u32(again, 8))
        continue
      }
      counts.made++
      const pending = this.#pendingOf(key, owner, rrset, signer, plan)
      const expiration = pending === undefined ? plan.expirationUnix(key, type) : expirationOf(pending.octets)
      this.#noteExpiration(expiration)
      const batch = this.#openBatch(batches, signer, pending !== undefined)
      sources.push(batch)
      indexes.push(batch.messages.count)
      if (pending === undefined) {
        batch.messages.add(signer, owner, type, ttl, plan.inceptionUnix, expiration, rdata)
      } else {
        batch.messages.addWhole(pending.octets)
        batch.tickets!.push(pending.ticket)
      }
      batch.keys.push(key)
      batch.types.push(type)
    }
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
    if (open !== undefined && open.keys.length < batchMax(signer)) return open
    const messages = this.#context.spare.pop() ?? new ToBeSigned()
    const tickets = resumes ? [] : undefined
    const batch: Batch = { signer, tickets, messages, keys: [], types: [], signatures: [] }
    // The newest comes first, so that full ones are not looked at again.
    batches.unshift(batch)
    return batch
  }

  /** Has the batch signed and verified. */
  async #complete(batch: Batch): Promise<void> {
    const { signer, messages } = batch
    const { input, counts } = this.#context
    batch.signatures = this.#signaturesOf(await this.#outcomesOf(batch), messages, signer.key.info.id)
    // Nothing of the chunk will be written.
    if (this.#context.pending.length > 0) return
    await this.#verify(batch)
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
  async #verify({ signer, messages, signatures, keys, types }: Batch): Promise<void> {
    const { pool, input } = this.#context
    if (input.gate !== 'keys') {
      const right = await pool.verify(signer.verifying, messages.batch(signer.key.info.id), signatures)
      const wrong = right.indexOf(0)
      if (wrong >= 0) throw this.#wrongSignature(signer, keys[wrong]!, types[wrong]!)
      return
    }
    for (let index = 0; index < signatures.length; index += SAMPLE_EVERY) {
      const message = messages.octets.subarray(messages.offsets[index], messages.offsets[index + 1])
      if (!verifySignature(signer.verifying, message, signatures[index]!)) {
        throw this.#wrongSignature(signer, keys[index]!, types[index]!)
      }
    }
  }

  #wrongSignature(signer: Signer, key: Uint8Array, type: number): BuildStop {
    const { canonicalApex } = this.#context
    const owner = scratchOctets(OWNER_OCTETS)
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
const NO_SIGNERS: readonly Signer[] = []
/** Of stores that keep what is pending (keystore.ts). */
const TICKET_UNKNOWN = 'TICKET_UNKNOWN'

function plainChunk(nodes: readonly PlannedNode[]): Chunk {
  return { nodes, batches: [], sources: [], indexes: [], signed: Promise.resolve() }
}

function batchMax(signer: Signer): number {
  return Math.min(BATCH_MESSAGES, signer.key.store.capabilities().batchMax)
}

function refusal(code: string, by: string): BuildResult {
  const what = `the key store refuses to sign: ${code} (${by})`
  return { kind: 'refused', code, faults: [{ place: {}, what, severity: 'error', rule: 'sign-refused' }] }
}

/** The node's octets under other flags. */
function annotated(octets: Uint8Array, { flags, cutLabels }: PlannedNode): Uint8Array {
  octets[0] = (octets[0]! & NODE_CASE) | flags
  octets[1] = cutLabels
  return octets
}
