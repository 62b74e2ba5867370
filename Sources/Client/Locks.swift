internal import RoostClientCore
internal import RoostWire

/// A lock that is wanted, and how.
public struct LockWant: Sendable, Hashable {
  let want: Acquire.Want

  /// For one holder alone.
  public static func exclusive(_ name: String) -> LockWant {
    LockWant(want: Acquire.Want(Array(name.utf8)))
  }

  /// Together with others that want it shared.
  public static func shared(_ name: String) -> LockWant {
    LockWant(want: Acquire.Want(Array(name.utf8), .shared))
  }

  /// Some of the permits that the lock has in all; whoever uses it at the same time must name the same total.
  public static func permits(_ count: Int, of total: Int, _ name: String) -> LockWant {
    let mode = Acquire.Mode.permits(UInt32(clamping: count), of: UInt32(clamping: total))
    return LockWant(want: Acquire.Want(Array(name.utf8), mode))
  }

  /// The lock's name.
  public var name: String { String(decoding: want.name, as: UTF8.self) }
}

/// That this client was given a lock, or several at once.
public struct LockGrant: Sendable, Hashable {
  /// The names of its locks.
  public let names: [String]
  /// Greater than that of every grant before: whoever serves the holder can refuse an older one.
  public let token: UInt64

  /// A grant as somebody else was told it, such as by a process that holds the lock for this one.
  public init(name: String, token: UInt64) {
    self.init(names: [name], token: token)
  }

  init(names: [String], token: UInt64) {
    self.names = names
    self.token = token
  }

  /// Guards a write: every lock of a grant has its token, so one of them is enough.
  var lockGuard: LockGuard { LockGuard(lock: Array((names.first ?? "").utf8), token: token) }
}

/// Why a lock is held no longer, or can't be relied on any more.
public enum LockLoss: Sendable, Hashable {
  /// An operator took it away.
  case forced
  /// The cluster has ended this client's session.
  case sessionEnded
  /// This client could not renew its session in time: from now on the cluster may give the lock to others.
  case unproven
}

/// A lock in a list.
public struct LockSummaryReport: Sendable, Equatable {
  /// The lock's name.
  public let name: [UInt8]
  /// How many hold it.
  public let holders: Int
  /// How many wait for it.
  public let waiters: Int
}

/// A lock with its holders and those who wait.
public struct LockReport: Sendable, Equatable {
  /// A holder or a waiter.
  public struct Claim: Sendable, Equatable {
    /// The session, and its request that asked.
    public let request: RequestID
    /// The token; nil while it waits.
    public let token: UInt64?
    /// How long it has held the lock, or waited.
    public let age: Duration
    /// `exclusive`, `shared` or `permits`.
    public let mode: String
    /// How many permits it took, or how often its owner took it.
    public let depth: Int
    /// The session's label.
    public let label: String
  }

  /// First come first.
  public let holders: [Claim]
  /// In their order; the first ones, if there are many.
  public let waiters: [Claim]
  /// How many wait in all.
  public let waiterCount: Int
  /// How long the lock rests after the end of its last holder.
  public let rests: Duration
}

/// Locks: taken, given back, looked at.
extension Cluster {
  /// Takes locks, all of them or none.
  ///
  /// - Parameters:
  ///   - wants: One or more locks.
  ///   - patience: How long to wait for them; nil: without end, zero: not at all, and then the refusal's code is 23.
  ///   - delay: How long the locks rest if this client's session ends without giving them back.
  /// - Returns: The grant, which lives as long as the session, and is renewed with it.
  /// - Throws: ``ClientError``; after it, nothing is held or awaited, or will be as soon as the cluster can be reached.
  public func acquire(
    _ wants: [LockWant],
    waitingAtMost patience: Duration? = nil,
    delay: Duration = .zero
  ) async throws(ClientError) -> LockGrant {
    guard configuration.sessionLifetime != nil else {
      throw .invalid("locks need a session; give the client a session lifetime")
    }
    guard !wants.isEmpty, wants.count <= CommandLimits.locksAtOnce else {
      throw .invalid("1 to \(CommandLimits.locksAtOnce) locks can be taken at once")
    }
    for want in wants {
      guard (1...CommandLimits.lockNameByteCount).contains(want.want.name.count) else {
        throw .invalid("a lock's name has 1 to 1024 bytes")
      }
    }
    let acquire = Acquire(
      wants.map(\.want),
      owner: owner(),
      wait: patience.map(\.wholeMilliseconds) ?? .max,
      delay: delay.wholeMilliseconds
    )
    let limit = patience.map { $0 + configuration.timeout }
    let reply = try await ask(.command(.acquire(acquire)), within: limit)
    guard case .lock(.granted(let token)) = reply else { throw .unexpectedReply }
    return LockGrant(names: wants.map(\.name), token: token)
  }

  /// Takes one lock for this holder alone.
  public func acquire(
    _ name: String,
    waitingAtMost patience: Duration? = nil
  ) async throws(ClientError) -> LockGrant {
    try await acquire([.exclusive(name)], waitingAtMost: patience)
  }

  /// Gives a grant back; answers whether it still held.
  ///
  /// It is not cut short by the end of the task that calls it: others wait for the lock.
  @discardableResult
  public func release(_ grant: LockGrant) async throws(ClientError) -> Bool {
    let release = CallKind.command(.release(Release(token: grant.token)))
    let timeout = configuration.timeout
    let result = await Task { await engine.call(release, within: timeout) }.value
    do throws(ClientError) {
      _ = try Self.reply(from: result)
      return true
    } catch {
      guard case .refused(let refusal) = error, refusal.code == ErrorCode.lockNotHeld.rawValue
      else { throw error }
      return false
    }
  }

