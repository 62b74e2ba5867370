// kvctl: the cluster from a terminal.
//
// Owns the command line: what can be said, how answers are printed, and what the exit code means. Results go to standard output,
// talk to standard error. It leaves the cluster to `Client`.

internal import RoostClient
internal import RoostPlatform

Signals.ignoreBrokenPipes()
let words = Array(CommandLine.arguments.dropFirst())
if words.first == LockGuard.word { Process.exit(LockGuard.run(Array(words.dropFirst()))) }
let code = await CommandLine.run(words)
Process.exit(code)
