/// One member of a cluster, running inside this process.
///
/// A node owns a data directory, a listening socket and one thread. It has no key-value methods: most requests would
/// have to travel to another node anyway, so a program that embeds a node talks to the cluster through `RoostClient`,
/// as everyone else does. Nothing in a node ends the process, but for a disk that fails under the log.
public final class ClusterNode: Sendable {
  private let engine: NodeEngine
  /// Where the node listens; with the real port, if port 0 was asked for.
  public let address: String

  /// Starts a node: reads what its directory holds, listens, and lets its thread run.
  ///
  /// - Throws: ``NodeError``, with a sentence for the operator. Then nothing runs, and nothing was changed but
  ///   a missing data directory.
  public init(_ configuration: NodeConfiguration) async throws(NodeError) {
    engine = try NodeEngine(configuration)
    address = try await engine.open()
  }

  deinit { engine.abandon() }

  /// Ends the node: flushes what was answered, closes every connection and ends the thread.
  ///
  /// Stopping twice is harmless. The cluster keeps its size.
  public func stop() async { await engine.stop() }
}
