import RoostStateMachine
import RoostWire

/// Measures the longest time for which one entry, read or call keeps a node from everything else, where there is very
/// much of something: holders, waiters, keys of one owner, deadlines at one moment, watchers of one key.
final class StateShapes {
  private var state = ReplicatedState()
  private var output = AppliedOutput()
  private var time: UInt64 = 1_000_000_000
  private var sessions: [SessionID] = []
  private var sequences: [SessionID: UInt64] = [:]
  /// How many of each thing there are.
  private let count: Int
  private var longest: UInt64 = 0
  /// Which entry since the last report took longest, and what memory it had to wait for.
  private var place = ""
  private var entries = 0
  /// How many took more than a millisecond since the last report: one among thousands is the machine's.
  private var long = 0

  init(count: Int) { self.count = count }

  func run() {
    lockShapes()
    keyShapes()
    historyShapes()
    largeValues()
    leaseShapes()
    watchShapes()
    scatteredWatchShape()
  }

  // MARK: Driving

  private func startAnew() {
    state = ReplicatedState()
    sessions = []
    sequences = [:]
  }

  /// Applies requests in one entry, and answers the first reply.
  @discardableResult
  private func apply(_ requests: [Request]) -> Reply? {
    var payload: [UInt8] = []
    for request in requests { RequestBatch.append(request, to: &payload) }
    output.removeAll()
    time += 1000
    let faults = Stopwatch.pageFaults()
    let watch = Stopwatch()
    state.apply(
      payload,
      at: LogIndex(state.appliedIndex.rawValue + 1),
      time: ClusterTime(time),
      into: &output
    )
    let nanoseconds = watch.nanoseconds
    entries += 1
    if nanoseconds > longest {
      longest = nanoseconds
      place = "entry \(entries), \(Stopwatch.pageFaults() - faults) page faults"
    }
    if nanoseconds > 1_000_000 { long += 1 }
    guard output.replyCount > 0 else { return nil }
    return try? Reply(decodingAll: Array(output.replyBytes[output.replyRange(0)]))
  }

  private func request(_ session: SessionID, _ command: Command) -> Request {
    let sequence = sequences[session, default: 0] + 1
    sequences[session] = sequence
    let identity = RequestIdentity.session(
      session,
      SequenceNumber(sequence),
      firstIncomplete: SequenceNumber(sequence)
    )
    return Request(identity, command)
  }

  private func openSessions(_ count: Int, ttl: UInt64 = 3_600_000) {
    for number in 0..<count {
      let identity = RequestIdentity.oneShot(
        OneShotID(high: 1, low: UInt64(number)),
        expiry: ClusterTime(time + 1_000_000)
      )
      if case .sessionOpened(let opened)? = apply([
        Request(identity, .openSession(OpenSession(ttl: ttl)))
      ]) {
        sessions.append(opened.session)
      }
    }
  }

  /// Measures what `body` applies, and then what is due until nothing is.
  private func measure(_ name: String, _ body: () -> Void) {
    (longest, long, entries) = (0, 0, 0)
    body()
    while let due = state.nextDeadline, due <= ClusterTime(time) { apply([]) }
    print(
      "\(name): longest \(longest / 1000) us (\(place)), entries \(entries), over 1 ms \(long)"
    )
  }

  private func measureRead(_ name: String, _ query: Query) {
    var bytes: [UInt8] = []
    let encoded = query.encoded()
    let watch = Stopwatch()
    state.read(encoded.span, into: &bytes)
    print("\(name): \(watch.nanoseconds / 1000) us, \(bytes.count) B")
  }

  // MARK: Locks

  private func acquireAll(_ name: [UInt8], _ mode: Acquire.Mode) {
    for number in 0..<count {
      let session = sessions[number % sessions.count]
      let want = Acquire.Want(name, mode)
      apply([request(session, .acquire(Acquire([want], owner: UInt64(number), wait: .max)))])
    }
  }

  private func lockShapes() {
    let name = Array("many".utf8)
    openSessions(100)
    measure("\(count) holders come") { acquireAll(name, .shared) }
    measure("who waits behind \(count) holders looks for a circle") {
      apply([request(sessions[0], .acquire(Acquire([Acquire.Want(name)], owner: 7, wait: 1000)))])
    }
    measure("all \(count) holders lose their lock") {
      apply([request(sessions[0], .forceRelease(name))])
    }
    measure("\(count) holders come") { acquireAll(name, .shared) }
    measure("a session with \(count / 100) locks closes") {
      apply([request(sessions[0], .closeSession)])
    }
    measure("100 sessions with \(count / 100) locks each end at once") { time += 3_700_000_000_000 }
    startAnew()
    openSessions(100)
    var token: UInt64 = 0
    let reply = apply([request(sessions[0], .acquire(Acquire([Acquire.Want(name)], owner: .max)))])
    if case .lock(.granted(let granted))? = reply { token = granted }
    measure("\(count) waiters come") { acquireAll(name, .shared) }
    measure("one of \(count) waiters gives up") {
      let last = SequenceNumber(sequences[sessions[50]] ?? 0)
      apply([request(sessions[50], .cancelAcquire(last))])
    }
    measure("all waiters are granted") {
      apply([request(sessions[0], .release(Release(token: token, name: name)))])
    }
    measure("their sessions end at once") { time += 3_700_000_000_000 }
    startAnew()
    openSessions(count, ttl: 1_800_000)
    for (number, session) in sessions.enumerated() {
      let want = Acquire.Want(Array("lock \(number)".utf8))
      apply([request(session, .acquire(Acquire([want])))])
    }
    measure("\(count) sessions with a lock each end at once") { time += 1_900_000_000_000 }
    startAnew()
  }

