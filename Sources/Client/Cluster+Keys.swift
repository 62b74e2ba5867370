internal import RoostClientCore
internal import RoostWire

/// Keys and values.
extension Cluster {
  /// Gives a key a value, and answers the store's new revision.
  @discardableResult
  public func put(_ key: [UInt8], _ value: [UInt8]) async throws(ClientError) -> UInt64 {
    try await put(key, value, PutOptions()).revision
  }

  /// Gives a key a value under conditions, for a time, or guarded by a lock.
  @discardableResult
  public func put(
    _ key: [UInt8],
    _ value: [UInt8],
    _ options: PutOptions
  ) async throws(ClientError) -> WriteResult {
    try check(key: key)
    try check(value: value)
    let put = Put(key: key, value: value, options: options.options)
    return try await write(.put(put))
  }

  /// Gives a key a value if it has none; answers whether it did.
  public func putIfAbsent(_ key: [UInt8], _ value: [UInt8]) async throws(ClientError) -> Bool {
    do throws(ClientError) {
      try await put(key, value, PutOptions(if: .absent))
      return true
    } catch {
      guard case .refused(let refusal) = error, refusal.isConditionFailed else { throw error }
      return false
    }
  }

  /// Adds to a number, kept as decimal text, and answers the sum; a key without a value counts as 0.
  @discardableResult
  public func add(
    _ number: Int64,
    to key: [UInt8],
    _ options: PutOptions = PutOptions()
  ) async throws(ClientError) -> WriteResult {
    try await update(key, .add(number), options)
  }

  /// Lowers a number to another one if that is smaller.
  @discardableResult
  public func lower(
    _ key: [UInt8],
    to number: Int64,
    _ options: PutOptions = PutOptions()
  ) async throws(ClientError) -> WriteResult {
    try await update(key, .min(number), options)
  }

  /// Raises a number to another one if that is greater.
  @discardableResult
  public func raise(
    _ key: [UInt8],
    to number: Int64,
    _ options: PutOptions = PutOptions()
  ) async throws(ClientError) -> WriteResult {
    try await update(key, .max(number), options)
  }

  /// Appends to a value, and answers its new length.
  @discardableResult
  public func append(
    _ bytes: [UInt8],
    to key: [UInt8],
    _ options: PutOptions = PutOptions()
  ) async throws(ClientError) -> WriteResult {
    try check(value: bytes)
    return try await update(key, .append(bytes), options)
  }

  private func update(
    _ key: [UInt8],
    _ change: Update.Change,
    _ options: PutOptions
  ) async throws(ClientError) -> WriteResult {
    try check(key: key)
    return try await write(.update(Update(key: key, change, options: options.options)))
  }

  private func write(_ operation: Operation) async throws(ClientError) -> WriteResult {
    let reply = try await run(.operation(operation))
    guard case .written(let written) = reply else { throw .unexpectedReply }
    return WriteResult(written)
  }

  /// The value of a key, or nil if there is none; at a past revision if one is given.
  public func get(
    _ key: [UInt8],
    _ consistency: ReadConsistency = .linearizable,
    at revision: UInt64 = 0
  ) async throws(ClientError) -> StoredValue? {
    try check(key: key)
    let get = Get(key: key, revision: Revision(revision))
    let reply = try await ask(consistency.call(.get(get)))
    guard case .value(_, let found) = reply else { throw .unexpectedReply }
    return found.map { StoredValue($0) }
  }

  /// The value of a key as some node has it, with how old that may be.
  ///
  /// It is answered without a leader. Nodes that heard none for longer than `age` do not answer; nil: however long ago.
  public func observe(
    _ key: [UInt8],
    within age: Duration? = nil
  ) async throws(ClientError) -> Observation {
    try check(key: key)
    let consistency = age.map { ReadConsistency.recent(within: $0) } ?? .local
    let result = await engine.call(
      consistency.call(.get(Get(key: key))),
      within: configuration.timeout
    )
    _ = try Self.reply(from: result)
    guard case .answered(let bytes) = result,
      case .observed(let age, .value(let revision, let found)) = try? Reply(decodingAll: bytes)
    else { throw .unexpectedReply }
    return Observation(
      value: found.map { StoredValue($0) },
      revision: revision.rawValue,
      age: age == .max ? nil : .nanoseconds(Int64(clamping: age))
    )
  }

