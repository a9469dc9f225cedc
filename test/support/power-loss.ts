/** Whether a loss of power at any moment of a traced `conclave serve` would have left on disk what had been answered.
 *  I1  When an answer leaves, its serial, and the keys of its signatures, are durable.
 *  I2  They stay so: at each later answer that says something new, with any part of what was not synced. */
import { join } from 'node:path'
import { isSerialAfter } from '../../signer/index.ts'
import { checkKeys, keyFilesIn, lookAtState, publicKeysOf } from './crash-keys.ts'
import { DiskModel } from './disk-model.ts'
import { type Message, readMessage } from './message.ts'
import type { TracedCall, TraceEvent } from './trace.ts'

const SENDS: ReadonlySet<string> = new Set(['sendto', 'sendmsg', 'sendmmsg'])
const HEADER_OCTETS = 12
/** Beside the image with nothing but what was synced. */
const IMAGES_BY_CHANCE = 2

/** What has been answered about a zone. */
interface Answered {
  serial: number | undefined
  readonly signers: Set<number>
}

export interface PowerLossReport {
  /** What a loss of power would have lost, and when. */
  readonly faults: readonly string[]
  readonly images: number
  readonly serials: number
  readonly signers: number
  /** Meta pages that LMDB wrote once everything else was synced, and those that it wrote before. */
  readonly metasInOrder: number
  readonly metasEarly: readonly string[]
}

/** Images are written below `scratch`; the traced server's files are below `root`, its state in `state` there. */
export async function powerLosses(
  events: readonly TraceEvent[],
  root: string,
  scratch: string,
  random: () => number,
): Promise<PowerLossReport> {
  const disk = new DiskModel(root)
  const answered = new Map<string, Answered>()
  const faults: string[] = []
  let images = 0
  let serials = 0
  for (const event of events) {
    if (event.at === 'begin' && SENDS.has(event.call.name) && event.call.result > 0) {
      const news = noteAnswers(event.call, answered)
      serials += news.filter(one => one.includes('serial')).length
      for (let image = 0; news.length > 0 && image <= IMAGES_BY_CHANCE; image++) {
        const directory = join(scratch, `image${images++}`)
        disk.image(directory, () => image > 0 && random() < 0.5)
        for (const fault of await faultsOf(join(directory, 'state'), answered)) {
          faults.push(`when ${news} left, ${image === 0 ? 'all' : 'some of what was not'} synced: ${fault}`)
        }
      }
    }
    disk.take(event)
  }
  const signers = [...answered.values()].reduce((sum, one) => sum + one.signers.size, 0)
  return { faults, images, serials, signers, metasInOrder: disk.inOrder, metasEarly: disk.early }
}

/** What no answer said before. */
function noteAnswers(call: TracedCall, answered: Map<string, Answered>): string[] {
  return call.strings.flatMap(octets => {
    const message = messageOf(octets)
    return message === undefined ? [] : message.answer.flatMap(record => noteRecord(record, answered))
  })
}

/** Addresses are strings, too. */
function messageOf(octets: Buffer): Message | undefined {
  if (octets.length <= HEADER_OCTETS) return undefined
  try {
    return readMessage(octets)
  } catch {
    return undefined
  }
}

function noteRecord(record: string, answered: Map<string, Answered>): string[] {
  const words = record.split(' ')
  const type = words[2]
  if (type !== 'SOA' && type !== 'RRSIG') return []
  const zone = type === 'SOA' ? words[0]! : words[10]!
  const known = answered.get(zone) ?? { serial: undefined, signers: new Set<number>() }
  answered.set(zone, known)
  const number = Number(type === 'SOA' ? words[5] : words[9])
  if (type === 'RRSIG') {
    if (known.signers.has(number)) return []
    known.signers.add(number)
    return [`${zone} key ${number}`]
  }
  if (known.serial !== undefined && !isSerialAfter(number, known.serial)) return []
  known.serial = number
  return [`${zone} serial ${number}`]
}

/** What the image lacks. */
async function faultsOf(state: string, answered: ReadonlyMap<string, Answered>): Promise<string[]> {
  const files = keyFilesIn(state)
  try {
    return await lookAtState(state, stateOf =>
      [...answered].flatMap(([zone, { serial, signers }]) => {
        const { served, keys } = stateOf(zone)
        checkKeys(zone, publicKeysOf(files, zone), stateOf(zone), 0)
        const known = keys.infos.map(({ keyTag }) => keyTag)
        const lost = [...signers].filter(tag => !known.includes(tag))
        const back = served === undefined || (serial !== undefined && isSerialAfter(serial, served.serial))
        return [
          ...lost.map(tag => `${zone}: key ${tag}`),
          ...(back ? [`${zone}: serial ${serial}, the disk has ${served?.serial}`] : []),
        ]
      }),
    )
  } catch (error) {
    return [String(error)]
  }
}
