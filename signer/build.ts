/** Building a version of a zone: content in, signed trees out (RFC 4035 §2; ARCHITECTURE.md: the life of a zone).
 *
 *    edits ─▶ ranges ─▶ plan ─▶ sign ─▶ names tree ─▶ NSEC3 ─▶ differs? ─▶ apex: SOA, ZONEMD ─▶ gate
 *
 *  From nothing there is one range, from a content tree to a new one; an edit has small ranges, in a copy of the published
 *  tree. The steps are the same.
 *  I1  What is built depends on content and settings alone; the previous version only saves signatures, and its serial
 *      is surpassed.
 *  I2  A build that changes nothing is `unchanged`: no serial, no signature, no new version.
 *  I3  The apex is signed last, once, when it is known whether the serial moves. */

import { Turns } from '../base/index.ts'
import {
  canonicalName,
  type Fault,
  type NodeRRset,
  nameToText,
  type TreeDraft,
  type ZoneRecord,
} from '../zones/index.ts'
import { adoptable, adoptVersion } from './adopt-version.ts'
import { NO_NSEC3_PARAMETERS, signedApexRRsets } from './apex.ts'
import { finishApex } from './build-apex.ts'
import { type BuildSource, denialOf, openSource } from './build-source.ts'
import { Summary } from './build-summary.ts'
import type { BuildInput, BuildResult, BuiltVersion } from './build-types.ts'
import { scanExpirations } from './expirations.ts'
import { gateFaults } from './gate.ts'
import { checkInputDigest } from './input-digest.ts'
import { denialTtl, soaSerial } from './nsec.ts'
import { hashAllNames, linkAll, type Nsec3Options, relink } from './nsec3-builder.ts'
import { PendingBook } from './pending.ts'
import { NamesPlanner, type PlannedNode } from './planner.ts'
import {
  checkSignedInput,
  denialInContent,
  isSignedContent,
  moveNsec3,
  parametersInContent,
  replacedRecords,
} from './presigned.ts'
import { PreviousTree } from './previous.ts'
import { CryptoPool } from './sign-pool.ts'
import { SigningPlan } from './signing-plan.ts'
import { BuildStop, CHUNK_NODES, SignedWriter, type WriterContext } from './writer.ts'
import { apexNode } from './zonemd.ts'

/** Builds the next version of a zone; see BuildInput and BuildResult.
 *  @throws ConclaveError STORE_FULL, and whatever a key store throws for a bug */
export function buildVersion(input: BuildInput): Promise<BuildResult> {
  const content = adoptable(input)
  const building = content === undefined ? buildAnew(input) : adoptVersion(input, content)
  return building.catch(stoppedResult)
}

function stoppedResult(error: unknown): BuildResult {
  if (error instanceof BuildStop) return error.result
  throw error
}

async function buildAnew(input: BuildInput): Promise<BuildResult> {
  const pool = input.pool ?? new CryptoPool()
  const build = new Build(input, pool)
  try {
    return await build.run()
  } catch (error) {
    await build.abandon()
    throw error
  } finally {
    build.discardScratch()
    if (input.pool === undefined) await pool.close()
  }
}

class Build {
  readonly #input: BuildInput
  readonly #plan: SigningPlan | undefined
  readonly #context: WriterContext
  readonly #warnings: Fault[] = []
  readonly #scratch: TreeDraft[] = []
  readonly #writers: SignedWriter[] = []
  #names: TreeDraft | undefined
  #nsec3: TreeDraft | undefined

