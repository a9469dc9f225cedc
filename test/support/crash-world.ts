/** A `conclave serve` that is killed with SIGKILL at random points, and what must hold after each kill:
 *
 *    start ──▶ serving ──▶ edits, new zones, reloads, rolls ──▶ kill ──▶ look at the disk ──▶ start …
 *      └──────────── or killed while it starts ────────────────────▲
 *
 *  I1  The serial on disk is not before one that any query has seen, nor is that of the first answer (RFC 1982 §3.2).
 *  I2  A key that was there stays, octet by octet, and none is made twice (crash-keys.ts).
 *  I3  What is served is what the file says, whole, signed and valid, with the keys that the timeline on disk has for its
 *      serial: our `verify` says so after every start, other programs after some.
 *  I4  A roll that an operator asked for, and that the server said it does, is on disk.
 *  I5  Zones, edits and the points of the kills follow from the seed; how far the server is then depends on the machine. */
import { createSocket, type Socket } from 'node:dgram'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { callControl, controlPath } from '../../server/index.ts'
import { type CryptoPool, isSerialAfter } from '../../signer/index.ts'
import { seeded } from '../signer/random-zones.ts'
import {
  checkFilesStay,
  checkKeys,
  checkRolled,
  type KeyFiles,
  keyFilesIn,
  lookAtState,
  publicKeysOf,
  shownOnDisk,
  zonesOf,
} from './crash-keys.ts'
import { CONFIGURATION_FILE, CrashZones, isCsk, MAIN_ZONES } from './crash-zones.ts'
import { queryOf, readMessage } from './message.ts'
import { type Scope, type ServeProcess, serveWords, temporaryDirectory } from './serve.ts'
import { toolPath } from './tools.ts'
import { transfer, zoneErrors } from './transfer.ts'
import { judgement, ZONE_JUDGES } from './zone-judges.ts'

/** What happened, for a record of a long run. */
export interface CrashCounts {
  kills: number
  killsAtStart: number
  /** That answered, and were looked at. */
  starts: number
  edits: number
  newZones: number
  /** Versions that were published, and of these those without an edit: signatures that were due. */
  published: number
  refreshed: number
  keysMade: number
  /** Rolls that an operator asked for, and those that the server had answered before it was killed. */
  rollsAsked: number
  rollsAnswered: number
  /** Steps of rolls. */
  keySteps: number
  answers: number
  zonesVerified: number
  zonesJudged: number
}

const KILLED_AT_START = 0.3
const ZONE_COMES = 0.25
const RELOADS = 0.5
const ROLLS = 0.2
const EDITS_MAX = 4
const JUDGED_EVERY = 8
/** A first guess of how long a start, or an edit, takes; what is seen corrects it. */
const START_MILLISECONDS = 1000
const EDIT_MILLISECONDS = 200
const ASK_EVERY_MILLISECONDS = 2

export class CrashWorld {
  readonly counts: CrashCounts = {
    kills: 0,
    killsAtStart: 0,
    starts: 0,
    edits: 0,
    newZones: 0,
    published: 0,
    refreshed: 0,
    keysMade: 0,
    rollsAsked: 0,
    rollsAnswered: 0,
    keySteps: 0,
    answers: 0,
    zonesVerified: 0,
    zonesJudged: 0,
  }
  readonly #scope: Scope
  readonly #pool: CryptoPool
  readonly #directory: string
  readonly #state: string
  readonly #random: () => number
  readonly #zones: CrashZones
  /** The newest serial that any answer had, by zone. */
  readonly #seen = new Map<string, number>()
  /** When the newest roll that was answered was asked for, by zone, in Unix seconds. */
  readonly #rolled = new Map<string, number>()
  #keys: KeyFiles = {}
  #startMilliseconds = START_MILLISECONDS
  #editMilliseconds = EDIT_MILLISECONDS

  constructor(scope: Scope, seed: number, pool: CryptoPool) {
    this.#scope = scope
    this.#pool = pool
    this.#directory = temporaryDirectory(scope)
    this.#state = join(this.#directory, 'state')
    this.#random = seeded(seed)
    this.#zones = new CrashZones(this.#directory, this.#random)
  }

