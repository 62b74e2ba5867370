import RoostClientCore
import RoostWire

/// What clients ask for, and how often each.
package struct WorkloadPlan: Equatable, Sendable {
  package var keyCount: UInt64 = 4
  package var reads: UInt64 = 4
  package var serializableReads: UInt64 = 1
  package var puts: UInt64 = 4
  package var deletes: UInt64 = 1
  package var conditionalPuts: UInt64 = 0
  package var adds: UInt64 = 0
  /// The most bytes with which a value is filled up.
  package var fillLimit: UInt64 = 40

  package init() {}

  mutating func draw(_ random: inout SplitMix64) {
    keyCount = random.draw(from: 1...8)
    reads = random.draw(from: 0...6)
    serializableReads = random.draw(from: 0...3)
    puts = random.draw(from: 1...6)
    deletes = random.draw(from: 0...2)
  }

  /// What a client asks next; `number` is used for nothing else in the run.
  func draw(_ random: inout SplitMix64, number: UInt64) -> CallKind {
    let key = Array("k\(random.below(keyCount))".utf8)
    var pick = random.below(reads + serializableReads + puts + deletes + conditionalPuts + adds)
    func isPicked(_ weight: UInt64) -> Bool {
      guard pick >= weight else { return true }
      pick -= weight
      return false
    }
    if isPicked(reads) { return .query(.linearizable, .get(Get(key: key))) }
    if isPicked(serializableReads) { return .query(.serializable, .get(Get(key: key))) }
    let value = Self.value(number, fill: random.below(fillLimit + 1))
    if isPicked(puts) { return .command(.operation(.put(Put(key: key, value: value)))) }
    if isPicked(deletes) { return .command(.operation(.delete(Delete(key: key)))) }
    if isPicked(conditionalPuts) {
      let condition: Condition =
        switch random.below(3) {
        case 0: .absent
        case 1: .present
        default: .version(random.draw(from: 1...6))
        }
      let options = WriteOptions(condition: condition)
      return .command(.operation(.put(Put(key: key, value: value, options: options))))
    }
    let counter = Array("n\(random.below(2))".utf8)
    return .command(.operation(.update(Update(key: counter, .add(Int64(random.below(9)) - 3)))))
  }

  /// A value that no other put of the run writes.
  static func value(_ number: UInt64, fill: UInt64) -> [UInt8] {
    Array("\(number):".utf8) + [UInt8](repeating: 0x2E, count: Int(fill))
  }

  /// The number that stands at the front of a value.
  static func number(in value: [UInt8]) -> Int64? {
    let text = value.prefix { $0 != UInt8(ascii: ":") }
    return Int64(String(decoding: text, as: UTF8.self))
  }
}
