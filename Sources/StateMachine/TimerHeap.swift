/// When something has to happen, and to what.
struct Timer: Comparable, Sendable {
  /// What a timer is for; the order decides among those due at one moment.
  enum Kind: UInt8, Sendable {
    case sessionEnd = 0
    case leaseEnd = 1
    case claimDeadline = 2
    case lockRest = 3
    case sessionReap = 4
    case leaseReap = 5
    case lockAdvance = 6
  }

  let time: UInt64
  let kind: Kind
  let id: UInt64

  static func < (left: Timer, right: Timer) -> Bool {
    (left.time, left.kind.rawValue, left.id) < (right.time, right.kind.rawValue, right.id)
  }
}

/// All that waits for its time, the earliest first.
///
/// A deadline that is put off keeps its timer; when that comes up it is seen to be early and is put back
/// with the right time. So a renewal costs a store, not a search, and each object has one timer.
/// A binary heap in pieces, so that copies stay cheap.
struct TimerHeap: Sendable {
  private var timers = ChunkedArray<Timer>()

  init() {}

  var count: Int { timers.count }

  var first: Timer? { timers.isEmpty ? nil : timers[0] }

  mutating func insert(_ timer: Timer) {
    timers.append(timer)
    var index = timers.count - 1
    while index > 0 {
      let parent = (index - 1) / 2
      guard timer < timers[parent] else { break }
      timers[index] = timers[parent]
      index = parent
    }
    timers[index] = timer
  }

  mutating func removeFirst() -> Timer? {
    guard let first else { return nil }
    let last = timers.removeLast()
    if !timers.isEmpty { sink(last) }
    return first
  }

  /// Replaces the first timer by one that is later.
  mutating func replaceFirst(by timer: Timer) {
    precondition(!timers.isEmpty, "there is a first timer")
    sink(timer)
  }

  /// Lets `timer` find its place from the top, whose own timer is gone.
  private mutating func sink(_ timer: Timer) {
    var index = 0
    while true {
      var child = 2 * index + 1
      guard child < timers.count else { break }
      if child + 1 < timers.count, timers[child + 1] < timers[child] { child += 1 }
      guard timers[child] < timer else { break }
      timers[index] = timers[child]
      index = child
    }
    timers[index] = timer
  }

  /// The timer at a place, which a restore must keep.
  func at(_ place: Int) -> Timer { timers[place] }

  /// Adds a timer at the last place.
  mutating func restore(_ timer: Timer) { timers.append(timer) }
}
