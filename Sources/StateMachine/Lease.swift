/// A span of cluster time that keys can live as long as.
struct Lease: SlotElement {
  let id: UInt64
  /// Time to live, nanoseconds.
  let ttl: UInt64
  /// The session that asked for it, or 0; for people, it does not end with it.
  let owner: UInt64
  /// Made by a write with a time to live: it belongs to one key, cannot be renewed, and goes with it.
  let isOfOneKey: Bool
  var deadline: UInt64
  /// Ended, and its keys are being removed in steps.
  var isEnding = false
}
