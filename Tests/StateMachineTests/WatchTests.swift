@testable import RoostStateMachine
import RoostWire
import Testing

/// Watches, against the log of everything that ever changed.
@Suite struct WatchTests {
  /// What one watcher has been told, checked as it comes.
  private struct Heard {
    let request: WatchRequest
    let start: UInt64
    var changes: [WatchEvent.Change] = []
    var through: UInt64
    var isEnded = false
    var lastHadMore = false

    mutating func take(_ event: WatchEvent) {
      if event.compactedBelow != nil {
        isEnded = true
        return
      }
      for change in event.changes {
        // No repeat and no step back: what was told through stays told, but for the rest of a fragment.
        #expect(change.entry.modified.rawValue > through || lastHadMore)
        changes.append(change)
      }
      #expect(event.revision.rawValue >= through)
      through = event.hasMore ? event.revision.rawValue - 1 : event.revision.rawValue
      lastHadMore = event.hasMore
    }
  }

  /// Everybody who watches, and the connections to them.
  private struct Audience {
    var heard: [WatcherID: Heard] = [:]
    var unsent: [UInt64: Int] = [:]
    /// How often a watch was told by an event that names others too.
    var togetherCount = 0

    mutating func hear(_ output: WatchOutput) throws {
      for (connection, watchCount, bytes) in output.events {
        unsent[connection, default: 0] += bytes.count
        let event = try Event(decodingAll: Array(output.bytes[bytes]))
        guard case .watch(let event) = event else { continue }
        #expect(event.watches.count == watchCount && Set(event.watches).count == watchCount)
        if watchCount > 1 { togetherCount += watchCount }
        for watch in event.watches {
          heard[WatcherID(connection: connection, watch: watch)]?.take(event)
        }
      }
    }
  }

  /// What the watcher should have been told of the model's log.
  private static func expected(_ heard: Heard, _ model: Model) -> [WatchEvent.Change] {
    model.log.filter { change in
      guard change.revision >= heard.start, change.revision <= model.revision,
        change.key.lies(in: heard.request.range)
      else { return false }
      if change.new == nil { return !heard.request.withoutRemovals && change.old != nil }
      return !heard.request.withoutPuts
    }.map { change in
      let tombstone = KeyValue(
        key: change.key,
        value: [],
        revisions: (.zero, Revision(change.revision)),
        version: 0
      )
      return WatchEvent.Change(
        isRemoval: change.new == nil,
        entry: change.new?.keyValue ?? tombstone,
        previous: heard.request.wantsPrevious ? change.old?.keyValue : nil
      )
    }
  }

  @Test(arguments: UInt64(1)...10)
  func everyWatcherHearsEverythingOnceAndInOrder(seed: UInt64) throws {
    var workload = RandomWorkload(seed: seed &* 77)
    var limits = ModelTests.limits
    limits.historyRevisions = 60
    limits.historyAge = 30_000_000_000
    limits.historyBytes = 1 << 20
    var driver = Driver(limits: limits)
    var model = Model(limits: limits)
    var table = WatchTable(
      beside: driver.state,
      byteBudget: seed % 2 == 0 ? 1500 : 1 << 20,
      fragmentByteCount: 120,
      pairLimit: seed % 3 == 0 ? 2 : 512
    )
    var audience = Audience()
    var output = WatchOutput()
    for step in 0..<500 {
      let batch = workload.batch()
      driver.time = workload.time
      let replies = try driver.apply(batch)
      _ = model.apply(batch, time: workload.time, hints: replies)
      for reply in replies { workload.learn(reply) }
      if workload.random.chance(1, in: 8) { try start(&workload, driver, &table, &audience, step) }
      if workload.random.chance(1, in: 25),
        let id = audience.heard.keys.min(by: { $0.watch < $1.watch })
      {
        table.cancel(id)
        audience.heard[id] = nil
      }
      if workload.random.chance(1, in: 50) {
        driver.state = try ReplicatedState(chunks: driver.state.snapshotChunks())
      }
      output.removeAll()
      table.advance(
        on: driver.state,
        steps: Int(workload.random.below(30)),
        tellingSteps: Int(workload.random.below(60)),
        into: &output
      )
      try audience.hear(output)
      sendSome(&workload, &table, &audience)
    }
    try finish(driver, model, &table, &audience)
    // With a small budget most are told from history, each alone.
    #expect(audience.togetherCount > 0 || seed % 2 == 0)
  }

