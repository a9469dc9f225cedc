/** Networks of their own for processes: a network namespace (Linux) with a pair of interfaces to this one, whose cable can be
 *  pulled. What is sent then is lost, as between hosts, and nobody is told.
 *  I1  Only as root, and where the kernel lets us; `networkFault` says why not.
 *  I2  Namespaces go with the test that made them; nothing else of this machine's network is touched.
 *  I3  A network's number is claimed by making the namespace of its name, which one of all processes can: no two networks
 *      have the same addresses. One whose addresses or interfaces were left behind by others is not used. */
import { spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import type { Scope } from './serve.ts'
import { toolPath } from './tools.ts'

/** RFC 2544 §C.2.2: addresses for benchmarks of devices, which nobody routes; four for each network. */
const PREFIX = '198.18'
const NETWORKS = 0x10000 / 4
const TRIES_MAX = 100

function ip(...words: readonly string[]): string | undefined {
  const { status, stderr, error } = spawnSync(toolPath('ip')!, words, { encoding: 'utf8' })
  if (status === 0) return undefined
  return `ip ${words.join(' ')}: ${error?.message ?? stderr.trim()}`
}

/** Whether an interface of this network has the address. */
function isOurs(address: string): boolean {
  return Object.values(networkInterfaces()).some(all => all?.some(one => one.address === address))
}

/** Why there can be no networks here; undefined when there can. */
export function networkFault(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces are of Linux'
  if (toolPath('ip') === undefined) return 'ip is not installed (iproute2)'
  if (process.getuid?.() !== 0) return 'network namespaces take root'
  const name = `conclave-try-${process.pid}`
  const fault = ip('netns', 'add', name) ?? ip('-n', name, 'link', 'add', 'try', 'type', 'veth')
  ip('netns', 'delete', name)
  return fault
}

/** Where a node listens: in its own file, and in the coordinator's. */
export function moveNode(files: readonly string[], port: number, address: string): void {
  for (const file of files) {
    const text = readFileSync(file, 'utf8')
    writeFileSync(file, text.replaceAll(`tcp://127.0.0.1:${port}`, `tcp://${address}:${port}`))
  }
}

export class TestNetwork {
  /** Of the other end: where processes inside listen. */
  readonly address: string
  /** Words in front of a command that runs inside. */
  readonly inside: readonly string[]
  readonly #name: string

  private constructor(name: string, address: string) {
    this.#name = name
    this.address = address
    this.inside = [toolPath('ip')!, 'netns', 'exec', name]
  }

  /** @throws Error where there can be none */
  static create(t: Scope): TestNetwork {
    const from = randomInt(NETWORKS)
    let fault: string | undefined
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const made = TestNetwork.#make((from + tries) % NETWORKS)
      if (typeof made !== 'string') {
        t.teardown(() => void ip('netns', 'delete', made.#name))
        return made
      }
      fault = made
    }
    throw new Error(fault)
  }

  /** The network of that number, or why it cannot be had (I3). */
  static #make(number: number): TestNetwork | string {
    const [name, ours, theirs] = [`conclave-${number}`, `cv${number}a`, `cv${number}b`]
    const at = (last: number): string => `${PREFIX}.${number >> 6}.${((number << 2) & 0xfc) + last}`
    if (isOurs(at(1))) return `${at(1)} is taken`
    const claim = ip('netns', 'add', name)
    if (claim !== undefined) return claim
    const steps = [
      ['link', 'add', ours, 'type', 'veth', 'peer', 'name', theirs, 'netns', name],
      ['address', 'add', `${at(1)}/30`, 'dev', ours],
      ['-n', name, 'address', 'add', `${at(2)}/30`, 'dev', theirs],
      ['link', 'set', ours, 'up'],
      ['-n', name, 'link', 'set', theirs, 'up'],
    ]
    for (const words of steps) {
      const fault = ip(...words)
      if (fault === undefined) continue
      ip('netns', 'delete', name)
      return fault
    }
    return new TestNetwork(name, at(2))
  }

  /** Pulls the cable at the other end. */
  cut(): void {
    this.#set('down')
  }

  mend(): void {
    this.#set('up')
  }

  #set(state: 'up' | 'down'): void {
    const number = this.#name.slice('conclave-'.length)
    const fault = ip('-n', this.#name, 'link', 'set', `cv${number}b`, state)
    if (fault !== undefined) throw new Error(fault)
  }
}
