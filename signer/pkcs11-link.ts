/** The child process of a PKCS #11 key store, seen from the store: started, asked, watched, started anew.
 *
 *                 ask                     opened, logged in
 *     down ───────────────▶ starting ─────────────────────────▶ up ──▶ answers
 *      ▲ ▲                     │ fault, crash, hang              │
 *      │ └─────────────────────┘                                │ crash, hang, fault of the token
 *      └────────── after a back-off of 0, 1, 2, 4 … 60 s ───────┘
 *                              PIN refused: down for good          close(): down for good
 *
 *  I1  Every question is answered: by the child, or with a fault when it dies, hangs or may not be started now.
 *  I2  A child that says nothing for callSecondsMax while it has work is killed. Its event loop turns between any two
 *      calls of the library, so it hangs in one.
 *  I3  A PIN that was refused is never sent again by this link (pkcs11-faults I1).
 *  I4  The PIN goes through the channel only: neither in the arguments nor in the environment of the child.
 *  I5  An idle child does not keep the parent alive. */

import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type Clock, ConclaveError, type Logger, type Timer } from '../base/index.ts'
import { type Fault, isOfThePin } from './pkcs11-faults.ts'
import { logInTurn } from './pkcs11-login-turn.ts'
import type { Answer, AskingRequest, FromChild, OpenRequest, Request, TokenFacts } from './pkcs11-protocol.ts'
import type { Secret } from './secret.ts'

export interface LinkOptions {
  readonly open: Omit<OpenRequest, 'kind' | 'id'>
  readonly sessions: number
  /** Asked when the token wants a PIN; once. */
  readonly pin: (token: TokenFacts) => Promise<Secret>
  readonly environment: NodeJS.ProcessEnv
  readonly clock: Clock
  readonly log: Logger
  /** The program of the child. */
  readonly child: URL
}

export type LinkFault = Fault & { readonly kind: 'fault'; readonly retryAfterSeconds: number }
type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never
/** A request that has not got its number yet. */
export type Question = WithoutId<AskingRequest>

const BACK_OFF_SECONDS_MAX = 60
/** A child that lived so long was sound: the next back-off starts from none. */
const SOUND_SECONDS = 60
const CLOSE_SECONDS_MAX = 5
/** A machine under load takes seconds to start Node.js. */
const START_SECONDS_MAX = 60
/** How long to leave alone what only a person can mend. */
const PERSON_SECONDS = 3600

interface Asked {
  answer(answer: Answer | LinkFault): void
}

interface Life {
  readonly process: ChildProcess
  readonly asked: Map<number, Asked>
  readonly startedUnix: number
  readonly ended: Promise<void>
  /** When the child said something last; undefined until it runs. */
  heardUnix: number | undefined
  watch: Timer | undefined
  /** Being opened: in the pauses of that the parent is to stay too. */
  starting: boolean
}

export class Link {
  readonly #options: LinkOptions
  #life: Life | undefined
  #ready: Promise<LinkFault | undefined> | undefined
  #facts: TokenFacts | undefined
  #pin: Secret | undefined
  /** I3, or the store was closed. */
  #over: LinkFault | undefined
  #failures = 0
  #notBeforeUnix = 0
  #lastFault: Fault | undefined
  #ids = 0
  #lives = 0
  #wasUp = false

  constructor(options: LinkOptions) {
    this.#options = options
  }

  /** Lives of the child so far; handles of another life are worthless. */
  get lives(): number {
    return this.#lives
  }

  /** What the token said when it was opened last. */
  get facts(): TokenFacts | undefined {
    return this.#facts
  }

  /** Pid of the child that runs; for tests and `status`. */
  get pid(): number | undefined {
    return this.#life?.process.pid
  }

