import test, { type ExecutionContext } from 'ava'
import { Pkcs11KeyStore } from '../../signer/index.ts'
import { hasSoftHsm, needsSoftHsm, type SoftToken, softToken } from '../support/softhsm.ts'
import { keyStoreContract } from './keystore-contract.ts'

const tokens = new WeakMap<ExecutionContext, SoftToken>()
function open(t: ExecutionContext, token: SoftToken): Promise<Pkcs11KeyStore> {
  const { uri, environment } = token
  tokens.set(t, token)
  return Pkcs11KeyStore.open({ uri, environment })
}
if (hasSoftHsm()) {
  keyStoreContract('pkcs11 (SoftHSM)', {
    open: t => open(t, softToken(t)),
    reopen: t => open(t, tokens.get(t)!),
  })
}
test('SoftHSM 2 judges this file', t => {
  if (needsSoftHsm(t)) t.pass()
})
