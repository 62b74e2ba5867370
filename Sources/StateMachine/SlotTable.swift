internal import RoostWire

/// What can lie in a ``SlotTable``.
protocol SlotElement: Sendable {}

extension SlotElement {
  /// Lets `body` change this where it lies, also behind an optional.
  mutating func change<Result>(_ body: (inout Self) -> Result) -> Result { body(&self) }
}

/// Objects under ids that are never used twice, found without a search.
///
/// An id is an epoch, the generation of a slot, the slot and the kind of object. Every end of an object
/// raises its slot's generation, so that an old id finds nothing; a slot whose generations are used up is
/// left empty for ever. A restore from a backup raises the epoch, and with it leaves all old ids behind.
///
///     bits    field
///     63..56  epoch
///     55..25  generation, from 1
///     24..1   slot
///     0       kind
struct SlotTable<Element: SlotElement>: Sendable {
  private struct Slot: Sendable {
    var generation: UInt32 = 1
    var nextFree: UInt32 = SlotTable.none
    var element: Element?
  }

  static var none: UInt32 { .max }
  private static var slotLimit: Int { 1 << 24 }
  private static var generationLimit: UInt32 { 1 << 31 }

  private let kind: UInt64
  private let epoch: UInt64
  private var slots = ChunkedArray<Slot>()
  /// A bit for each slot that is in use, 64 a word.
  private var used = ChunkedArray<UInt64>()
  private var firstFree = SlotTable.none
  private(set) var count = 0

  init(kind: UInt64, epoch: UInt64) {
    self.kind = kind & 1
    self.epoch = epoch & 0xFF
  }

  /// How many slots there are, used or not; ids of a list go through them in order.
  var slotCount: Int { slots.count }

  /// The first slot from `slot` on that is in use.
  func firstUsed(from slot: Int) -> Int? {
    var word = slot >> 6
    guard word < used.count else { return nil }
    var bits = used[word] & (UInt64.max << UInt64(slot & 63))
    while bits == 0 {
      word += 1
      guard word < used.count else { return nil }
      bits = used[word]
    }
    return word << 6 + bits.trailingZeroBitCount
  }

  private mutating func note(_ slot: Int, isUsed: Bool) {
    let bit = UInt64(1) << UInt64(slot & 63)
    used.update(slot >> 6) { word in
      if isUsed { word |= bit } else { word &= ~bit }
    }
  }

  /// Adds a slot behind the last.
  private mutating func append(_ slot: Slot) {
    if slots.count & 63 == 0 { used.append(0) }
    slots.append(slot)
    if slot.element != nil { note(slots.count - 1, isUsed: true) }
  }

  /// Whether one more object has room.
  var hasRoom: Bool { firstFree != Self.none || slots.count < Self.slotLimit }

  /// The slot that `id` names, if its object still lives.
  func slot(of id: UInt64) -> UInt32? {
    let slot = id >> 1 & 0xFF_FFFF
    guard slot < slots.count, id == self.id(ofSlot: UInt32(slot)) else { return nil }
    return slots.withElement(Int(slot)) { $0.element != nil } ? UInt32(slot) : nil
  }

  /// The id of the object that is, or would be next, in `slot`.
  func id(ofSlot slot: UInt32) -> UInt64 {
    let generation = UInt64(slots.withElement(Int(slot)) { $0.generation })
    return epoch << 56 | generation << 25 | UInt64(slot) << 1 | kind
  }

  subscript(slot: UInt32) -> Element? { slots[Int(slot)].element }

  /// Reads the object in `slot` where it lies; there must be one.
  func withElement<Result>(_ slot: UInt32, _ body: (borrowing Element) -> Result) -> Result {
    slots.withElement(Int(slot)) { slot in
      guard let element = slot.element else { preconditionFailure("the slot is in use") }
      return body(element)
    }
  }

  /// Changes the object in `slot` where it lies.
  mutating func update<Result>(_ slot: UInt32, _ body: (inout Element) -> Result) -> Result? {
    slots.update(Int(slot)) { $0.element?.change(body) }
  }

  /// Gives a new object a slot; `make` is told the id that it will have.
  mutating func insert(_ make: (UInt64) -> Element) -> UInt32 {
    precondition(hasRoom, "there is room for one more")
    count += 1
    if firstFree == Self.none {
      append(Slot())
      firstFree = UInt32(slots.count - 1)
    }
    let slot = firstFree
    let element = make(id(ofSlot: slot))
    firstFree = slots.update(Int(slot)) { slot in
      slot.element = element
      return slot.nextFree
    }
    note(Int(slot), isUsed: true)
    return slot
  }

  /// Ends the object in `slot`.
  @discardableResult
  mutating func remove(_ slot: UInt32) -> Element? {
    let free = firstFree
    let (element, isUsedUp) = slots.update(Int(slot)) { slot in
      let element = slot.element.take()
      guard element != nil else { return (element, true) }
      slot.generation += 1
      slot.nextFree = free
      return (element, slot.generation == Self.generationLimit)
    }
    guard element != nil else { return nil }
    count -= 1
    note(Int(slot), isUsed: false)
    if !isUsedUp { firstFree = slot }
    return element
  }
}

extension SlotTable where Element: SnapshotElement {
  /// Appends a slot, or, for the index behind the last, where the free slots begin.
  func encodeSlot(_ index: Int, into output: inout [UInt8]) {
    guard index < slots.count else {
      output.append(2)
      return output.append(littleEndian: firstFree)
    }
    slots.withElement(index) { slot in
      output.append(slot.element == nil ? 0 : 1)
      output.append(littleEndian: slot.generation)
      output.append(littleEndian: slot.nextFree)
      slot.element?.encode(into: &output)
    }
  }

  /// Adds what ``encodeSlot(_:into:)`` wrote.
  mutating func restoreSlot(decoding input: inout Span<UInt8>) throws(WireError) {
    let kind = try input.read(UInt8.self)
    guard kind < 2 else {
      firstFree = try input.read()
      return try checkFreeSlots()
    }
    var slot = Slot()
    slot.generation = try input.read()
    slot.nextFree = try input.read()
    if kind == 1 {
      slot.element = try Element(decoding: &input)
      count += 1
    }
    guard slots.count < Self.slotLimit else { throw .invalid("number of slots") }
    append(slot)
  }

  /// Refuses a list of free slots that leads astray.
  private func checkFreeSlots() throws(WireError) {
    var slot = firstFree
    var seen = 0
    while slot != Self.none {
      guard slot < slots.count, slots[Int(slot)].element == nil, seen < slots.count else {
        throw .invalid("free slots")
      }
      seen += 1
      slot = slots[Int(slot)].nextFree
    }
  }
}
