/** The batch loop over a kernel of the test's: sends that fail, stop half-way or find the queue full. */
import { constants } from 'node:os'
import test from 'ava'
import type { Answerer } from '../../server/answerer.ts'
import { AF_INET, type Syscalls } from '../../server/syscalls.ts'
import { BatchBuffers, SocketBatch, UDP_COUNTERS, UDP_UNSENT } from '../../server/udp-batch.ts'

/** Gives `queries` datagrams once; each send does what the next step says: a count that is sent, or an errno. */
class FakeKernel {
  readonly sent: number[] = []
  polls = 0
  readonly calls: Syscalls
  readonly #memories: { start: number; octets: Uint8Array }[] = []
  #errno = 0

  constructor(queries: number, steps: readonly (number | 'EAGAIN' | 'ENOBUFS' | 'EPERM')[]) {
    const left = [...steps]
    let waiting = queries
    const unused = (): number => -1
    this.calls = {
      socket: unused,
      bind: unused,
      setsockopt: unused,
      eventfd: unused,
      write: unused,
      close: unused,
      poll: () => {
        this.polls++
        return 1
      },
      recvmmsg: (_descriptor, vector) => {
        if (waiting === 0) return -1
        for (let slot = 0; slot < waiting; slot++) this.#receive(vector! + slot * 64, slot)
        const count = waiting
        waiting = 0
        return count
      },
      sendmmsg: (_descriptor, vector, count) => {
        const step = left.shift() ?? count!
        if (typeof step === 'string') {
          this.#errno = constants.errno[step]
          return -1
        }
        for (let index = 0; index < Math.min(step, count!); index++)
          this.sent.push(this.#answerAt(vector! + index * 64))
        return Math.min(step, count!)
      },
      errno: () => this.#errno,
      addressOf: octets => {
        const start = (this.#memories.length + 1) * 0x1_0000_0000
        this.#memories.push({ start, octets })
        return start
      },
    }
  }

  #view(address: number): DataView {
    const memory = this.#memories.findLast(one => one.start <= address)!
    return new DataView(memory.octets.buffer, memory.octets.byteOffset + address - memory.start)
  }

  #pointer(view: DataView, at: number): number {
    return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000
  }

  #receive(header: number, slot: number): void {
    const view = this.#view(header)
    const name = this.#view(this.#pointer(view, 0))
    name.setUint16(0, AF_INET, true)
    name.setUint16(2, 1000 + slot)
    this.#view(this.#pointer(this.#view(this.#pointer(view, 16)), 0)).setUint8(0, slot)
    view.setUint32(56, 12, true)
  }

  /** The first octet of the answer, after a check that it goes to the peer whose query it answers. */
  #answerAt(header: number): number {
    const view = this.#view(header)
    const octet = this.#view(this.#pointer(this.#view(this.#pointer(view, 16)), 0)).getUint8(0)
    return this.#view(this.#pointer(view, 0)).getUint16(2) === 1000 + octet ? octet : -1
  }
}

function serve(kernel: FakeKernel, drop: (octet: number) => boolean = () => false): number {
  const answerer: Answerer = {
    counters: new Float64Array(0),
    begin() {},
    end() {},
    close() {},
    answer(query, _octets, _transport, out) {
      out[0] = query[0]!
      return drop(query[0]!) ? 0 : 12
    },
  }
  const counters = new Float64Array(UDP_COUNTERS)
  const buffers = new BatchBuffers(kernel.calls)
  const batch = new SocketBatch(
    kernel.calls,
    { descriptor: 3, family: AF_INET, wildcard: false },
    buffers,
    counters,
  )
  batch.serve(answerer)
  batch.free()
  buffers.free()
  return counters[UDP_UNSENT]!
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

test('a send that stops half-way goes on behind what was sent', t => {
  const kernel = new FakeKernel(10, [3, 1, 6])
  t.is(serve(kernel), 0)
  t.deepEqual(kernel.sent, upTo(10))
})

test('a full queue is waited for, not for ever', t => {
  const patient = new FakeKernel(5, ['EAGAIN', 2, 'ENOBUFS', 3])
  t.is(serve(patient), 0)
  t.is(patient.polls, 2)
  t.deepEqual(patient.sent, upTo(5))
  const full = new FakeKernel(5, [1, ...Array<'EAGAIN'>(9).fill('EAGAIN')])
  t.is(serve(full), 4)
  t.deepEqual(full.sent, [0])
  t.true(full.polls < 9)
})

test('an answer that the system refuses costs no other', t => {
  const kernel = new FakeKernel(5, [2, 'EPERM', 2])
  t.is(serve(kernel), 1)
  t.deepEqual(kernel.sent, [0, 1, 3, 4])
})

test('queries without an answer leave no gap, and each answer goes to its peer', t => {
  const kernel = new FakeKernel(64, [])
  t.is(
    serve(kernel, octet => octet % 3 === 0),
    0,
  )
  t.deepEqual(
    kernel.sent,
    upTo(64).filter(octet => octet % 3 !== 0),
  )
})
