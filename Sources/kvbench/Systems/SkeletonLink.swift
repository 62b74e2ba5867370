/// The bare protocol of `Tests/Peers/skeleton.c`: what any replicated store costs at least.
///
/// Little-endian. A request: length of the rest 4, id 4, what 4 (1 put, 2 get), key's length 4, key, value. An answer:
/// length of the rest 4, id 4, value.
final class SkeletonLink: Link {
  override func send(_ slot: Int) throws(LoadError) {
    let isPut = load.slots[slot].work == .put
    let (keyBytes, valueBytes) = (load.options.keyBytes, isPut ? load.options.valueBytes : 0)
    var cursor = out.grow(by: 16 + keyBytes + valueBytes)
    cursor.write(UInt32(12 + keyBytes + valueBytes))
    cursor.write(UInt32(slot / load.workLinkCount))
    cursor.write(UInt32(isPut ? 1 : 2))
    cursor.write(UInt32(keyBytes))
    cursor.writeKey(load.slots[slot].key, byteCount: keyBytes)
    // SAFETY: the value lives until it is copied.
    if isPut { unsafe load.values.withNext { unsafe cursor.write($0) } }
    out.commit(cursor)
  }

  override func receive(_ bytes: Span<UInt8>) throws(LoadError) -> Int {
    var offset = 0
    while bytes.count - offset >= 8 {
      let length = Int(bytes.little32(at: offset))
      guard bytes.count - offset >= 4 + length else { break }
      let slot = Int(bytes.little32(at: offset + 4)) * load.workLinkCount + number
      guard length >= 4, slot < load.slotCount else {
        throw LoadError("\(address) answered what was not asked")
      }
      offset += 4 + length
      try load.finish(slot, load.slots[slot].work == .put || length > 4, on: self)
    }
    return offset
  }
}
