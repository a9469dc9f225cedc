/** A signed zone inside a program: made in code, asked over UDP, changed, asked again. `node dist/examples/embed.js` */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createNameserver } from 'conclave'
import { Packet } from 'dns2'

const server = await createNameserver({ listen: ['127.0.0.1@0'] })
const zone = await server.addZone('shop.example', [
  { name: '@', type: 'SOA', data: 'ns1 hostmaster 1 7200 3600 1209600 900' },
  { name: '@', type: 'NS', data: 'ns1' },
  { name: 'ns1', type: 'A', data: '192.0.2.53' },
])

async function addressesOf(name: string): Promise<string[]> {
  const query = new Packet()
  query.header.id = 4711
  query.questions.push(new Packet.Question(name, Packet.TYPE.A, Packet.CLASS.IN))
  const socket = createSocket('udp4')
  socket.send(query.toBuffer(), Number(server.addresses[0]!.split('@')[1]), '127.0.0.1')
  const [reply] = (await once(socket, 'message')) as [Buffer]
  socket.close()
  return Packet.parse(reply).answers.map(answer => String(answer.address))
}

console.log('before:', await addressesOf('www.shop.example'))
await zone.change({ add: [{ name: 'www', type: 'A', ttl: 300, data: '192.0.2.80' }] })
const after = await addressesOf('www.shop.example')
console.log('after: ', after)
if (after[0] !== '192.0.2.80') throw new Error('the change is not live')
await server.close()
