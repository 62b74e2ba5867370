/// An array in pieces, and those in groups: a copy costs one reference, and the first write after it copies the list
/// of groups, one group and one piece.
///
/// A plain array of millions of elements would be copied whole at the first write after a snapshot was
/// taken, and the node would stand still meanwhile.
struct ChunkedArray<Element: Sendable>: Sendable {
  private static var chunkBits: Int { 8 }
  private static var groupBits: Int { 16 }
  private static var mask: Int { 255 }

  private var groups: [[[Element]]] = []
  private(set) var count = 0

  init() {}

  var isEmpty: Bool { count == 0 }

  subscript(index: Int) -> Element {
    get {
      groups[index >> Self.groupBits][index >> Self.chunkBits & Self.mask][index & Self.mask]
    }
    set {
      groups[index >> Self.groupBits][index >> Self.chunkBits & Self.mask][index & Self.mask] =
        newValue
    }
  }

  /// Changes an element where it lies.
  mutating func update<Result>(_ index: Int, _ body: (inout Element) -> Result) -> Result {
    body(&groups[index >> Self.groupBits][index >> Self.chunkBits & Self.mask][index & Self.mask])
  }

  /// Reads an element where it lies.
  func withElement<Result>(_ index: Int, _ body: (borrowing Element) -> Result) -> Result {
    body(groups[index >> Self.groupBits][index >> Self.chunkBits & Self.mask][index & Self.mask])
  }

  mutating func append(_ element: Element) {
    let group = count >> Self.groupBits
    if count & Self.mask == 0 {
      var chunk: [Element] = []
      chunk.reserveCapacity(Self.mask + 1)
      if group == groups.count { groups.append([]) }
      groups[group].append(chunk)
    }
    groups[group][count >> Self.chunkBits & Self.mask].append(element)
    count += 1
  }

  mutating func removeLast() -> Element {
    precondition(count > 0, "there is a last element")
    count -= 1
    let group = count >> Self.groupBits
    let element = groups[group][count >> Self.chunkBits & Self.mask].removeLast()
    if count & Self.mask == 0 {
      groups[group].removeLast()
      if groups[group].isEmpty { groups.removeLast() }
    }
    return element
  }
}
