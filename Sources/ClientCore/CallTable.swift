internal import RoostWire

/// The calls that are under way, each in a slot of its own and in one queue.
///
/// Whatever happens to a call costs the same however many there are: its id names its slot, and the queues are
/// linked through the slots.
struct CallTable: Sendable {
  private struct Slot: Sendable {
    /// 0 while the slot is free.
    var id: UInt64 = 0
    var next: Int32 = none
    var previous: Int32 = none
    var call: PendingCall?
  }

  fileprivate static let none: Int32 = -1
  private static let slotBits: UInt64 = 24

  private var slots: [Slot] = []
  private var free: [Int32] = []
  private var lastSerial: UInt64 = 0
  private(set) var count = 0

  /// Adds a call, which stands in no queue yet.
  ///
  /// Ids ascend, and none is given twice.
  mutating func insert(_ call: PendingCall) -> CallID {
    lastSerial += 1
    let slot = free.popLast() ?? Int32(slots.count)
    precondition(slot < 1 << Self.slotBits, "a client has fewer than 16 million calls at once")
    if Int(slot) == slots.count { slots.append(Slot()) }
    let id = lastSerial << Self.slotBits | UInt64(slot)
    slots[Int(slot)].id = id
    slots[Int(slot)].call = call
    count += 1
    return CallID(id)
  }

  /// Takes away a call that stands in no queue.
  mutating func remove(_ id: CallID) {
    guard let slot = slot(of: id) else { return }
    slots[slot] = Slot()
    free.append(Int32(slot))
    count -= 1
  }

  private func slot(of id: CallID) -> Int? {
    let slot = Int(id.rawValue & (1 << Self.slotBits - 1))
    return slot < slots.count && slots[slot].id == id.rawValue ? slot : nil
  }

  /// The call of that id, while there is one.
  subscript(id: CallID) -> PendingCall? {
    get { slot(of: id).flatMap { slots[$0].call } }
    _modify {
      if let slot = slot(of: id) {
        yield &slots[slot].call
      } else {
        var nothing: PendingCall?
        yield &nothing
      }
    }
  }

  /// Whether that call is under way.
  func contains(_ id: CallID) -> Bool { slot(of: id) != nil }

  /// Every call, in the order in which they came.
  var ids: [CallID] { slots.filter { $0.id != 0 }.map { CallID($0.id) }.sorted() }

  // MARK: Queues

  /// Calls one behind the other.
  struct Queue: Sendable {
    fileprivate var firstSlot = CallTable.none
    fileprivate var lastSlot = CallTable.none
    var isEmpty: Bool { firstSlot == CallTable.none }
  }

  /// The call that has stood longest in a queue.
  func first(of queue: Queue) -> CallID? {
    queue.isEmpty ? nil : CallID(slots[Int(queue.firstSlot)].id)
  }

  /// The call behind another one in its queue.
  func next(after id: CallID) -> CallID? {
    guard let slot = slot(of: id), slots[slot].next != Self.none else { return nil }
    return CallID(slots[Int(slots[slot].next)].id)
  }

  mutating func append(_ id: CallID, to queue: inout Queue) {
    guard let slot = slot(of: id) else { return }
    slots[slot].previous = queue.lastSlot
    slots[slot].next = Self.none
    if queue.isEmpty {
      queue.firstSlot = Int32(slot)
    } else {
      slots[Int(queue.lastSlot)].next = Int32(slot)
    }
    queue.lastSlot = Int32(slot)
  }

  mutating func remove(_ id: CallID, from queue: inout Queue) {
    guard let slot = slot(of: id) else { return }
    let (previous, next) = (slots[slot].previous, slots[slot].next)
    if previous == Self.none { queue.firstSlot = next } else { slots[Int(previous)].next = next }
    if next == Self.none { queue.lastSlot = previous } else { slots[Int(next)].previous = previous }
  }

  /// Puts all calls of `other` before those of `queue`.
  mutating func prepend(_ other: inout Queue, to queue: inout Queue) {
    guard !other.isEmpty else { return }
    if queue.isEmpty {
      queue.lastSlot = other.lastSlot
    } else {
      slots[Int(other.lastSlot)].next = queue.firstSlot
      slots[Int(queue.firstSlot)].previous = other.lastSlot
    }
    queue.firstSlot = other.firstSlot
    other = Queue()
  }
}
