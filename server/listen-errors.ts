/** Why an address cannot be listened on, in words of this project. */
import { ConclaveError } from '../base/index.ts'
import { type ListenAddress, listenAddressText } from './address.ts'

/** RFC 6335 §6: system ports; on most systems only root may bind them. */
const SYSTEM_PORT_MAX = 1023

/** The error for a failing bind; `code` as the system names it. */
export function listenFailure(code: string, address: ListenAddress, transport: 'UDP' | 'TCP'): ConclaveError {
  const where = `${listenAddressText(address)} (${transport})`
  if (code === 'EADDRINUSE') {
    return new ConclaveError('LISTEN_IN_USE', `${where} is in use by another program`, {
      remedy: `Stop it (ss -lnp 'sport = ${address.port}' shows which it is), or listen on another port.`,
    })
  }
  if ((code === 'EACCES' || code === 'EPERM') && address.port <= SYSTEM_PORT_MAX) {
    return new ConclaveError('LISTEN_DENIED', `no permission to listen on ${where}`, {
      remedy:
        'Ports below 1024 need the capability CAP_NET_BIND_SERVICE: see examples/conclave.service, start as root with --user, or listen on 5300.',
    })
  }
  if (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT' || code === 'EINVAL') {
    return new ConclaveError('LISTEN_NO_ADDRESS', `${where}: this machine has no such address (${code})`, {
      remedy: 'List its addresses with `ip address`; 0.0.0.0 and :: stand for all of them.',
    })
  }
  return new ConclaveError('LISTEN_FAILED', `cannot listen on ${where}: ${code}`)
}
