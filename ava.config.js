// Files that tests make have the modes that they count on, whatever the umask outside: processes of tests have this one.
process.umask(0o022)

export default {
  files: ['dist/test/**/*.test.js'],
  // Two cores: more test processes would only wait for each other.
  concurrency: 2,
  timeout: '20m',
  workerThreads: false,
}
