/// An array in pieces: a copy costs one reference a piece, and a write after it copies one piece.
///
/// A plain array of a million elements would be copied whole at the first write after a snapshot was
/// taken, and the node would stand still meanwhile.
struct ChunkedArray<Element: Sendable>: Sendable {
  private static var chunkBits: Int { 8 }
  private static var chunkMask: Int { 255 }

  private var chunks: [[Element]] = []
  private(set) var count = 0

  init() {}

  var isEmpty: Bool { count == 0 }

  subscript(index: Int) -> Element {
    get { chunks[index >> Self.chunkBits][index & Self.chunkMask] }
    set { chunks[index >> Self.chunkBits][index & Self.chunkMask] = newValue }
  }

  /// Changes an element where it lies.
  mutating func update<Result>(_ index: Int, _ body: (inout Element) -> Result) -> Result {
    body(&chunks[index >> Self.chunkBits][index & Self.chunkMask])
  }

  /// Reads an element where it lies.
  func withElement<Result>(_ index: Int, _ body: (borrowing Element) -> Result) -> Result {
    body(chunks[index >> Self.chunkBits][index & Self.chunkMask])
  }

  mutating func append(_ element: Element) {
    if count & Self.chunkMask == 0 {
      var chunk: [Element] = []
      chunk.reserveCapacity(Self.chunkMask + 1)
      chunks.append(chunk)
    }
    chunks[count >> Self.chunkBits].append(element)
    count += 1
  }

  mutating func removeLast() -> Element {
    precondition(count > 0, "there is a last element")
    count -= 1
    let element = chunks[count >> Self.chunkBits].removeLast()
    if count & Self.chunkMask == 0 { chunks.removeLast() }
    return element
  }
}