  private func start(
    _ workload: inout RandomWorkload,
    _ driver: Driver,
    _ table: inout WatchTable,
    _ audience: inout Audience,
    _ step: Int
  ) throws {
    let now = driver.state.revision.rawValue
    var request = WatchRequest(
      watch: UInt64(step),
      range: workload.range(),
      start: Revision(workload.random.below(now + 4))
    )
    request.withoutPuts = workload.random.chance(1, in: 6)
    request.withoutRemovals = workload.random.chance(1, in: 6)
    request.wantsPrevious = workload.random.chance(1, in: 2)
    let id = WatcherID(connection: UInt64(step % 3), watch: UInt64(step))
    let others = audience.heard.keys.filter { $0.connection == id.connection }
    if let other = others.max(by: { $0.watch < $1.watch }), workload.random.chance(2, in: 3),
      let model = audience.heard[other]?.request
    {
      // Another one that wants the same on the same connection, though not always from the same revision.
      let start = request.start
      request = WatchRequest(watch: request.watch, range: model.range, start: start)
      request.withoutPuts = model.withoutPuts
      request.withoutRemovals = model.withoutRemovals
      request.wantsPrevious = model.wantsPrevious
    }
    do {
      try table.start(request, as: id, by: .zero, on: driver.state)
    } catch {
      #expect(error.code == .compacted)
      #expect(request.start <= driver.state.oldestRevision)
      return
    }
    // The table has not seen the newest entry yet: "now" is where it stands.
    guard request.start > .zero else { return table.cancel(id) }
    let start = request.start.rawValue
    audience.heard[id] = Heard(request: request, start: start, through: start - 1)
  }

  private func sendSome(
    _ workload: inout RandomWorkload,
    _ table: inout WatchTable,
    _ audience: inout Audience
  ) {
    for connection in UInt64(0)..<3 where workload.random.chance(1, in: 2) {
      table.didSend(audience.unsent.removeValue(forKey: connection) ?? 0, on: connection)
    }
  }

  private func finish(
    _ driver: Driver,
    _ model: Model,
    _ table: inout WatchTable,
    _ audience: inout Audience
  ) throws {
    var output = WatchOutput()
    for round in 0..<20_000 where table.hasWork || round < 3 {
      for (connection, byteCount) in audience.unsent {
        table.didSend(byteCount, on: connection)
      }
      audience.unsent = [:]
      output.removeAll()
      table.advance(on: driver.state, into: &output)
      try audience.hear(output)
    }
    #expect(!table.hasWork)
    for one in audience.heard.values {
      let expected = Self.expected(one, model)
      if one.isEnded {
        #expect(one.changes == Array(expected.prefix(one.changes.count)))
      } else {
        #expect(one.changes == expected)
      }
    }
  }

