/// An array in pieces, and those in groups: a copy costs one reference, and the first write after it copies the list
/// of groups, one group and one piece.
///
/// A plain array of millions of elements would be copied whole at the first write after a snapshot was
/// taken, and the node would stand still meanwhile.
struct ChunkedArray<Element: Sendable>: Sendable {
  /// 64 elements a piece: the first writes after a copy go to pieces far apart, and copy each of them.
  private static var chunkBits: Int { 6 }
  private static var chunkMask: Int { 63 }
  private static var groupBits: Int { 14 }
  private static var groupMask: Int { 255 }

  private var groups: [[[Element]]] = []
  private(set) var count = 0

  init() {}

  var isEmpty: Bool { count == 0 }

  private static func group(_ index: Int) -> Int { index >> groupBits }

  private static func chunk(_ index: Int) -> Int { index >> chunkBits & groupMask }

  subscript(index: Int) -> Element {
    get {
      groups[Self.group(index)][Self.chunk(index)][index & Self.chunkMask]
    }
    set {
      groups[Self.group(index)][Self.chunk(index)][index & Self.chunkMask] = newValue
    }
  }

  /// Changes an element where it lies.
  mutating func update<Result>(_ index: Int, _ body: (inout Element) -> Result) -> Result {
    body(&groups[Self.group(index)][Self.chunk(index)][index & Self.chunkMask])
  }

  /// Reads an element where it lies.
  func withElement<Result>(_ index: Int, _ body: (borrowing Element) -> Result) -> Result {
    body(groups[Self.group(index)][Self.chunk(index)][index & Self.chunkMask])
  }

  mutating func append(_ element: Element) {
    let group = Self.group(count)
    if count & Self.chunkMask == 0 {
      var chunk: [Element] = []
      chunk.reserveCapacity(Self.chunkMask + 1)
      if group == groups.count { groups.append([]) }
      groups[group].append(chunk)
    }
    groups[group][Self.chunk(count)].append(element)
    count += 1
  }

  mutating func removeLast() -> Element {
    precondition(count > 0, "there is a last element")
    count -= 1
    let group = Self.group(count)
    let element = groups[group][Self.chunk(count)].removeLast()
    if count & Self.chunkMask == 0 {
      groups[group].removeLast()
      if groups[group].isEmpty { groups.removeLast() }
    }
    return element
  }
}
