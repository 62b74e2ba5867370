import Foundation
import RoostNode
import RoostPlatform
import RoostWire
import TestSupport
import Testing

/// What a node tells its clients unasked: changes of keys, and news of locks.
@Suite(.serialized) struct NodeWatchTests {
  private static func watch(
    _ number: UInt64,
    from start: UInt64 = 0,
    _ change: (inout WatchRequest) -> Void = { _ in }
  ) -> [UInt8] {
    var request = WatchRequest(watch: number, range: .everything, start: Revision(start))
    change(&request)
    return request.encoded()
  }

  private static func news(_ event: Event) throws -> WatchEvent {
    guard case .watch(let news) = event else { throw WireClient.Silence(waitedFor: "watch event") }
    return news
  }

  @Test(.timeLimit(.minutes(1)))
  func aWatchIsToldWhatChangesFromNowOn() async throws {
    try await withLoneNode { node in
      let (watcher, writer) = (try WireClient(to: node.address), try WireClient(to: node.address))
      let before = try writer.put("a", [1])
      let reply = try watcher.call(.watch, Self.watch(1))
      #expect(reply.reply == .watching(from: Revision(before.rawValue + 1)))
      let revision = try writer.put("b", [2])
      let frame = try #require(try watcher.next())
      #expect(frame.kind == .event && frame.correlation == 0)
      let event = try Self.news(try #require(frame.event))
      #expect(event.watches == [1] && event.revision == revision)
      #expect(event.changes.map(\.entry.key) == [Array("b".utf8)])
    }
  }

  @Test(.timeLimit(.minutes(1)))
  func aWatchOfThePastIsToldItAndThenWhatFollows() async throws {
    try await withLoneNode { node in
      let (watcher, writer) = (try WireClient(to: node.address), try WireClient(to: node.address))
      for number in UInt8(1)...200 { _ = try writer.put("k\(number % 7)", [number]) }
      #expect(
        try watcher.call(.watch, Self.watch(9, from: 1)).reply == .watching(from: Revision(1))
      )
      var told: [UInt8] = []
      while told.count < 200 {
        told += try Self.news(watcher.event()).changes.compactMap(\.entry.value.first)
      }
      _ = try writer.put("k", [201])
      told += try Self.news(watcher.event()).changes.compactMap(\.entry.value.first)
      #expect(told == Array(1...201))
    }
  }

  @Test(.timeLimit(.minutes(1)))
  func nothingFollowsACancelledWatch() async throws {
    try await withLoneNode { node in
      let (watcher, writer) = (try WireClient(to: node.address), try WireClient(to: node.address))
      _ = try watcher.call(.watch, Self.watch(1))
      _ = try watcher.call(.watch, Self.watch(2))
      for number in UInt8(1)...50 { _ = try writer.put("k", [number]) }
      let one = UInt64(1).littleEndianBytes
      #expect(try watcher.call(.cancelWatch, one).reply == .done)
      for number in UInt8(51)...99 { _ = try writer.put("k", [number]) }
      var last: UInt8 = 0
      while last < 99 {
        let event = try Self.news(watcher.event())
        #expect(event.watches == [2])
        last = event.changes.last?.entry.value.first ?? last
      }
      #expect(try watcher.call(.cancelWatch, one).reply == .done, "also a second time")
      #expect(try watcher.status()[.watches] == 1)
    }
  }

  @Test(.timeLimit(.minutes(1)))
  func aWatchRequestThatMakesNoSenseIsAnswered() async throws {
    try await withLoneNode {
      $0.limits.watchesOfConnection = 2
    } _: { node in
      let client = try WireClient(to: node.address)
      for body in [[], [1, 2, 3], Self.watch(1) + [0]] {
        #expect(try client.call(.watch, body).reply == .failure(Failure(.malformed)))
      }
      #expect(try client.call(.cancelWatch, [1]).reply == .failure(Failure(.malformed)))
      _ = try client.call(.watch, Self.watch(1))
      _ = try client.call(.watch, Self.watch(2))
      #expect(try client.call(.watch, Self.watch(3)).reply == .failure(Failure(.limitReached)))
    }
  }

  @Test(.timeLimit(.minutes(1)))
  func aNoteComesWhileNothingHappens() async throws {
    try await withLoneNode {
      $0.limits.progressInterval = .milliseconds(100)
    } _: { node in
      let client = try WireClient(to: node.address)
      let revision = try client.put("k", [1])
      _ = try client.call(.watch, Self.watch(1) { $0.wantsProgress = true })
      for _ in 0..<3 {
        let note = try Self.news(client.event())
        #expect(note.changes.isEmpty && note.revision == revision)
      }
    }
  }

