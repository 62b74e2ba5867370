import RoostRaft

/// The limits and sizes of a ``Journal``.
package struct JournalSettings: Equatable, Sendable {
  /// The largest segment that a header may claim.
  static let segmentLimit = 4 << 30
  static let units = [512, 1024, 2048, 4096]

  /// The length of new segments.
  package var segmentByteCount: Int
  /// Writes of the log start and end at multiples of this: the block that a disk writes as one.
  ///
  /// A smaller one saves room when single small entries are written, but then the disk rewrites a
  /// block that holds acknowledged bytes.
  package var unit: Int
  /// How many writes of the log may be under way at once; nil for as many as suit the disk.
  package var inFlightLimit: Int?
  /// The most bytes of records in one write, unless one record alone is longer.
  package var groupByteLimit: Int
  /// The longest payload of an entry that is appended.
  package var payloadLimit: Int
  /// The length of the chunks of the snapshots that are written: what is checked, and taken up again, as one.
  package var snapshotChunkByteCount = 262_144
  /// How much of a snapshot is written between two syncs.
  var snapshotSyncInterval: Int { snapshotChunkByteCount * 32 }
  #if PLANTED_BUGS
  var flaw: JournalFlaw?
  #endif

  package init(
    segmentByteCount: Int = 64 << 20,
    unit: Int = 4096,
    inFlightLimit: Int? = nil,
    groupByteLimit: Int = 8 << 20,
    payloadLimit: Int = Entry.payloadLimit
  ) {
    precondition(Self.units.contains(unit), "the unit is 512, 1024, 2048 or 4096")
    precondition(
      segmentByteCount % 4096 == 0 && segmentByteCount <= Self.segmentLimit
        && segmentByteCount - SegmentHeader.areaByteCount
          >= GroupHeader.cellCount(recordByteCount: payloadLimit + 64) * Cell.byteCount + unit,
      "a segment is whole pages, and has room for the longest entry"
    )
    precondition(inFlightLimit ?? 1 > 0 && groupByteLimit > 0, "something is written")
    self.segmentByteCount = segmentByteCount
    self.unit = unit
    self.inFlightLimit = inFlightLimit
    self.groupByteLimit = groupByteLimit
    self.payloadLimit = payloadLimit
  }

  /// Segments of a few pages, so that tests meet every border soon.
  package static let tiny = {
    var settings = JournalSettings(
      segmentByteCount: 16384,
      unit: 512,
      inFlightLimit: 1,
      groupByteLimit: 2048,
      payloadLimit: 1500
    )
    settings.snapshotChunkByteCount = 20_000
    return settings
  }()
}
