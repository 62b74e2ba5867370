import RoostStateMachine
import RoostWire

/// Speaks with a state in the words of a script, one directive an entry.
///
///     open a 10s                      a session that the script calls a
///     a put key value [OPTIONS]       the session's next request; `a#3 …` repeats its third
///     once x 30s put key value        a request without a session
///     wait 5s                         cluster time goes on, and an entry without requests is applied
///     read get key                    a query
///
/// Options: `prev`, `ttl=5s`, `lease=L`, `keep`, `if=absent|present|vN|rN`, `guard=LOCK:TOKEN`, `ack=N`, `@REVISION`.
final class Dialogue {
  private var driver = Driver()
  private var sessions: [String: (id: SessionID, next: UInt64)] = [:]
  private var leases: [String: UInt64] = [:]

  func answer(_ directive: String) -> [String] {
    var words = directive.split(separator: " ").map(String.init)
    let first = words.removeFirst()
    do {
      switch first {
      case "wait":
        driver.time += Self.nanoseconds(words[0])
        _ = try driver.apply([UInt8]())
        return news()
      case "open": return try open(words)
      case "once": return try once(words)
      case "read": return [try show(driver.read(query(words)))]
      case "restore":
        driver.state = try ReplicatedState(chunks: driver.state.snapshotChunks())
        return ["the same hash"]
      case "anew":
        driver.state = driver.state.restoredInNewEpoch()
        driver.time = driver.state.time.rawValue
        return ["revision \(driver.state.revision), readable from \(driver.state.oldestRevision)"]
      case "due":
        guard let due = driver.state.nextDeadline else { return ["nothing is due"] }
        return ["in \((due.rawValue - driver.time) / 1_000_000) ms"]
      default: return try request(first, words)
      }
    } catch {
      return ["not understood: \(error)"]
    }
  }

  // MARK: Requests

  private func open(_ words: [String]) throws -> [String] {
    driver.output.removeAll()
    let identity = RequestIdentity.oneShot(
      OneShotID(high: 1, low: UInt64(sessions.count)),
      expiry: ClusterTime(driver.time + 1)
    )
    let ttl = Self.nanoseconds(words[1]) / 1_000_000
    let reply = try driver.apply(
      identity,
      .openSession(OpenSession(ttl: ttl, label: Array(words[0].utf8)))
    )
    if case .sessionOpened(let opened) = reply { sessions[words[0]] = (opened.session, 1) }
    return [show(reply)] + news()
  }

  private func once(_ words: [String]) throws -> [String] {
    let id = OneShotID(high: 2, low: UInt64(words[0].utf8.first ?? 0))
    let expiry = ClusterTime(1_000_000_000 + Self.nanoseconds(words[1]))
    let reply = try driver.apply(
      .oneShot(id, expiry: expiry),
      command(Array(words.dropFirst(2)))
    )
    return [show(reply)] + news()
  }

  private func request(_ who: String, _ words: [String]) throws -> [String] {
    let parts = who.split(separator: "#").map(String.init)
    guard var session = sessions[parts[0]] else { return ["nobody is called \(who)"] }
    let repeated = parts.count > 1 ? UInt64(parts[1]) : nil
    let sequence = repeated ?? session.next
    if repeated == nil { session.next += 1 }
    sessions[parts[0]] = session
    let acked = words.first { $0.hasPrefix("ack=") }.flatMap { UInt64($0.dropFirst(4)) } ?? 1
    let command = try command(words.filter { !$0.hasPrefix("ack=") })
    let reply = try driver.apply(
      .session(
        session.id,
        SequenceNumber(sequence),
        firstIncomplete: SequenceNumber(min(acked, sequence))
      ),
      command
    )
    if case .leaseGranted(let id, _) = reply, words.count > 1 { leases[words[1]] = id }
    return [show(reply)] + news()
  }

  // MARK: Commands

  private struct NotUnderstood: Error { let words: [String] }

