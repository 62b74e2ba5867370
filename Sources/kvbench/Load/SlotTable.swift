/// The slots of a load, at fixed places so that using one costs no more than its address.
@safe final class SlotTable {
  let count: Int
  private let base: UnsafeMutablePointer<Slot>

  init(count: Int) {
    self.count = count
    // SAFETY: initialised at once, freed in deinit; slots are plain values.
    unsafe base = .allocate(capacity: max(count, 1))
    unsafe base.initialize(repeating: Slot(), count: max(count, 1))
  }

  deinit { unsafe base.deallocate() }

  @inline(__always)
  subscript(_ slot: Int) -> Slot {
    get {
      precondition(slot >= 0 && slot < count, "a slot is one of the table's")
      return unsafe base[slot]
    }
    _modify {
      precondition(slot >= 0 && slot < count, "a slot is one of the table's")
      yield unsafe &base[slot]
    }
  }
}
