/** The child of a key store with a library that fails on request. The file named by CONCLAVE_TEST_FAULTS has one fault a
 *  line, read at every call, so that a test can change it while the store is in use:
 *
 *    C_GenerateKeyPairAsync 49        returns CKR_DEVICE_MEMORY
 *    C_SignInit hang                  never returns
 *    C_SignInit hang 1000             never returns after a thousand calls that were no worse than others
 *    C_SignAsync late                 returns, and never calls back
 *    C_SignInit crash                 a segmentation fault in the library
 *    C_GetTokenInfo flags=131072      the token has these flags too
 *    load missing                     the package is not there
 *
 *  Names of all calls but those that sign are appended to the file with `.calls` behind its name. */
import { appendFileSync, readFileSync } from 'node:fs'
import { type Cryptoki, type CryptokiTokenInfo, loadCryptoki } from '../../signer/pkcs11-cryptoki.ts'
import { serveToken, thisProcess } from '../../signer/pkcs11-serve.ts'

const path = process.env['CONCLAVE_TEST_FAULTS']!

/** Calls so far, by name. */
const calls = new Map<string, number>()

function faultOf(name: string): string | undefined {
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const [call, fault, spared = '0'] = line.split(' ')
    if (call === name && calls.get(name)! > Number(spared)) return fault
  }
  return undefined
}

/** Fails as asked, or goes on. */
function fail(name: string): Promise<never> | undefined {
  calls.set(name, (calls.get(name) ?? 0) + 1)
  const fault = faultOf(name)
  if (fault?.startsWith('flags=') === true) return undefined
  switch (fault) {
    case undefined:
      return undefined
    case 'hang':
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
      return undefined
    case 'late':
      return new Promise(() => {})
    case 'crash':
      process.kill(process.pid, 'SIGSEGV')
      return new Promise(() => {})
    case 'missing':
      throw new Error("Cannot find module 'pkcs11js'")
    default:
      throw Object.assign(new Error(`CKR_${fault}`), { code: Number(fault) })
  }
}

function faulty(library: Cryptoki): Cryptoki {
  return new Proxy(library, {
    get(target, name: string) {
      const call = Reflect.get(target, name) as (...words: unknown[]) => unknown
      if (typeof call !== 'function') return call
      return (...words: unknown[]) => {
        if (!name.startsWith('C_Sign')) appendFileSync(`${path}.calls`, `${name}\n`)
        return fail(name) ?? flagged(name, call.apply(target, words))
      }
    },
  })
}

function flagged(name: string, result: unknown): unknown {
  const flags = /^flags=(\d+)$/.exec(faultOf(name) ?? '')?.[1]
  if (flags === undefined) return result
  const info = result as CryptokiTokenInfo
  return { ...info, flags: info.flags | Number(flags) }
}

serveToken(thisProcess, () => {
  void fail('load')
  return faulty(loadCryptoki())
})
