import RoostWire

/// Whether cluster time runs ahead of the world's, which would end leases early.
///
/// The stamp of an entry was made after the entry was first written (or before, by less than a turn) and before it was
/// first applied. So between two stamps cluster time may pass by what passed between the earlier entry's first write and the
/// later one's first application, and by the margin of the clocks' rates.
struct TimeJudge {
  private static let margin = 1.011
  private static let slack = 3_000_000.0

  private struct Place: Hashable {
    let index: LogIndex
    let term: UInt64
  }

  /// By term too: a leader of old that wakes up may write at an index once more, and others again what was there first.
  private var firstWrites: [Place: UInt64] = [:]
  private var bound: Double?

  mutating func willWrite(_ index: LogIndex, term: UInt64, at time: UInt64) {
    let place = Place(index: index, term: term)
    firstWrites[place] = firstWrites[place] ?? time
  }

  /// Takes in that an entry is applied for the first time; answers what is wrong with its stamp.
  mutating func didApply(
    _ index: LogIndex,
    term: UInt64,
    stamp: ClusterTime,
    at time: UInt64
  ) -> String? {
    let stamp = Double(stamp.rawValue)
    let ahead = stamp - Self.margin * Double(time)
    if let bound, ahead > bound + Self.slack {
      return
        "entry \(index) has a cluster time \(Int((ahead - bound) / 1000)) us ahead of the world's"
    }
    guard let first = firstWrites[Place(index: index, term: term)] else { return nil }
    let least = stamp - Self.margin * Double(first)
    bound = min(bound ?? least, least)
    return nil
  }
}
