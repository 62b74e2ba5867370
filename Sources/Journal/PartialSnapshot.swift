import RoostRaft
import RoostWire

/// What a restart finds of a snapshot that was coming in from another node.
///
/// Its file holds the same bytes as the snapshot will, from the first on, and is named after the whole of it. Chunk by chunk is
/// checked, and all before the first that is missing or damaged counts. The end of the chunks never does: so it is always a part,
/// and its last bytes come, and the whole is checked, the usual way.
struct PartialSnapshot {
  let descriptor: SnapshotDescriptor
  let byteCount: Int
  /// Has taken what counts.
  let decoder: SnapshotDecoder

  /// Reads a file, if its name is that of one; nil if nothing in it can be used.
  ///
  /// What can't be read is of no use either: the leader has it.
  init?(_ name: String, on disk: any Disk, of cluster: ClusterID) {
    guard let (index, whole, checksum) = FileName.partialNumbers(name),
      let length = try? disk.byteCount(of: name), UInt64(length) <= whole
    else { return nil }
    var decoder = SnapshotDecoder(of: cluster)
    var taken = 0
    while let more = Self.takeNext(of: name, at: taken, on: disk, into: &decoder) { taken += more }
    guard let label = decoder.label, label.index == index, UInt64(taken) < whole else { return nil }
    self.decoder = decoder
    byteCount = taken
    descriptor = SnapshotDescriptor(mark: label.mark, byteCount: whole, checksum: checksum)
  }

  /// As the core is told of it.
  var incoming: IncomingSnapshot {
    IncomingSnapshot(snapshot: descriptor, byteCount: UInt64(byteCount))
  }

  /// Takes the header or the next chunk; answers its length, or nil if it is not there as it should be.
  private static func takeNext(
    of name: String,
    at offset: Int,
    on disk: any Disk,
    into decoder: inout SnapshotDecoder
  ) -> Int? {
    // The longest label is as long as the longest chunk.
    let limit = SnapshotFormat.chunkLimit + SnapshotFormat.prefixByteCount + 4
    guard let bytes = try? disk.read(name, at: offset, byteCount: limit), !bytes.isEmpty else {
      return nil
    }
    var next = decoder
    guard let more = try? next.takeStart(of: bytes) else { return nil }
    decoder = next
    return more
  }
}
