import RoostStateMachine
import RoostWire

/// Drives a replicated state with keys of 32 bytes and values of 256.
final class StateBenchmark {
  private let keys: Int
  private var state = ReplicatedState()
  private var output = AppliedOutput()
  private var time: UInt64 = 1_000_000_000
  private var random = SplitMix64(seed: 1)
  private var sequence: UInt64 = 0
  private var session = SessionID.zero

  /// Requests of one entry, as a busy leader makes them.
  private static let batch = 64

  private let parts: [String]

  /// Prepares to measure some parts, or all if none are named.
  init(keys: Int, parts: [String]) {
    self.keys = keys
    self.parts = parts
  }

  func run() {
    openSession()
    let value = [UInt8](repeating: 7, count: 256)
    let before = Stopwatch.residentBytes()
    measure("put, new keys in random order", keys) { number in
      .operation(.put(Put(key: Self.key(UInt64(number)), value: value)))
    }
    let bytes = Stopwatch.residentBytes() - before
    print("memory a key: \(bytes / keys) B (raw \(32 + 256) B)")
    part("get") { measureReads() }
    part("put") {
      measure("put, existing keys, history kept", 500_000) { _ in
        .operation(.put(Put(key: randomKey(), value: value)))
      }
      measure("add", 300_000) { _ in .operation(.update(Update(key: [99], .add(1)))) }
    }
    part("lock") { measureLocks() }
    part("lease") { measureLeases(1_000_000) }
    part("watch") { measureWatches(value) }
    part("copy") { measureCopy(value) }
    part("snapshot") { measureSnapshot() }
  }

  private func part(_ name: String, _ body: () -> Void) {
    if parts.isEmpty || parts.contains(name) { body() }
  }

  private func measure(_ name: String, _ count: Int, _ command: (Int) -> Command) {
    report(name, applyAll(count, command), count)
  }

  private func report(_ name: String, _ nanoseconds: UInt64, _ count: Int) {
    print("\(name): \(nanoseconds / UInt64(max(count, 1))) ns")
  }

  // MARK: Requests

  private func apply(_ payload: [UInt8]) {
    output.removeAll()
    time += 10_000
    state.apply(
      payload,
      at: LogIndex(state.appliedIndex.rawValue + 1),
      time: ClusterTime(time),
      into: &output
    )
  }

  private func openSession() {
    var payload: [UInt8] = []
    let identity = RequestIdentity.oneShot(
      OneShotID(high: 1, low: 1),
      expiry: ClusterTime(time + 1_000_000_000)
    )
    RequestBatch.append(
      Request(identity, .openSession(OpenSession(ttl: 86_400_000))),
      to: &payload
    )
    apply(payload)
    let reply = try? Reply(decodingAll: output.replyBytes)
    if case .sessionOpened(let opened) = reply { session = opened.session }
  }

  private func append(_ command: Command, to payload: inout [UInt8]) {
    sequence += 1
    let acked = sequence > 256 ? sequence - 256 : 1
    let identity = RequestIdentity.session(
      session,
      SequenceNumber(sequence),
      firstIncomplete: SequenceNumber(acked)
    )
    RequestBatch.append(Request(identity, command), to: &payload)
  }

  private static func key(_ number: UInt64) -> [UInt8] {
    // Spread, as user ids are, behind a prefix that all share.
    let mixed = String(number &* 0x9E37_79B9_7F4A_7C15 & 0x0FFF_FFFF_FFFF_FFFF, radix: 16)
    let padding = String(repeating: "0", count: 16 - min(16, mixed.utf8.count))
    return Array(("tenant/objects/" + padding + mixed).utf8) + [UInt8(ascii: "/")]
  }

  /// Applies `count` commands in batches that were made before the watch runs.
  private func applyAll(_ count: Int, _ command: (Int) -> Command) -> UInt64 {
    var spent: UInt64 = 0
    var done = 0
    // Entries have stamps that lie close together, as under load.
    while done < count {
      var batches: [[UInt8]] = []
      while batches.count < 1000, done < count {
        var payload: [UInt8] = []
        for _ in 0..<min(Self.batch, count - done) {
          append(command(done), to: &payload)
          done += 1
        }
        batches.append(payload)
      }
      let watch = Stopwatch()
      for payload in batches { apply(payload) }
      spent += watch.nanoseconds
    }
    return spent
  }

  private func randomKey() -> [UInt8] { Self.key(random.below(UInt64(keys))) }

  // MARK: Loads

  private func measureReads() {
    measureRead("get", 500_000) { .get(Get(key: self.randomKey())) }
    measureRead("range of 100", 20_000) {
      var query = RangeQuery(KeyRange(from: self.randomKey(), to: nil))
      query.limit = 100
      return .range(query)
    }
    measureRead("count of a random range", 50_000) {
      var query = RangeQuery(KeyRange(from: self.randomKey(), to: nil))
      query.countOnly = true
      return .range(query)
    }
  }

  private func measureRead(_ name: String, _ count: Int, _ query: () -> Query) {
    // A copy of its own, so that calls need not guard the property of this object.
    let state = self.state
    var bytes: [UInt8] = []
    var spent: UInt64 = 0
    for _ in 0..<(count / 1000) {
      // As if they had just been received: the queries are in the cache, the keys are not.
      let queries = (0..<1000).map { _ in query().encoded() }
      let watch = Stopwatch()
      for query in queries {
        bytes.removeAll(keepingCapacity: true)
        state.read(query.span, into: &bytes)
      }
      spent += watch.nanoseconds
    }
    report(name, spent, count)
  }

