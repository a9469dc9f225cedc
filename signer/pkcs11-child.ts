/** The program of a PKCS #11 key store's child process; pkcs11-link.ts starts it. */

import { loadCryptoki } from './pkcs11-cryptoki.ts'
import { serveToken, thisProcess } from './pkcs11-serve.ts'

serveToken(thisProcess, loadCryptoki)