  // MARK: Keys

  private static func key(_ number: Int) -> [UInt8] { Array("key \(10_000_000 + number)".utf8) }

  private func put(_ keys: Range<Int>, _ value: [UInt8], lease: UInt64?) {
    for number in keys {
      var options = WriteOptions()
      if let lease { options.lifetime = .lease(lease) }
      let put = Put(key: Self.key(number), value: value, options: options)
      apply([request(sessions[0], .operation(.put(put)))])
    }
  }

  private func keyShapes() {
    openSessions(2)
    let value = [UInt8](repeating: 7, count: 256)
    put(0..<count, value, lease: sessions[1].rawValue)
    measure("a session with \(count) keys closes") {
      apply([request(sessions[1], .closeSession)])
    }
    var lease: UInt64 = 0
    if case .leaseGranted(let id, _)? = apply([request(sessions[0], .grantLease(ttl: 600_000))]) {
      lease = id
    }
    put(0..<count, value, lease: lease)
    measure("a lease with \(count) keys is revoked") {
      apply([request(sessions[0], .revokeLease(lease))])
    }
    put(0..<count, value, lease: nil)
    measure("512 keys are deleted by range") {
      let range = KeyRange(from: Self.key(0), to: Self.key(512))
      apply([request(sessions[0], .operation(.deleteRange(DeleteRange(range))))])
    }
    measure("512 keys are put by a transaction, twenty times") {
      for turn in 0..<20 {
        let puts = (0..<512).map {
          Operation.put(Put(key: Self.key($0 * 100 + turn), value: value))
        }
        let transaction = Transaction(compares: [], then: puts, otherwise: [])
        apply([request(sessions[0], .operation(.transaction(transaction)))])
      }
    }
    measureRead("512 keys are read", .range(RangeQuery(.everything)))
    for first in stride(from: 0, to: count, by: 512) {
      let range = KeyRange(from: Self.key(first), to: Self.key(first + 512))
      apply([request(sessions[0], .operation(.deleteRange(DeleteRange(range))))])
    }
    put(count..<(count + 1), value, lease: nil)
    measureRead("one key behind \(count) that were deleted", .range(RangeQuery(.everything)))
    measure("and its deletion by range") {
      apply([request(sessions[0], .operation(.deleteRange(DeleteRange(.everything))))])
    }
    startAnew()
  }

  private func historyShapes() {
    openSessions(1)
    let start = state.revision.rawValue
    let key = Self.key(1)
    for _ in 0..<(10 * count) {
      apply([request(sessions[0], .operation(.update(Update(key: key, .add(1)))))])
    }
    measureRead(
      "a key as it was \(10 * count) changes ago",
      .get(Get(key: key, revision: Revision(start + 2)))
    )
    measure("history of \(10 * count) changes goes") {
      apply([request(sessions[0], .compact(state.revision))])
      for _ in 0..<(10 * count / 250) { apply([]) }
    }
    startAnew()
  }

  private func largeValues() {
    openSessions(1)
    let value = [UInt8](repeating: 1, count: 1 << 20)
    measure("values of 1 MiB are put") { put(0..<200, value, lease: nil) }
    measure("and appended to") {
      let update = Update(key: Self.key(1), .append([1]))
      put(1..<2, Array(value.dropLast(9)), lease: nil)
      apply([request(sessions[0], .operation(.update(update)))])
    }
    put(0..<200, [], lease: nil)
    measure("and forgotten") {
      apply([request(sessions[0], .compact(state.revision))])
      for _ in 0..<300 { apply([]) }
    }
    startAnew()
  }

  // MARK: Leases

  private func leaseShapes() {
    openSessions(1)
    let leases = 10 * count
    for _ in 0..<leases { apply([request(sessions[0], .grantLease(ttl: 60_000))]) }
    let copy = state
    measure("the first lease after a copy of \(leases)") {
      apply([request(sessions[0], .grantLease(ttl: 600_000))])
    }
    measure("\(leases) leases end at once (copy at \(copy.appliedIndex))") {
      time += 61_000_000_000
    }
    measureRead("a list of what is left among \(leases) ended", .leases(after: 0, limit: 500))
    startAnew()
  }
}

