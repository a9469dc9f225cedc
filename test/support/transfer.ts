/** A zone by AXFR (RFC 5936 §2.2), and what is wrong with it in the eyes of our own `verify`. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { buildVersion, type CryptoPool, verifyZone } from '../../signer/index.ts'
import { checkZone, type Fault, faultText, nameFromText, Store } from '../../zones/index.ts'
import { queryOf, readMessage } from './message.ts'
import { WAIT_MILLISECONDS } from './serve.ts'

/** Every record as `owner ttl type rdata`, the SOA once, in front.
 *  @throws Error for a response that is none, or ends early */
export async function transfer(address: string, zone: string): Promise<string[]> {
  const at = address.lastIndexOf('@')
  const socket = connect(Number(address.slice(at + 1)), address.slice(0, at))
  socket.setTimeout(WAIT_MILLISECONDS, () => socket.destroy(new Error(`${zone}: the transfer stands still`)))
  try {
    await once(socket, 'connect')
    const query = queryOf(zone, 'AXFR')
    socket.write(Uint8Array.from([query.length >> 8, query.length & 255, ...query]))
    const records: string[] = []
    let octets: Buffer = Buffer.alloc(0)
    for await (const part of socket) {
      octets = Buffer.concat([octets, part as Buffer])
      for (; octets.length >= 2 && octets.length >= 2 + octets.readUInt16BE(0); ) {
        const end = 2 + octets.readUInt16BE(0)
        const { rcode, answer } = readMessage(octets.subarray(2, end))
        if (rcode !== 0) throw new Error(`${zone}: the transfer was refused with RCODE ${rcode}`)
        for (const record of answer) records.push(record)
        octets = octets.subarray(end)
      }
      if (records.length > 1 && records[0] === records.at(-1)) return records.slice(0, -1)
    }
    throw new Error(`${zone}: the transfer ended before its last SOA`)
  } finally {
    socket.destroy()
  }
}

/** Errors of a signed zone in text; warnings are none. */
export async function zoneErrors(text: string, zone: string, pool: CryptoPool): Promise<string[]> {
  const store = new Store()
  const apex = nameFromText(zone)
  const read = checkZone(store, new TextEncoder().encode(text), { file: zone, origin: apex })
  if (read.kind === 'faults') return errorsOf(read.faults)
  const { content } = read
  const built = await buildVersion({
    store,
    apex,
    edits: { kind: 'all', content },
    serial: { policy: 'keep' },
    ignoreDigest: true,
  })
  if (built.kind !== 'built') return [`${zone}: ${JSON.stringify(built)}`]
  const roots = { namesRoot: built.names.root, nsec3Root: built.nsec3?.root ?? 0 }
  const { faults, signatures } = await verifyZone(store, roots, apex, { pool, at: Date.now() / 1000 })
  return signatures === 0 ? [`${zone}: no signature`] : errorsOf(faults)
}

function errorsOf(faults: readonly Fault[]): string[] {
  return faults.filter(({ severity }) => severity === 'error').map(fault => faultText(fault))
}
