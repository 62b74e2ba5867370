@testable import RoostStateMachine
import RoostWire
import Testing

/// The map against a sorted array, operation by operation.
@Suite struct OrderedMapTests {
  /// The same thing, done in the obvious way.
  private struct Model {
    var records: [Record] = []

    func place(_ key: [UInt8]) -> (index: Int, isFound: Bool) {
      let index = records.firstIndex { !$0.key.lexicographicallyPrecedes(key) } ?? records.count
      return (index, index < records.count && records[index].key == key)
    }

    mutating func put(_ record: Record) {
      let (index, isFound) = place(record.key)
      if isFound { records[index] = record } else { records.insert(record, at: index) }
    }

    mutating func remove(_ key: [UInt8]) {
      let (index, isFound) = place(key)
      if isFound { records.remove(at: index) }
    }

    func position(_ key: [UInt8]) -> UInt64? {
      let (index, isFound) = place(key)
      return isFound ? records[index].position : nil
    }

    func range(_ start: [UInt8], _ end: [UInt8]?) -> [UInt64] {
      records.filter { record in
        !record.key.lexicographicallyPrecedes(start)
          && end.map { record.key.lexicographicallyPrecedes($0) } ?? true
      }.map(\.position)
    }
  }

  private static func record(_ key: [UInt8], _ number: UInt64, isLive: Bool) -> Record {
    Record(
      key: key.span,
      value: [1, 2, 3].span,
      Record.Numbers(
        modified: 1,
        created: 1,
        version: isLive ? 1 : 0,
        lease: 0,
        position: number
      )
    )
  }

  /// Keys that are alike, or long, or grow, so that heads and prefixes are put to the test.
  private static func key(_ random: inout SplitMix64, _ kind: UInt64) -> [UInt8] {
    switch kind {
    case 0: (0..<random.below(4)).map { _ in UInt8(random.below(3)) }
    case 1: Array("a/very/long/common/prefix/".utf8) + Array(String(random.below(3000)).utf8)
    case 2: [UInt8](repeating: 0, count: Int(random.below(200)))
    case 3: Array("k".utf8) + random.below(1 << 20).bigEndianBytes
    case 4: Self.keyNearPrefix(&random)
    default: random.below(500).bigEndianBytes + [UInt8](repeating: 7, count: Int(random.below(2)))
    }
  }

  /// Mostly keys with one long prefix, and some that end within it, or leave it upwards or downwards.
  private static func keyNearPrefix(_ random: inout SplitMix64) -> [UInt8] {
    let prefix = Array("tenant/objects/".utf8)
    guard random.chance(1, in: 8) else { return prefix + random.below(1 << 20).bigEndianBytes }
    let place = Int(random.below(15))
    let cut = Array(prefix[..<place])
    return random.chance(1, in: 3)
      ? cut : cut + [prefix[place] &+ (random.chance(1, in: 2) ? 1 : .max)]
  }

  private static func range(
    _ map: OrderedMap,
    _ start: [UInt8],
    _ end: [UInt8]?,
    _ back: Bool
  )
    -> [UInt64]
  {
    var found: [UInt64] = []
    map.visit(from: start.span, to: end, isReverse: back) { record in
      found.append(record.position)
      return true
    }
    return found
  }

  @Test(arguments: UInt64(0)...11)
  func theMapIsASortedArray(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var map = OrderedMap()
    var model = Model()
    var copies: [(OrderedMap, [UInt64])] = []
    for step in 0..<2000 {
      let growth = step % 1000 < 600 ? UInt64(7) : 3
      let key = Self.key(&random, seed % 6)
      if random.chance(growth, in: 10) {
        let record = Self.record(key, UInt64(step), isLive: random.chance(4, in: 5))
        Self.put(record, key, into: &map, model)
        model.put(record)
      } else {
        let count = UInt64(model.records.count)
        let victim = count == 0 ? key : model.records[Int(random.below(count))].key
        map.remove(victim.span)
        model.remove(victim)
      }
      if step % 250 == 0 { copies.append((map, model.range([], nil))) }
      if step % 50 == 0 { Self.compare(map, model, &random, seed % 6) }
    }
    map.checkInvariants()
    for (copy, contents) in copies {
      copy.checkInvariants()
      #expect(Self.range(copy, [], nil, false) == contents)
    }
    for record in model.records { map.remove(record.key.span) }
    #expect(map.count == 0 && map.liveCount == 0)
  }

  /// Puts a record by the short way where that exists, else by the long one.
  private static func put(
    _ record: Record,
    _ key: [UInt8],
    into map: inout OrderedMap,
    _ model: Model
  ) {
    let old = model.records.first { $0.key == key }
    let replaced =
      record.isTombstone
      ? nil
      : map.exchangeLive(key.span) { old in
        #expect(!old.isTombstone)
        return record
      }
    guard let replaced else {
      #expect(record.isTombstone || old?.isTombstone != false)
      return map.update(key.span) { seen in
        #expect(seen?.position == old?.position)
        return record
      }
    }
    #expect(replaced.position == old?.position)
  }

  private static func compare(
    _ map: OrderedMap,
    _ model: Model,
    _ random: inout SplitMix64,
    _ kind: UInt64
  ) {
    let start = key(&random, kind)
    let end = random.chance(1, in: 4) ? nil : key(&random, kind) + [9]
    let expected = model.range(start, end)
    #expect(range(map, start, end, false) == expected)
    #expect(range(map, start, end, true) == expected.reversed())
    let live = model.records.filter { expected.contains($0.position) && !$0.isTombstone }.count
    #expect(map.liveCount(from: start.span, to: end) == live)
    #expect(map.count == model.records.count)
    #expect(map.find(start.span)?.position == model.position(start))
  }

  @Test func keysBesideACommonPrefixAreFoundInDeepTrees() {
    var random = SplitMix64(seed: 7)
    var map = OrderedMap()
    var newest: [[UInt8]: UInt64] = [:]
    for number in UInt64(0)..<30_000 {
      let key = Self.keyNearPrefix(&random)
      let record = Self.record(key, number, isLive: true)
      map.update(key.span) { _ in record }
      newest[key] = number
    }
    map.checkInvariants()
    #expect(map.count == newest.count && newest.count > 20_000)
    for (key, number) in newest where number % 3 != 0 {
      #expect(map.remove(key.span)?.position == number)
      newest[key] = nil
    }
    map.checkInvariants()
    #expect(newest.allSatisfy { map.find($0.key.span)?.position == $0.value })
    for key in newest.keys { map.remove(key.span) }
    #expect(map.count == 0)
  }

  @Test func keysInOrderFillTheirNodes() {
    var map = OrderedMap()
    for number in UInt64(0)..<10_000 {
      let record = Self.record(number.bigEndianBytes, number, isLive: true)
      map.update(number.bigEndianBytes.span) { _ in record }
    }
    map.checkInvariants()
    #expect(map.liveCount == 10_000)
  }
}
