/// Numbers for 64-bit keys, in the order in which they came: a hash table without deletion.
///
/// Keys are hashes already, so their low bits choose the place.
struct ExploredTable {
  private var keys: [UInt64]
  private var values: [UInt32]
  private var mask: Int
  private(set) var count = 0

  init(capacity: Int = 1 << 10) {
    keys = Array(repeating: 0, count: capacity)
    values = Array(repeating: 0, count: capacity)
    mask = capacity - 1
  }

  subscript(key: UInt64) -> UInt32? {
    let key = key == 0 ? 1 : key
    var place = Int(truncatingIfNeeded: key) & mask
    while keys[place] != 0 {
      if keys[place] == key { return values[place] }
      place = (place + 1) & mask
    }
    return nil
  }

  /// Adds a key that is not there.
  mutating func add(_ key: UInt64, _ value: UInt32) {
    if count * 4 >= keys.count * 3 { grow() }
    let key = key == 0 ? 1 : key
    var place = Int(truncatingIfNeeded: key) & mask
    while keys[place] != 0 { place = (place + 1) & mask }
    keys[place] = key
    values[place] = value
    count += 1
  }

  private mutating func grow() {
    var larger = ExploredTable(capacity: keys.count * 2)
    for place in keys.indices where keys[place] != 0 { larger.add(keys[place], values[place]) }
    self = larger
  }
}

/// The states that were seen: of each its hash, the state before it and what led from there to here.
struct ExploredStates {
  private var keys: [UInt64]
  private var mask: Int
  private var parents: [UInt32] = []
  private var actions: [UInt32] = []

  init(capacity: Int = 1 << 16) {
    keys = Array(repeating: 0, count: capacity)
    mask = capacity - 1
  }

  var count: Int { parents.count }

  /// The bytes that are held, about.
  var byteCount: Int { keys.count * 8 + (parents.capacity + actions.capacity) * 4 }

  /// Adds a state and answers its number; nil if it was seen before.
  mutating func insert(_ hash: UInt64, parent: UInt32, action: UInt32) -> UInt32? {
    if count * 4 >= keys.count * 3 { grow() }
    let key = hash == 0 ? 1 : hash
    var place = Int(truncatingIfNeeded: key) & mask
    while keys[place] != 0 {
      if keys[place] == key { return nil }
      place = (place + 1) & mask
    }
    keys[place] = key
    let number = UInt32(truncatingIfNeeded: parents.count)
    parents.append(parent)
    actions.append(action)
    return number
  }

  /// What led from the first state to this one.
  func path(to state: UInt32) -> [UInt32] {
    var path: [UInt32] = []
    var state = Int(state)
    while state > 0 {
      path.append(actions[state])
      state = Int(parents[state])
    }
    return path.reversed()
  }

  private mutating func grow() {
    let old = keys
    keys = Array(repeating: 0, count: old.count * 2)
    mask = keys.count - 1
    for key in old where key != 0 {
      var place = Int(truncatingIfNeeded: key) & mask
      while keys[place] != 0 { place = (place + 1) & mask }
      keys[place] = key
    }
  }
}

/// States that wait to be gone on from, first in, first out; memory is given back as they leave.
struct ExploredQueue {
  private static let chunkCapacity = 1 << 18

  private var chunks: [[UInt32]] = []
  private var firstChunk = 0
  private var place = 0
  private(set) var count = 0

  var byteCount: Int { (chunks.count - firstChunk) * Self.chunkCapacity * 4 }

  /// A record's length, then its words.
  mutating func append(_ record: [UInt32]) {
    if chunks.isEmpty || chunks[chunks.count - 1].count + record.count >= Self.chunkCapacity {
      var chunk: [UInt32] = []
      chunk.reserveCapacity(Self.chunkCapacity)
      chunks.append(chunk)
    }
    let last = chunks.count - 1
    chunks[last].append(UInt32(record.count))
    chunks[last].append(contentsOf: record)
    count += 1
  }

  /// Puts the oldest record in place of `record`; false if there is none.
  mutating func removeFirst(into record: inout [UInt32]) -> Bool {
    guard count > 0 else { return false }
    if place == chunks[firstChunk].count {
      chunks[firstChunk] = []
      firstChunk += 1
      place = 0
    }
    let length = Int(chunks[firstChunk][place])
    record.removeAll(keepingCapacity: true)
    record.append(contentsOf: chunks[firstChunk][(place + 1)...(place + length)])
    place += length + 1
    count -= 1
    return true
  }
}
