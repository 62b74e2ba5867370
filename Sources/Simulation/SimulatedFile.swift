/// The content of a file on a simulated disk: what was synced, and what was written since.
struct SimulatedFile: Equatable {
  static let sectorByteCount = 512

  /// A change that a crash keeps or loses as a whole.
  enum Change: Equatable {
    case resize(Int)
    case sector(offset: Int, bytes: [UInt8])
  }

  private(set) var current: [UInt8] = []
  private(set) var durable: [UInt8] = []
  private(set) var unsynced: [Change] = []

  /// Writes bytes, one change a sector.
  mutating func write(_ bytes: [UInt8], at offset: Int) {
    if offset + bytes.count > current.count { resize(to: offset + bytes.count) }
    for change in Self.sectors(of: bytes, at: offset) {
      Self.apply(change, to: &current)
      unsynced.append(change)
    }
  }

  /// Writes bytes and syncs: nothing is left for a crash to choose from.
  mutating func writeThrough(_ bytes: [UInt8], at offset: Int) {
    sync()
    let end = offset + bytes.count
    if end > current.count { Self.apply(.resize(end), to: &current) }
    if end > durable.count { Self.apply(.resize(end), to: &durable) }
    current.replaceSubrange(offset..<end, with: bytes)
    durable.replaceSubrange(offset..<end, with: bytes)
  }

  mutating func resize(to byteCount: Int) {
    guard byteCount != current.count else { return }
    let change = Change.resize(byteCount)
    Self.apply(change, to: &current)
    unsynced.append(change)
  }

  /// Writes zeros over a file of this length.
  mutating func fill(byteCount: Int) {
    resize(to: byteCount)
    for offset in stride(from: 0, to: byteCount, by: Self.sectorByteCount) {
      let end = min(byteCount, offset + Self.sectorByteCount)
      guard current[offset..<end].contains(where: { $0 != 0 }) else { continue }
      write([UInt8](repeating: 0, count: end - offset), at: offset)
    }
  }

  mutating func sync() {
    for change in unsynced { Self.apply(change, to: &durable) }
    unsynced = []
  }

  /// What power loss leaves: the durable content, and those of the changes that `keeps` says yes to.
  mutating func crash(keeping keeps: () -> Bool) {
    for change in unsynced where keeps() { Self.apply(change, to: &durable) }
    unsynced = []
    current = durable
  }

  /// Damages the medium.
  mutating func damage(_ range: Range<Int>, _ body: (UInt8) -> UInt8) {
    for index in range.clamped(to: 0..<current.count) { current[index] = body(current[index]) }
    for index in range.clamped(to: 0..<durable.count) { durable[index] = body(durable[index]) }
  }

  /// The sectors that a write touches, each with its part of the bytes.
  static func sectors(of bytes: [UInt8], at offset: Int) -> [Change] {
    var changes: [Change] = []
    var done = 0
    while done < bytes.count {
      let position = offset + done
      let end = (position / sectorByteCount + 1) * sectorByteCount
      let count = min(end - position, bytes.count - done)
      changes.append(.sector(offset: position, bytes: [UInt8](bytes[done..<done + count])))
      done += count
    }
    return changes
  }

  static func apply(_ change: Change, to content: inout [UInt8]) {
    switch change {
    case .resize(let byteCount):
      if byteCount < content.count {
        content.removeLast(content.count - byteCount)
      } else {
        content += [UInt8](repeating: 0, count: byteCount - content.count)
      }
    case .sector(let offset, let bytes):
      if offset + bytes.count > content.count { apply(.resize(offset + bytes.count), to: &content) }
      content.replaceSubrange(offset..<offset + bytes.count, with: bytes)
    }
  }
}
