import RoostWire

/// Reads the pieces of state out of a snapshot's file, each of them checked.
package struct SnapshotReader {
  private static let portion = 1 << 20

  private let disk: any Disk
  private let name: String
  private var decoder: SnapshotDecoder
  private var offset = 0
  private var checksum = CRC32C()
  private var pieces: ArraySlice<[UInt8]> = []

  init(_ name: String, on disk: any Disk, of cluster: ClusterID) {
    self.disk = disk
    self.name = name
    decoder = SnapshotDecoder(of: cluster)
  }

  /// What the snapshot is of, once a piece was asked for.
  package var label: SnapshotLabel? { decoder.label }

  /// The next piece, or nil after the last.
  ///
  /// - Throws: ``JournalError/snapshotDamaged(_:)`` if it is not what was written. The pieces before
  ///   were good, but nothing should be made of them.
  package mutating func nextPiece() throws(JournalError) -> [UInt8]? {
    while pieces.isEmpty, !decoder.isComplete {
      let start = offset
      let bytes = try Journal.attempt { () throws(DiskError) in
        try disk.read(name, at: start, byteCount: Self.portion)
      }
      guard !bytes.isEmpty else { throw damage("it ends early") }
      offset += bytes.count
      checksum.update(with: bytes.span)
      do throws(WireError) {
        pieces = try decoder.take(bytes)[...]
      } catch {
        throw damage("\(error)")
      }
      if decoder.isComplete, try !isAtEnd() { throw damage("bytes follow the end") }
    }
    return pieces.popFirst()
  }

  /// Reads all of it, and says what it is of.
  mutating func verify() throws(JournalError) -> StoredSnapshot {
    while try nextPiece() != nil {}
    guard let label, FileName.snapshot(label.index) == name else {
      throw damage("it holds another snapshot than its name says")
    }
    return StoredSnapshot(label: label, byteCount: offset, checksum: checksum.value)
  }

  private func isAtEnd() throws(JournalError) -> Bool {
    let end = offset
    return try Journal.attempt { () throws(DiskError) in
      try disk.read(name, at: end, byteCount: 1).isEmpty
    }
  }

  private func damage(_ reason: String) -> JournalError {
    .snapshotDamaged(Damage(file: name, offset: offset, reason: reason))
  }
}
