@testable import RoostStateMachine
import RoostWire
import Testing

/// The past of keys: found quickly however long it is, and given up in steps.
@Suite struct HistoryTests {
  @Test func anyOldVersionIsFoundInFewLooksHoweverOftenTheKeyChanged() {
    var keyspace = Keyspace()
    let key: [UInt8] = [1]
    for number in UInt64(1)...20_000 {
      keyspace.begin(at: 0)
      keyspace.put(key.span, number.bigEndianBytes.span, lease: 0)
      keyspace.commit()
    }
    guard let newest = keyspace.find(key.span) else { return #expect(Bool(false)) }
    var most = 0
    for revision in stride(from: UInt64(1), through: 20_000, by: 7) {
      let (record, looks) = keyspace.version(of: newest, at: revision)
      #expect(record?.value == revision.bigEndianBytes)
      most = max(most, looks)
    }
    #expect(most <= 3 * 15, "\(most) looks among 20 000 versions")
    #expect(keyspace.version(of: newest, at: 0).record == nil)
  }

  /// Every version that any key had at any readable revision, against a list of all states.
  @Test(arguments: UInt64(1)...6)
  func everyReadableRevisionIsReadAsItWas(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    var keyspace = Keyspace()
    var states: [[UInt8: UInt64]] = [[:]]
    for revision in UInt64(1)...1500 {
      var state = states[states.count - 1]
      keyspace.begin(at: revision)
      for _ in 0...random.below(3) {
        let key = UInt8(random.below(4))
        if random.chance(1, in: 5), state[key] != nil {
          keyspace.remove([key].span)
          state[key] = nil
        } else {
          let value = random.next()
          keyspace.put([key].span, value.bigEndianBytes.span, lease: 0)
          state[key] = value
        }
      }
      keyspace.commit()
      states.append(state)
      if random.chance(1, in: 3), revision > 300 {
        keyspace.compact(to: revision - 250)
        while let first = keyspace.changes.count > 0 ? keyspace.changes.first : nil,
          keyspace.changes[first].revision <= keyspace.oldest
        {
          _ = keyspace.forgetOldestChange()
        }
      }
      guard revision % 50 == 0 else { continue }
      for past in max(keyspace.oldest, 1)...keyspace.revision {
        for key in UInt8(0)..<4 {
          let record = keyspace.map.find([key].span).flatMap {
            keyspace.version(of: $0, at: past).record
          }
          #expect(record?.value == states[Int(past)][key]?.bigEndianBytes)
        }
      }
    }
  }

  @Test func aKeyBehindVeryManyRemovedOnesIsReadInOnePage() throws {
    var driver = Driver()
    let session = try driver.openSession()
    var sequence: UInt64 = 0
    func run(_ operation: Operation) throws -> Reply {
      sequence += 1
      return try driver.apply(at(session, sequence, acked: sequence), .operation(operation))
    }
    for number in UInt64(0)..<6000 {
      _ = try run(.put(Put(key: number.bigEndianBytes, value: [])))
    }
    var commands = 0
    while case .deleted(let deleted) = try run(.deleteRange(DeleteRange(.everything, limit: 600))) {
      commands += 1
      guard deleted.more, commands < 100 else { break }
    }
    #expect(commands < 20)
    _ = try run(.put(Put(key: UInt64.max.bigEndianBytes, value: [])))
    for isReverse in [false, true] {
      var query = RangeQuery(.everything)
      query.isReverse = isReverse
      guard case .page(let page) = try driver.read(.range(query)) else {
        return #expect(Bool(false))
      }
      #expect(page.count == 1 && page.next == nil)
    }
    let removed = try run(.deleteRange(DeleteRange(.everything)))
    guard case .deleted(let deleted) = removed else { return #expect(Bool(false), "\(removed)") }
    #expect(deleted.count == 1 && !deleted.more)
  }

  @Test func theRangesOfOneTransactionTogetherLookAtNoMoreThanACommandMay() throws {
    var limits = StateLimits()
    limits.operations = 10
    var driver = Driver(limits: limits)
    let session = try driver.openSession()
    for number in UInt64(1)...8 {
      _ = try driver.apply(at(session, number), put("\(number)", ""))
    }
    func ranges(_ count: Int) throws -> Reply {
      let range = Operation.range(RangeQuery(.everything))
      let transaction = Transaction(
        compares: [],
        then: Array(repeating: range, count: count),
        otherwise: []
      )
      return try driver.apply(
        .oneShot(OneShotID(high: 5, low: UInt64(count)), expiry: ClusterTime(driver.time)),
        .operation(.transaction(transaction))
      )
    }
    guard case .transaction(let two) = try ranges(2), case .page(let second)? = two.results.last
    else { return #expect(Bool(false)) }
    // The first took eight looks of ten: the second says where to go on.
    #expect(second.count == 2 && second.next == Array("3".utf8))
    #expect(try ranges(3) == .failure(Failure(.tooManyOperations)))
  }

  @Test func largeValuesAreForgottenAFewAnEntry() throws {
    var driver = Driver()
    let session = try driver.openSession(ttl: 100_000)
    let value = [UInt8](repeating: 1, count: 1 << 20)
    for number in UInt64(1)...12 {
      let put = Put(key: [1], value: number == 12 ? [] : value)
      _ = try driver.apply(at(session, number, acked: number), .operation(.put(put)))
    }
    _ = try driver.apply(at(session, 13, acked: 13), .compact(driver.state.revision))
    var entries = 0
    while driver.state.keyspace.changes.count > 0 {
      let before = driver.state.keyspace.historyBytes
      _ = try driver.apply([UInt8]())
      #expect(before - driver.state.keyspace.historyBytes <= 3 << 20)
      entries += 1
      guard entries < 50 else { return #expect(Bool(false), "history does not go") }
    }
    #expect(entries > 4)
  }

  @Test func aTransactionWithTooManyStepsIsRefusedBeforeItIsTakenApart() throws {
    var driver = Driver()
    let session = try driver.openSession()
    let get = Operation.get(Get(key: [1]))
    let inner = Transaction(
      compares: [],
      then: Array(repeating: get, count: 700),
      otherwise: []
    )
    let outer = Transaction(
      compares: [Compare(.exists(key: [9], false))],
      then: [],
      otherwise: Array(repeating: .transaction(inner), count: 6)
    )
    let reply = try driver.apply(at(session, 1), .operation(.transaction(outer)))
    #expect(reply == .failure(Failure(.tooLarge)))
    let gets = try driver.apply(at(session, 2), .operation(.transaction(inner)))
    #expect(gets == .failure(Failure(.tooManyOperations)))
  }
}
