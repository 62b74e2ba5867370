internal import RoostWire

/// How what is there must stand to what is named.
public enum Relation: Sendable, Hashable {
  case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual

  var relation: Compare.Relation {
    switch self {
    case .equal: .equal
    case .notEqual: .notEqual
    case .less: .less
    case .lessOrEqual: .lessOrEqual
    case .greater: .greater
    case .greaterOrEqual: .greaterOrEqual
    }
  }
}

/// Operations that happen together, in one revision, or not at all.
///
///     var move = TransactionRequest()
///     move.require(.exists(a))
///     move.put(b, value)
///     move.delete(a)
///     move.otherwise { $0.put(missing, a) }
///     let result = try await cluster.perform(move)
public struct TransactionRequest: Sendable {
  /// A question that decides which way a transaction goes.
  public struct Check: Sendable, Hashable {
    let compare: Compare

    /// The key has a value.
    public static func exists(_ key: [UInt8]) -> Check { Check(.exists(key: key, true)) }
    /// The key has no value.
    public static func absent(_ key: [UInt8]) -> Check { Check(.exists(key: key, false)) }
    /// The key's value, which counts as empty if there is none.
    public static func value(_ key: [UInt8], _ relation: Relation, _ value: [UInt8]) -> Check {
      Check(.value(key: key, value), relation)
    }
    /// How often the key has been written since its creation; 0 if there is none.
    public static func version(_ key: [UInt8], _ relation: Relation, _ number: UInt64) -> Check {
      Check(.version(key: key, number), relation)
    }
    /// The revision that created the key.
    public static func created(_ key: [UInt8], _ relation: Relation, _ number: UInt64) -> Check {
      Check(.created(key: key, number), relation)
    }
    /// The revision that last changed the key.
    public static func modified(_ key: [UInt8], _ relation: Relation, _ number: UInt64) -> Check {
      Check(.modified(key: key, number), relation)
    }
    /// The lease that the key lives as long as.
    public static func lease(_ key: [UInt8], _ relation: Relation, _ number: UInt64) -> Check {
      Check(.lease(key: key, number), relation)
    }
    /// How many keys there are.
    public static func count(_ keys: Keys, _ relation: Relation, _ number: UInt64) -> Check {
      Check(.count(keys.range, number), relation)
    }
    /// That grant still holds.
    public static func held(_ grant: LockGrant) -> Check { Check(.lockHeld(grant.lockGuard)) }

    private init(_ subject: Compare.Subject, _ relation: Relation = .equal) {
      compare = Compare(subject, relation.relation)
    }
  }

  private var checks: [Check] = []
  private var operations: [Operation] = []
  private var alternatives: [Operation] = []

  /// A transaction that does nothing yet.
  public init() {}

  /// Adds a check; if all hold, the operations run, else those of ``otherwise(_:)``.
  public mutating func require(_ check: Check) { checks.append(check) }

  /// Gives a key a value.
  public mutating func put(_ key: [UInt8], _ value: [UInt8], _ options: PutOptions = PutOptions()) {
    operations.append(.put(Put(key: key, value: value, options: options.options)))
  }

  /// Removes a key.
  public mutating func delete(_ key: [UInt8], _ options: PutOptions = PutOptions()) {
    operations.append(.delete(Delete(key: key, options: options.removal)))
  }

  /// Removes the keys of a range.
  public mutating func deleteRange(_ keys: Keys, wantsPrevious: Bool = false) {
    operations.append(.deleteRange(DeleteRange(keys.range, wantsPrevious: wantsPrevious)))
  }

  /// Adds to a number.
  public mutating func add(_ number: Int64, to key: [UInt8]) {
    operations.append(.update(Update(key: key, .add(number))))
  }

  /// Appends to a value.
  public mutating func append(_ bytes: [UInt8], to key: [UInt8]) {
    operations.append(.update(Update(key: key, .append(bytes))))
  }

  /// Reads a key, as it is after the operations before.
  public mutating func get(_ key: [UInt8]) { operations.append(.get(Get(key: key))) }

  /// Reads a range, as it is after the operations before.
  public mutating func page(_ keys: Keys, limit: Int = 0) {
    var range = RangeQuery(keys.range)
    range.limit = UInt32(clamping: limit)
    operations.append(.range(range))
  }

  /// Adds a transaction within this one, with checks of its own.
  public mutating func perform(_ inner: TransactionRequest) {
    operations.append(.transaction(inner.transaction))
  }

  /// What runs if a check does not hold.
  public mutating func otherwise(_ build: (inout TransactionRequest) -> Void) {
    var other = TransactionRequest()
    build(&other)
    precondition(other.checks.isEmpty, "checks stand in the transaction, or in one within it")
    alternatives += other.operations
  }

  var transaction: Transaction {
    Transaction(compares: checks.map(\.compare), then: operations, otherwise: alternatives)
  }

  /// Why it can't be sent; nil if it can.
  var fault: String? {
    for operation in operations + alternatives {
      switch operation {
      case .put(let put):
        if let fault = Self.fault(key: put.key) { return fault }
        guard put.value.count <= CommandLimits.valueByteCount else {
          return "a value of \(put.value.count) bytes is over the limit of 1 MiB"
        }
      case .delete(let delete):
        if let fault = Self.fault(key: delete.key) { return fault }
      case .update(let update):
        if let fault = Self.fault(key: update.key) { return fault }
      case .get(let get):
        if let fault = Self.fault(key: get.key) { return fault }
      case .deleteRange, .range, .transaction: break
      }
    }
    return nil
  }

  static func fault(key: [UInt8]) -> String? {
    guard !key.isEmpty else { return "a key has at least one byte" }
    guard key.count <= CommandLimits.keyByteCount else {
      return "a key of \(key.count) bytes is over the limit of 8 KiB"
    }
    return nil
  }
}

/// What a transaction did.
public struct TransactionResult: Sendable, Equatable {
  /// What one operation answered.
  public indirect enum Step: Sendable, Equatable {
    /// A key was given a value.
    case written(WriteResult)
    /// Keys were removed.
    case removed(RemovalResult)
    /// A key was read.
    case value(StoredValue?)
    /// A range was read.
    case page(KeyPage)
    /// A transaction within this one.
    case transaction(TransactionResult)
  }

  /// Whether all checks held.
  public let succeeded: Bool
  /// The store's revision afterwards.
  public let revision: UInt64
  /// What each operation that ran answered.
  public let steps: [Step]

  init(_ reply: TransactionReply) throws(ClientError) {
    succeeded = reply.succeeded
    revision = reply.revision.rawValue
    var steps: [Step] = []
    for result in reply.results {
      switch result {
      case .written(let written): steps.append(.written(WriteResult(written)))
      case .deleted(let deleted): steps.append(.removed(RemovalResult(deleted)))
      case .value(_, let found): steps.append(.value(found.map { StoredValue($0) }))
      case .page(let page): steps.append(.page(KeyPage(page)))
      case .transaction(let inner): steps.append(.transaction(try TransactionResult(inner)))
      default: throw .unexpectedReply
      }
    }
    self.steps = steps
  }
}

extension Cluster {
  /// Performs a transaction: as a whole, once, or not at all.
  @discardableResult
  public func perform(
    _ transaction: TransactionRequest
  ) async throws(ClientError) -> TransactionResult {
    if let fault = transaction.fault { throw .invalid(fault) }
    let reply = try await run(.operation(.transaction(transaction.transaction)))
    guard case .transaction(let result) = reply else { throw .unexpectedReply }
    return try TransactionResult(result)
  }
}
