package import RoostWire

/// What a snapshot is of.
package struct SnapshotMark: Hashable, Sendable {
  /// The last entry that it holds.
  package let place: LogPlace
  /// That entry's time.
  package let time: ClusterTime
  /// The hash of the state after that entry.
  package let stateHash: UInt64
  /// The membership, and whatever else the node keeps beside the state; opaque here.
  package let metadata: [UInt8]

  /// The longest ``metadata``.
  package static let metadataLimit = 1 << 16

  package init(place: LogPlace, time: ClusterTime, stateHash: UInt64, metadata: [UInt8]) {
    precondition(place.index > .zero, "a snapshot holds something")
    precondition(metadata.count <= Self.metadataLimit, "metadata keeps its limit")
    self.place = place
    self.time = time
    self.stateHash = stateHash
    self.metadata = metadata
  }
}

extension SnapshotMark: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    place = try LogPlace(decoding: &input)
    time = try ClusterTime(decoding: &input)
    stateHash = try input.read(UInt64.self)
    metadata = try input.readPrefixedBytes("snapshot metadata", limit: Self.metadataLimit)
    guard place.index > .zero, place.term > .zero else { throw .invalid("snapshot position") }
  }

  package func encode(into output: inout [UInt8]) {
    place.encode(into: &output)
    time.encode(into: &output)
    output.append(littleEndian: stateHash)
    output.append(prefixed: metadata)
  }
}

/// The state of a machine, as bytes in pieces, out of a copy that no longer changes.
///
/// It is asked for pieces on whichever thread writes them.
package protocol SnapshotSource: Sendable {
  /// The next piece, or nil after the last.
  mutating func nextPiece() -> [UInt8]?
}
