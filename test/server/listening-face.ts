/** For tests that start a process of their own: what such a program imports. */
export { silentLogger, systemClock } from '../../base/index.ts'
export { dropPrivileges, openListeners } from '../../server/index.ts'
export { Store } from '../../zones/index.ts'
