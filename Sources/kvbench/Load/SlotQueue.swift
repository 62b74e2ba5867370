/// Slots in the order in which their answers will come, for systems that answer in order.
struct SlotQueue {
  private var slots: [Int] = []
  private var first = 0

  var isEmpty: Bool { first == slots.count }
  var count: Int { slots.count - first }

  mutating func append(_ slot: Int) { slots.append(slot) }

  mutating func popFirst() -> Int? {
    guard first < slots.count else { return nil }
    defer {
      first += 1
      if first == slots.count {
        slots.removeAll(keepingCapacity: true)
        first = 0
      } else if first > 4096 {
        slots.removeFirst(first)
        first = 0
      }
    }
    return slots[first]
  }

  var peek: Int? { first < slots.count ? slots[first] : nil }

  mutating func removeAll() {
    slots = []
    first = 0
  }
}