  /// A watcher that does not read: events stop at its budget, the node does not grow, and once it reads it misses nothing.
  @Test(.timeLimit(.minutes(2)))
  func aWatcherThatDoesNotReadCostsNoMemoryAndMissesNothing() async throws {
    try await withLoneNode { node in
      let (watcher, writer) = (try WireClient(to: node.address), try WireClient(to: node.address))
      let numbers = UInt64(1)...20
      for number in numbers {
        _ = try watcher.call(.watch, Self.watch(number) { $0.wantsPrevious = true })
      }
      // Each put of 100 kB over a value of that size is 4 MB of events: 240 MB in all, of which history holds 12 MB.
      let value = [UInt8](repeating: 1, count: 100_000)
      for _ in 0..<60 { _ = try writer.put("k", value) }
      let status = try writer.status()
      #expect(status[.waitingBytes] < 6 << 20, "\(status[.waitingBytes])")
      var told: [UInt64: [UInt64]] = [:]
      while told.values.reduce(0, { $0 + $1.count }) < 60 * numbers.count {
        let event = try Self.news(watcher.event())
        for watch in event.watches {
          told[watch, default: []] += event.changes.map(\.entry.version)
        }
      }
      for number in numbers { #expect(told[number] == Array(1...60), "watch \(number)") }
    }
  }

  /// More connections than the node sends to in one turn, and some go away while they wait for theirs.
  @Test(.timeLimit(.minutes(1)))
  func manyConnectionsHearEverythingInOrderWhileOthersGoAway() async throws {
    try await withLoneNode { node in
      var watchers = try (0..<30).map { _ in try WireClient(to: node.address) }
      for watcher in watchers {
        for number in UInt64(1)...3 { _ = try watcher.call(.watch, Self.watch(number)) }
      }
      let writer = try WireClient(to: node.address)
      for value in UInt8(1)...100 {
        _ = try writer.put("k", [value])
        if value % 10 == 0 { watchers.removeLast() }
      }
      for watcher in watchers {
        var told: [UInt64: [UInt8]] = [:]
        while told.values.reduce(0, { $0 + $1.count }) < 300 {
          let event = try Self.news(watcher.event())
          for watch in event.watches {
            told[watch, default: []] += event.changes.compactMap(\.entry.value.first)
          }
        }
        #expect(told.count == 3 && told.values.allSatisfy { $0 == Array(1...100) })
      }
      for _ in 0..<1000 where try writer.status()[.watches] > 60 { usleep(1000) }
      #expect(try writer.status()[.watches] == 60)
    }
  }

  @Test(.timeLimit(.minutes(1)))
  func watchesEndWithTheirConnection() async throws {
    try await withLoneNode { node in
      let other = try WireClient(to: node.address)
      var watcher: WireClient? = try WireClient(to: node.address)
      for number in UInt64(1)...100 { _ = try watcher?.call(.watch, Self.watch(number)) }
      #expect(try other.status()[.watches] == 100)
      watcher = nil
      for _ in 0..<1000 where try other.status()[.watches] > 0 { usleep(1000) }
      #expect(try other.status()[.watches] == 0)
    }
  }

  // MARK: Locks

  private static let lock = Array("deploy".utf8)

  @Test(.timeLimit(.minutes(1)))
  func aGrantIsPushedToTheWaiter() async throws {
    try await withLoneNode { node in
      let (holder, waiter) = (try WireClient(to: node.address), try WireClient(to: node.address))
      let (first, second) = (try holder.openSession(), try waiter.openSession())
      let acquire = Command.acquire(Acquire([Acquire.Want(Self.lock)]))
      guard case .lock(.granted(let token)) = try holder.run(acquire, of: first, 1) else {
        throw WireClient.Silence(waitedFor: "grant")
      }
      #expect(try waiter.run(acquire, of: second, 1) == .lock(.waiting(ahead: 0)))
      _ = try holder.run(.release(Release(token: token)), of: first, 2)
      let frame = try #require(try waiter.next())
      #expect(frame.kind == .event && frame.correlation == second.rawValue)
      guard case .lockResolved(let sequence, .lock(.granted(let next))) = frame.event else {
        throw WireClient.Silence(waitedFor: "grant")
      }
      #expect(sequence == SequenceNumber(1) && next > token)
    }
  }

  @Test(.timeLimit(.minutes(1)))
  func afterAReconnectNewsGoToTheNewConnection() async throws {
    try await withLoneNode { node in
      let holder = try WireClient(to: node.address)
      let first = try holder.openSession()
      var waiter = try WireClient(to: node.address)
      let second = try waiter.openSession()
      let acquire = Command.acquire(Acquire([Acquire.Want(Self.lock)]))
      guard case .lock(.granted(let token)) = try holder.run(acquire, of: first, 1) else {
        throw WireClient.Silence(waitedFor: "grant")
      }
      #expect(try waiter.run(acquire, of: second, 1) == .lock(.waiting(ahead: 0)))
      let old = waiter
      waiter = try WireClient(to: node.address)
      #expect(try waiter.run(.keepAlive, of: second, 0) == .done)
      #expect(try holder.once(.forceRelease(Self.lock)) == .done)
      guard case .lockLost(let lost, let name) = try holder.event() else {
        throw WireClient.Silence(waitedFor: "loss")
      }
      #expect(lost == token && name == Self.lock)
      guard case .lockResolved(SequenceNumber(1), let reply) = try waiter.event() else {
        throw WireClient.Silence(waitedFor: "grant")
      }
      // Who did not hear it asks again and gets the same.
      #expect(try waiter.run(acquire, of: second, 1) == reply)
      #expect(try old.next(within: .milliseconds(50))?.event == nil)
    }
  }
}

extension UInt64 {
  var littleEndianBytes: [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: self >> (8 * $0)) } }
}
