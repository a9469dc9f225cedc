/** The child of a PKCS #11 key store: takes requests, calls the token, answers (pkcs11-protocol.ts).
 *  I1  It ends when its parent does: without a channel there is nobody to sign for.
 *  I2  It ends by SIGKILL, not by exit: handlers that libraries leave for the end of a process crash (SoftHSM with
 *      OpenSSL 3), and by then sessions are closed.
 *  I3  A call on a thread that takes longer than it may is told to the parent, which ends this process; one that blocks the
 *      event loop is noticed by the parent, since no `alive` comes. */

import type { Cryptoki, Handle } from './pkcs11-cryptoki.ts'
import { faultOf, TokenError } from './pkcs11-faults.ts'
import { Lanes } from './pkcs11-lanes.ts'
import { destroyPair, generatePair, readKeys } from './pkcs11-objects.ts'
import type {
  Answer,
  AskingRequest,
  FromChild,
  LoginRequest,
  OpenRequest,
  Request,
} from './pkcs11-protocol.ts'
import { closeToken, openSessions, openToken, openWritingSession, type Token } from './pkcs11-token.ts'

const ALIVE_MILLISECONDS = 250

/** What a child uses of `process`. */
export interface ChildProcess {
  send(message: FromChild): void
  onMessage(call: (request: Request) => void): void
  onDisconnect(call: () => void): void
  end(): void
}

/** This process as a child. A message that finds no parent is of no more use. */
export const thisProcess: ChildProcess = {
  send: message => void (process.connected && process.send?.(message, () => {})),
  onMessage: call => void process.on('message', message => call(message as Request)),
  onDisconnect: call => void process.on('disconnect', call),
  end: () => void process.kill(process.pid, 'SIGKILL'),
}

/** Serves requests until told to close. */
export function serveToken(parent: ChildProcess, load: () => Cryptoki): void {
  new TokenServer(parent, load).start()
}

class TokenServer {
  readonly #parent: ChildProcess
  readonly #load: () => Cryptoki
  #token: Token | undefined
  #sessions: readonly Handle[] = []
  #writing: Handle | undefined
  #lanes: Lanes | undefined
  /** Requests other than sign run one after the other: they share sessions. */
  #order: Promise<void> = Promise.resolve()
  #waiting = 0
  #callMilliseconds = 0

  constructor(parent: ChildProcess, load: () => Cryptoki) {
    this.#parent = parent
    this.#load = load
  }

  start(): void {
    this.#parent.onMessage(request => this.#take(request))
    this.#parent.onDisconnect(() => this.#close())
    setInterval(() => this.#tellAlive(), ALIVE_MILLISECONDS)
    this.#parent.send({ kind: 'alive' })
  }

  #tellAlive(): void {
    const oldest = this.#lanes?.oldestMilliseconds
    // I3
    if (oldest !== undefined && performance.now() - oldest > this.#callMilliseconds)
      this.#parent.send({ kind: 'hung' })
    else if (this.#waiting > 0 || this.#lanes?.busy === true) this.#parent.send({ kind: 'alive' })
  }

  #take(request: Request): void {
    switch (request.kind) {
      case 'close':
        this.#close()
        return
      case 'cancel':
        this.#lanes?.cancel(request.id)
        return
      case 'sign':
        if (this.#lanes === undefined) this.#parent.send({ ...NOT_OPEN, id: request.id })
        else this.#lanes.add(request)
        return
      default:
        this.#waiting++
        this.#order = this.#order.then(async () => {
          this.#parent.send(await this.#answer(request))
          this.#waiting--
        })
    }
  }

  async #answer(request: Exclude<AskingRequest, { kind: 'sign' }>): Promise<Answer> {
    const { id } = request
    try {
      switch (request.kind) {
        case 'open':
          return { kind: 'opened', id, facts: this.#open(request).facts }
        case 'login':
          await this.#login(request)
          return { kind: 'loggedIn', id }
        case 'list': {
          const { library } = this.#opened()
          return { kind: 'listed', id, keys: await readKeys(library, this.#sessions[0]!, turn) }
        }
        case 'generate': {
          const { library } = this.#opened()
          return { kind: 'generated', id, key: await generatePair(library, this.#writingSession(), request) }
        }
        case 'destroy':
          destroyPair(this.#opened().library, this.#writingSession(), Buffer.from(request.handle))
          return { kind: 'destroyed', id }
      }
    } catch (error) {
      return { kind: 'fault', id, ...faultOf(error) }
    }
  }

  #open(request: OpenRequest): Token {
    this.#callMilliseconds = request.callSecondsMax * 1000
    this.#token = openToken(this.#library(), request.modules, request.choice)
    return this.#token
  }

  #library(): Cryptoki {
    try {
      return this.#load()
    } catch (error) {
      throw new TokenError(
        'PKCS11_MISSING',
        `the package pkcs11js is not there: ${error instanceof Error ? error.message.split('\n')[0] : error}`,
        'Install it with `npm install pkcs11js`; it is compiled, which needs python3, make, g++ and Node.js headers.',
      )
    }
  }

  async #login({ pin, sessions }: LoginRequest): Promise<void> {
    const token = this.#opened()
    // pkcs11js takes a string: the one place where a PIN is one. It goes with this process.
    const text = pin === undefined ? undefined : Buffer.from(pin).toString('utf8')
    pin?.fill(0)
    this.#sessions = await openSessions(token, text, sessions)
    // The first is for finding and reading, unless the token gives only one.
    const lanes = this.#sessions.length > 1 ? this.#sessions.slice(1) : this.#sessions
    this.#lanes = new Lanes(token.library, lanes, token.mechanisms, answer => this.#parent.send(answer))
  }

  #opened(): Token {
    if (this.#token === undefined) throw new TokenError(NOT_OPEN.code, NOT_OPEN.what)
    return this.#token
  }

  #writingSession(): Handle {
    this.#writing ??= openWritingSession(this.#opened())
    return this.#writing
  }

  /** I2 */
  #close(): void {
    if (this.#token !== undefined) closeToken(this.#token)
    this.#parent.end()
  }
}

const NOT_OPEN = { kind: 'fault', code: 'PKCS11_FAILED', what: 'the token was not opened' } as const

function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
