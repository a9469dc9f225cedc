/** The public face of server/: answers, transports, the nameserver. */
export * from './answerer.ts'
export * from './counters.ts'
export * from './rcode.ts'
