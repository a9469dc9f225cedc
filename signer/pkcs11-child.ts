/** The program of a PKCS #11 key store's child process; pkcs11-link.ts starts it. */

import { loadCryptoki } from './pkcs11-cryptoki.ts'
import type { Request } from './pkcs11-protocol.ts'
import { type ChildProcess, serveToken } from './pkcs11-serve.ts'

/** This process as a child. A message that finds no parent is of no more use. */
export const thisProcess: ChildProcess = {
  send: message => void (process.connected && process.send?.(message, () => {})),
  onMessage: call => void process.on('message', message => call(message as Request)),
  onDisconnect: call => void process.on('disconnect', call),
  end: () => void process.kill(process.pid, 'SIGKILL'),
}

serveToken(thisProcess, loadCryptoki)
