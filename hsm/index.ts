/** The distributed HSM's public face. Share nodes need nothing else of the project but base/ and zones/. */

export { type ApprovedWindow, approve, readApproval, rrsetHash } from './approval.ts'
export { AuditLog, type AuditState, type AuditVerdict, verifyAudit } from './audit.ts'
export type { NodePolicy, ZoneRule } from './node-policy.ts'
export { type NodeRunOptions, type RunningNode, runNode } from './node-run.ts'
export { AuditFile } from './node-storage.ts'
export type { NodeConfiguration, QuorumConfiguration } from './quorum-files.ts'
export { type InitializedQuorum, initQuorum, type QuorumInit } from './quorum-init.ts'
export { type FileOutcome, fileError, readNodeFile, readQuorumFile } from './quorum-read.ts'
export { nodeFileKeys, quorumFileKeys } from './quorum-schema.ts'
export { readToSign, type ToSign, writeToSign } from './to-be-signed.ts'
