/** Two safe primes of 1024 bits, so that tests need not search: of no use for any key but theirs. */
export const SAFE_PRIMES_1024: readonly [bigint, bigint] = [
  0xefddbc37e22a7a0de219b41a11f20a9e36301ec7851db106e91d56c9d73240f8324cf3e0cd29df14ac29fc962071ebcc0f51fd849998328b1a7dd7d6ee9c3e984fa6ac066db604456728eba09341b0f0721f63c540a3945bd29fd303a0eb4a426e2dba6beebcecb2c3f650a16933db6590fca01685a6029725939efdf2b988d7n,
  0xd896ae888115908d79b7f2bdeab7a5d9b56f807de6347ca60e73f09ea92012e55b91bec2a634fd8fede2fa0d7818edf6a32a0b0e133b16076b8c53e41a27e0a631a34e4d05ff23f0eae06c000a882314fc8e55861e27961318545aeda750f5ad95209e72d634fe89cc34474f08d0ebbdaab6a8ce55d547a4896f05175e234dbfn,
]

/** Two of 256 bits: a modulus of 512 bits costs next to nothing, so that thousands of runs can be made. */
export const SAFE_PRIMES_256: readonly [bigint, bigint] = [
  0xf16fff8174b8bf8df1386c0a15a67047f394f5a61570fa56f1ebd0ac7f3d1843n,
  0xcc5c6cdbb3c3aef6e12f0c1c0c9cc1248cf855cb0818a39aa1f408ad9fd82ac3n,
]