  constructor(input: BuildInput, pool: CryptoPool) {
    this.#input = input
    this.#plan = input.signing === undefined ? undefined : new SigningPlan(input.signing, input.apex)
    this.#context = {
      input,
      canonicalApex: canonicalName(input.apex),
      plan: this.#plan,
      pool,
      counts: { made: 0, reused: 0, firstExpirationUnix: Number.POSITIVE_INFINITY },
      waiting: new PendingBook(input.pending ?? []),
      pending: [],
      spare: [],
    }
  }

  async run(): Promise<BuildResult> {
    const { input, plan } = { input: this.#input, plan: this.#plan }
    if (plan !== undefined) {
      checkSignedInput(input, plan)
      this.#warnings.push(...replacedRecords(input, plan))
    }
    this.#warnings.push(...(await checkInputDigest(input)))
    const source = await openSource(input, plan)
    this.#names = source.names
    if (source.scratch !== undefined) this.#scratch.push(source.scratch)
    const summary = this.#summary(source)
    const apex = await this.#buildNames(source)
    await summary.names(source.names.root, source.ranges)
    const hashes = await this.#buildNsec3(source, summary)
    if (this.#nsec3 !== undefined) await summary.nsec3(this.#nsec3.root, hashes)
    const finished = await finishApex({
      input,
      plan,
      source,
      apex: apex.planned,
      keysSigned: apex.keysSigned,
      summary,
      writer: this.#writer('names', source.names, !source.whole),
      nsec3Root: this.#nsec3?.root ?? 0,
      counts: this.#context.counts,
    })
    if (finished.kind === 'unchanged') {
      await this.abandon()
      const { staying } = source
      const first = staying === undefined ? undefined : finite(Math.min(staying.firstUnix, staying.apexUnix))
      const warnings = this.#warnings
      return { kind: 'unchanged', warnings, ...(first !== undefined && { firstExpirationUnix: first }) }
    }
    const version = await this.#version(source, summary, finished.serial)
    if (plan !== undefined) {
      const faults = await gateFaults(input, plan, source, version.record, hashes)
      if (faults.length > 0) throw new BuildStop({ kind: 'refused', code: 'GATE', faults })
    }
    return version
  }

  /** After a failure, or for nothing: all drafts are given back. */
  async abandon(): Promise<void> {
    await Promise.all(this.#writers.map(writer => writer.abandon()))
    for (const draft of [this.#names, this.#nsec3]) if (draft?.open === true) draft.discard()
  }

  discardScratch(): void {
    for (const draft of this.#scratch) if (draft.open) draft.discard()
  }

  /** Plans and signs the ranges; returns the apex, which is written unsigned, as it was planned and with its keys signed. */
  async #buildNames(source: BuildSource): Promise<{ planned: PlannedNode; keysSigned: PlannedNode }> {
    const { input, plan } = { input: this.#input, plan: this.#plan }
    const { names, whole, rules, soa } = source
    const writer = this.#writer('names', names, !whole)
    let planned: PlannedNode | undefined
    let keysSigned: PlannedNode | undefined
    const options = {
      cursor: input.store.readTree(),
      lookAhead: input.store.readTree(),
      rules,
      canonicalApex: this.#context.canonicalApex,
      nsecTtl: plan?.settings.denial === 'nsec' ? denialTtl(soa.rdata[0]!, soa.ttl) : undefined,
      apexRRsets: (content: readonly NodeRRset[]) =>
        plan === undefined ? [...content] : signedApexRRsets(content, plan.settings, input.apex),
      inPlace: !whole,
    }
    const turns = new Turns(1)
    let lowered = 0
    const rootNow = (): number => (whole ? source.root : names.root)
    for (const range of source.ranges) {
      const planner = new NamesPlanner(options, rootNow(), range)
      for (let more = true; more; ) {
        const nodes: PlannedNode[] = []
        more = planner.plan(nodes, CHUNK_NODES, rootNow())
        const first = nodes[0]
        if (first !== undefined && first.key.length === 0) {
          planned = first
          keysSigned = plan?.mayWait === true ? await writer.signKeys(first, plan) : first
          await writer.write([first], true)
          nodes.shift()
        }
        await writer.write(nodes)
        if (turns.due()) await turns.take()
      }
      lowered += planner.lowered
    }
    if (lowered > 0) this.#warnings.push(loweredTtls(input, lowered, rules.ttlMax!))
    await writer.end()
    return { planned: planned!, keysSigned: keysSigned! }
  }

  async #buildNsec3(source: BuildSource, summary: Summary): Promise<Uint8Array[] | undefined> {
    const { input, plan } = { input: this.#input, plan: this.#plan }
    const { soa, whole, names } = source
    if (plan === undefined) return this.#takeNsec3(source)
    const { denial, nsec3 = NO_NSEC3_PARAMETERS } = plan.settings
    if (denial === 'nsec') return undefined
    const options: Nsec3Options = {
      store: input.store,
      namesRoot: names.root,
      canonicalApex: canonicalName(input.apex),
      denial,
      parameters: nsec3,
      ttl: denialTtl(soa.rdata[0]!, soa.ttl),
    }
    if (whole) {
      const entries = await hashAllNames(options)
      this.#scratch.push(entries)
      this.#nsec3 = input.store.newTree()
      await linkAll(options, entries.root, this.#writer('nsec3', this.#nsec3, false))
      return undefined
    }
    this.#nsec3 = input.store.editTree(input.previous!.record.nsec3Root)
    const writer = this.#writer('nsec3', this.#nsec3, true)
    const apex = new Uint8Array(0)
    return relink(options, this.#nsec3, [...summary.changedKeys, apex], source.dueHashes, writer)
  }

  /** NSEC3 records of a zone that is served as it is. */
  #takeNsec3({ rules, root, whole }: BuildSource): undefined {
    if (!whole || rules.nsec3param === undefined) return
    this.#nsec3 = moveNsec3(this.#input.store, root, rules.nsec3param)
    if (this.#nsec3.count > 0) return
    this.#nsec3.discard()
    this.#nsec3 = undefined
  }

  #writer(kind: 'names' | 'nsec3', output: TreeDraft, inPlace: boolean): SignedWriter {
    const { previous, store } = this.#input
    const record = previous?.record
    const root = (kind === 'names' ? record?.namesRoot : record?.nsec3Root) ?? 0
    const tree = root === 0 ? undefined : new PreviousTree(store.readTree(), root, inPlace)
    const writer = new SignedWriter(this.#context, kind, output, tree)
    this.#writers.push(writer)
    return writer
  }

  #summary({ rules, whole }: BuildSource): Summary {
    const { plan } = this.#context
    return new Summary({
      input: this.#input,
      canonicalApex: canonicalName(this.#input.apex),
      plan,
      rules,
      whole,
    })
  }

  async #version(source: BuildSource, summary: Summary, serial: number): Promise<BuiltVersion> {
    const { input, counts } = { input: this.#input, counts: this.#context.counts }
    const names = source.names
    const nsec3 = this.#nsec3
    if (source.whole) names.pack()
    if (source.whole) nsec3?.pack()
    const previous = input.previous?.record
    const dropped: number[] = []
    if (previous !== undefined && source.whole) {
      for (const root of [previous.namesRoot, previous.nsec3Root]) if (root !== 0) dropped.push(root)
    }
    const changes = summary.changes()
    const { contentHash } = summary
    const apex = apexNode(input.store, names.root)!
    const first = await this.#firstExpiration(source, apex)
    return {
      kind: 'built',
      names,
      ...(nsec3 !== undefined && { nsec3 }),
      drafts: nsec3 === undefined ? [names] : [names, nsec3],
      dropped,
      record: this.#record(source, apex, summary, serial),
      ...(contentHash !== undefined && { contentHash }),
      signaturesMade: counts.made,
      signaturesReused: counts.reused,
      ...(first !== undefined && { firstExpirationUnix: first }),
      ttlGreatest: summary.ttlGreatest,
      expirationOf: source.whole || source.staying !== undefined ? 'zone' : 'edits',
      ...(changes !== undefined && { changes }),
      warnings: this.#warnings,
      pending: this.#context.waiting.unwanted(input.signing?.now ?? 0),
    }
  }

  /** Undefined: nothing is signed. Signatures of a zone that is served as it is are looked at when it is all there. */
  async #firstExpiration({ names, staying }: BuildSource, apex: Uint8Array): Promise<number | undefined> {
    const { plan, counts } = this.#context
    const made = Math.min(counts.firstExpirationUnix, staying?.firstUnix ?? Number.POSITIVE_INFINITY)
    if (plan !== undefined) return finite(made)
    const { store } = this.#input
    if (!isSignedContent(apex)) return undefined
    const all = await scanExpirations(store, names.root, () => false)
    const hashes = await scanExpirations(store, this.#nsec3?.root ?? 0, () => false)
    return finite(Math.min(all.firstUnix, all.apexUnix, hashes.firstUnix))
  }

  #record({ names, soa }: BuildSource, apex: Uint8Array, summary: Summary, serial: number): ZoneRecord {
    const { input, plan } = { input: this.#input, plan: this.#plan }
    const nsec3Root = this.#nsec3?.root ?? 0
    return {
      namesRoot: names.root,
      nsec3Root,
      serial,
      sourceSerial: soaSerial(soa.rdata[0]!),
      denial:
        plan === undefined ? denialInContent(input.store, apex, nsec3Root) : denialOf(plan.settings.denial),
      signed: plan !== undefined || isSignedContent(apex),
      nsec3: plan === undefined ? parametersInContent(apex) : (plan.settings.nsec3 ?? NO_NSEC3_PARAMETERS),
      names: names.count,
      records: summary.records,
      apex: input.apex,
    }
  }
}

function finite(unix: number): number | undefined {
  return unix === Number.POSITIVE_INFINITY ? undefined : unix
}

function loweredTtls({ apex }: BuildInput, count: number, ttlMax: number): Fault {
  const what = `${count} RRsets with a TTL above ${ttlMax} seconds are served with that, as the policy says`
  return { place: { zone: nameToText(apex) }, what, severity: 'warning', rule: 'ttl-lowered' }
}