  private func command(_ words: [String]) throws -> Command {
    guard let verb = words.first else { throw NotUnderstood(words: words) }
    let rest = Array(words.dropFirst())
    func bytes(_ index: Int) -> [UInt8] { index < rest.count ? Array(rest[index].utf8) : [] }
    func number(_ index: Int) -> UInt64 { index < rest.count ? UInt64(rest[index]) ?? 0 : 0 }
    switch verb {
    case "put", "delete", "delete-range", "add", "min", "max", "append", "get", "range":
      return .operation(try operation(words))
    case "if": return .operation(try transaction(rest))
    case "keep-alive": return .keepAlive
    case "close": return .closeSession
    case "outcome":
      let session = sessions[rest[0]]?.id ?? .zero
      return .outcome(Outcome(session: session, sequence: SequenceNumber(number(1))))
    case "grant": return .grantLease(ttl: Self.nanoseconds(rest[1]) / 1_000_000)
    case "renew": return .renewLeases(rest.map { leases[$0] ?? 0 })
    case "revoke": return .revokeLease(leases[rest[0]] ?? 0)
    case "acquire": return .acquire(try acquire(rest))
    case "release": return .release(Release(token: number(1), name: bytes(0)))
    case "release-all": return .release(Release(token: number(0)))
    case "cancel": return .cancelAcquire(SequenceNumber(number(0)))
    case "force": return .forceRelease(bytes(0))
    case "bind": return .bindPrefix(BindPrefix(prefix: bytes(0), lock: bytes(1)))
    case "unbind": return .unbindPrefix(bytes(0))
    case "compact": return .compact(Revision(number(0)))
    default: throw NotUnderstood(words: words)
    }
  }

  private func operation(_ words: [String]) throws -> Operation {
    let plain = words.filter { !Self.isOption($0) }
    let options = options(words)
    func bytes(_ index: Int) -> [UInt8] { index < plain.count ? Array(plain[index].utf8) : [] }
    let number = plain.count > 2 ? Int64(plain[2]) ?? 0 : 0
    switch plain[0] {
    case "put": return .put(Put(key: bytes(1), value: bytes(2), options: options))
    case "delete": return .delete(Delete(key: bytes(1), options: options))
    case "delete-range":
      let limit = plain.count > 2 ? UInt32(plain[2]) : nil
      return .deleteRange(
        DeleteRange(
          Self.range(plain[1]),
          wantsPrevious: options.wantsPrevious,
          lockGuard: options.lockGuard,
          limit: limit
        )
      )
    case "add": return .update(Update(key: bytes(1), .add(number), options: options))
    case "min": return .update(Update(key: bytes(1), .min(number), options: options))
    case "max": return .update(Update(key: bytes(1), .max(number), options: options))
    case "append": return .update(Update(key: bytes(1), .append(bytes(2)), options: options))
    case "get": return .get(Get(key: bytes(1), revision: Self.revision(words)))
    case "range":
      var query = RangeQuery(Self.range(plain[1]))
      query.revision = Self.revision(words)
      query.limit = plain.count > 2 ? UInt32(plain[2]) ?? 0 : 0
      query.isReverse = words.contains("reverse")
      query.keysOnly = words.contains("keys")
      query.countOnly = words.contains("count")
      return .range(query)
    default: throw NotUnderstood(words: words)
    }
  }

  /// `if COMPARE & COMPARE then OPERATION ; OPERATION else OPERATION`, where a compare is `key=value` or `!key`.
  private func transaction(_ words: [String]) throws -> Operation {
    let parts = words.split(separator: "then", omittingEmptySubsequences: false)
    let branches = parts[1].split(separator: "else", omittingEmptySubsequences: false)
    let compares = parts[0].filter { $0 != "&" }.map { word -> Compare in
      if word.hasPrefix("!") { return Compare(.exists(key: Array(word.dropFirst().utf8), false)) }
      let sides = word.split(separator: "=", omittingEmptySubsequences: false)
      return Compare(.value(key: Array(sides[0].utf8), Array(sides[1].utf8)))
    }
    func operations(_ words: ArraySlice<String>) throws -> [Operation] {
      try words.split(separator: ";").map { try operation(Array($0)) }
    }
    return .transaction(
      Transaction(
        compares: compares,
        then: try operations(branches[0]),
        otherwise: branches.count > 1 ? try operations(branches[1]) : []
      )
    )
  }

