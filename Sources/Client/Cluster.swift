internal import RoostClientCore
internal import RoostPlatform
internal import RoostWire

/// How new the answer to a read must be.
public enum ReadConsistency: Sendable {
  /// The newest committed state, confirmed by a majority.
  case linearizable
  /// Whatever the asked node has; it may be old, and it is answered without a leader.
  case local
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
  /// How long the cluster remembers this client without a sign of life; nil: every request stands for itself, which
  /// saves a round trip for programs that make only a few.
  public var sessionLifetime: Duration? = .seconds(30)

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
  private let engine: ClientEngine
  private let configuration: ClientConfiguration

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
    if let lifetime = configuration.sessionLifetime { settings.identity = .session(ttl: lifetime) }
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

  /// Ends every call that still waits, and closes the connections.
  public func close() async { await engine.close() }

  /// Gives a key a value, and answers the store's new revision.
  @discardableResult
  public func put(_ key: [UInt8], _ value: [UInt8]) async throws(ClientError) -> UInt64 {
    try await put(key, value, options: WriteOptions())
  }

  /// Gives a key a value if it has none; answers whether it did.
  public func putIfAbsent(_ key: [UInt8], _ value: [UInt8]) async throws(ClientError) -> Bool {
    do throws(ClientError) {
      _ = try await put(key, value, options: WriteOptions(condition: .absent))
      return true
    } catch {
      guard case .refused(let refusal) = error, refusal.isConditionFailed else { throw error }
      return false
    }
  }

  private func put(
    _ key: [UInt8],
    _ value: [UInt8],
    options: WriteOptions
  ) async throws(ClientError) -> UInt64 {
    try check(key: key)
    guard value.count <= CommandLimits.valueByteCount else {
      throw .invalid("a value of \(value.count) bytes is over the limit of 1 MiB")
    }
    let reply = try await run(.operation(.put(Put(key: key, value: value, options: options))))
    guard case .written(let written) = reply else { throw .unexpectedReply }
    return written.revision.rawValue
  }

  /// The value of a key, or nil if there is none.
  public func get(
    _ key: [UInt8],
    _ consistency: ReadConsistency = .linearizable
  ) async throws(ClientError) -> StoredValue? {
    try check(key: key)
    let level: ReadLevel = consistency == .local ? .serializable : .linearizable
    let reply = try await ask(.query(level, .get(Get(key: key))))
    guard case .value(_, let found) = reply else { throw .unexpectedReply }
    guard let found else { return nil }
    return StoredValue(
      key: found.key,
      value: found.value,
      created: found.created.rawValue,
      modified: found.modified.rawValue,
      version: found.version
    )
  }

  /// Removes a key; answers whether it was there.
  @discardableResult
  public func delete(_ key: [UInt8]) async throws(ClientError) -> Bool {
    try check(key: key)
    let reply = try await run(.operation(.delete(Delete(key: key))))
    guard case .deleted(let deleted) = reply else { throw .unexpectedReply }
    return deleted.count > 0
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

  private func check(key: [UInt8]) throws(ClientError) {
    guard !key.isEmpty else { throw .invalid("a key has at least one byte") }
    guard key.count <= CommandLimits.keyByteCount else {
      throw .invalid("a key of \(key.count) bytes is over the limit of 8 KiB")
    }
  }

  private func run(_ command: Command) async throws(ClientError) -> Reply {
    try await ask(.command(command))
  }

  private func ask(_ kind: CallKind) async throws(ClientError) -> Reply {
    switch await engine.call(kind, within: configuration.timeout) {
    case .failed(let failure): throw ClientError(failure)
    case .answered(let bytes):
      guard let reply = try? Reply(decodingAll: bytes) else { throw .unexpectedReply }
      guard case .failure(let failure) = reply else { return reply }
      throw .refused(Refusal(failure))
    }
  }
}