  /** Starts the child if need be; undefined when it is up. */
  up(): Promise<LinkFault | undefined> {
    if (this.#over !== undefined) return Promise.resolve(this.#over)
    if (this.#ready !== undefined) return this.#ready
    const wait = this.#notBeforeUnix - this.#options.clock.now()
    if (wait > 0 && this.#lastFault !== undefined) return Promise.resolve(faultIn(this.#lastFault, wait))
    const ready = this.#start()
    this.#ready = ready
    return ready
  }

  /** Asks the child once it is up; a question with handles of an earlier life is not asked (protocol I2: there they may be
   *  other keys). Never rejects. */
  async ask(question: Question, life?: number): Promise<Answer | LinkFault> {
    const fault = await this.up()
    if (fault !== undefined) return fault
    return life === undefined || life === this.#lives ? this.#ask(question, () => {}) : faultIn(LOST, 1)
  }

  /** The same, with a way to give it up: `cancel` tells the child that it need not go on. */
  askWithCancel(question: Question, life: number): { answer: Promise<Answer | LinkFault>; cancel(): void } {
    let cancelled = false
    let cancel = (): void => {
      cancelled = true
    }
    const answer = this.up().then(fault => {
      if (fault !== undefined) return fault
      if (life !== this.#lives) return faultIn(LOST, 1)
      return this.#ask(question, id => {
        const { process } = this.#life!
        cancel = () => void send(process, { kind: 'cancel', id })
        if (cancelled) cancel()
      })
    })
    return { answer, cancel: () => cancel() }
  }

  /** Ends the child and waits for that. */
  async close(): Promise<void> {
    this.#over = faultIn({ code: 'CLOSED', what: 'the key store was closed' }, 0)
    const life = this.#life
    if (life !== undefined) {
      send(life.process, { kind: 'close' })
      const timer = this.#options.clock.after(CLOSE_SECONDS_MAX, () => life.process.kill('SIGKILL'))
      life.process.ref()
      await life.ended
      timer.cancel()
    }
    this.#pin?.wipe()
  }

  /** The child is of no more use: what it was asked is answered with the fault, and the next question starts another. */
  restart(fault: Fault): void {
    if (this.#life !== undefined) this.#end(this.#life, fault)
  }

  async #start(): Promise<LinkFault | undefined> {
    const life = this.#spawn()
    const fault = (await this.#open()) ?? (await this.#login())
    life.starting = false
    letGo(life)
    if (fault === undefined) {
      this.#wasUp = true
      return undefined
    }
    this.#end(life, fault)
    return this.#over ?? faultIn(fault, this.#notBeforeUnix - this.#options.clock.now())
  }

  async #open(): Promise<Fault | undefined> {
    const { open } = this.#options
    const opened = await logInTurn(open.modules, () => this.#ask({ kind: 'open', ...open }, () => {}))
    if (opened.kind !== 'opened') return asFault(opened)
    this.#facts = opened.facts
    return undefined
  }

  async #login(): Promise<Fault | undefined> {
    const { open, sessions, pin } = this.#options
    try {
      if (this.#facts!.loginRequired) this.#pin ??= await pin(this.#facts!)
    } catch (error) {
      return pinFault(error)
    }
    return logInTurn(open.modules, async () => {
      const octets = this.#pin?.use(pin => new Uint8Array(pin))
      const words = octets === undefined ? { sessions } : { sessions, pin: octets }
      const answer = await this.#ask({ kind: 'login', ...words }, () => {})
      octets?.fill(0)
      return answer.kind === 'loggedIn' ? undefined : this.#named(asFault(answer))
    })
  }

  /** A fault of the PIN, with the token and where the PIN came from. */
  #named(fault: Fault): Fault {
    if (!isOfThePin(fault.code)) return fault
    const source = this.#pin?.source === undefined ? '' : `, PIN from ${this.#pin.source}`
    return { ...fault, what: `token ${JSON.stringify(this.#facts!.label)}${source}: ${fault.what}` }
  }

  #spawn(): Life {
    const { child, environment, clock } = this.#options
    // I4. Standard output is not ours: libraries print there.
    const process = fork(fileURLToPath(child), [], {
      env: environment,
      execArgv: [],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    })
    const ended = new Promise<void>(resolve => {
      process.once('exit', () => resolve())
      process.once('error', () => resolve())
    })
    const now = clock.now()
    const life: Life = {
      process,
      asked: new Map(),
      startedUnix: now,
      ended,
      heardUnix: now,
      watch: undefined,
      starting: true,
    }
    this.#life = life
    this.#lives++
    process.on('message', message => this.#heard(life, message as FromChild))
    process.once('exit', (code, signal) => {
      const what = `the process of the PKCS #11 library ended (${signal ?? `exit code ${code}`})`
      this.#end(life, { code: 'PKCS11_CRASHED', what })
    })
    process.on('error', error => this.#end(life, { code: 'PKCS11_CRASHED', what: error.message }))
    return life
  }

  #ask(question: Question, asked: (id: number) => void): Promise<Answer | LinkFault> {
    const life = this.#life
    if (life === undefined) return Promise.resolve(faultIn(this.#lastFault ?? LOST, 1))
    const id = ++this.#ids
    return new Promise(resolve => {
      if (life.asked.size === 0) {
        if (life.heardUnix !== undefined) life.heardUnix = this.#options.clock.now()
        life.process.ref()
        life.process.channel?.ref()
      }
      life.asked.set(id, { answer: resolve })
      send(life.process, { ...question, id } as Request)
      this.#watch(life)
      asked(id)
    })
  }

  #heard(life: Life, message: FromChild): void {
    if (life.heardUnix === undefined) {
      life.watch?.cancel()
      life.watch = undefined
    }
    life.heardUnix = this.#options.clock.now()
    if (life.asked.size > 0) this.#watch(life)
    if (message.kind === 'alive') return
    if (message.kind === 'hung') return this.#hung(life)
    const asked = life.asked.get(message.id)
    life.asked.delete(message.id)
    if (life.asked.size === 0) {
      life.watch?.cancel()
      life.watch = undefined
    }
    letGo(life)
    asked?.answer(message)
  }

  /** I2. Starting a process is no call of the library: it has time of its own. */
  #watch(life: Life): void {
    const { clock, open } = this.#options
    const began = life.heardUnix ?? life.startedUnix
    const limit = life.heardUnix === undefined ? START_SECONDS_MAX : open.callSecondsMax
    life.watch ??= clock.after(Math.max(0, began + limit - clock.now()), () => {
      life.watch = undefined
      if (life.asked.size === 0) return
      // Something was heard meanwhile, or a question was asked after a time without any.
      if (life.heardUnix !== undefined && life.heardUnix > began) this.#watch(life)
      else this.#hung(life)
    })
  }

  #hung(life: Life): void {
    const what = `a call of the PKCS #11 library took longer than ${this.#options.open.callSecondsMax} seconds; its process was killed`
    this.#end(life, { code: 'PKCS11_TIMEOUT', what })
  }

  #end(life: Life, fault: Fault): void {
    if (this.#life !== life) return
    const { clock, log } = this.#options
    this.#life = undefined
    this.#ready = undefined
    this.#lastFault = fault
    life.watch?.cancel()
    life.process.kill('SIGKILL')
    const now = clock.now()
    if (now - life.startedUnix > SOUND_SECONDS) this.#failures = 0
    const wait = this.#failures === 0 ? 0 : Math.min(BACK_OFF_SECONDS_MAX, 2 ** (this.#failures - 1))
    this.#failures++
    this.#notBeforeUnix = now + wait
    // I3
    if (this.#over === undefined && isOfThePin(fault.code)) this.#over = faultIn(fault, PERSON_SECONDS)
    const answer = this.#over ?? faultIn(fault, Math.max(1, wait))
    // Until the token was up once, whoever opens it hears the fault.
    if (this.#wasUp && answer.code !== 'CLOSED')
      log.warn('a PKCS #11 token is away', {
        code: fault.code,
        why: fault.what,
        retryAfterSeconds: answer.retryAfterSeconds,
      })
    for (const asked of life.asked.values()) asked.answer(answer)
    life.asked.clear()
  }
}

const LOST: Fault = { code: 'PKCS11_CRASHED', what: 'the process of the PKCS #11 library ended' }

function faultIn(fault: Fault, retryAfterSeconds: number): LinkFault {
  return { ...fault, kind: 'fault', retryAfterSeconds: Math.max(0, Math.ceil(retryAfterSeconds)) }
}

function asFault(answer: Answer | LinkFault): Fault {
  if (answer.kind !== 'fault') return { code: 'PKCS11_FAILED', what: `an answer of the kind ${answer.kind}` }
  const { code, what, remedy } = answer
  return remedy === undefined ? { code, what } : { code, what, remedy }
}

/** What became of asking for the PIN: a file that cannot be read, a person who gave none. */
function pinFault(error: unknown): Fault {
  if (!(error instanceof ConclaveError)) throw error
  const { code, message, remedy } = error
  return remedy === undefined ? { code, what: message } : { code, what: message, remedy }
}

/** A child that is gone is noticed by its end, not here. */
function send(process: ChildProcess, request: Request): void {
  if (process.connected) process.send(request, () => {})
}

/** I5 */
function letGo(life: Life): void {
  if (life.starting || life.asked.size > 0) return
  life.process.unref()
  life.process.channel?.unref()
}
