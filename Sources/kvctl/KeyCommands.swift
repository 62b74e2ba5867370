internal import RoostClient
internal import RoostPlatform

/// What goes with a write, as the command line says it.
struct WriteWords {
  var options = PutOptions()

  /// Takes the options of a write, or of a removal, for which there is no lifetime.
  init(_ arguments: inout Arguments, isRemoval: Bool) throws(UsageError) {
    var conditions: [WriteCondition] = []
    if try arguments.flag("if-absent") { conditions.append(.absent) }
    if try arguments.flag("if-present") { conditions.append(.present) }
    if let number = try arguments.number(of: "if-version") { conditions.append(.version(number)) }
    if let number = try arguments.number(of: "if-revision") { conditions.append(.modified(number)) }
    if let text = try arguments.value(of: "if-value") {
      conditions.append(.value(Array(text.utf8)))
    }
    guard conditions.count < 2 else { throw UsageError("one condition at a time; use kvctl txn") }
    options.condition = conditions.first
    options.wantsPrevious = try arguments.flag("previous")
    let lock = try arguments.value(of: "lock")
    let token = try arguments.number(of: "token")
    guard (lock == nil) == (token == nil) else {
      throw UsageError("--lock and --token go together")
    }
    if let lock, let token { options.guardedBy = LockGrant(name: lock, token: token) }
    guard !isRemoval else { return }
    var lives: [KeyLife] = []
    if let time = try arguments.seconds(of: "ttl") { lives.append(.time(time)) }
    if let id = try arguments.number(of: "lease") { lives.append(.lease(id)) }
    if try arguments.flag("keep-life") { lives.append(.kept) }
    guard lives.count < 2 else { throw UsageError("--ttl, --lease or --keep-life: one of them") }
    options.life = lives.first ?? .unbounded
  }
}

/// Implements `kvctl put KEY VALUE`.
enum Put {
  static func run(_ arguments: inout Arguments) async throws(UsageError) -> Int32 {
    let target = try Target(&arguments)
    let write = try WriteWords(&arguments, isRemoval: false)
    let isJson = try arguments.flag("json")
    let key = try arguments.next("KEY", of: "put")
    let text = try arguments.next("VALUE", of: "put")
    try arguments.finish("put")
    let value = text == "-" ? Process.readInput(limit: 1 << 20) : Array(text.utf8)
    guard let value else { throw UsageError("the value is over the limit of 1 MiB") }
    return await target.run { (cluster) async throws(ClientError) in
      let result: WriteResult
      do throws(ClientError) {
        result = try await cluster.put(Array(key.utf8), value, write.options)
      } catch {
        guard case .refused(let refusal) = error, refusal.code == 13 else { throw error }
        Process.complain(
          "'\(key)' is not so (its revision is \(refusal.detail)), and stays as it is"
        )
        return ExitCode.conditionNotMet
      }
      if isJson {
        print(result.json)
      } else {
        print("revision \(result.revision)")
        if let previous = result.previous { print("previous \(Output.field(previous.value))") }
      }
      return ExitCode.done
    }
  }
}

/// Implements `kvctl get KEY`.
enum Get {
  /// How new what is read must be.
  static func consistency(_ arguments: inout Arguments) throws(UsageError) -> ReadConsistency {
    let age = try arguments.seconds(of: "max-age")
    guard try arguments.flag("local") else {
      guard age == nil else { throw UsageError("--max-age goes with --local") }
      return .linearizable
    }
    return age.map { .recent(within: $0) } ?? .local
  }

  static func run(_ arguments: inout Arguments) async throws(UsageError) -> Int32 {
    let target = try Target(&arguments)
    if try arguments.flag("prefix") {
      let prefix = try arguments.next("KEY", of: "get")
      return try await Range.run(&arguments, target, .prefix(Array(prefix.utf8)), "get")
    }
    let consistency = try consistency(&arguments)
    let isJson = try arguments.flag("json")
    let revision = try arguments.number(of: "at") ?? 0
    let key = try arguments.next("KEY", of: "get")
    try arguments.finish("get")
    return await target.run { (cluster) async throws(ClientError) in
      guard let found = try await cluster.get(Array(key.utf8), consistency, at: revision) else {
        Process.complain("'\(key)' has no value")
        return ExitCode.notFound
      }
      if isJson {
        print(found.json)
      } else if Process.outputIsTerminal {
        print(Output.printable(found.value))
      } else {
        Process.write(found.value)
      }
      return ExitCode.done
    }
  }
}

