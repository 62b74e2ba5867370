package import RoostRaft
package import RoostWire

/// Ordered as votes compare logs: the later term wins, then the longer log.
extension LogPosition: Comparable {
  package static func < (left: LogPosition, right: LogPosition) -> Bool {
    (left.term, left.index) < (right.term, right.index)
  }
}

/// What a node has told others that it has, or might have: the part of its disk that may not be lost.
///
/// Each group of the log repeats it, twice, so that damage to other parts does not take it away.
package struct Standing: Hashable, Sendable {
  package var hardState: HardState
  /// The last entry of the log.
  package var last: LogPosition
  /// The end of the log that this node once had, until it has as much again: ``Recovered/promised``.
  package var promised: LogPosition
  /// As far as the log was known to be committed.
  package var commitHint: LogIndex

  package init(
    hardState: HardState = HardState(),
    last: LogPosition = .start,
    promised: LogPosition = .start,
    commitHint: LogIndex = .zero
  ) {
    self.hardState = hardState
    self.last = last
    self.promised = promised
    self.commitHint = commitHint
  }

  /// Forgets a promise that the log keeps again.
  mutating func settle() {
    if last >= promised { promised = .start }
  }

  /// Takes over what another standing of the same node claims beyond this one.
  mutating func merge(_ other: Standing) {
    if other.hardState.term > hardState.term
      || (other.hardState.term == hardState.term && hardState.vote == .zero)
    {
      hardState = other.hardState
    }
    promised = max(promised, other.promised, other.last)
    commitHint = max(commitHint, other.commitHint)
  }
}

extension Standing: WireCodable {
  static let byteCount = 56

  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    hardState = try HardState(decoding: &input)
    last = try LogPosition(decoding: &input)
    promised = try LogPosition(decoding: &input)
    commitHint = try LogIndex(decoding: &input)
  }

  package func encode(into output: inout [UInt8]) {
    hardState.encode(into: &output)
    last.encode(into: &output)
    promised.encode(into: &output)
    commitHint.encode(into: &output)
  }
}
