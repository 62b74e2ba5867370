// kvd: one node of a cluster as a process.
//
// Owns its command line, its log lines on standard error, its signals and its exit code. It leaves everything that a node does
// to `Node`.

internal import RoostNode
internal import RoostPlatform

Memory.keepWhatIsFreed()
Signals.ignoreBrokenPipes()
Process.raiseDescriptorLimit()
do throws(SystemError) {
  try Signals.takeOver()
} catch {
  ServerLog.write(.error, "\(error)")
  Process.exit(NodeExitCode.system)
}

do throws(NodeError) {
  guard let configuration = try ServerArguments.parse(Array(CommandLine.arguments.dropFirst()))
  else { Process.exit(0) }
  let node = try await ClusterNode(configuration)
  let signal = await Signals.nextStop()
  ServerLog.write(.info, "\(signal): stops")
  await node.stop()
  ServerLog.write(.info, "has stopped")
  Process.exit(0)
} catch {
  ServerLog.write(.error, "\(error)")
  Process.exit(ServerArguments.exitCode(for: error))
}