/// Implements `kvctl range` and `kvctl get --prefix`.
enum Range {
  static func run(_ arguments: inout Arguments) async throws(UsageError) -> Int32 {
    let target = try Target(&arguments)
    let start = arguments.nextIfAny()
    let end = arguments.nextIfAny()
    let keys: Keys =
      start.map { .range(from: Array($0.utf8), to: end.map { Array($0.utf8) }) } ?? .all
    return try await run(&arguments, target, keys, "range")
  }

  static func run(
    _ arguments: inout Arguments,
    _ target: Target,
    _ keys: Keys,
    _ command: String
  ) async throws(UsageError) -> Int32 {
    var query = PageQuery()
    query.consistency = try Get.consistency(&arguments)
    query.limit = Int(clamping: try arguments.number(of: "limit") ?? 0)
    query.revision = try arguments.number(of: "at") ?? 0
    query.isReverse = try arguments.flag("reverse")
    query.keysOnly = try arguments.flag("keys")
    let onlyCount = try arguments.flag("count")
    let isJson = try arguments.flag("json")
    try arguments.finish(command)
    return await target.run { [query] (cluster) async throws(ClientError) in
      if onlyCount {
        print(try await cluster.count(keys, query.consistency))
        return ExitCode.done
      }
      let page = try await cluster.list(keys, query)
      if isJson {
        let values = Json.list(page.values.map(\.json))
        print(Json.object([("revision", .count(page.revision)), ("values", values)]))
      } else {
        for value in page.values {
          print(Output.field(value.key) + (query.keysOnly ? "" : "\t" + Output.field(value.value)))
        }
      }
      return ExitCode.done
    }
  }
}

/// Implements `kvctl del KEY`.
enum Del {
  static func run(_ arguments: inout Arguments) async throws(UsageError) -> Int32 {
    let target = try Target(&arguments)
    let isPrefix = try arguments.flag("prefix")
    let write = try WriteWords(&arguments, isRemoval: true)
    let isJson = try arguments.flag("json")
    let key = try arguments.next("KEY", of: "del")
    try arguments.finish("del")
    if isPrefix, write.options.condition != nil {
      throw UsageError("a condition is about one key; use kvctl txn")
    }
    return await target.run { (cluster) async throws(ClientError) in
      let removed: RemovalResult
      do throws(ClientError) {
        removed = try await remove(Array(key.utf8), isPrefix, write.options, cluster)
      } catch {
        guard case .refused(let refusal) = error, refusal.code == 13 else { throw error }
        Process.complain(
          "'\(key)' is not so (its revision is \(refusal.detail)), and stays as it is"
        )
        return ExitCode.conditionNotMet
      }
      if isJson {
        print(removed.json)
      } else {
        for value in removed.previous {
          print("previous \(Output.field(value.key))\t\(Output.field(value.value))")
        }
      }
      guard removed.count > 0 else {
        Process.complain(isPrefix ? "no key begins with '\(key)'" : "'\(key)' has no value")
        return ExitCode.notFound
      }
      if isPrefix, !isJson { print("removed \(removed.count)") }
      return ExitCode.done
    }
  }

  private static func remove(
    _ key: [UInt8],
    _ isPrefix: Bool,
    _ options: PutOptions,
    _ cluster: Cluster
  ) async throws(ClientError) -> RemovalResult {
    guard isPrefix else { return try await cluster.delete(key, options) }
    return try await cluster.deleteRange(
      .prefix(key),
      guardedBy: options.guardedBy,
      wantsPrevious: options.wantsPrevious
    )
  }
}

extension StoredValue {
  var json: Json {
    .object([
      Json.field("key", key), Json.field("value", value), ("created", .count(created)),
      ("modified", .count(modified)), ("version", .count(version)),
      ("lease", lease.map { .count($0) } ?? .null),
    ])
  }
}

extension WriteResult {
  var json: Json {
    .object([
      ("revision", .count(revision)), ("version", .count(version)),
      ("number", number.map { .number($0) } ?? .null), ("previous", previous?.json ?? .null),
    ])
  }
}

extension RemovalResult {
  var json: Json {
    .object([
      ("revision", .count(revision)), ("count", .number(Int64(count))), ("more", .flag(hasMore)),
      ("previous", .list(previous.map(\.json))),
    ])
  }
}

extension KeyPage {
  var json: Json {
    .object([("revision", .count(revision)), ("values", .list(values.map(\.json)))])
  }
}
