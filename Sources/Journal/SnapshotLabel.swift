package import RoostRaft
package import RoostWire

/// What a snapshot is of, and what the state in it hashes to.
package struct SnapshotLabel: Hashable, Sendable {
  package let mark: SnapshotMark
  /// The hash of the state after the last entry.
  package let stateHash: UInt64

  package init(mark: SnapshotMark, stateHash: UInt64) {
    precondition(mark.index > .zero, "a snapshot holds something")
    self.mark = mark
    self.stateHash = stateHash
  }

  package var index: LogIndex { mark.index }
}

extension SnapshotLabel: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    stateHash = try input.read(UInt64.self)
    mark = try SnapshotMark(decoding: &input)
    guard mark.index > .zero else { throw .invalid("snapshot position") }
  }

  package func encode(into output: inout [UInt8]) {
    output.append(littleEndian: stateHash)
    mark.encode(into: &output)
  }
}

/// A snapshot on the disk that was read back and is good.
package struct StoredSnapshot: Hashable, Sendable {
  package let label: SnapshotLabel
  /// The length of the file.
  package let byteCount: Int
  /// CRC-32C of the file.
  package let checksum: UInt32

  package init(label: SnapshotLabel, byteCount: Int, checksum: UInt32) {
    self.label = label
    self.byteCount = byteCount
    self.checksum = checksum
  }

  /// As the protocol names it.
  package var descriptor: SnapshotDescriptor {
    SnapshotDescriptor(
      mark: label.mark,
      byteCount: UInt64(byteCount),
      checksum: UInt64(checksum)
    )
  }
}

/// The state of a machine, as bytes in pieces, out of a copy that no longer changes.
///
/// It is asked for pieces on whichever thread writes them.
package protocol SnapshotSource: Sendable {
  /// The next piece, or nil after the last.
  mutating func nextPiece() -> [UInt8]?
}
