internal import RoostWire

/// Moments at which calls must be looked at, earliest first: a binary heap.
///
/// A call that ends leaves its alarms behind; they are dropped when they come to the front, and all at once when they are
/// more than the calls.
struct AlarmClock: Sendable {
  struct Alarm: Sendable {
    let time: Instant
    let call: CallID

    func isBefore(_ other: Alarm) -> Bool {
      time == other.time ? call < other.call : time < other.time
    }
  }

  private var heap: [Alarm] = []

  var first: Alarm? { heap.first }

  mutating func set(_ call: CallID, at time: Instant) {
    guard time != .distantFuture else { return }
    heap.append(Alarm(time: time, call: call))
    rise(from: heap.count - 1)
  }

  mutating func removeFirst() {
    let last = heap.removeLast()
    guard !heap.isEmpty else { return }
    heap[0] = last
    sink(from: 0)
  }

  /// Drops alarms of calls that are over, so that ``first`` is a real one.
  mutating func settle(_ calls: CallTable) {
    while let first = heap.first, !calls.contains(first.call) { removeFirst() }
    guard heap.count > 64 + 4 * calls.count else { return }
    heap.removeAll { !calls.contains($0.call) }
    // Sorted, an array is a heap.
    heap.sort { $0.isBefore($1) }
  }

  private mutating func rise(from start: Int) {
    var place = start
    while place > 0 {
      let parent = (place - 1) / 2
      guard heap[place].isBefore(heap[parent]) else { return }
      heap.swapAt(place, parent)
      place = parent
    }
  }

  private mutating func sink(from start: Int) {
    var place = start
    while true {
      var child = 2 * place + 1
      guard child < heap.count else { return }
      if child + 1 < heap.count, heap[child + 1].isBefore(heap[child]) { child += 1 }
      guard heap[child].isBefore(heap[place]) else { return }
      heap.swapAt(place, child)
      place = child
    }
  }
}