  /** One kill, and what must hold after it.
   *  @throws Error with what does not hold */
  async round(): Promise<void> {
    const server = serveWords(this.#scope, this.#directory, ['-c', CONFIGURATION_FILE])
    const atStart = this.#random() < KILLED_AT_START
    if (atStart) await pause(this.#random() * 1.1 * this.#startMilliseconds)
    else await this.#live(server)
    await server.stop('SIGKILL')
    this.counts.kills++
    if (atStart) this.counts.killsAtStart++
    this.#count(server)
    await this.#checkDisk()
  }

  async #live(server: ServeProcess): Promise<void> {
    const begun = performance.now()
    await server.started()
    this.#startMilliseconds = performance.now() - begun
    this.counts.starts++
    await this.#checkServed(server)
    const prober = new Prober(server.serving.addresses[0]!, this.#zones.present, this.#seen)
    try {
      await this.#disturb(server)
    } finally {
      this.counts.answers += prober.close()
    }
    if (prober.fault !== undefined) throw new Error(prober.fault)
  }

  /** Edits and new zones in a row, then a moment that ends before, while or after they are published. */
  async #disturb(server: ServeProcess): Promise<void> {
    for (let left = Math.floor(this.#random() * (EDITS_MAX + 1)); left > 0; left--) {
      if (this.#random() < ROLLS) this.#roll()
      const from = server.log.length
      const begun = performance.now()
      const zone = this.#change()
      if (this.#random() < RELOADS) {
        const path = controlPath(this.#state).path
        // The server may be killed before it answers.
        void callControl(path, 'reload').catch(() => {})
      }
      if (this.#random() < 0.3) {
        await server.logged('published', { zone }, from)
        this.#editMilliseconds = performance.now() - begun
      } else await pause(this.#random() * this.#editMilliseconds)
    }
    await pause(this.#random() * 1.5 * this.#editMilliseconds)
  }

  /** Keys of a zone are to be replaced; it may be cut off at any point of that. */
  #roll(): void {
    const { present } = this.#zones
    const zone = present[Math.floor(this.#random() * present.length)]!
    const askedUnix = Date.now() / 1000
    this.counts.rollsAsked++
    const answered = (): void => {
      this.counts.rollsAnswered++
      this.#rolled.set(zone, askedUnix)
    }
    const order = { zone, order: { kind: 'roll' }, trial: false }
    // A zone that has just come may not be there yet.
    callControl(controlPath(this.#state).path, 'keys-order', order).then(answered, () => {})
  }

  #change(): string {
    if (this.#random() < ZONE_COMES) {
      this.counts.newZones++
      return this.#zones.come()
    }
    this.counts.edits++
    return this.#zones.edit()
  }

  #count({ log }: ServeProcess): void {
    this.counts.published += log.filter(({ msg }) => msg === 'published').length
    this.counts.refreshed += log.filter(({ reason }) => reason === 'signatures refreshed').length
    this.counts.keysMade += log.filter(({ msg }) => msg === 'key made').length
    this.counts.keySteps += log.filter(({ msg }) => msg === 'keys').length
    const errors = log.filter(({ level }) => level === 'error')
    if (errors.length > 0) throw new Error(`the server logs ${JSON.stringify(errors)}`)
  }

  /** I1, I2 and I4, without a server. */
  async #checkDisk(): Promise<void> {
    const files = this.#keyFiles()
    if (this.#seen.size === 0) return
    await lookAtState(this.#state, stateOf => {
      for (const [zone, seen] of this.#seen) {
        const { served } = stateOf(zone)
        if (served === undefined)
          throw new Error(`${zone} was served with ${seen}; the disk knows nothing of it`)
        checkSerial(zone, served.serial, seen, 'on disk')
      }
      for (const [zone, askedUnix] of this.#rolled) checkRolled(zone, stateOf(zone), askedUnix)
      for (const zone of zonesOf(files)) {
        checkKeys(zone, publicKeysOf(files, zone), stateOf(zone), isCsk(zone) ? 1 : 2)
      }
    })
  }

  /** I2. */
  #keyFiles(): KeyFiles {
    const files = keyFilesIn(this.#state)
    checkFilesStay(this.#keys, files)
    this.#keys = files
    return files
  }

  /** I1 and I3. */
  async #checkServed(server: ServeProcess): Promise<void> {
    const address = server.serving.addresses[0]!
    for (const zone of this.#zones.present) {
      const serial = await server.serial(zone)
      checkSerial(zone, serial, this.#seen.get(zone), 'answered first')
      this.#seen.set(zone, serial)
    }
    const judged = this.counts.starts % JUDGED_EVERY === 0
    for (const zone of this.#zones.present) await this.#checkZone(address, zone, judged)
  }

  async #checkZone(address: string, zone: string, judged: boolean): Promise<void> {
    const records = await transfer(address, zone)
    if (!this.#zones.isNewest(zone, records)) throw new Error(`${zone}: not what the file says`)
    await this.#checkShown(zone, records)
    const text = `${records.map(record => record.replace(/^(\S+ \d+) /, '$1 IN ')).join('\n')}\n`
    const errors = await zoneErrors(text, zone, this.#pool)
    if (errors.length > 0) throw new Error(`${zone}: ${errors.join('\n')}`)
    this.counts.zonesVerified++
    if (judged && MAIN_ZONES.includes(zone)) this.#judge(zone, text)
  }

  /** The timeline is written before the version can be seen. */
  async #checkShown(zone: string, records: readonly string[]): Promise<void> {
    const serial = Number(records[0]!.split(' ')[5])
    const rdata = records.filter(record => /^\S+ \d+ DNSKEY /.test(record)).map(record => record.split(' '))
    const served = rdata.map(words => words.slice(6).join('')).sort()
    const onDisk = await lookAtState(this.#state, stateOf => shownOnDisk(stateOf(zone), serial).sort())
    if (served.length === 0 || served.join() !== onDisk.join()) {
      throw new Error(`${zone} ${serial}: served are DNSKEYs ${served}, the timeline has ${onDisk}`)
    }
  }

  #judge(origin: string, text: string): void {
    const file = join(this.#directory, 'judged.zone')
    writeFileSync(file, text)
    for (const judge of ZONE_JUDGES) {
      if (toolPath(judge.program) === undefined || cannotJudge(judge.program, origin, text)) continue
      const said = judgement(judge, { file, origin, csk: isCsk(origin), zonemd: true })
      if (said !== '') throw new Error(`${origin} ${said}`)
    }
    this.counts.zonesJudged++
  }
}

/** ldns does not come to an end with some opt-out zones that have empty non-terminals. kzonecheck 3.2 says of single records that
 *  they have no valid signature, while two KSKs or CSKs are shown (test/signer/roll-build.test.ts). */
function cannotJudge(program: string, zone: string, text: string): boolean {
  if (program === 'ldns-verify-zone') return zone === 'three.example.'
  return program === 'kzonecheck' && (text.match(/ DNSKEY 257 /g)?.length ?? 0) > 1
}

function checkSerial(zone: string, serial: number, seen: number | undefined, where: string): void {
  if (seen === undefined || serial === seen || isSerialAfter(serial, seen)) return
  throw new Error(`${zone}: the serial ${where} is ${serial}, and ${seen} was answered before`)
}

/** Asks for the SOA of each zone, again and again, and keeps the newest serial. */
class Prober {
  fault: string | undefined
  readonly #socket: Socket
  readonly #timers = new Set<NodeJS.Timeout>()
  #answers = 0

  constructor(address: string, zones: readonly string[], seen: Map<string, number>) {
    const [host, port] = address.split('@')
    this.#socket = createSocket('udp4')
    this.#socket.on('error', () => {})
    const ask = (id: number): void => {
      this.#socket.send(
        queryOf(zones[id]!, 'SOA', { id, udpOctets: 1232, dnssecOk: true }),
        Number(port),
        host,
      )
    }
    this.#socket.on('message', octets => {
      const { id, answer } = readMessage(octets)
      const zone = zones[id]!
      const serial = Number(answer[0]?.split(' ')[5])
      const before = seen.get(zone)
      this.#answers++
      if (before !== undefined && serial !== before && !isSerialAfter(serial, before)) {
        this.fault ??= `${zone}: ${serial} was answered after ${before}`
      }
      if (answer.length > 0) seen.set(zone, serial)
      const timer = setTimeout(() => {
        this.#timers.delete(timer)
        ask(id)
      }, ASK_EVERY_MILLISECONDS)
      this.#timers.add(timer)
    })
    for (const id of zones.keys()) ask(id)
  }

  /** Gives how many answers came. */
  close(): number {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#socket.close()
    return this.#answers
  }
}
