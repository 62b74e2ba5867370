internal import RoostClientCore
internal import RoostPlatform
internal import RoostWire
internal import Synchronization

/// How new the answer to a read must be.
public enum ReadConsistency: Sendable, Hashable {
  /// The newest committed state, confirmed by a majority.
  case linearizable
  /// Whatever the asked node has; it may be old, and it is answered without a leader. It is never older than what this
  /// client has seen before.
  case local
  /// The same of a node that heard a leader so long ago at most.
  case recent(within: Duration)

  func call(_ query: Query) -> CallKind {
    switch self {
    case .linearizable: .query(.linearizable, query)
    case .local: .query(.serializable, query)
    case .recent(let age): .recent(query, age: max(1, age.wholeNanoseconds))
    }
  }
}

/// A key with its value and its history's numbers.
public struct StoredValue: Sendable, Equatable {
  /// The key.
  public let key: [UInt8]
  /// The value.
  public let value: [UInt8]
  /// The store's revision that created the key.
  public let created: UInt64
  /// The store's revision that last changed it.
  public let modified: UInt64
  /// How often it has been written since its creation; 1 for a new key.
  public let version: UInt64
  /// The lease or session that it lives as long as.
  public let lease: UInt64?
}

/// How to reach a cluster, and how patiently.
public struct ClientConfiguration: Sendable {
  /// Addresses of members, such as `127.0.0.1:7401`; more than one, so that one may be down.
  public var endpoints: [String]
  /// How long a call may take, retries included.
  public var timeout: Duration = .seconds(5)
  /// Whether a call fails as soon as every endpoint has refused twice, instead of trying until its timeout: for people who
  /// wait at a terminal.
  public var failsFast = false
  /// How long the cluster remembers this client without a sign of life, and locks stay held; nil: every request stands for itself,
  /// which saves a round trip for programs that make only a few, and there are no locks.
  public var sessionLifetime: Duration? = .seconds(10)
  /// Who this is, for people who look at the cluster's sessions and locks.
  public var label = ""

  /// A configuration with the defaults of a local cluster.
  public init(endpoints: [String] = ["127.0.0.1:7401", "127.0.0.1:7402", "127.0.0.1:7403"]) {
    self.endpoints = endpoints
  }
}

/// A connection to a cluster, shared by any number of tasks.
///
/// Every change that is asked for takes effect at most once, however often it had to be sent; a call that fails says
/// whether it may have happened. One object owns one thread; it ends when the object goes or ``close()`` is called.
public final class Cluster: Sendable {
  let engine: ClientEngine
  let configuration: ClientConfiguration
  private let owners = Atomic<UInt64>(0)

  /// Starts a client; connections are made when the first call needs one.
  public init(_ configuration: ClientConfiguration = ClientConfiguration()) throws(ClientError) {
    var addresses: [SocketAddress] = []
    for text in configuration.endpoints {
      guard let address = SocketAddress(text) else { throw .badEndpoint(text) }
      addresses.append(address)
    }
    guard !addresses.isEmpty else { throw .badEndpoint("") }
    self.configuration = configuration
    var settings = ClientSettings()
    if !configuration.failsFast { settings.unreachableRounds = nil }
    settings.label = Array(configuration.label.utf8.prefix(CommandLimits.labelByteCount))
    if let lifetime = configuration.sessionLifetime {
      settings.identity = .session(ttl: lifetime)
      // A node that has died must be found out, and another one asked, well within a session's life.
      settings.silence = max(min(settings.silence, lifetime / 10), .milliseconds(100))
    }
    do throws(SystemError) {
      engine = try ClientEngine(addresses: addresses, settings: settings)
      try engine.start()
    } catch {
      throw .system("\(error)")
    }
  }

  deinit { engine.stop() }

  /// Runs `body` with a client and closes it afterwards.
  public static func with<Result: Sendable>(
    _ configuration: ClientConfiguration = ClientConfiguration(),
    _ body: (Cluster) async throws -> Result
  ) async throws -> Result {
    let cluster = try Cluster(configuration)
    do {
      let result = try await body(cluster)
      await cluster.close()
      return result
    } catch {
      await cluster.close()
      throw error
    }
  }

  /// Ends this client's session, and with it whatever it holds; then every call that still waits, and the connections.
  public func close() async {
    if await engine.session != nil {
      let patience = min(configuration.timeout, .seconds(1))
      _ = await Task { await engine.call(.command(.closeSession), within: patience) }.value
    }
    await engine.close()
  }

  /// How every endpoint is, in the order in which they were given; asked side by side.
  public func status() async -> [MemberReport] {
    await withTaskGroup(of: (Int, MemberReport).self) { group in
      for (index, address) in configuration.endpoints.enumerated() {
        group.addTask {
          let limit = min(self.configuration.timeout, .seconds(2))
          let result = await self.engine.call(.status(endpoint: index), within: limit)
          return (index, MemberReport(address: address, result))
        }
      }
      var reports: [(Int, MemberReport)] = []
      for await report in group { reports.append(report) }
      return reports.sorted { $0.0 < $1.0 }.map(\.1)
    }
  }

  func check(key: [UInt8]) throws(ClientError) {
    if let fault = TransactionRequest.fault(key: key) { throw .invalid(fault) }
  }

  func check(value: [UInt8]) throws(ClientError) {
    guard value.count <= CommandLimits.valueByteCount else {
      throw .invalid("a value of \(value.count) bytes is over the limit of 1 MiB")
    }
  }

  func run(_ command: Command) async throws(ClientError) -> Reply {
    try await ask(.command(command))
  }

  func ask(_ kind: CallKind) async throws(ClientError) -> Reply {
    try await ask(kind, within: configuration.timeout)
  }

  /// Asks, for so long; nil: until there is an answer.
  func ask(_ kind: CallKind, within limit: Duration?) async throws(ClientError) -> Reply {
    try Self.reply(from: await engine.call(kind, within: limit))
  }

  static func reply(from result: CallResult) throws(ClientError) -> Reply {
    switch result {
    case .failed(let failure): throw ClientError(failure)
    case .answered(let bytes):
      guard let reply = try? Reply(decodingAll: bytes) else { throw .unexpectedReply }
      if case .observed(_, let observed) = reply { return observed }
      guard case .failure(let failure) = reply else { return reply }
      throw .refused(Refusal(failure))
    }
  }

  /// Who asks for a lock: whatever a task asks for while it holds one is asked for by the same owner, so that the cluster finds
  /// the circle in which nobody would ever get on.
  func owner() -> UInt64 {
    Self.lockOwner ?? owners.wrappingAdd(1, ordering: .relaxed).newValue
  }

  @TaskLocal static var lockOwner: UInt64?
}
