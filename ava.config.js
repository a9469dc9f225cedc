export default {
  files: ['dist/test/**/*.test.js'],
  // Two cores: more test processes would only wait for each other.
  concurrency: 2,
  timeout: '10m',
  workerThreads: false,
}
