@testable import RoostStateMachine
import RoostWire
import Testing

/// Watches of which there are many, of changes that are long: told over several calls, and nothing lost or doubled.
@Suite struct WatchRoundTests {
  private struct Fixture {
    var driver = Driver()
    var table: WatchTable
    var session = SessionID.zero
    var sequence: UInt64 = 0
    var heard: [UInt64: [WatchEvent]] = [:]

    init(fragmentByteCount: Int = 1 << 18) throws {
      table = WatchTable(
        beside: driver.state,
        fragmentByteCount: fragmentByteCount,
        pairLimit: 16
      )
      session = try driver.openSession(ttl: 1_000_000)
    }

    mutating func run(_ operation: Operation) throws {
      sequence += 1
      _ = try driver.apply(at(session, sequence, acked: sequence), .operation(operation))
    }

    mutating func watch(_ number: UInt64, start: UInt64 = 0, on connection: UInt64? = nil) throws {
      try table.start(
        WatchRequest(watch: number, range: .everything, start: Revision(start)),
        as: WatcherID(connection: connection ?? number % 2, watch: number),
        by: session,
        on: driver.state
      )
    }

    /// One call; answers how many watches were told something by it.
    mutating func advance(steps: Int) throws -> Int {
      var output = WatchOutput()
      table.advance(on: driver.state, steps: steps, tellingSteps: steps, into: &output)
      for (connection, _, bytes) in output.events {
        table.didSend(bytes.count, on: connection)
        guard case .watch(let event) = try Event(decodingAll: Array(output.bytes[bytes])) else {
          throw Failure(.malformed)
        }
        for watch in event.watches { heard[watch, default: []].append(event) }
      }
      return output.events.reduce(0) { $0 + $1.watchCount }
    }

    func values(_ watch: UInt64) -> [[UInt8]] {
      heard[watch, default: []].flatMap { $0.changes.map { $0.entry.value } }
    }
  }

  private func put(_ key: UInt8, _ value: [UInt8]) -> Operation {
    .put(Put(key: [key], value: value))
  }

