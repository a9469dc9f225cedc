/** Ports of 127.0.0.1 for servers that tests start, end, and start again.
 *  I1  A process has blocks of ports, each claimed by listening on its first port until the process ends: no two processes
 *      of tests have the same.
 *  I2  A port is given once: nobody takes it while its server is not there yet, or away.
 *  I3  They are below those that Linux gives to clients (from 32768): none of the many sockets that ask gets one. */
import { randomInt } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'

const PORTS_FROM = 20_000
const BLOCK_PORTS = 100
const BLOCKS = 120

/** Of the block at hand, the port that is given next, and the first of the next block. */
let next = 0
let end = 0
/** One at a time. */
let last: Promise<unknown> = Promise.resolve()

/** One that is free for TCP and UDP. */
export function freePort(): Promise<number> {
  return freePorts(1)
}

/** The first of so many in a row. */
export function freePorts(count: number): Promise<number> {
  const given = last.then(() => give(count))
  last = given.catch(() => {})
  return given
}

async function give(count: number): Promise<number> {
  for (;;) {
    if (next + count > end) await claimBlock()
    const ports = Array.from({ length: count }, (_, at) => next + at)
    next += count
    // Other programs may have one.
    const free = await Promise.all(
      ports.map(async port => (await isFree(port)) && (await isFreeForUdp(port))),
    )
    if (!free.includes(false)) return ports[0]!
  }
}

/** I1. */
async function claimBlock(): Promise<void> {
  const from = randomInt(BLOCKS)
  for (let tries = 0; tries < BLOCKS; tries++) {
    const first = PORTS_FROM + ((from + tries) % BLOCKS) * BLOCK_PORTS
    const claim = createServer().listen(first, '127.0.0.1').unref()
    if (!(await listens(claim))) continue
    next = first + 1
    end = first + BLOCK_PORTS
    return
  }
  throw new Error('all blocks of ports are claimed')
}

function isFree(port: number): Promise<boolean> {
  return letGo(createServer().listen(port, '127.0.0.1'))
}

function isFreeForUdp(port: number): Promise<boolean> {
  const socket = createSocket('udp4')
  const free = letGo(socket)
  socket.bind(port, '127.0.0.1')
  return free
}

async function letGo(holder: Server | Socket): Promise<boolean> {
  if (!(await listens(holder))) return false
  holder.close()
  await once(holder, 'close')
  return true
}

async function listens(holder: Server | Socket): Promise<boolean> {
  try {
    await once(holder, 'listening')
    return true
  } catch {
    return false
  }
}