/// Watches.
extension StateShapes {
  /// Calls a table until it has nothing to do; answers the longest call and how many there were.
  private func drain(
    _ table: inout WatchTable,
    _ output: inout WatchOutput
  ) -> (longest: UInt64, calls: Int, events: Int) {
    var (longest, calls, events): (UInt64, Int, Int) = (0, 0, 0)
    repeat {
      output.removeAll()
      let faults = Stopwatch.pageFaults()
      let watch = Stopwatch()
      table.advance(on: state, into: &output)
      let nanoseconds = watch.nanoseconds
      calls += 1
      events += Self.count(output)
      if nanoseconds > longest {
        longest = nanoseconds
        place = "call \(calls), \(Stopwatch.pageFaults() - faults) page faults"
      }
      for event in output.events { table.didSend(event.bytes.count, on: event.connection) }
    } while table.hasWork
    return (longest, calls, events)
  }

  /// How many watches were told something.
  private static func count(_ output: WatchOutput) -> Int {
    output.events.reduce(0) { $0 + $1.watchCount }
  }

  private func show(_ name: String, _ result: (longest: UInt64, calls: Int, events: Int)) {
    print(
      "\(name): longest \(result.longest / 1000) us (\(place)), calls \(result.calls), events \(result.events)"
    )
  }

  /// Everybody on a connection of its own, so that no two are told together.
  private func scatteredWatchShape() {
    var table = WatchTable(beside: state)
    var output = WatchOutput()
    for number in UInt64(0)..<UInt64(count) {
      let request = WatchRequest(watch: 1, range: KeyRange(prefix: [107]))
      let id = WatcherID(connection: number, watch: 1)
      _ = try? table.start(request, as: id, by: sessions[0], on: state)
    }
    put(0..<1, [UInt8](repeating: 7, count: 256), lease: nil)
    show("\(count) connections watch a key that is put", drain(&table, &output))
  }

  private func watchShapes() {
    openSessions(1)
    put(0..<1, [1], lease: nil)
    var table = WatchTable(beside: state)
    var output = WatchOutput()
    var longest: UInt64 = 0
    for number in 0..<count {
      var request = WatchRequest(watch: UInt64(number), range: KeyRange(prefix: [107]))
      request.wantsProgress = true
      let watch = Stopwatch()
      _ = try? table.start(
        request,
        as: WatcherID(connection: UInt64(number % 2), watch: UInt64(number)),
        by: sessions[0],
        on: state
      )
      longest = max(longest, watch.nanoseconds)
    }
    print("\(count) watches start: longest \(longest / 1000) us")
    put(0..<1, [UInt8](repeating: 7, count: 256), lease: nil)
    show("\(count) watch a key that is put", drain(&table, &output))
    let puts = (0..<512).map { Operation.put(Put(key: Self.key($0), value: [1])) }
    let transaction = Transaction(compares: [], then: puts, otherwise: [])
    apply([request(sessions[0], .operation(.transaction(transaction)))])
    show("\(count) watch 512 keys that are put at once", drain(&table, &output))
    put(0..<1, [UInt8](repeating: 7, count: 1 << 20), lease: nil)
    let watch = Stopwatch()
    output.removeAll()
    table.noteProgress(into: &output)
    print("notes begin: \(watch.nanoseconds / 1000) us")
    var big: (longest: UInt64, calls: Int, events: Int) = (0, 0, 0)
    for _ in 0..<300 {
      output.removeAll()
      let faults = Stopwatch.pageFaults()
      let watch = Stopwatch()
      table.advance(on: state, into: &output)
      let nanoseconds = watch.nanoseconds
      if nanoseconds > big.longest {
        place = "call \(big.calls + 1), \(Stopwatch.pageFaults() - faults) page faults"
      }
      big = (max(big.longest, nanoseconds), big.calls + 1, big.events + Self.count(output))
      for event in output.events { table.didSend(event.bytes.count, on: event.connection) }
    }
    show("\(count) watch a value of 1 MiB, the first calls", big)
    let closing = Stopwatch()
    table.cancelAll(of: 0)
    print("a connection with \(count / 2) watches ends: \(closing.nanoseconds / 1000) us")
    var rest = WatchTable(beside: state)
    swap(&rest, &table)
    var calls = 0
    longest = 0
    while rest.count > count / 2 {
      output.removeAll()
      let watch = Stopwatch()
      rest.advance(on: state, into: &output)
      longest = max(longest, watch.nanoseconds)
      calls += 1
    }
    print("and is cleared away: longest \(longest / 1000) us, calls \(calls)")
  }
}
