/// Something that must never be.
package struct Violation: Equatable, Sendable {
  package let kind: String
  package let text: String
  package let time: UInt64
}

/// What a run was like, and what the judges found.
package struct StormReport: Equatable, Sendable {
  package var violations: [Violation] = []
  /// Folded over everything that happened: equal runs have equal ones.
  package var fingerprint: UInt64 = 0
  package var virtualTime: UInt64 = 0
  package var eventCount: UInt64 = 0
  package var turnCount: UInt64 = 0
  package var packetCount: UInt64 = 0
  package var startCount: UInt64 = 0
  package var callCount = 0
  package var answeredCount = 0
  package var unknownCount = 0
  package var committedCount = 0
  package var highestTerm: UInt64 = 0
  /// Keys whose history had too many open calls to be judged.
  package var undecidedKeys = 0
  /// How often faults of each kind struck.
  package var faults: [String: Int] = [:]
  /// How often rare situations were met, by the names of ``CoverageMark``.
  package var marks: [String: Int] = [:]

  package init() {}

  package var isGood: Bool { violations.isEmpty }
}

extension StormReport: CustomStringConvertible {
  package var description: String {
    let faults = faults.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
    let found = violations.map { "\nFOUND \($0.kind) at \(timeText($0.time)): \($0.text)" }
    return """
      virtual time \(timeText(virtualTime)), events \(eventCount), turns \(turnCount), \
      packets \(packetCount), starts \(startCount), terms \(highestTerm)
      calls \(callCount), answered \(answeredCount), unknown \(unknownCount), \
      entries \(committedCount), undecided keys \(undecidedKeys)
      faults: \(faults.joined(separator: ", "))
      fingerprint \(String(fingerprint, radix: 16))
      """ + found.joined()
  }
}
