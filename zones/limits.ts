/** Limits of zone files and of what is read from them. Each is generous for real zones; all are there so that no
 *  text, however odd, takes unbounded time or memory. */

/** Faults collected before reading stops: a screenful or two is what a person mends at a time. */
export const FAULTS_MAX = 100
/** Warnings kept; later ones are only counted. */
export const WARNINGS_MAX = 1000
/** Files inside files. Real trees are two or three deep; NSD stops at 10, BIND at 20. */
export const INCLUDE_DEPTH_MAX = 16
/** $INCLUDE directives followed in one zone. */
export const INCLUDES_MAX = 10_000
/** Records made by all $GENERATE of one zone: sixteen times the 65,536 addresses of an IPv4 /16. */
export const GENERATE_RECORDS_MAX: number = 16 * 65_536
/** RFC 1982 arithmetic is not meant here: iterators are 31 bits, as in BIND. */
export const GENERATE_VALUE_MAX = 0x7fffffff
/** Octets of one expanded line: an owner and RDATA whose every octet is written `\DDD`. */
export const GENERATE_LINE_OCTETS_MAX: number = 4 * 65_536
/** A padded number is part of a name, whose text has at most four characters an octet. */
export const GENERATE_WIDTH_MAX = 1020
/** A message holds at most 65,535 octets; its header takes 12 and its question at least 5 (the root's name, type and
 *  class). With a longer owner name less fits: see rrsetOctetsMax. */
export const MESSAGE_OCTETS_MAX = 65_535
const HEADER_OCTETS = 12
const QUESTION_TYPE_CLASS_OCTETS = 4
/** The node layout counts types per name and RRSIGs per RRset in one octet each. */
export const RRSETS_PER_NAME_MAX = 255
export const SIGNATURES_PER_RRSET_MAX = 255

/** Octets that the records of an RRset may take in a message whose question is their owner, beyond which it could never be
 *  answered. Each record has a pointer to the question instead of its owner. */
export function rrsetOctetsMax(ownerOctets: number): number {
  return MESSAGE_OCTETS_MAX - HEADER_OCTETS - QUESTION_TYPE_CLASS_OCTETS - ownerOctets
}

/** RFC 2181 §8: a TTL with its most significant bit set is to be taken as zero. */
export const TTL_MAX = 0x7fffffff
/** For records before which no TTL is given at all; what NSD and Knot use. */
export const TTL_DEFAULT = 3600
/** BIND's default max-records-per-type: more is served, with a warning. */
export const RECORDS_PER_RRSET_USUAL = 100
