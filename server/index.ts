/** The public face of server/: answers, transports, the nameserver, and its configuration. */

export {
  type ConfigurationOutcome,
  configurationError,
  parseConfiguration,
  readConfiguration,
} from './config.ts'
export { type ConfigurationChange, configurationChange } from './config-apply.ts'
export { configurationJsonSchema, configurationKeys } from './config-doc.ts'
export type { ZonePolicy } from './config-policy.ts'
export type {
  Configuration,
  KeystoreConfiguration,
  ZoneConfiguration,
} from './config-types.ts'
export { type ConfiguredOptions, ConfiguredServer } from './configured.ts'
export * from './serving.ts'