  @Test func aProgressNoteComesAfterAllThatItPromises() throws {
    var driver = Driver()
    var table = WatchTable(beside: driver.state)
    var request = WatchRequest(watch: 4, range: .everything)
    request.wantsProgress = true
    let id = WatcherID(connection: 1, watch: 4)
    try table.start(request, as: id, by: .zero, on: driver.state)
    let session = try driver.openSession()
    _ = try driver.apply(at(session, 1), put("a", "1"))
    var output = WatchOutput()
    table.advance(on: driver.state, into: &output)
    table.noteProgress(into: &output)
    let events = try output.events.map { try Event(decodingAll: Array(output.bytes[$0.bytes])) }
    guard events.count == 2, case .watch(let first) = events[0], case .watch(let note) = events[1]
    else { return #expect(Bool(false), "\(events)") }
    #expect(first.changes.count == 1 && note.changes.isEmpty)
    #expect(first.revision == Revision(1) && note.revision == Revision(1))
  }

  @Test func newestOnlyTellsAKeyOnceHoweverOftenItChanged() throws {
    var driver = Driver()
    let session = try driver.openSession()
    for number in UInt64(1)...9 {
      _ = try driver.apply(at(session, number), put("a", "\(number)"))
    }
    var table = WatchTable(beside: driver.state)
    var request = WatchRequest(watch: 1, range: .everything, start: Revision(1))
    request.newestOnly = true
    let id = WatcherID(connection: 1, watch: 1)
    try table.start(request, as: id, by: .zero, on: driver.state)
    var output = WatchOutput()
    table.advance(on: driver.state, into: &output)
    let events = try output.events.map { try Event(decodingAll: Array(output.bytes[$0.bytes])) }
    guard case .watch(let event)? = events.first else { return #expect(Bool(false)) }
    #expect(event.changes.map { $0.entry.value } == [Array("9".utf8)])
    #expect(event.revision == Revision(9))
  }

  @Test func aTransactionLargerThanTheBudgetIsToldInPiecesAsTheyAreRead() throws {
    var driver = Driver()
    let session = try driver.openSession()
    let keys = (10..<40).map { "k\($0)" }
    let large = keys.map {
      Operation.put(Put(key: Array($0.utf8), value: [UInt8](repeating: 7, count: 500)))
    }
    _ = try driver.apply(at(session, 1), .operation(.transaction(Transaction(then: large))))
    var table = WatchTable(beside: driver.state, byteBudget: 4000, fragmentByteCount: 1000)
    var request = WatchRequest(watch: 1, range: .everything)
    request.wantsPrevious = true
    let id = WatcherID(connection: 1, watch: 1)
    try table.start(request, as: id, by: .zero, on: driver.state)
    _ = try driver.apply(at(session, 2), .operation(.transaction(Transaction(then: large))))
    var told = 0
    var rounds = 0
    var last: WatchEvent?
    while rounds < 100, last?.hasMore ?? true {
      var output = WatchOutput()
      table.advance(on: driver.state, into: &output)
      // Bounded, although one transaction changed thirty kilobytes.
      #expect(output.bytes.count < 6000)
      for (_, _, bytes) in output.events {
        guard case .watch(let event) = try Event(decodingAll: Array(output.bytes[bytes])) else {
          continue
        }
        #expect(event.revision == Revision(2))
        told += event.changes.count
        last = event
      }
      table.didSend(output.bytes.count, on: 1)
      rounds += 1
    }
    #expect(told == keys.count && rounds > 5 && last?.hasMore == false)
    #expect(!table.hasWork)
  }

  @Test func aCancelledConnectionLeavesNothingBehind() throws {
    let driver = Driver()
    var table = WatchTable(beside: driver.state)
    for number in UInt64(1)...50 {
      try table.start(
        WatchRequest(watch: number, range: .everything),
        as: WatcherID(connection: number % 2, watch: number),
        by: .zero,
        on: driver.state
      )
    }
    table.cancelAll(of: 0)
    #expect(table.count == 25)
    table.cancelAll(of: 1)
    #expect(table.count == 0 && !table.hasWork)
  }

  @Test func theIndexFindsTheRangesAroundAKey() {
    var random = SplitMix64(seed: 5)
    var workload = RandomWorkload(seed: 6)
    var index = RangeIndex()
    var ranges: [(id: Int, range: KeyRange)] = []
    for step in 0..<3000 {
      if random.chance(3, in: 5) {
        let range = workload.range()
        ranges.append((step, range))
        index.insert(range, id: step)
      } else if !ranges.isEmpty {
        let victim = ranges.remove(at: Int(random.below(UInt64(ranges.count))))
        index.remove(victim.range, id: victim.id)
      }
      guard step % 10 == 0 else { continue }
      let key = workload.key()
      var found: [Int] = []
      index.forEach(around: key) { id in
        found.append(id)
        return true
      }
      #expect(found.sorted() == ranges.filter { key.lies(in: $0.range) }.map { $0.id }.sorted())
      #expect(index.count == ranges.count)
    }
  }
}
