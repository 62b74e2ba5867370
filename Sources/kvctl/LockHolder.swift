internal import RoostClient
internal import RoostPlatform

/// Implements `kvctl lock NAME -- COMMAND`: takes the lock, renews it, and tells a ``LockGuard`` until when it is surely held.
actor LockHolder {
  private let cluster: Cluster
  private let lead: Duration
  private let pipe: NumberPipe
  private var acquiring: Task<LockGrant, any Error>?
  /// The signal that asked for an end.
  private var stop: Int32?

  private init(_ cluster: Cluster, lead: Duration) throws(SystemError) {
    self.cluster = cluster
    self.lead = lead
    pipe = try NumberPipe()
  }

  static func run(
    _ arguments: inout Arguments,
    _ target: Target,
    _ command: [String]
  ) async throws(UsageError) -> Int32 {
    let isShared = try arguments.flag("shared")
    let permits = try arguments.value(of: "permits")
    let ttl = try arguments.seconds(of: "ttl") ?? .seconds(10)
    let patience = try arguments.seconds(of: "wait", orZero: true)
    let names = try arguments.next("NAME", of: "lock").split(separator: ",").map(String.init)
    try arguments.finish("lock")
    guard ttl >= .seconds(1), ttl <= .seconds(3600) else {
      throw UsageError("--ttl takes 1 to 3600 seconds")
    }
    guard !command.isEmpty, !names.isEmpty else {
      throw UsageError("lock needs a name and a command", hint: "kvctl lock NAME -- COMMAND")
    }
    var wants: [LockWant] = []
    for name in names { wants.append(try want(name, isShared: isShared, permits: permits)) }
    var configuration = target.configuration
    configuration.sessionLifetime = ttl
    configuration.label = "\(Process.host) \(Process.id) \(command[0])"
    return await hold(Target(configuration), wants, patience, command, lead: ttl / 10)
  }

  private static func want(
    _ name: String,
    isShared: Bool,
    permits: String?
  ) throws(UsageError) -> LockWant {
    guard let permits else { return isShared ? .shared(name) : .exclusive(name) }
    let numbers = permits.split(separator: "/").compactMap { Int($0) }
    guard !isShared, numbers.count == 2, (1...numbers[1]).contains(numbers[0]) else {
      throw UsageError("--permits takes K/N, such as 1/5: one of five; and no --shared")
    }
    return .permits(numbers[0], of: numbers[1], name)
  }

  private static func hold(
    _ target: Target,
    _ wants: [LockWant],
    _ patience: Duration?,
    _ command: [String],
    lead: Duration
  ) async -> Int32 {
    do {
      try Signals.takeOver()
      let cluster = try Cluster(target.configuration)
      let holder = try LockHolder(cluster, lead: lead)
      let signals = Task { await holder.stop(by: await Signals.nextStop()) }
      defer { signals.cancel() }
      let code = try await holder.run(wants, patience, command)
      await cluster.close()
      return code
    } catch let error as ClientError {
      return exitCode(for: error, target)
    } catch {
      Process.complain("error: \(error)")
      return ExitCode.notStarted
    }
  }

  private static func exitCode(for error: ClientError, _ target: Target) -> Int32 {
    if case .refused(let refusal) = error, [23, 24].contains(refusal.code) {
      Process.complain("others hold the lock")
      return ExitCode.lockBusy
    }
    let code = target.report(error)
    return code == ExitCode.usage ? code : ExitCode.notLocked
  }

  private func stop(by name: String) {
    let number: Int32 = name == "SIGINT" ? 2 : 15
    stop = number
    acquiring?.cancel()
    pipe.send(UInt64(number))
  }

  private func run(
    _ wants: [LockWant],
    _ patience: Duration?,
    _ command: [String]
  ) async throws -> Int32 {
    let acquiring = Task { try await cluster.acquire(wants, waitingAtMost: patience) }
    self.acquiring = acquiring
    let grant: LockGrant
    do {
      grant = try await acquiring.value
    } catch {
      // Closing the session takes back whatever the cluster may have granted.
      await cluster.close()
      if let stop { return 128 + stop }
      throw error
    }
    if let stop { return 128 + stop }
    let code = try await runGuarded(command, grant)
    let wasHeld = try? await cluster.release(grant)
    if code < ExitCode.lockLost, wasHeld == false {
      Process.complain("error: the lock was lost before the command had ended")
      return ExitCode.lockLost
    }
    return code
  }

  private func runGuarded(_ command: [String], _ grant: LockGrant) async throws -> Int32 {
    guard let until = await cluster.surelyHeldUntil(grant) else {
      Process.complain("error: the lock was lost before the command was started")
      return ExitCode.lockLost
    }
    let words = ["/proc/self/exe", LockGuard.word]
    let times = ["\(until)", "\(lead.milliseconds)"]
    let lock = [grant.names.joined(separator: ","), "\(grant.token)"]
    let process = try ChildProcess(
      words + times + lock + ["--"] + command,
      inOwnGroup: false,
      passing: pipe.readingDescriptor
    )
    let feeding = Task { await feed(grant, from: until) }
    let watching = Task { await tellLoss(of: grant) }
    let code = await process.end()
    feeding.cancel()
    watching.cancel()
    return code
  }

  /// Tells the guard each time that the lock is proven to be held longer.
  private func feed(_ grant: LockGrant, from first: UInt64) async {
    var last = first
    while !Task.isCancelled {
      if let until = await cluster.surelyHeldUntil(grant), until > last {
        last = until
        pipe.send(until)
      }
      try? await Task.sleep(for: lead / 2)
    }
  }

  private func tellLoss(of grant: LockGrant) async {
    guard let loss = await cluster.loss(of: grant) else { return }
    Process.complain("error: \(ClientError.lockLost(loss))")
    pipe.send(0)
  }
}