  /// One page of a range: as many keys as fit, or up to the query's limit.
  public func page(
    _ keys: Keys,
    _ query: PageQuery = PageQuery()
  ) async throws(ClientError) -> KeyPage {
    var range = RangeQuery(keys.range)
    range.revision = Revision(query.revision)
    range.limit = UInt32(clamping: query.limit)
    range.isReverse = query.isReverse
    range.keysOnly = query.keysOnly
    let reply = try await ask(query.consistency.call(.range(range)))
    guard case .page(let page) = reply else { throw .unexpectedReply }
    return KeyPage(page)
  }

  /// All keys of a range with their values, as they were at one revision, page after page.
  public func list(
    _ keys: Keys,
    _ query: PageQuery = PageQuery()
  ) async throws(ClientError) -> KeyPage {
    var (query, keys) = (query, keys)
    let limit = query.limit
    var values: [StoredValue] = []
    while true {
      if limit > 0 { query.limit = limit - values.count }
      let page = try await page(keys, query)
      values += page.values
      query.revision = page.revision
      guard let next = page.next, limit == 0 || values.count < limit else {
        return KeyPage(revision: page.revision, values: values, next: page.next)
      }
      let range = keys.range
      keys =
        query.isReverse
        ? .range(from: range.start, to: next) : .range(from: next, to: range.end)
    }
  }

  /// How many keys a range has.
  public func count(
    _ keys: Keys,
    _ consistency: ReadConsistency = .linearizable
  ) async throws(ClientError) -> Int {
    var range = RangeQuery(keys.range)
    range.countOnly = true
    let reply = try await ask(consistency.call(.range(range)))
    guard case .page(let page) = reply else { throw .unexpectedReply }
    return Int(clamping: page.count)
  }

  /// The store's present revision.
  public func revision() async throws(ClientError) -> UInt64 {
    let reply = try await ask(.query(.linearizable, .status))
    guard case .inspection(.status(let status)) = reply else { throw .unexpectedReply }
    return status.revision
  }

  /// Removes a key; answers whether it was there.
  @discardableResult
  public func delete(_ key: [UInt8]) async throws(ClientError) -> Bool {
    try await delete(key, PutOptions()).count > 0
  }

  /// Removes a key under conditions, or guarded by a lock; the options' life plays no part.
  @discardableResult
  public func delete(
    _ key: [UInt8],
    _ options: PutOptions
  ) async throws(ClientError) -> RemovalResult {
    try check(key: key)
    return try await remove(.delete(Delete(key: key, options: options.removal)))
  }

  /// Removes the keys of a range in one step; with a limit the first so many, without one all or, if they are too many, none.
  @discardableResult
  public func deleteRange(
    _ keys: Keys,
    limit: Int? = nil,
    guardedBy grant: LockGrant? = nil,
    wantsPrevious: Bool = false
  ) async throws(ClientError) -> RemovalResult {
    let delete = DeleteRange(
      keys.range,
      wantsPrevious: wantsPrevious,
      lockGuard: grant?.lockGuard,
      limit: limit.map { UInt32(clamping: $0) }
    )
    return try await remove(.deleteRange(delete))
  }

  private func remove(_ operation: Operation) async throws(ClientError) -> RemovalResult {
    let reply = try await run(.operation(operation))
    guard case .deleted(let deleted) = reply else { throw .unexpectedReply }
    return RemovalResult(deleted)
  }
}

/// What one node has of a key.
public struct Observation: Sendable, Equatable {
  /// The value, or nil if there is none.
  public let value: StoredValue?
  /// The revision of the node's store.
  public let revision: UInt64
  /// How long ago the node had heard a leader; nil: not since its start.
  public let age: Duration?
}

/// How a range is read.
public struct PageQuery: Sendable, Hashable {
  /// The most keys that are wanted; 0: as many as there are.
  public var limit = 0
  /// The revision to read; 0: the newest.
  public var revision: UInt64 = 0
  /// Whether the last key comes first.
  public var isReverse = false
  /// Whether values are left out.
  public var keysOnly = false
  /// How new the answer must be.
  public var consistency = ReadConsistency.linearizable

  /// The newest state of the whole range, in order.
  public init() {}
}

extension KeyPage {
  init(revision: UInt64, values: [StoredValue], next: [UInt8]?) {
    self.revision = revision
    self.values = values
    count = values.count
    self.next = next
  }
}

extension PutOptions {
  /// The same for a removal, after which there is nothing that could live.
  var removal: WriteOptions {
    var options = self
    options.life = .unbounded
    return options.options
  }
}
