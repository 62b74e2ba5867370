/// What will happen, by the time at which it does; what was put in first comes out first among equals.
struct EventQueue<Event> {
  /// Plain numbers alone are moved about; the event itself stays in its slot.
  private struct Item {
    let time: UInt64
    let number: UInt64
    let slot: Int

    func isBefore(_ other: Item) -> Bool {
      time != other.time ? time < other.time : number < other.number
    }
  }

  /// A heap in which each item has four below it.
  private var items: [Item] = []
  private var events: [Event?] = []
  private var free: [Int] = []
  private var lastNumber: UInt64 = 0

  var isEmpty: Bool { items.isEmpty }
  var count: Int { items.count }
  var nextTime: UInt64? { items.first?.time }

  mutating func add(_ event: Event, at time: UInt64) {
    lastNumber += 1
    let slot: Int
    if let last = free.popLast() {
      slot = last
      events[slot] = event
    } else {
      slot = events.count
      events.append(event)
    }
    let item = Item(time: time, number: lastNumber, slot: slot)
    items.append(item)
    var place = items.count - 1
    while place > 0 {
      let parent = (place - 1) / 4
      guard item.isBefore(items[parent]) else { break }
      items[place] = items[parent]
      place = parent
    }
    items[place] = item
  }

  mutating func removeFirst() -> (time: UInt64, event: Event)? {
    guard let first = items.first, let last = items.popLast() else { return nil }
    if !items.isEmpty { sink(last) }
    free.append(first.slot)
    guard let event = events[first.slot].take() else { return nil }
    return (first.time, event)
  }

  /// Puts an item in the place of the first, and further down until it belongs there.
  private mutating func sink(_ item: Item) {
    var place = 0
    while true {
      let child = 4 * place + 1
      guard child < items.count else { break }
      var least = child
      for other in (child + 1)..<max(child + 1, min(child + 4, items.count))
      where items[other].isBefore(items[least]) {
        least = other
      }
      guard items[least].isBefore(item) else { break }
      items[place] = items[least]
      place = least
    }
    items[place] = item
  }
}