  private func acquire(_ words: [String]) throws -> Acquire {
    var wants: [Acquire.Want] = []
    var (owner, wait, delay) = (UInt64(0), UInt64.max, UInt64(0))
    for word in words where word != "again" {
      let sides = word.split(separator: "=").map(String.init)
      switch sides[0] {
      case "wait": wait = Self.nanoseconds(sides[1]) / 1_000_000
      case "delay": delay = Self.nanoseconds(sides[1]) / 1_000_000
      case "owner": owner = UInt64(sides[1]) ?? 0
      default:
        let pieces = word.split(separator: ":").map(String.init)
        var mode = Acquire.Mode.exclusive
        if pieces.count == 2, pieces[1] == "shared" {
          mode = .shared
        } else if pieces.count == 2 {
          let permits = pieces[1].split(separator: "/").compactMap { UInt32($0) }
          mode = .permits(permits[0], of: permits[1])
        }
        wants.append(Acquire.Want(Array(pieces[0].utf8), mode))
      }
    }
    return Acquire(
      wants,
      owner: owner,
      wait: wait,
      delay: delay,
      isReentrant: words.contains("again")
    )
  }

  private func query(_ words: [String]) throws -> Query {
    switch words[0] {
    case "lock": return .lock(Array(words[1].utf8), limit: 10)
    case "locks": return .locks(from: [], limit: 10)
    case "lease": return .lease(leases[words[1]] ?? 0, limit: 10)
    default:
      switch try operation(words) {
      case .get(let get): return .get(get)
      case .range(let range): return .range(range)
      default: throw NotUnderstood(words: words)
      }
    }
  }

  // MARK: Words

  private static func isOption(_ word: String) -> Bool {
    ["prev", "keep", "reverse", "keys", "count"].contains(word) || word.hasPrefix("@")
      || ["ttl=", "lease=", "if=", "guard="].contains { word.hasPrefix($0) }
  }

  private func options(_ words: [String]) -> WriteOptions {
    var options = WriteOptions()
    for word in words {
      let sides = word.split(separator: "=").map(String.init)
      switch sides[0] {
      case "prev": options.wantsPrevious = true
      case "keep": options.lifetime = .kept
      case "ttl": options.lifetime = .milliseconds(Self.nanoseconds(sides[1]) / 1_000_000)
      case "lease":
        options.lifetime = .lease(leases[sides[1]] ?? sessions[sides[1]]?.id.rawValue ?? 0)
      case "guard":
        let pieces = sides[1].split(separator: ":").map(String.init)
        options.lockGuard = LockGuard(lock: Array(pieces[0].utf8), token: UInt64(pieces[1]) ?? 0)
      case "if" where sides[1] == "absent": options.condition = .absent
      case "if" where sides[1] == "present": options.condition = .present
      case "if" where sides[1].hasPrefix("v"):
        options.condition = .version(UInt64(sides[1].dropFirst()) ?? 0)
      case "if": options.condition = .modified(Revision(UInt64(sides[1].dropFirst()) ?? 0))
      default: break
      }
    }
    return options
  }

  private static func revision(_ words: [String]) -> Revision {
    Revision(words.first { $0.hasPrefix("@") }.flatMap { UInt64($0.dropFirst()) } ?? 0)
  }

  private static func range(_ word: String) -> KeyRange {
    if word == "*" { return .everything }
    if word.hasSuffix("*") { return KeyRange(prefix: Array(word.dropLast().utf8)) }
    let ends = word.split(separator: ".", omittingEmptySubsequences: false)
    return KeyRange(from: Array(ends[0].utf8), to: ends.last.map { Array($0.utf8) })
  }

  private static func nanoseconds(_ word: String) -> UInt64 {
    if word.hasSuffix("ms") { return (UInt64(word.dropLast(2)) ?? 0) * 1_000_000 }
    return (UInt64(word.dropLast()) ?? 0) * 1_000_000_000
  }

  // MARK: Answers

  private func name(_ session: SessionID) -> String {
    sessions.filter { $0.value.id == session }.keys.sorted().first ?? "nobody"
  }

  private func news() -> [String] {
    driver.output.events.map { pushed in
      let bytes = Array(driver.output.eventBytes[pushed.bytes])
      guard let event = try? Event(decodingAll: bytes) else { return "an unreadable event" }
      let addressee = "-> \(name(pushed.session))#\(pushed.sequence)"
      switch event {
      case .lockResolved(_, let reply): return "\(addressee): \(show(reply))"
      case .lockLost(let token, let lock):
        return "\(addressee): lost \(Self.text(lock)), token \(token)"
      case .watch: return "\(addressee): a watch"
      }
    }
  }