  /// Until when a grant is surely held, by this machine's monotonic clock in nanoseconds; nil: it is not.
  ///
  /// One percent is kept back for clocks of different rates.
  public func surelyHeldUntil(_ grant: LockGrant) async -> UInt64? {
    await engine.surelyHeldUntil(grant.token)
  }

  /// Waits until a grant is lost, and answers why; nil if the waiting task is cancelled first.
  public func loss(of grant: LockGrant) async -> LockLoss? {
    await engine.loss(of: grant.token).map { LockLoss($0) }
  }

  /// Runs `body` while locks are held, and gives them back.
  ///
  /// The session is renewed meanwhile. When holding can't be proven any more, `body` is cancelled before anyone else can get the locks: a
  /// tenth of the session's lifetime before its end can have come. Then this throws ``ClientError/lockLost(_:)``, as soon as `body` ends.
  public func withLock<Result: Sendable>(
    _ wants: LockWant...,
    waitingAtMost patience: Duration? = nil,
    delay: Duration = .zero,
    _ body: @escaping @Sendable (LockGrant) async throws -> Result
  ) async throws -> Result {
    let owner = owner()
    let (grant, outcome) = try await Self.$lockOwner.withValue(owner) {
      let grant = try await acquire(wants, waitingAtMost: patience, delay: delay)
      return (grant, await run(body, under: grant))
    }
    let wasHeld: Bool
    do throws(ClientError) {
      wasHeld = try await release(grant)
    } catch {
      // The work is done, and the lock goes with the session.
      wasHeld = true
    }
    if let loss = outcome.loss { throw ClientError.lockLost(loss) }
    let result = try outcome.result.get()
    // It was lost without a word: whatever was done, was not done under the lock alone.
    guard wasHeld else { throw ClientError.lockLost(.sessionEnded) }
    return result
  }

  private func run<Result: Sendable>(
    _ body: @escaping @Sendable (LockGrant) async throws -> Result,
    under grant: LockGrant
  ) async -> (result: Swift.Result<Result, any Error>, loss: LockLoss?) {
    let task = Task { try await body(grant) }
    let watchdog = Task { () -> LockLoss? in
      guard let loss = await self.loss(of: grant) else { return nil }
      task.cancel()
      return loss
    }
    let result = await withTaskCancellationHandler {
      await task.result
    } onCancel: {
      task.cancel()
    }
    watchdog.cancel()
    return (result, await watchdog.value)
  }

  /// Locks that are in use, from a name on; 250 at most in one answer.
  public func locks(
    from name: [UInt8] = [],
    limit: Int = 250
  ) async throws(ClientError) -> [LockSummaryReport] {
    let query = Query.locks(from: name, limit: UInt32(clamping: limit))
    let reply = try await ask(.query(.linearizable, query))
    guard case .inspection(.locks(let locks)) = reply else { throw .unexpectedReply }
    return locks.map {
      LockSummaryReport(
        name: $0.name,
        holders: Int(clamping: $0.holders),
        waiters: Int(clamping: $0.waiters)
      )
    }
  }

  /// Who holds a lock and who waits for it.
  public func lock(_ name: String, waiters: Int = 100) async throws(ClientError) -> LockReport {
    let query = Query.lock(Array(name.utf8), limit: UInt32(clamping: waiters))
    let reply = try await ask(.query(.linearizable, query))
    guard case .inspection(.lock(let lock)) = reply else { throw .unexpectedReply }
    return LockReport(lock)
  }

  /// Takes a lock away from whoever holds it: their tokens are void at once.
  ///
  /// For operators.
  public func forceRelease(_ name: String) async throws(ClientError) {
    _ = try await run(.forceRelease(Array(name.utf8)))
  }

  /// From now on, keys under a prefix can be written under a grant of that lock alone.
  public func bind(_ prefix: [UInt8], to lock: String) async throws(ClientError) {
    _ = try await run(.bindPrefix(BindPrefix(prefix: prefix, lock: Array(lock.utf8))))
  }

  /// Lets everybody write under a prefix again.
  public func unbind(_ prefix: [UInt8]) async throws(ClientError) {
    _ = try await run(.unbindPrefix(prefix))
  }
}

extension LockLoss {
  init(_ loss: ClientNotice.Loss) {
    switch loss {
    case .forced: self = .forced
    case .sessionEnded: self = .sessionEnded
    case .unproven: self = .unproven
    }
  }
}

extension LockReport {
  init(_ lock: LockInfo) {
    holders = lock.holders.map { Claim($0) }
    waiters = lock.waiters.map { Claim($0) }
    waiterCount = Int(clamping: lock.waiterCount)
    rests = .milliseconds(Int64(clamping: lock.rests))
  }
}

extension LockReport.Claim {
  init(_ claim: ClaimInfo) {
    request = RequestID(session: claim.session.rawValue, sequence: claim.sequence.rawValue)
    token = claim.token == 0 ? nil : claim.token
    age = .milliseconds(Int64(clamping: claim.age))
    mode = ["exclusive", "shared", "permits"][min(Int(claim.mode), 2)]
    depth = Int(claim.depth)
    label = String(decoding: claim.label, as: UTF8.self)
  }
}