  /// Takes and gives back one lock after another; tokens count up, so that they are known beforehand.
  private func measureLocks() {
    let count = 300_000
    var token: UInt64 = 0
    let nanoseconds = applyAll(2 * count) { number in
      let name = Array("locks/\(number / 2 % 1000)".utf8)
      guard number % 2 == 1 else { return .acquire(Acquire([Acquire.Want(name)])) }
      token += 1
      return .release(Release(token: token, name: name))
    }
    report("lock acquire and release", nanoseconds, count)
    print("locks left over: \(status().locks)")
  }

  private func measureLeases(_ count: Int) {
    measure("lease grant", count) { _ in .grantLease(ttl: 60_000) }
    var ids: [UInt64] = []
    while ids.count < count {
      var bytes: [UInt8] = []
      state.read(Query.leases(after: ids.last ?? 0, limit: 1000).encoded().span, into: &bytes)
      guard case .inspection(.leases(let leases)) = try? Reply(decodingAll: bytes), !leases.isEmpty
      else { break }
      ids += leases.map(\.id)
    }
    measure("lease renewal, one a request", ids.count) { .renewLeases([ids[$0]]) }
    let chunk = 1000
    let nanoseconds = applyAll(ids.count / chunk) { number in
      .renewLeases(Array(ids[(number * chunk)..<((number + 1) * chunk)]))
    }
    report("lease renewal, \(chunk) a request", nanoseconds, ids.count)
    measureExpiry(ids.count)
  }

  /// Lets all leases end at one moment, and works them off entry by entry.
  private func measureExpiry(_ count: Int) {
    time += 120_000_000_000
    var longest: UInt64 = 0
    let watch = Stopwatch()
    var entries = 0
    repeat {
      let entry = Stopwatch()
      apply([])
      longest = max(longest, entry.nanoseconds)
      entries += 1
    } while state.nextDeadline.map { $0 <= ClusterTime(time) } ?? false
    report("lease end in a storm", watch.nanoseconds, count)
    print("entries: \(entries), longest: \(longest / 1000) us; leases left: \(status().leases)")
  }

  /// Writes beside watches on other keys and on the same.
  private func measureWatches(_ value: [UInt8]) {
    var table = WatchTable(beside: state, byteBudget: .max)
    for number in 0..<100_000 {
      let key = Self.key(UInt64(number))
      let request = WatchRequest(watch: UInt64(number), range: KeyRange(from: key, to: key + [0]))
      let id = WatcherID(connection: 1, watch: UInt64(number))
      do { try table.start(request, as: id, by: session, on: state) } catch { print(error) }
    }
    var output = WatchOutput()
    for (name, first) in [("nobody watches", 500_000), ("one of 100 000 watches", 0)] {
      var spent: UInt64 = 0
      for number in 0..<20_000 {
        let key = Self.key(UInt64(first + number))
        var payload: [UInt8] = []
        append(.operation(.put(Put(key: key, value: value))), to: &payload)
        apply(payload)
        let watch = Stopwatch()
        output.removeAll()
        table.advance(on: state, into: &output)
        spent += watch.nanoseconds
      }
      report("watches after a put that \(name)", spent, 20_000)
    }
  }

  /// Writes while a copy of the whole state is held.
  private func measureCopy(_ value: [UInt8]) {
    let copy = state
    var longest: UInt64 = 0
    var total: UInt64 = 0
    for count in [1, 63, 1000, 10_000, 50_000] {
      var spent: UInt64 = 0
      for _ in 0..<count {
        var payload: [UInt8] = []
        append(.operation(.put(Put(key: randomKey(), value: value))), to: &payload)
        let watch = Stopwatch()
        apply(payload)
        let nanoseconds = watch.nanoseconds
        longest = max(longest, nanoseconds)
        spent += nanoseconds
      }
      total += spent
      report("put while a copy is held, the next \(count)", spent, count)
    }
    print("longest: \(longest / 1000) us; the copy is at revision \(copy.revision)")
  }

  private func measureSnapshot() {
    var writer = SnapshotWriter(of: state)
    var reader = SnapshotReader()
    var byteCount = 0
    var (writing, reading): (UInt64, UInt64) = (0, 0)
    var longest: UInt64 = 0
    while true {
      let watch = Stopwatch()
      guard let chunk = writer.nextChunk() else { break }
      writing += watch.nanoseconds
      longest = max(longest, watch.nanoseconds)
      byteCount += chunk.count
      let restoring = Stopwatch()
      do { try reader.add(chunk) } catch { print("refused: \(error)") }
      reading += restoring.nanoseconds
    }
    print("snapshot: \(byteCount >> 20) MiB, longest chunk \(longest / 1000) us")
    report("snapshot written, a MiB", writing, byteCount >> 20)
    report("snapshot restored, a MiB", reading, byteCount >> 20)
    guard let restored = try? reader.finish() else { return print("not restored") }
    print("restored: \(restored.stateHash == state.stateHash)")
  }

  private func status() -> StateStatus {
    var bytes: [UInt8] = []
    state.read(Query.status.encoded().span, into: &bytes)
    guard case .inspection(.status(let status)) = try? Reply(decodingAll: bytes) else {
      return StateStatus()
    }
    return status
  }
}
