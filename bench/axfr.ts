/** AXFR out over loopback (RFC 5936): octets of the stream a CPU second of the server. */
import { connect } from 'node:net'
import { queryOf } from '../test/support/message.ts'
import { cpuSeconds } from './measure.ts'
import type { Result } from './report.ts'
import { contenders, signedFile, Values, type Workbench, withServers } from './workbench.ts'

const TRANSFER_MILLISECONDS_MAX = 60_000

export async function benchAxfr(bench: Workbench): Promise<Result[]> {
  const zone = signedFile(bench, 'nsec')
  const [rate, size] = [new Values(), new Values()]
  await withServers(contenders(bench), [zone], {}, async servers => {
    for (let run = bench.short ? 1 : 0; run <= bench.runs; run++) {
      for (const [name, server] of servers) {
        const [before, until] = [cpuSeconds(server.pid), performance.now() + bench.seconds * 1000]
        let octets = 0
        let transfers = 0
        do {
          // RFC 5936 §2.2: the SOA comes first and again last.
          octets += await transfer(server.port, zone.name, zone.records + 1)
          transfers++
        } while (performance.now() < until)
        if (run === 0) continue
        rate.add(name, octets / 1e6 / (cpuSeconds(server.pid) - before))
        size.add(name, octets / transfers / zone.records)
      }
    }
  })
  const what = `${zone.records.toLocaleString('en')} records`
  return [
    { quantity: `${what}: MB a CPU second`, unit: 'MB/s', values: rate.all, moreIsBetter: true, goal: 1 },
    { quantity: `${what}: stream, a record`, unit: 'octets', values: size.all },
  ]
}

/** Octets of the stream until that many records have come; messages are counted by their headers alone. */
function transfer(port: number, apex: string, recordsExpected: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const query = queryOf(apex, 'AXFR')
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(Uint8Array.from([query.length >> 8, query.length & 255, ...query]))
    })
    let octets = 0
    let records = 0
    /** What is left of the message being read; its header may come in pieces. */
    let left = 0
    const header: number[] = []
    const fail = (what: string): void => {
      socket.destroy()
      reject(new Error(`AXFR: ${what} after ${records} of ${recordsExpected} records`))
    }
    socket.setTimeout(TRANSFER_MILLISECONDS_MAX, () => fail('nothing came'))
    socket.on('error', reject).on('end', () => fail('the end came'))
    socket.on('data', data => {
      octets += data.length
      for (let at = 0; at < data.length; ) {
        if (left > 0) {
          const skipped = Math.min(left, data.length - at)
          left -= skipped
          at += skipped
          continue
        }
        header.push(data[at++]!)
        if (header.length < HEADER_OCTETS) continue
        if ((header[5]! & 15) !== 0) return fail(`RCODE ${header[5]! & 15}`)
        left = (header[0]! << 8) + header[1]! + 2 - HEADER_OCTETS
        records += (header[8]! << 8) + header[9]!
        header.length = 0
      }
      if (records < recordsExpected || left > 0) return
      socket.destroy()
      resolve(octets)
    })
  })
}

/** The length of a message (RFC 1035 §4.2.2) and its header up to ANCOUNT. */
const HEADER_OCTETS = 10