  private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

  private func show(_ reply: Reply) -> String {
    switch reply {
    case .failure(let failure): return show(failure)
    case .done: return "done"
    case .written(let written):
      let number = written.number.map { ", now \($0)" } ?? ""
      let previous = written.previous.map { ", was \(show($0))" } ?? ""
      return "revision \(written.revision), version \(written.version)\(number)\(previous)"
    case .deleted(let deleted):
      let previous = deleted.previous.map { ", was \(show($0))" }.joined()
      let more = deleted.more ? ", more are left" : ""
      return "revision \(deleted.revision), removed \(deleted.count)\(more)\(previous)"
    case .value(let revision, let entry): return "at \(revision): \(entry.map(show) ?? "not there")"
    case .page(let page):
      let entries = page.entries.map { " \(show($0))" }.joined(separator: ";")
      let next = page.next.map { ", next \(Self.text($0.filter { $0 > 0 }))" } ?? ""
      return "at \(page.revision): \(page.count)\(next)\(entries.isEmpty ? "" : ":")\(entries)"
    case .transaction(let transaction):
      let results = transaction.results.map { " [\(show($0))]" }.joined()
      return
        "revision \(transaction.revision), \(transaction.succeeded ? "then" : "else"):\(results)"
    case .sessionOpened(let opened): return "session \(name(opened.session)), \(opened.ttl) ms"
    case .leaseGranted(_, let ttl): return "lease of \(ttl) ms"
    case .renewed(let lives): return lives.map { $0 ? "lives" : "gone" }.joined(separator: " ")
    case .lock(.waiting(let ahead)): return "waits, \(ahead) ahead"
    case .lock(.granted(let token)): return "granted, token \(token)"
    case .released(let depth): return "released, held \(depth) more times"
    case .outcome(.executed(let reply)): return "executed: \(show(reply))"
    case .outcome(let outcome): return "\(outcome)"
    case .watching(let start): return "watches from revision \(start)"
    case .observed(let age, let reply): return "\(age) ns old: \(show(reply))"
    case .inspection(let inspection): return show(inspection)
    }
  }

  private func show(_ failure: Failure) -> String {
    guard failure.code != .deadlock else { return "deadlock: \(circle(failure.bytes))" }
    let detail = failure.detail == 0 ? "" : " (\(failure.detail))"
    let bytes = failure.bytes.isEmpty ? "" : ": \(Self.text(failure.bytes))"
    return "refused, \(failure.code)\(detail)\(bytes)"
  }

  private func circle(_ bytes: [UInt8]) -> String {
    var input = bytes.span
    var links: [String] = []
    while !input.isEmpty {
      guard let lock = try? input.readLockName(), let holder = try? SessionID(decoding: &input)
      else { break }
      links.append("\(Self.text(lock)) is held by \(name(holder))")
    }
    return links.joined(separator: ", ")
  }

  private func show(_ entry: KeyValue) -> String {
    let lifetime = entry.lease == 0 ? "" : " ~"
    return "\(Self.text(entry.key))=\(Self.text(entry.value)) "
      + "(c\(entry.created) m\(entry.modified) v\(entry.version)\(lifetime))"
  }

  private func show(_ inspection: Inspection) -> String {
    switch inspection {
    case .lock(let lock):
      let holders = lock.holders.map { " \(Self.text($0.label)) token \($0.token) \($0.age) ms" }
      let waiters = lock.waiters.map { " \(Self.text($0.label)) \($0.age) ms" }
      return "held by\(holders.joined(separator: ",")); awaited by\(waiters.joined(separator: ","))"
        + (lock.rests > 0 ? "; rests \(lock.rests) ms" : "")
    case .locks(let locks):
      return locks.isEmpty
        ? "no locks"
        : locks.map { "\(Self.text($0.name)) \($0.holders)+\($0.waiters)" }
          .joined(separator: ", ")
    case .lease(let lease, let keys):
      return "\(lease.remaining) of \(lease.ttl) ms, keys: "
        + keys.map(Self.text).joined(separator: " ")
    default: return "\(inspection)"
    }
  }
}
