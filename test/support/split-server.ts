/** A UDP face in front of several nameservers that sends each question to one of them by its type: to a validator they
 *  look like one zone's servers, of which it happens to ask one for this and another for that. */

import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'

export interface SplitServer {
  readonly port: number
  /** Questions that each port was asked. */
  readonly asked: ReadonlyMap<number, number>
  close(): Promise<void>
}

/** `portFor` gives the port on loopback that questions of a type go to. */
export async function startSplitServer(portFor: (type: number) => number): Promise<SplitServer> {
  const face = createSocket('udp4')
  const backs = new Set<Socket>()
  const asked = new Map<number, number>()
  face.on('message', (query, client) => {
    const port = portFor(questionType(query))
    asked.set(port, (asked.get(port) ?? 0) + 1)
    const back = createSocket('udp4')
    backs.add(back)
    back.on('message', response => {
      face.send(response, client.port, client.address)
      backs.delete(back)
      back.close()
    })
    back.send(query, port, '127.0.0.1')
  })
  face.bind(0, '127.0.0.1')
  await once(face, 'listening')
  return {
    port: face.address().port,
    asked,
    close: async () => {
      for (const back of backs) back.close()
      face.close()
      await once(face, 'close')
    },
  }
}

/** RFC 1035 §4.1.2: the type follows the name. */
function questionType(query: Uint8Array): number {
  let at = 12
  while (query[at] !== 0) at += 1 + query[at]!
  return (query[at + 1]! << 8) | query[at + 2]!
}
