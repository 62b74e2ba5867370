/// What will happen, by the time at which it does; what was put in first comes out first among equals.
struct EventQueue<Event> {
  private struct Item {
    let time: UInt64
    let number: UInt64
    let event: Event

    func isBefore(_ other: Item) -> Bool {
      time != other.time ? time < other.time : number < other.number
    }
  }

  /// A binary heap.
  private var items: [Item] = []
  private var lastNumber: UInt64 = 0

  var isEmpty: Bool { items.isEmpty }
  var count: Int { items.count }
  var nextTime: UInt64? { items.first?.time }

  mutating func add(_ event: Event, at time: UInt64) {
    lastNumber += 1
    items.append(Item(time: time, number: lastNumber, event: event))
    var place = items.count - 1
    while place > 0 {
      let parent = (place - 1) / 2
      guard items[place].isBefore(items[parent]) else { return }
      items.swapAt(place, parent)
      place = parent
    }
  }

  mutating func removeFirst() -> (time: UInt64, event: Event)? {
    guard let last = items.popLast() else { return nil }
    guard let first = items.first else { return (last.time, last.event) }
    items[0] = last
    sink()
    return (first.time, first.event)
  }

  private mutating func sink() {
    var place = 0
    while true {
      var least = place
      for child in [2 * place + 1, 2 * place + 2] where child < items.count {
        if items[child].isBefore(items[least]) { least = child }
      }
      guard least != place else { return }
      items.swapAt(place, least)
      place = least
    }
  }
}