  @Test func veryManyWatchersOfOneKeyAreToldOverSeveralCalls() throws {
    var fixture = try Fixture()
    for number in UInt64(0)..<1000 { try fixture.watch(number, on: number) }
    try fixture.run(put(1, [1]))
    try fixture.run(put(1, [2]))
    var calls = 0
    repeat {
      #expect(try fixture.advance(steps: 100) <= 200)
      calls += 1
      if calls == 7 {
        // Who comes and goes in the middle of it neither misses nor repeats anything.
        try fixture.watch(5000)
        try fixture.watch(5001, start: 2)
        fixture.table.cancel(WatcherID(connection: 999, watch: 999))
        try fixture.watch(5003, start: 3)
      }
    } while fixture.table.hasWork
    #expect(calls > 20)
    for number in UInt64(0)..<999 { #expect(fixture.values(number) == [[1], [2]]) }
    #expect(fixture.values(5000) == [[1], [2]] && fixture.values(5001) == [[2]])
    #expect(fixture.values(5003) == [])
    try fixture.run(put(1, [3]))
    repeat { _ = try fixture.advance(steps: 100) } while fixture.table.hasWork
    #expect(fixture.values(5003) == [[3]] && fixture.values(0) == [[1], [2], [3]])
  }

  @Test func watchersOfOneConnectionThatWantTheSameAreToldByOneEvent() throws {
    var fixture = try Fixture()
    for number in UInt64(1)...9 { try fixture.watch(number, on: number % 3) }
    var request = WatchRequest(watch: 12, range: .everything)
    request.wantsPrevious = true
    let id = WatcherID(connection: 0, watch: 12)
    try fixture.table.start(request, as: id, by: fixture.session, on: fixture.driver.state)
    try fixture.run(put(1, [1]))
    #expect(try fixture.advance(steps: 1000) == 10)
    for number in UInt64(1)...9 {
      let together = (UInt64(1)...9).filter { $0 % 3 == number % 3 }
      #expect(fixture.heard[number]?.map(\.watches) == [together])
    }
    #expect(fixture.heard[12]?.map(\.watches) == [[12]], "who wants other things is told alone")
    #expect((UInt64(1)...9).allSatisfy { fixture.values($0) == [[1]] })
  }

  @Test func veryManyWatchersOfOneConnectionAreToldByEventsOfBoundedLength() throws {
    var fixture = try Fixture()
    for number in UInt64(0)..<1000 { try fixture.watch(number, on: 1) }
    for value in UInt8(1)...3 {
      try fixture.run(put(1, [value]))
      // Some leave the middle of each party, and others come.
      for number in UInt64(0)..<1000 where number % 7 == UInt64(value) {
        fixture.table.cancel(WatcherID(connection: 1, watch: number))
      }
      for number in UInt64(1000)..<1050 {
        try fixture.watch(number + 100 * UInt64(value), start: UInt64(value), on: 1)
      }
      repeat { _ = try fixture.advance(steps: 20) } while fixture.table.hasWork
    }
    let longest = fixture.heard.values.flatMap { $0 }.map(\.watches.count).max()
    #expect(longest == WatchTable.Party.memberLimit)
    for number in UInt64(0)..<1000 {
      let heard = [[0, 1, 2, 3], [], [0, 1], [0, 1, 2]] as [[UInt8]]
      let count = number % 7 == 0 || number % 7 > 3 ? 0 : Int(number % 7)
      #expect(fixture.values(number) == heard[count].filter { $0 > 0 }.map { [$0] })
    }
    for first in UInt8(1)...3 {
      for number in UInt64(1000)..<1050 {
        #expect(fixture.values(number + 100 * UInt64(first)) == (first...3).map { [$0] })
      }
    }
  }

  @Test func whoBeganInTheMiddleOfWhatIsToldHearsItsOwnPartAlone() throws {
    var fixture = try Fixture()
    try fixture.watch(1, on: 1)
    try fixture.watch(2, start: 2, on: 1)
    try fixture.watch(3, start: 4, on: 1)
    try fixture.watch(4, on: 1)
    for value in UInt8(1)...3 { try fixture.run(put(1, [value])) }
    repeat { _ = try fixture.advance(steps: 1000) } while fixture.table.hasWork
    #expect(fixture.values(1) == [[1], [2], [3]] && fixture.values(4) == [[1], [2], [3]])
    #expect(fixture.values(2) == [[2], [3]] && fixture.values(3) == [])
    #expect(fixture.heard[1]?.map(\.watches) == [[1, 4]])
    try fixture.run(put(1, [4]))
    _ = try fixture.advance(steps: 1000)
    #expect(fixture.heard[3]?.map(\.watches) == [[1, 2, 3, 4]])
  }

  @Test func aWatchThatIsCancelledBetweenFindingAndTellingHearsNothing() throws {
    var fixture = try Fixture()
    for number in UInt64(0)..<40 { try fixture.watch(number, on: number / 4) }
    try fixture.run(put(1, [1]))
    // So few steps find everybody and tell nobody, or not all.
    var told = try fixture.advance(steps: 3)
    #expect(told < 40 && fixture.table.hasWork)
    let silent = (UInt64(0)..<40).filter { fixture.heard[$0] == nil }
    let cancelled = silent.filter { $0 % 4 == 1 || $0 / 4 == silent[0] / 4 }
    for number in cancelled {
      fixture.table.cancel(WatcherID(connection: number / 4, watch: number))
    }
    // Another takes the place of one whose party is gone.
    try fixture.watch(77, start: 2, on: silent[0] / 4)
    repeat { told += try fixture.advance(steps: 3) } while fixture.table.hasWork
    #expect(told == 40 - cancelled.count)
    for number in UInt64(0)..<40 {
      #expect(fixture.values(number) == (cancelled.contains(number) ? [] : [[1]]))
    }
    #expect(fixture.values(77) == [])
  }

  @Test func aRevisionOfManyKeysReachesManyWatchersWholeAndOnce() throws {
    var fixture = try Fixture()
    for number in UInt64(0)..<60 { try fixture.watch(number) }
    let puts = (UInt8(0)..<40).map { put($0, [$0]) }
    try fixture.run(.transaction(Transaction(compares: [], then: puts, otherwise: [])))
    try fixture.run(put(1, [99]))
    repeat { _ = try fixture.advance(steps: 37) } while fixture.table.hasWork
    let expected = (UInt8(0)..<40).map { [$0] } + [[99]]
    for number in UInt64(0)..<60 {
      #expect(fixture.values(number) == expected)
      #expect(fixture.heard[number]?.allSatisfy { !$0.hasMore } == true)
    }
  }

  @Test func whatIsForgottenBeforeAllWereToldEndsTheirWatchesWithTheLowestRevision() throws {
    var fixture = try Fixture()
    for number in UInt64(0)..<100 { try fixture.watch(number) }
    try fixture.run(put(1, [1]))
    _ = try fixture.advance(steps: 40)
    try fixture.run(put(1, [2]))
    fixture.sequence += 1
    let compact = Command.compact(fixture.driver.state.revision)
    _ = try fixture.driver.apply(at(fixture.session, fixture.sequence), compact)
    _ = try fixture.driver.apply([UInt8]())
    repeat { _ = try fixture.advance(steps: 50) } while fixture.table.hasWork
    for number in UInt64(0)..<100 {
      let events = fixture.heard[number, default: []]
      #expect(events.last?.compactedBelow == Revision(3))
      #expect([[], [[1]]].contains(fixture.values(number)))
    }
    #expect(fixture.table.count == 0)
  }

  @Test func aLongRevisionComesInMarkedFragmentsWhichOtherCallsMayContinue() throws {
    var fixture = try Fixture(fragmentByteCount: 300)
    try fixture.watch(1)
    let puts = (UInt8(0)..<20).map { put($0, [UInt8](repeating: $0, count: 100)) }
    try fixture.run(.transaction(Transaction(compares: [], then: puts, otherwise: [])))
    var calls = 0
    repeat {
      #expect(try fixture.advance(steps: 12) <= 4)
      calls += 1
    } while fixture.table.hasWork
    let events = fixture.heard[1, default: []]
    #expect(calls > 4 && events.count > 4)
    #expect(events.dropLast().allSatisfy { $0.hasMore } && events.last?.hasMore == false)
    #expect(events.allSatisfy { $0.revision == Revision(1) })
    #expect(fixture.values(1).map { $0[0] } == Array(0..<20))
  }

  @Test func aFragmentThatAnnouncedMoreIsClosedThoughTheRestIsNotWanted() throws {
    var fixture = try Fixture(fragmentByteCount: 300)
    try fixture.table.start(
      WatchRequest(watch: 1, range: KeyRange(from: [0], to: [4])),
      as: WatcherID(connection: 1, watch: 1),
      by: fixture.session,
      on: fixture.driver.state
    )
    let puts = (UInt8(0)..<20).map { put($0, [UInt8](repeating: $0, count: 100)) }
    try fixture.run(.transaction(Transaction(compares: [], then: puts, otherwise: [])))
    repeat { _ = try fixture.advance(steps: 12) } while fixture.table.hasWork
    let events = fixture.heard[1, default: []]
    #expect(fixture.values(1).map { $0[0] } == Array(0..<4))
    #expect(events.last?.hasMore == false && events.last?.revision == Revision(1))
  }

  @Test func aClosedConnectionIsClearedAwayInSteps() throws {
    var fixture = try Fixture()
    for number in UInt64(0)..<2000 { try fixture.watch(number) }
    fixture.table.cancelAll(of: 0)
    #expect(fixture.table.count > 1500 && fixture.table.hasWork)
    try fixture.run(put(1, [1]))
    repeat { _ = try fixture.advance(steps: 500) } while fixture.table.hasWork
    #expect(fixture.table.count == 1000)
    for number in UInt64(0)..<1000 where number % 2 == 1 {
      #expect(fixture.values(number) == [[1]])
    }
  }

  @Test func notesReachAllWhoWantThemOverSeveralCalls() throws {
    var fixture = try Fixture()
    for number in UInt64(0)..<3000 {
      // Each another range, so that none is told together with another.
      let suffix = number.bigEndianBytes[6...]
      var request = WatchRequest(watch: number, range: KeyRange(prefix: [7] + suffix))
      request.wantsProgress = number % 2 == 0
      try fixture.table.start(
        request,
        as: WatcherID(connection: 1, watch: number),
        by: fixture.session,
        on: fixture.driver.state
      )
    }
    try fixture.run(put(1, [1]))
    _ = try fixture.advance(steps: 100)
    var output = WatchOutput()
    fixture.table.noteProgress(into: &output)
    #expect(output.events.count < 1000)
    var count = output.events.count
    while fixture.table.hasWork { count += try fixture.advance(steps: 500) }
    #expect(count == 1500)
    #expect(fixture.heard.values.allSatisfy { $0.map { $0.revision } == [Revision(1)] })
  }

  @Test func whoMayNotReadTheRangeAnyMoreIsToldSoAndNothingElse() throws {
    var fixture = try Fixture()
    try fixture.watch(1)
    try fixture.watch(2, start: 1)
    try fixture.run(put(1, [1]))
    repeat { _ = try fixture.advance(steps: 100) } while fixture.table.hasWork
    fixture.driver.state.permits = { access, _ in
      if case .read(let range) = access { range.start == [5] } else { true }
    }
    try fixture.run(put(1, [2]))
    repeat { _ = try fixture.advance(steps: 100) } while fixture.table.hasWork
    for number in UInt64(1)...2 {
      #expect(fixture.values(number) == [[1]])
      #expect(fixture.heard[number]?.last?.compactedBelow == .zero)
    }
    #expect(fixture.table.count == 0)
  }
}
