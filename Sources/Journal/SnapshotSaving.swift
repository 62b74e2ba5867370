import RoostWire

/// Writes a snapshot: aside, piece by piece, and under its own name once all of it is durable.
///
/// It ends with reading it back from the medium: only then is the snapshot before it superseded.
struct SnapshotSaving: DiskWork {
  private enum Stage {
    case header
    case pieces
    case ending([DiskOperation])
  }

  private let label: SnapshotLabel
  private let cluster: ClusterID
  /// How much is written between two syncs, so that no sync has much to do.
  private let syncInterval: Int
  private let name: String
  private var source: any SnapshotSource
  private var encoder: SnapshotEncoder
  private var checksum = CRC32C()
  private var stage = Stage.header
  private var sinceSync = 0

  init(
    _ label: SnapshotLabel,
    of cluster: ClusterID,
    from source: any SnapshotSource,
    settings: JournalSettings
  ) {
    encoder = SnapshotEncoder(chunkByteCount: settings.snapshotChunkByteCount)
    syncInterval = settings.snapshotSyncInterval
    self.label = label
    self.cluster = cluster
    self.source = source
    name = FileName.snapshot(label.index)
  }

  /// What is on the disk once all is done.
  var stored: StoredSnapshot {
    StoredSnapshot(label: label, byteCount: encoder.byteCount, checksum: checksum.value)
  }

  mutating func next(reading files: any ReadableFiles) -> DiskOperation? {
    switch stage {
    case .header:
      stage = .pieces
      return write(encoder.start(label, of: cluster), at: 0)
    case .pieces:
      if sinceSync > syncInterval {
        sinceSync = 0
        return .sync(FileName.new(name))
      }
      return nextPieces()
    case .ending(let operations):
      guard let first = operations.first else { return nil }
      stage = .ending(Array(operations.dropFirst()))
      return first
    }
  }

  private mutating func nextPieces() -> DiskOperation {
    while let piece = source.nextPiece() {
      let offset = encoder.byteCount
      let bytes = encoder.add(piece)
      if !bytes.isEmpty { return write(bytes, at: offset) }
    }
    let offset = encoder.byteCount
    let last = write(encoder.end(), at: offset)
    stage = .ending(
      SnapshotSaving.naming(
        FileName.new(name),
        name,
        byteCount: encoder.byteCount,
        checksum: checksum.value
      )
    )
    return last
  }

  private mutating func write(_ bytes: [UInt8], at offset: Int) -> DiskOperation {
    checksum.update(with: bytes.span)
    sinceSync += bytes.count
    return .write(FileName.new(name), offset: offset, bytes: bytes)
  }

  /// Gives a snapshot that is written its name, and proves that it can be read.
  static func naming(
    _ new: String,
    _ name: String,
    byteCount: Int,
    checksum: UInt32
  ) -> [DiskOperation] {
    [
      .sync(new), .verify(new, offset: 0, byteCount: byteCount, checksum: checksum),
      .rename(new, to: name), .syncDirectory,
    ]
  }
}
