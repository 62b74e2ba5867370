internal import RoostPlatform

/// The actor that lives on the loop's thread and lends its isolation to the ``Shell``.
actor NodeEngine: LoopDriver {
  /// The loop's thread runs all code of this actor, between two waits for I/O.
  nonisolated var unownedExecutor: UnownedSerialExecutor {
    // SAFETY: the loop lives as long as this actor, which holds it.
    unsafe loop.asUnownedSerialExecutor()
  }

  private nonisolated let loop: EventLoop
  private let configuration: NodeConfiguration
  private var shell: Shell?
  private var waiting: [CheckedContinuation<Void, Never>] = []

  init(_ configuration: NodeConfiguration) throws(NodeError) {
    self.configuration = configuration
    do throws(SystemError) {
      loop = try EventLoop(spinLimit: configuration.limits.spin)
      try loop.start(named: "roost-node", driving: self)
    } catch {
      throw .system("\(error)")
    }
  }

  /// Opens the directory and the socket, and answers where the node listens.
  func open() throws(NodeError) -> String {
    do throws(NodeError) {
      let shell = try Shell(configuration, loop: loop)
      self.shell = shell
      shell.log(.info, "listens at \(shell.listenAddress)")
      return "\(shell.listenAddress)"
    } catch {
      loop.stop()
      throw error
    }
  }

  func stop() async {
    guard let shell else { return }
    shell.beginStop()
    loop.wakeUp()
    await withCheckedContinuation { waiting.append($0) }
  }

  /// Ends the thread of a node that nobody holds any more.
  nonisolated func abandon() { loop.stop() }

  /// Called by the loop, on its own thread.
  nonisolated func turn(ready: [Readiness]) -> UInt64? {
    assumeIsolated { $0.takeTurn(ready) }
  }

  private func takeTurn(_ ready: [Readiness]) -> UInt64? {
    // Between the thread's start and the first look at the directory there is nothing to drive.
    guard let shell else { return .max }
    if let deadline = shell.turn(ready: ready) { return deadline }
    // With the shell go the sockets, the journal and the lock on the directory.
    self.shell = nil
    for continuation in waiting { continuation.resume() }
    waiting = []
    return nil
  }
}
